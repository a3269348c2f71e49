"""Connections that wait for their next request."""

import asyncio
from collections import defaultdict
from typing import Final

from services.wire.connection import Connection

# Shorter than most providers keep idle connections: one that they close at the moment of use
# costs a failed attempt.
_KEEPALIVE_S: Final = 15.0
_MAX_IDLE: Final = 1024
"""To one place."""


class Idle:
    """The connections of one way out, by where they lead; the last that was used serves first."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: defaultdict[str, list[Connection]] = defaultdict(list)
        self._all: set[Connection] = set()
        self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None

    def new(self, origin: str) -> Connection:
        """Return a connection that is to be opened."""
        return Connection(self._loop, origin, self._gone)

    def opened(self, connection: Connection) -> Connection:
        """Note that a connection is open."""
        self._all.add(connection)
        return connection

    def take(self, origin: str) -> Connection | None:
        """Return a connection that is open as far as we know."""
        waiting = self._waiting.get(origin)
        while waiting:
            connection = waiting.pop()
            if connection.may_stay and connection.idle_since >= self._loop.time() - _KEEPALIVE_S:
                return connection
            connection.abort()
        return None

    def give(self, connection: Connection) -> None:
        """Take a connection back: it waits for another request if it can serve one."""
        if (
            self._is_closed
            or not connection.is_reusable()
            or len(waiting := self._waiting[connection.origin]) >= _MAX_IDLE
        ):
            connection.abort()
            return
        connection.rest()
        waiting.append(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(_KEEPALIVE_S, self._sweep)

    def retire(self) -> None:
        """Close those that wait now, and the others when they are given back."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for waiting in self._waiting.values():
            for connection in waiting:
                connection.abort()
        self._waiting.clear()

    def close(self) -> None:
        """Close all of them."""
        self.retire()
        for connection in list(self._all):
            connection.abort()

    @property
    def is_empty(self) -> bool:
        return not self._all

    def _gone(self, connection: Connection) -> None:
        self._all.discard(connection)

    def _sweep(self) -> None:
        """Close those that waited for too long, and look again when the next will have."""
        now = self._loop.time()
        for origin, waiting in list(self._waiting.items()):
            # The longest ago come first.
            kept = [one for one in waiting if one.idle_since > now - _KEEPALIVE_S]
            for connection in waiting[: len(waiting) - len(kept)]:
                connection.abort()
            if kept:
                self._waiting[origin] = kept
            else:
                del self._waiting[origin]
        firsts = [waiting[0].idle_since for waiting in self._waiting.values()]
        due = min(firsts, default=None)
        self._timer = None if due is None else self._loop.call_at(due + _KEEPALIVE_S, self._sweep)
