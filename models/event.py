"""What operators want to hear of: an account that cools, one that needs a login, a dead proxy."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from models.json_types import JsonObject


class EventKind(StrEnum):
    """What happened."""

    ACCOUNT_COOLED = "account.cooled"
    ACCOUNT_RECOVERED = "account.recovered"
    ACCOUNT_NEEDS_LOGIN = "account.needs_login"
    ACCOUNT_NEEDS_OPERATOR = "account.needs_operator"
    ACCOUNT_ENABLED = "account.enabled"
    ACCOUNT_DISABLED = "account.disabled"
    ACCOUNT_DRAINING = "account.draining"
    ACCOUNT_LOGGED_IN = "account.logged_in"
    PROXY_QUARANTINED = "proxy.quarantined"
    PROXY_RECOVERED = "proxy.recovered"
    ACCOUNT_REHOMED = "account.rehomed"
    PROVIDER_OPENED = "provider.breaker_opened"
    PROVIDER_CLOSED = "provider.breaker_closed"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. Secrets have no place in it."""

    id: str
    """UUIDv7 hex: ids ascend with time."""
    at: float
    """Epoch seconds UTC."""
    kind: EventKind
    message: str
    """One sentence for a person."""
    provider_id: str | None = None
    account_id: str | None = None
    proxy_id: str | None = None
    details: JsonObject = field(default_factory=dict)
    position: int = 0
    """Its place among all stored events: greater than that of every event which was to be seen
    before. Ids do not say that, as replicas store in batches. 0 until it is stored."""


def called(what: str, label: str | None, name: str) -> str:
    """Return what a message calls an account or a proxy: by its label, without one by its id."""
    return f"{what} {label!r}" if label else f"{what} {name}"


class Tell(Protocol):
    """Takes an event at once and never raises: `services/events.py`."""

    def __call__(
        self,
        kind: EventKind,
        message: str,
        *,
        provider_id: str | None = None,
        account_id: str | None = None,
        proxy_id: str | None = None,
        details: JsonObject | None = None,
    ) -> None: ...


def tell_nobody(
    kind: EventKind,
    message: str,
    *,
    provider_id: str | None = None,
    account_id: str | None = None,
    proxy_id: str | None = None,
    details: JsonObject | None = None,
) -> None:
    """Stand in where nobody listens."""
