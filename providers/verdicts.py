"""What a failure means: for the account, for a retry, for the client. One table by kind."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from models.errors import Blame, ErrorKind
from providers.waits import Wait


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failure means for the account, for a retry and for the client."""

    kind: ErrorKind
    blame: Blame
    retryable: bool
    status: int | None = None
    """Status for the client; None keeps the provider's."""
    wait: Wait | None = None
    """What the body asks us to wait; `Retry-After` beats it."""
    pause_s: float | None = None
    """How long the one to blame rests, whatever `Retry-After` says."""
    family: str | None = None
    """Which models, where the blame is FAMILY."""
    needs_operator: bool = False
    evidence: str = ""
    """What was decisive, in words of ours; empty: the wait, else the status."""


_VERDICTS: Final[Mapping[ErrorKind, Verdict]] = {
    verdict.kind: verdict
    for verdict in (
        Verdict(ErrorKind.INVALID_REQUEST, Blame.REQUEST, retryable=False),
        Verdict(ErrorKind.CONTEXT_LENGTH, Blame.REQUEST, retryable=False),
        Verdict(ErrorKind.UNSUPPORTED, Blame.REQUEST, retryable=False),
        Verdict(ErrorKind.CONTENT_POLICY, Blame.REQUEST, retryable=False),
        # Who made the signatures may accept them.
        Verdict(ErrorKind.SIGNATURE, Blame.REQUEST, retryable=True),
        Verdict(ErrorKind.TOO_LARGE, Blame.REQUEST, retryable=False, status=413),
        Verdict(ErrorKind.UPSTREAM_AUTH, Blame.ACCOUNT, retryable=True, status=502),
        Verdict(ErrorKind.BILLING, Blame.ACCOUNT, retryable=True, status=402),
        # A permission often lacks for one model only; other models of the account may do.
        Verdict(ErrorKind.PERMISSION, Blame.ACCOUNT_MODEL, retryable=True, status=502),
        # A wrong path, or a thing that another account has: nobody rests for it.
        Verdict(ErrorKind.NOT_FOUND, Blame.REQUEST, retryable=True, status=404),
        Verdict(ErrorKind.MODEL_NOT_FOUND, Blame.ACCOUNT_MODEL, retryable=True, status=404),
        Verdict(ErrorKind.RESPONSE_NOT_FOUND, Blame.REQUEST, retryable=False, status=400),
        Verdict(ErrorKind.CONFLICT, Blame.ACCOUNT_MODEL, retryable=True, status=409),
        Verdict(ErrorKind.RATE_LIMIT, Blame.ACCOUNT_MODEL, retryable=True, status=429),
        Verdict(ErrorKind.QUOTA, Blame.ACCOUNT, retryable=True, status=429),
        # Often one account's share of the machines; who hears it from many accounts knows better.
        Verdict(ErrorKind.OVERLOADED, Blame.ACCOUNT_MODEL, retryable=True, status=503),
        Verdict(ErrorKind.TIMEOUT, Blame.ACCOUNT_MODEL, retryable=True, status=504),
        Verdict(ErrorKind.EGRESS, Blame.EGRESS, retryable=True, status=502),
        Verdict(ErrorKind.UPSTREAM, Blame.ACCOUNT_MODEL, retryable=True, status=502),
    )
}


def verdict_for(kind: ErrorKind) -> Verdict:
    """Return the usual verdict for a kind."""
    return _VERDICTS.get(kind, _VERDICTS[ErrorKind.UPSTREAM])


LOCKED: Final = replace(verdict_for(ErrorKind.PERMISSION), blame=Blame.ACCOUNT)
"""The account may not, whatever the model; that may pass."""
SHUT: Final = replace(LOCKED, needs_operator=True)
"""The account is switched off, or its owner must prove something."""
NOT_INCLUDED: Final = replace(
    verdict_for(ErrorKind.BILLING), blame=Blame.ACCOUNT_MODEL, retryable=False
)
"""The account's plan has no such model, or only for money: the next account is no remedy."""


def used_up(
    pause_s: float | None,
    evidence: str,
    blame: Blame = Blame.ACCOUNT,
    family: str | None = None,
) -> Verdict:
    """Return the verdict on a window with nothing left, which opens again in `pause_s`."""
    quota = verdict_for(ErrorKind.QUOTA)
    return replace(quota, blame=blame, family=family, pause_s=pause_s, evidence=evidence)
