"""When a provider fails for everybody, nobody is asked for a while.

Calls and failures are counted for each address of a provider. Beyond a number and a share of
failures within a window it opens: requests are refused at once. After a pause one request over
all replicas tries; when it fails the pause doubles, and a success closes it everywhere. What is
open is a rest whose subject is the address, so it is told and ended as the others are.
"""

from dataclasses import dataclass, field
from typing import Final

from models.errors import Blame, ErrorKind, NoCapacity, UpstreamError
from models.ports import Clock
from models.rest import EVERY_MODEL, Rest, origin
from services.cooldown import SUCCEEDED, Cooldowns
from services.pauses import SHARED_FATE

__all__ = ["Breaker", "Thresholds", "origin"]

_BUCKETS: Final = 10
_MAX_ORIGINS: Final = 1_024
_MIN_RETRY_S: Final = 1.0
_SCOPES: Final = (EVERY_MODEL,)
_MAX_STRIKES: Final = 16


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When it opens, and for how long."""

    failures: int = 10
    ratio: float = 0.5
    """Share of the calls within the window."""
    window_s: float = 10.0
    pause_s: float = 2.0
    longest_pause_s: float = 8.0


@dataclass(slots=True)
class _Bucket:
    number: int = -1
    """Which tenth of a window since the clock's begin."""
    calls: int = 0
    failures: int = 0


@dataclass(slots=True)
class _Counts:
    """Calls of one address within the last window, by tenths of it."""

    buckets: list[_Bucket] = field(default_factory=lambda: [_Bucket() for _ in range(_BUCKETS)])

    def at(self, number: int) -> _Bucket:
        """Return the bucket of a tenth that has begun."""
        bucket = self.buckets[number % _BUCKETS]
        if bucket.number != number:
            bucket.number, bucket.calls, bucket.failures = number, 0, 0
        return bucket

    def sums(self, number: int) -> tuple[int, int]:
        """Return calls and failures."""
        fresh = [bucket for bucket in self.buckets if number - _BUCKETS < bucket.number <= number]
        return sum(bucket.calls for bucket in fresh), sum(bucket.failures for bucket in fresh)


class Breaker:
    """Counts calls in constant time, and keeps its state among the rests."""

    def __init__(self, cooldowns: Cooldowns, clock: Clock, thresholds: Thresholds) -> None:
        self._cooldowns = cooldowns
        self._resting = cooldowns.resting
        self._clock = clock
        self._thresholds = thresholds
        self._tenths_per_s = _BUCKETS / thresholds.window_s
        self._counts: dict[str, _Counts] = {}

    def is_free(self, subject: str) -> bool:
        """Tell whether nothing stands in the way of a call: where it does, `admit` decides."""
        if subject not in self._resting:
            return True
        return self._cooldowns.found(subject, _SCOPES, self._clock.now()) is None

    async def admit(self, subject: str) -> None:
        """Return when an address may be asked.

        Raises NoCapacity while it is left alone, or another request tries it.
        """
        now = self._clock.now()
        rest = self._cooldowns.found(subject, _SCOPES, now)
        if rest is None or (rest.opens_at <= now and await self._cooldowns.claim_trial(rest)):
            return
        raise left_alone(rest.opens_at - now)

    def is_open(self, subject: str, now: float) -> bool:
        """Tell whether nobody is to be asked there."""
        rest = self._cooldowns.found(subject, _SCOPES, now)
        return rest is not None and rest.opens_at > now

    def saw(self, subject: str, error: UpstreamError | None, *, since: float | None = None) -> None:
        """Count what came of a call; `since` is when it was sent, in epoch seconds: one that was on
        its way before the rest began is nobody's trial."""
        if error is not None and _says_nothing(error):
            return
        counts = self._counts.get(subject) or self._begin(subject)
        number = int(self._clock.monotonic() * self._tenths_per_s)
        bucket = counts.at(number)
        bucket.calls += 1
        if error is None or error.kind not in SHARED_FATE:
            self.began(subject, since=since)
        else:
            bucket.failures += 1
            self._failed(subject, error, counts.sums(number), since)

    def _failed(
        self, subject: str, error: UpstreamError, sums: tuple[int, int], since: float | None
    ) -> None:
        """A call met what may be everybody's; `sums` of calls and failures within the window."""
        now, (calls, failures) = self._clock.now(), sums
        rest = self._cooldowns.found(subject, _SCOPES, now)
        if rest is not None:
            if _is_trial(rest, since, now):
                self._tried(rest, now, error)
        elif self._is_too_much(calls, failures):
            evidence = f"{failures} of {calls} calls failed in {self._thresholds.window_s:g} s"
            self._open(subject, now, error.kind, evidence, strikes=1)

    def began(self, subject: str, *, since: float | None = None) -> None:
        """An answer has begun: that ends a trial well. A stream may go on for long, and the others
        need not wait for its end, with which it is counted."""
        if subject not in self._resting:
            return
        now = self._clock.now()
        rest = self._cooldowns.found(subject, _SCOPES, now)
        if rest is not None and _is_trial(rest, since, now):
            self._tried(rest, now, None)

    def _tried(self, rest: Rest, now: float, error: UpstreamError | None) -> None:
        """A call came to its end while one request tries."""
        if error is None:
            self._counts.pop(rest.subject, None)
            self._cooldowns.release(rest.subject, rest.scope, SUCCEEDED)
        else:
            strikes = min(rest.strikes + 1, _MAX_STRIKES)
            self._open(rest.subject, now, error.kind, "the trial failed", strikes=strikes)

    def _open(
        self, subject: str, now: float, reason: ErrorKind, evidence: str, *, strikes: int
    ) -> None:
        thresholds = self._thresholds
        pause_s = min(thresholds.pause_s * 2.0 ** (strikes - 1), thresholds.longest_pause_s)
        pause_s = max(pause_s, thresholds.pause_s)
        rest = Rest(subject, EVERY_MODEL, now, now + pause_s, reason, evidence, strikes=strikes)
        self._cooldowns.begin(rest)
        if rest.origin_provider_id is not None:
            self._cooldowns.lift(rest.origin_provider_id)

    def _is_too_much(self, calls: int, failures: int) -> bool:
        return failures >= self._thresholds.failures and failures >= self._thresholds.ratio * calls

    def _begin(self, subject: str) -> _Counts:
        if len(self._counts) >= _MAX_ORIGINS:
            del self._counts[next(iter(self._counts))]
        counts = self._counts[subject] = _Counts()
        return counts


def _is_trial(rest: Rest, since: float | None, now: float) -> bool:
    """Tell whether a call says how it is now. Those that still hang when a provider is back would
    shut it again, one after the other."""
    return rest.opens_at <= now and (since is None or since > rest.began_at)


def _says_nothing(error: UpstreamError) -> bool:
    """Tell whether a failure is no word of the provider: it was not reached, or not asked."""
    return error.blame is Blame.EGRESS or error.kind in (ErrorKind.EGRESS, ErrorKind.CANCELLED)


def left_alone(lasts_s: float) -> NoCapacity:
    """Return what to say while an address is left alone for so long."""
    return NoCapacity(
        "the provider fails for everybody and is left alone for a moment",
        retry_after_s=max(lasts_s, _MIN_RETRY_S),
        details={"reasons": {"breaker_open": 1}},
    )
