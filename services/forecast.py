"""When a pool runs dry, if it goes on as in the last hour."""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from models.quota import QuotaWindow
from services.quota_windows import is_rate

SPAN_S: Final = 3_600.0
_MARK_EVERY_S: Final = 600.0
_SHORTEST_SPAN_S: Final = 300.0
"""A share that just moved says little of a rate."""

Key: TypeAlias = tuple[str, str, str]
"""Account id, scope and window."""


@dataclass(slots=True)
class _Rise:
    total: float = 0.0
    last_at: float = 0.0
    marks: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=8))
    """(epoch second, total then), oldest first, ten minutes apart."""


class Rises:
    """How much of each window was used within the last hour, where only shares are told."""

    def __init__(self) -> None:
        self._by_key: dict[Key, _Rise] = {}

    def note(self, known: QuotaWindow | None, window: QuotaWindow) -> None:
        """Take in that a window was `known` and is `window` now."""
        if window.used_ratio is None or is_rate(window):
            return
        rise = self._by_key.setdefault((window.account_id, window.model, window.window), _Rise())
        before = known.used_ratio if known is not None else None
        if before is not None:
            # One that shrank began anew in between.
            is_same = window.used_ratio >= before
            rise.total += window.used_ratio - before if is_same else window.used_ratio
        rise.last_at = window.updated_at
        if not rise.marks or window.updated_at - rise.marks[-1][0] >= _MARK_EVERY_S:
            rise.marks.append((window.updated_at, rise.total))

    def per_s(self, key: Key, now: float) -> float:
        """Return the share that is used in a second."""
        rise = self._by_key.get(key)
        if rise is None or now - rise.last_at > SPAN_S:
            return 0.0
        while len(rise.marks) > 1 and rise.marks[1][0] <= now - SPAN_S:
            rise.marks.popleft()
        at, total = rise.marks[0]
        span_s = max(now - at, _SHORTEST_SPAN_S)
        return (rise.total - total) / span_s

    def drop(self, key: Key) -> None:
        self._by_key.pop(key, None)


@dataclass(frozen=True, slots=True)
class Tank:
    """What one account has left of one limit."""

    left: float
    capacity: float
    resets_at: float | None
    length_s: float | None
    """From one reset to the next."""


def dry_at(tanks: Sequence[Tank], per_s: float, now: float, horizon_s: float) -> float | None:
    """Return when nothing is left in any tank; None when that is not before `now + horizon_s`.

    Each gives in proportion to what it has, as with a strategy that spares nobody; at its reset
    it is full again.
    """
    left = sum(tank.left for tank in tanks)
    if left <= 0:
        return now
    if per_s <= 0:
        return None
    # All that have some shrink by one factor; each is kept as if it had not shrunk yet.
    held, factor = [tank.left for tank in tanks], 1.0
    resets = [
        (tank.resets_at, index)
        for index, tank in enumerate(tanks)
        if tank.resets_at is not None and tank.resets_at > now
    ]
    heapq.heapify(resets)
    at, end = now, now + horizon_s
    while resets and resets[0][0] < end:
        reset_at, index = heapq.heappop(resets)
        gone = per_s * (reset_at - at)
        if gone >= left:
            return at + left / per_s
        factor *= (left - gone) / left
        left += tanks[index].capacity - held[index] * factor - gone
        held[index] = tanks[index].capacity / factor
        at = reset_at
        length_s = tanks[index].length_s
        if length_s is not None:
            heapq.heappush(resets, (reset_at + length_s, index))
    empty_at = at + left / per_s
    return empty_at if empty_at < end else None
