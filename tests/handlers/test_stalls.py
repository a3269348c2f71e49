"""Who takes a little of an answer is slow; who takes nothing is cut off."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import cast

import pytest

from handlers.stalls import StallWatch

MUCH = b"x" * 16_000_000


class Timers:
    """A loop whose only timer rings when one likes."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timer: tuple[float, Callable[[], None]] | None = None

    def time(self) -> float:
        return self.now

    def call_later(
        self, delay_s: float, callback: Callable[..., None], *args: object
    ) -> asyncio.TimerHandle:
        self._timer = self.now + delay_s, lambda: callback(*args)
        return asyncio.TimerHandle(0, lambda: None, (), asyncio.get_running_loop())

    def pass_by(self, seconds: float) -> None:
        until = self.now + seconds
        while self._timer is not None and self._timer[0] <= until:
            (self.now, ring), self._timer = self._timer, None
            ring()
        self.now = until


@pytest.mark.parametrize("is_closing", [False, True])
async def test_what_the_kernel_gets_rid_of_is_progress(*, is_closing: bool) -> None:
    """It holds megabytes, and takes none of ours before much of them has left."""
    timers = Timers()
    watch = StallWatch(cast(asyncio.AbstractEventLoop, timers), 60)
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        client.connect(server.getsockname())
        client.setblocking(False)
        accepted, _ = server.accept()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=accepted)
        transport.write(MUCH)
        await asyncio.sleep(0.05)
        if is_closing:
            transport.close()
        waiting = transport.get_write_buffer_size()
        watch.begin(transport)
        for _ in range(3):
            timers.pass_by(50)
            for _ in range(20):
                with suppress(BlockingIOError):
                    client.recv(10_000)
                await asyncio.sleep(0.005)
        timers.pass_by(60)
        assert transport.get_write_buffer_size() == waiting > 0
        timers.pass_by(1)
        assert transport.is_closing()
        await asyncio.sleep(0.05)  # uvloop closes in its next turn
        assert transport.get_write_buffer_size() == 0  # thrown away
