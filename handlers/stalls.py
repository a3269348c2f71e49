"""A client that leaves its answer unread is cut off."""

import asyncio
import fcntl
import socket
import sys
import termios
from contextlib import suppress
from typing import Final

# Who stops is cut off so much late at most.
_LOOK_S: Final = 0.8


class StallWatch:
    """Watches one connection while more waits to be sent than it takes.

    Whatever the client's machine confirms in `limit_s` is progress, however little: a slow client
    is not a stalled one. Machines confirm in lumps, though: once its buffer is full, one that reads
    1 kB/s confirms nothing until a good part of it is free again.
    """

    __slots__ = ("_limit_s", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, limit_s: float) -> None:
        self._loop = loop
        self._limit_s = limit_s
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, transport: asyncio.Transport) -> None:
        """The connection takes no more for the moment."""
        self.end()
        self._look_later(min(_LOOK_S, self._limit_s), transport, sys.maxsize, 0.0)

    def end(self) -> None:
        """It takes again, or is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(
        self, wait_s: float, transport: asyncio.Transport, unread: int, moved_at: float
    ) -> None:
        self._timer = self._loop.call_later(wait_s, self._look, transport, unread, moved_at)

    def _look(self, transport: asyncio.Transport, unread_before: int, moved_at: float) -> None:
        """`moved_at`: when it was seen last that it took something, in loop time."""
        self._timer = None
        now, unread = self._loop.time(), _unread_bytes(transport)
        if unread < unread_before:
            moved_at = now
        left_s = moved_at + self._limit_s - now
        if left_s > 0:
            self._look_later(min(_LOOK_S, left_s), transport, unread, moved_at)
        else:
            transport.abort()  # closing would wait for the client once more


def _unread_bytes(transport: asyncio.Transport) -> int:
    """Return what of an answer the client's machine has not confirmed.

    Most of it is the kernel's: up to 4 MiB, of which it asks for more when a third is gone. Who
    takes 1 kB/s takes nothing of ours for a quarter of an hour.
    """
    held = 0
    connected: socket.socket | None = transport.get_extra_info("socket")
    if connected is not None:
        with suppress(OSError, ValueError):  # it is closed
            told = fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4))
            held = int.from_bytes(told, sys.byteorder)
    return transport.get_write_buffer_size() + held
