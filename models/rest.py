"""Pauses: who rests, for what, until when, why, and on what evidence."""

from dataclasses import dataclass
from typing import Final, Literal

from models.errors import ErrorKind

EVERY_MODEL: Final = "*"
NEVER: Final = 253_402_300_799.0
"""The end of a rest that only an operator ends: the last second of the year 9999."""


def family_scope(family: str) -> str:
    """Return the scope that means every model of a family."""
    return f"family:{family}"


def origin(provider_id: str, base_url: str) -> str:
    """Return the subject that means one address of a provider."""
    return f"{provider_id}@{base_url}"


@dataclass(frozen=True, slots=True)
class Rest:
    """A pause of one account, one proxy or one address of a provider.

    Before `trial_at` nobody asks. From then on it is half-open: one real request at a time may
    try; a success ends the rest everywhere, a failure begins a longer one.
    """

    subject: str
    """Account id, proxy id, or what `origin` returns."""
    scope: str
    """`*`, a model's name, or what `family_scope` returns."""
    began_at: float
    until: float
    """Epoch seconds UTC."""
    reason: ErrorKind
    evidence: str = ""
    """What the provider said, in a few words without secrets."""
    trial_at: float | None = None
    """When one request may try although the end has not come; None means at the end."""
    strikes: int = 0
    """How many rests in a row this is; each is longer than the one before."""

    @property
    def opens_at(self) -> float:
        """When the first trial is due."""
        return self.until if self.trial_at is None else min(self.trial_at, self.until)

    @property
    def needs_operator(self) -> bool:
        """Whether only an operator ends it."""
        return self.until >= NEVER

    @property
    def subject_kind(self) -> Literal["account", "proxy", "provider"]:
        """What the subject is."""
        if "@" in self.subject:
            return "provider"
        is_proxy = self.reason is ErrorKind.EGRESS and self.scope == EVERY_MODEL
        return "proxy" if is_proxy else "account"

    @property
    def origin_provider_id(self) -> str | None:
        """Whose address rests; None where it is an account or a proxy."""
        provider_id, mark, _ = self.subject.partition("@")
        return provider_id if mark else None
