"""What is kept of each attempt, so that every decision can be explained afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Choice: TypeAlias = Literal[
    "strategy", "affinity", "borrowed", "trial", "failover", "last_resort", "nobody"
]
"""Why an account was taken: its turn; the conversation lives there; it does, but cannot serve now;
one try during a rest; others failed; nobody better was left. `nobody`: no account was."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The picture of a pool at a moment. Many requests share one."""

    id: str
    """Hash of the content: equal pictures are stored once."""
    at: float
    """Epoch seconds UTC."""
    provider_id: str
    model: str
    strategy: str
    eligible: tuple[str, ...]
    """Ids of the accounts that could serve, best tier first, in the order of their turns."""
    excluded: Mapping[str, str] = field(default_factory=dict)
    """Account id -> why it could not."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How many accounts were excluded, by reason; also those that are not listed one by one."""


@dataclass(slots=True)
class Attempt:
    """One call of a provider, or a try of one, or why there was none. Filled on the way; a row of
    `request_attempts`."""

    number: int
    """From 1."""
    at: float
    """Epoch seconds UTC."""
    provider_id: str
    model: str
    """As the provider knows it."""
    account_id: str
    """Empty where nobody was asked."""
    proxy_id: str | None
    choice: Choice
    counter: int | None = None
    """The shared counter's value, where it decided."""
    decision: Decision | None = None
    base_url: str | None = None
    status: int | None = None
    """The provider's status; None when none came."""
    error_kind: str | None = None
    blame: str | None = None
    message: str | None = None
    """What went wrong, without secrets."""
    rest_scope: str | None = None
    rest_until: float | None = None
    """The rest that followed, epoch seconds UTC."""
    sent: bool = True
    """False when it is certain that the provider never saw the request."""
    first_byte_ms: float | None = None
    """From the begin of the attempt to the head of the answer."""
    latency_ms: float = 0.0
    """From the begin of the attempt to its end."""
