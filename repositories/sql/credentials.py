"""Credentials as one sealed text, bound to the account's row."""

from collections.abc import Mapping
from dataclasses import asdict

from auth.vault import Vault, VaultError
from models.account import Credentials, OAuthClient
from repositories.sql.rows import from_json, to_json


def seal_credentials(vault: Vault, account_id: str, credentials: Credentials) -> str:
    """Return what `accounts.auth_data` holds."""
    plain = to_json(asdict(credentials)).encode()
    return vault.seal(plain, table="accounts", column="auth_data", row_id=account_id)


def open_credentials(vault: Vault, account_id: str, sealed: str) -> Credentials:
    """Read `accounts.auth_data`. Raises VaultError when it was changed or moved."""
    plain = vault.open(sealed, table="accounts", column="auth_data", row_id=account_id)
    try:
        fields = from_json(plain.decode())
        if not isinstance(fields, dict):
            raise TypeError
        client = fields.pop("oauth")
        return Credentials(**fields, oauth=_client(client))  # type: ignore[arg-type]  # own format
    except (ValueError, TypeError, KeyError):
        # Written by another release. The cause may show the content: it is not chained.
        raise VaultError(f"the credentials of account {account_id} cannot be read") from None


def _client(fields: object) -> OAuthClient | None:
    if fields is None:
        return None
    if not isinstance(fields, Mapping):
        raise TypeError
    return OAuthClient(**{**fields, "scopes": tuple(fields["scopes"])})


def seal_url(vault: Vault, proxy_id: str, url: str) -> str:
    """Return what `proxy_pool.url` holds."""
    return vault.seal(url.encode(), table="proxy_pool", column="url", row_id=proxy_id)


def open_url(vault: Vault, proxy_id: str, sealed: str) -> str:
    """Read `proxy_pool.url`. Raises VaultError when it was changed or moved."""
    return vault.open(sealed, table="proxy_pool", column="url", row_id=proxy_id).decode()
