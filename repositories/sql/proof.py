"""Proof that the master key at hand is the one that the database was written with."""

from sqlalchemy import Connection, insert, select

from auth.vault import Vault, VaultError
from repositories.sql.tables import vault_keys

_TEXT = b"aigateway"


def check_vault(connection: Connection, vault: Vault, now: float) -> None:
    """Raise VaultError when the vault's keys are not those of the database.

    A database without a proof gets one, and so does a key that comes beside a known one. Without
    this check a wrong key would show only when accounts fail, and new rows would be sealed with it.
    """
    proofs = {
        row.kid: row.proof
        for row in connection.execute(select(vault_keys.c.kid, vault_keys.c.proof)).all()
    }
    known = vault.kids & proofs.keys()
    if proofs and not known:
        raise VaultError(
            "the database was written with another master key than the one at hand; "
            "restore the master key that belongs to this database"
        )
    for kid in sorted(known):
        vault.open(proofs[kid], table="vault_keys", column="proof", row_id=kid)
    if vault.current not in proofs:
        kid = vault.current
        proof = vault.seal(_TEXT, table="vault_keys", column="proof", row_id=kid)
        connection.execute(insert(vault_keys).values(kid=kid, proof=proof, created_at=now))
