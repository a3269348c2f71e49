"""Tokens that lie outside the database: in the journal and in shared state, always sealed."""

from dataclasses import dataclass, field
from typing import Final

import orjson

from auth.vault import Vault
from models.account import Credentials, OAuthClient
from models.errors import GatewayError

_TABLE: Final = "tokens"


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """Credentials of an account, and which of its versions they are."""

    account_id: str
    token_version: int
    """The version which these credentials have once they are stored."""
    credentials: Credentials = field(repr=False)


def seal_record(vault: Vault, place: str, record: TokenRecord) -> str:
    """Seal for one place (`journal` or `shared`) and this account."""
    plain = orjson.dumps(record, default=dict)  # mappings that are no dict
    return vault.seal(plain, table=_TABLE, column=place, row_id=record.account_id)


def open_record(vault: Vault, place: str, account_id: str, sealed: str) -> TokenRecord:
    """Return what was sealed for this place and account; everything else is a GatewayError."""
    plain = vault.open(sealed, table=_TABLE, column=place, row_id=account_id)
    try:
        fields = orjson.loads(plain)
        credentials = fields["credentials"]
        client = credentials["oauth"]
        if client is not None:
            client["scopes"] = tuple(client["scopes"])
            credentials["oauth"] = OAuthClient(**client)
        version = int(fields["token_version"])
        return TokenRecord(account_id, version, Credentials(**credentials))
    except (ValueError, TypeError, KeyError):
        # Written by another release. The cause may show the content: it is not chained.
        raise GatewayError(f"the sealed tokens of account {account_id} cannot be read") from None
