"""Which accounts and proxies rest, until when and why.

Kept in this process and told to the other replicas, so that one account's limit is met once.
A later start of rest never shortens an earlier one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from models.errors import Blame, ErrorKind, UpstreamError
from models.ports import Clock

EVERY_MODEL: Final = "*"
TRANSIENT: Final = frozenset({ErrorKind.UPSTREAM, ErrorKind.TIMEOUT, ErrorKind.TRUNCATED})

# One transient failure may be chance; two within the window are not.
_TRANSIENT_THRESHOLD: Final = 2
_WINDOW_S: Final = 60.0
_MAX_STRIKES: Final = 16
_SAME_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Rest:
    """A pause of one account (for one model or all) or of one proxy."""

    subject: str
    """Account id or proxy id."""
    model: str
    began_at: float
    until: float
    """Epoch seconds UTC."""
    reason: ErrorKind


@dataclass(frozen=True, slots=True)
class Pauses:
    """First and longest pauses in seconds, where the provider does not say."""

    rate_limited_s: float = 1.0
    overloaded_s: float = 5.0
    failed_s: float = 10.0
    rejected_s: float = 600.0
    billing_s: float = 1800.0
    egress_s: float = 5.0
    longest_s: float = 300.0
    """Pauses double from strike to strike up to this."""
    max_retry_after_s: float = 21_600.0


class Cooldowns:
    """Rests that are in force, and the strikes that lengthen the next one."""

    def __init__(self, pauses: Pauses, clock: Clock) -> None:
        self._pauses = pauses
        self._clock = clock
        self._rests: dict[tuple[str, str], Rest] = {}
        self._strikes: dict[tuple[str, str], tuple[int, float]] = {}
        self._swept_at = 0.0
        self.version = 0
        """Grows with every change, so that readers may cache what they derived."""

    def __len__(self) -> int:
        return len(self._rests)

    def resting(self, subject: str, model: str, now: float) -> Rest | None:
        """Return the rest that keeps a subject from serving a model, the longest if several."""
        found: Rest | None = None
        for key in ((subject, EVERY_MODEL), (subject, model)):
            rest = self._rests.get(key)
            if (
                rest is not None
                and rest.until > now
                and (found is None or rest.until > found.until)
            ):
                found = rest
        return found

    def report(
        self, account_id: str, proxy_id: str | None, model: str, error: UpstreamError
    ) -> Rest | None:
        """Let the one to blame rest, and return that rest; None when nobody rests any longer."""
        match error.blame:
            case Blame.ACCOUNT:
                key = (account_id, EVERY_MODEL)
            case Blame.ACCOUNT_MODEL:
                key = (account_id, model)
            case Blame.EGRESS if proxy_id is not None:
                key = (proxy_id, EVERY_MODEL)
            case _:
                return None
        now = self._clock.now()
        self._sweep(now)
        pause_s, known = self._pause_s(key, error), self._rests.get(key)
        # Many requests meet one limit within a moment: the others need not hear of each.
        if pause_s <= 0 or (known is not None and now + pause_s <= known.until + _SAME_S):
            return None
        rest = Rest(key[0], key[1], now, now + pause_s, error.kind)
        self.add(rest)
        return rest

    def add(self, rest: Rest) -> None:
        """Take a rest in, from here or from another replica."""
        known = self._rests.get((rest.subject, rest.model))
        if known is None or known.until < rest.until:
            self._rests[(rest.subject, rest.model)] = rest
            self.version += 1

    def succeeded(self, account_id: str, model: str) -> None:
        """Forget the strikes of an account: it just served."""
        if self._strikes:
            self._strikes.pop((account_id, model), None)
            self._strikes.pop((account_id, EVERY_MODEL), None)

    def void(self, resets: Mapping[str, float]) -> None:
        """Forget what was before an account's reset (account id -> epoch seconds)."""
        gone = [
            key for key, rest in self._rests.items() if rest.began_at <= resets.get(key[0], 0.0)
        ]
        for key in gone:
            del self._rests[key]
        for key, (_, last) in list(self._strikes.items()):
            if last <= resets.get(key[0], 0.0):
                del self._strikes[key]
        if gone:
            self.version += 1

    def _sweep(self, now: float) -> None:
        """Drop what is over and counts no more: clients name the models, so these may be many."""
        if abs(now - self._swept_at) < _WINDOW_S:
            return
        self._swept_at, old = now, now - _WINDOW_S
        self._rests = {key: rest for key, rest in self._rests.items() if rest.until > old}
        self._strikes = {
            key: strike
            for key, strike in self._strikes.items()
            if strike[1] > old or key in self._rests
        }

    def _pause_s(self, key: tuple[str, str], error: UpstreamError) -> float:
        first_s = self._first_s(error.kind)
        if error.retry_after_s is None and first_s <= 0:
            return 0.0
        strikes = self._strike(key)
        if error.retry_after_s is not None:
            return min(max(error.retry_after_s, 1.0), self._pauses.max_retry_after_s)
        if error.kind in TRANSIENT:
            strikes -= _TRANSIENT_THRESHOLD - 1
        if strikes < 1:
            return 0.0
        return min(first_s * 2.0 ** (strikes - 1), max(self._pauses.longest_s, first_s))

    def _first_s(self, kind: ErrorKind) -> float:
        pauses = self._pauses
        match kind:
            case ErrorKind.RATE_LIMIT:
                return pauses.rate_limited_s
            case ErrorKind.QUOTA:
                return pauses.longest_s
            case ErrorKind.BILLING:
                return pauses.billing_s
            case ErrorKind.UPSTREAM_AUTH | ErrorKind.PERMISSION:
                return pauses.rejected_s
            case ErrorKind.OVERLOADED:
                return pauses.overloaded_s
            case ErrorKind.EGRESS:
                return pauses.egress_s
            case _ if kind in TRANSIENT:
                return pauses.failed_s
            case _:
                return 0.0

    def _strike(self, key: tuple[str, str]) -> int:
        """Count a failure. Those of requests that were on their way when a rest began are one
        with it; a quiet time after the last rest wipes the slate."""
        now = self._clock.now()
        count, last = self._strikes.get(key, (0, 0.0))
        rest = self._rests.get(key)
        if rest is not None and rest.until > now:
            return 0
        quiet_since = last if rest is None else max(last, rest.until)
        if now - quiet_since > _WINDOW_S:
            count = 0
        count = min(count + 1, _MAX_STRIKES)
        self._strikes[key] = (count, now)
        return count
