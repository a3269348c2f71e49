"""One account of an import, and what becomes of it."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from models.account import Credentials, StoredAccount
from openapi.accounts import AccountCreate
from repositories.base import AccountChange

Outcome: TypeAlias = Literal["created", "updated", "exists", "invalid"]

_PLAIN: Final = ("label", "is_active", "priority", "max_concurrent", "weight", "identity")


@dataclass(slots=True)
class Entry:
    """Filled on the way."""

    index: int
    body: AccountCreate | None
    """None where it could not be read."""
    outcome: Outcome = "created"
    reason: str | None = None
    account_id: str | None = None
    known: StoredAccount | None = None
    """The account that it is taken for."""

    @property
    def given(self) -> AccountCreate:
        """What was read; only of entries that are not invalid."""
        assert self.body is not None  # noqa: S101 - for the type checker
        return self.body

    def change(self) -> AccountChange | None:
        """Return what the account that is there lacks of the given fields; None for nothing."""
        if self.known is None:
            return None
        account, body = self.known.account, self.given
        wanted = _wanted(body)
        found = {name: one for name, one in wanted.items() if one != getattr(account, name)}
        credentials = body.auth_data.credentials()
        if secret_of(credentials) != secret_of(self.known.credentials):
            found["credentials"] = credentials
        return AccountChange(**found) if found else None  # type: ignore[arg-type] # names above


def secret_of(credentials: Credentials) -> str:
    """Return what tells one credential from another: access tokens come and go."""
    return credentials.refresh or credentials.access


def _wanted(body: AccountCreate) -> dict[str, object]:
    given = body.model_fields_set
    wanted: dict[str, object] = {name: getattr(body, name) for name in _PLAIN if name in given}
    wanted["auth_type"] = body.auth_type
    if "metadata" in given:
        wanted["metadata"] = dict(body.metadata)
    if "models" in given:
        wanted["models"] = None if body.models is None else tuple(body.models)
    if body.egress_policy is not None:
        wanted["egress_policy"] = body.egress_policy
    return wanted
