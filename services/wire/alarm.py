"""A limit in time that is put off often and rings seldom."""

import asyncio
from collections.abc import Callable
from typing import Final

NEVER: Final = float("inf")
# Timers of a loop are a little early at times; that is no reason to wait again.
_EARLY_S: Final = 0.001


class Alarm:
    """Calls `ring` when a moment has come, unless that was put off in the meantime.

    The timer below it stays as it is while the moment moves away, and is set again when it is up:
    so a moment that moves with every byte costs an assignment.
    """

    __slots__ = ("_at", "_loop", "_ring", "_timer", "due")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._at = NEVER
        self.due = NEVER
        """Loop time at which it rings. To be assigned only while it moves away."""

    def set(self, due: float) -> None:
        """Ring at that loop time; NEVER: not at all."""
        self.due = due
        if due < self._at:
            if self._timer is not None:
                self._timer.cancel()
            self._arm()

    def drop(self) -> None:
        """Let go of the timer."""
        self.due = self._at = NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._at = self.due
        self._timer = self._loop.call_at(self.due, self._up)

    def _up(self) -> None:
        self._timer, self._at = None, NEVER
        if self.due == NEVER:
            return
        if self._loop.time() + _EARLY_S < self.due:
            self._arm()
        else:
            self.due = NEVER
            self._ring()
