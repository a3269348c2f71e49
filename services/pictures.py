"""What a pool looks like at a moment: for the trace of a request, and for one that is refused."""

import hashlib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from dialects.fields import dumps
from models.attempt import Decision
from models.errors import ErrorKind, NoCapacity
from models.json_types import JsonObject
from providers.base import Route
from services.candidates import Candidates

RATE_KINDS: Final = frozenset({ErrorKind.RATE_LIMIT, ErrorKind.QUOTA})
STANDING_REASONS: Final = frozenset(
    {"draining", "inactive", "model_not_allowed", "needs_login", "needs_operator"}
)
"""Why an account does not serve until an operator changes something."""

MAX_LISTED: Final = 200
"""Accounts that a picture names one by one; the others are in its counts."""

_RATE_REASONS: Final = frozenset(f"cooling_{kind.value}" for kind in RATE_KINDS)
_MISSING: Final = {f"cooling_{ErrorKind.MODEL_NOT_FOUND.value}"}
_PASSING: Final = STANDING_REASONS | {"available", "half_open"}
"""Reasons that say nothing of whether the others are limited."""

_MIN_RETRY_S: Final = 1.0
_NO_ACCOUNT_RETRY_S: Final = 30.0
_FULLNESS_S: Final = 0.25


class Pictures:
    """The newest picture of some candidates, made anew only when something changed.

    Accounts with a limit become full and free many times a second: that alone makes a new picture
    only now and then.
    """

    def __init__(
        self,
        provider_id: str,
        model: str,
        strategy: str,
        candidates: Candidates,
        now: Callable[[], float],
    ) -> None:
        self._provider_id = provider_id
        self._model = model
        self._strategy = strategy
        self._candidates = candidates
        self._now = now
        self._newest: Decision | None = None
        self._seen = (-1, -1)

    def newest(self) -> Decision:
        """Return the picture; many requests share one."""
        candidates, newest = self._candidates, self._newest
        seen = (candidates.version, candidates.fullness)
        if newest is not None and seen == self._seen:
            return newest
        now = self._now()
        if newest is not None and seen[0] == self._seen[0]:
            is_new = 0 <= now - newest.at < _FULLNESS_S
            seen = self._seen if is_new else seen
        if newest is None or seen != self._seen:
            self._seen = seen
            self._newest = newest = self._taken(now)
        return newest

    def _taken(self, now: float) -> Decision:
        candidates = self._candidates
        eligible = tuple(seat.id for seat in islice(candidates.well.seats, MAX_LISTED))
        excluded = {
            account_id: reason
            for account_id in islice(candidates.excluded, MAX_LISTED - len(eligible))
            if (reason := candidates.reason(account_id)) is not None
        }
        counts = dict(sorted((+candidates.reasons).items()))
        if len(candidates.well) > len(eligible):
            counts["available"] = len(candidates.well)
        content: JsonObject = {
            "of": [self._provider_id, self._model, self._strategy],
            "eligible": list(eligible),
            "excluded": dict(excluded),
            "counts": dict(counts),
        }
        return Decision(
            hashlib.sha256(dumps(content)).hexdigest()[:32],
            now,
            self._provider_id,
            self._model,
            self._strategy,
            eligible,
            excluded,
            counts,
        )


def refusal_of(route: Route, candidates: Candidates, now: float) -> NoCapacity:
    """Say why no account of the route can serve, and when one may."""
    reasons = +candidates.reasons
    if candidates.well.seats:
        reasons["available"] = len(candidates.well)
    counted = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    message = (
        f"no account of provider {route.provider.id!r} can serve model {route.model!r} now: "
        f"{counted or 'it has no accounts'}"
    )
    telling = reasons.keys() - _PASSING
    is_limited = bool(telling) and telling <= _RATE_REASONS
    retry_after_s = _retry_after_s(reasons, candidates.recovery(), now)
    details: dict[str, object] = {"reasons": dict(reasons)}
    if reasons.keys() - STANDING_REASONS - {"waiting_for_proxy"}:
        at = datetime.fromtimestamp(now + retry_after_s, UTC)
        details["earliest_recovery"] = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if telling == _MISSING:
        return NoCapacity(message, kind=ErrorKind.MODEL_NOT_FOUND, status=404, details=details)
    return NoCapacity(
        message,
        kind=ErrorKind.RATE_LIMIT if is_limited else ErrorKind.UNAVAILABLE,
        status=429 if is_limited else 503,
        retry_after_s=retry_after_s,
        details=details,
    )


def _retry_after_s(reasons: Counter[str], opens_at: float | None, now: float) -> float:
    if reasons["available"] or reasons["at_limit"] or reasons["half_open"]:
        return _MIN_RETRY_S
    if opens_at is not None:
        return max(opens_at - now, _MIN_RETRY_S)
    return _NO_ACCOUNT_RETRY_S
