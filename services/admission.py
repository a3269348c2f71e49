"""Calls are refused while they could not be served soon: a quick refusal helps, a queue does not.

Who asks more than a process can serve would else wait ever longer, and so would all others.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

from models.errors import ErrorKind, GatewayError

RETRY_AFTER_S: Final = 1.0
MOST: Final = 1_000
"""So many are let in together after a quiet moment: programs begin many calls at once."""
_FEWEST: Final = 64
"""So many are let in whatever a round takes: where refusals alone fill it, somebody must be served
all the same. With more of them, refusals that came by the thousand are never worked off."""
_MANY: Final = 16
"""Calls of one round that make it a busy one."""
_SHRINK: Final = 0.5
"""The most that one round takes away of the next one's size, however long it took."""
_GROW: Final = 1.1


class Admission:
    """Lets so many calls begin in each round of the event loop that a round stays short.

    Whoever comes is noticed once a round: so its length is how long anybody waits, for an answer or
    a refusal. It is counted in this process's own CPU time: a machine that is busy with other
    programs is no reason to refuse. Calls whose answers are awaited cost memory, not time, so they
    are bounded by their number.
    """

    def __init__(self, calls: Callable[[], int], *, max_calls: int, max_lag_s: float) -> None:
        """`calls` says how many are under way. `max_lag_s` 0: a round may take as long as it wants
        to."""
        self._calls = calls
        self._max_calls = max_calls
        self._max_lag_s = max_lag_s
        self._loop = asyncio.get_running_loop()
        self._size = float(MOST) if max_lag_s else math.inf
        """How many may begin in a round."""
        self._entered = 0
        """In this round."""
        self._is_busy = False
        """The last round was: only then this one is timed, which is a system call."""
        self._cpu_s = 0.0
        self._most = self._bound()
        self.refused = 0
        """Calls that were not let in."""

    def admits(self) -> bool:
        """Whether a call may begin now; one that may not is counted."""
        if self._entered < self._most:
            return True
        if self._entered < self._size:  # it was their number that kept it out
            self._most = self._bound()  # some may have ended since
            if self._entered < self._most:
                return True
        self.refused += 1
        return False

    def enter(self) -> None:
        """A call will begin in the loop's next round."""
        if not self._entered:
            if self._is_busy:
                self._cpu_s = time.thread_time()
            self._loop.call_soon(self._loop.call_soon, self._round_is_over)
        self._entered += 1

    def _round_is_over(self) -> None:
        """Everybody began who had entered, and whatever else there was to do has been done."""
        if self._max_lag_s:
            self._resize()
        self._entered = 0
        self._most = self._bound()

    def _resize(self) -> None:
        """Let more in with the next round, or less, by what this one took."""
        was_busy, self._is_busy = self._is_busy, self._entered >= _MANY
        if was_busy and self._is_busy:
            took_s = time.thread_time() - self._cpu_s
            self._size *= max(_SHRINK, min(_GROW, self._max_lag_s / max(took_s, 1e-6)))
        else:
            self._size *= _GROW
        self._size = max(_FEWEST, min(self._size, MOST))

    def _bound(self) -> float:
        """Return how many may enter in this round."""
        return min(self._max_calls - self._calls(), self._size)


def overloaded() -> GatewayError:
    """Return what a client is told that was not let in."""
    return GatewayError(
        "the gateway has more to do than it can; try again in a moment",
        kind=ErrorKind.UNAVAILABLE,
        status=503,
        retry_after_s=RETRY_AFTER_S,
    )
