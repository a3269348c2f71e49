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
_MAX_PAUSE_S: Final = 8 * 86400.0


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
    """Lengths of pauses in seconds, where the provider does not say."""

    rate_limit_s: float = 1.0
    rate_limit_max_s: float = 300.0
    quota_s: float = 300.0
    billing_s: float = 1800.0
    credentials_s: float = 300.0
    permission_s: float = 600.0
    overloaded_s: float = 5.0
    overloaded_max_s: float = 60.0
    transient_s: float = 10.0
    transient_max_s: float = 300.0
    transient_threshold: int = 2
    """Transient failures within `transient_window_s` before an account rests."""
    transient_window_s: float = 60.0
    egress_s: float = 5.0
    egress_max_s: float = 60.0


class Cooldowns:
    """Rests that are in force, and the strikes that lengthen the next one."""

    def __init__(self, pauses: Pauses, clock: Clock) -> None:
        self._pauses = pauses
        self._clock = clock
        self._rests: dict[tuple[str, str], Rest] = {}
        self._strikes: dict[tuple[str, str], tuple[int, float]] = {}
        self.version = 0
        """Grows with every change, so that readers may cache what they derived."""

    def __len__(self) -> int:
        return len(self._rests)

    def resting(self, subject: str, model: str, now: float) -> Rest | None:
        """Return the rest that keeps a subject from serving a model, the longest if several."""
        found: Rest | None = None
        for key in ((subject, EVERY_MODEL), (subject, model)):
            rest = self._rests.get(key)
            if rest is not None and rest.until > now and (found is None or rest.until > found.until):
                found = rest
        return found

    def report(
        self, account_id: str, proxy_id: str | None, model: str, error: UpstreamError
    ) -> Rest | None:
        """Let the one to blame rest, and return that rest; None when nobody does."""
        match error.blame:
            case Blame.ACCOUNT:
                key = (account_id, EVERY_MODEL)
            case Blame.ACCOUNT_MODEL:
                key = (account_id, model)
            case Blame.EGRESS if proxy_id is not None:
                key = (proxy_id, EVERY_MODEL)
            case _:
                return None
        pause_s = self._pause_s(key, error)
        if pause_s <= 0:
            return None
        now = self._clock.now()
        rest = Rest(key[0], key[1], now, now + min(pause_s, _MAX_PAUSE_S), error.kind)
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
        """End rests that began before their account's reset (account id -> epoch seconds)."""
        now = self._clock.now()
        gone = [
            key
            for key, rest in self._rests.items()
            if rest.until <= now or rest.began_at <= resets.get(rest.subject, 0.0)
        ]
        for key in gone:
            del self._rests[key]
            self._strikes.pop(key, None)
        if gone:
            self.version += 1

    def _pause_s(self, key: tuple[str, str], error: UpstreamError) -> float:
        pauses = self._pauses
        match error.kind:
            case ErrorKind.RATE_LIMIT:
                grown = self._grown_s(key, pauses.rate_limit_s, pauses.rate_limit_max_s)
            case ErrorKind.QUOTA:
                grown = pauses.quota_s
            case ErrorKind.BILLING:
                grown = pauses.billing_s
            case ErrorKind.UPSTREAM_AUTH:
                grown = pauses.credentials_s
            case ErrorKind.PERMISSION:
                grown = pauses.permission_s
            case ErrorKind.OVERLOADED:
                grown = self._grown_s(key, pauses.overloaded_s, pauses.overloaded_max_s)
            case ErrorKind.EGRESS:
                grown = self._grown_s(key, pauses.egress_s, pauses.egress_max_s)
            case ErrorKind.UPSTREAM | ErrorKind.TIMEOUT | ErrorKind.TRUNCATED:
                grown = self._transient_s(key)
            case _:
                return 0.0
        return grown if error.retry_after_s is None else max(error.retry_after_s, 1.0)

    def _transient_s(self, key: tuple[str, str]) -> float:
        over = self._strike(key) - self._pauses.transient_threshold
        if over < 0:
            return 0.0
        return min(self._pauses.transient_s * 2.0**over, self._pauses.transient_max_s)

    def _grown_s(self, key: tuple[str, str], first_s: float, max_s: float) -> float:
        return min(first_s * 2.0 ** (self._strike(key) - 1), max_s)

    def _strike(self, key: tuple[str, str]) -> int:
        """Count a failure. Failures during one rest are one: they were on their way already."""
        now = self._clock.now()
        count, last = self._strikes.get(key, (0, 0.0))
        rest = self._rests.get(key)
        if rest is not None and rest.until > now:
            return max(count, 1)
        window_s = self._pauses.transient_window_s
        if rest is None and now - last > window_s:
            count = 0
        elif rest is not None and now - rest.until > max(window_s, rest.until - rest.began_at):
            count = 0
        self._strikes[key] = (min(count + 1, 32), now)
        return min(count + 1, 32)
