"""Clients of a stream, as the gateway meets them: quick ones, slow ones, and those that leave."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from services.reply import Reply, Stream

_LIMIT_S = 10.0


class FakeSink:
    """Keeps what is written; with `room`, it is full after so many writes until a test opens it."""

    def __init__(self, room: int | None = None) -> None:
        self.writes: list[bytes] = []
        self.drains = 0
        """How often room was waited for."""
        self._room = room
        self._has_room = asyncio.Event()
        self._unread: asyncio.Queue[bytes] = asyncio.Queue()

    @property
    def is_full(self) -> bool:
        return self._room is not None and self._room <= 0

    @property
    def sent(self) -> bytes:
        """All that was written."""
        return b"".join(self.writes)

    def write(self, data: bytes) -> bool:
        self.writes.append(data)
        self._unread.put_nowait(data)
        if self._room is not None:
            self._room -= 1
        return not self.is_full

    async def drain(self) -> None:
        self.drains += 1
        while self.is_full:
            self._has_room.clear()
            await self._has_room.wait()

    def open(self, room: int | None = None) -> None:
        """Let so many writes in, None for all that come."""
        self._room = room
        self._has_room.set()

    def shut(self) -> None:
        """Be full with the next write."""
        self._room = 1

    async def next(self) -> bytes:
        """Return the next write that says something; there is room for one more meanwhile."""
        async with asyncio.timeout(_LIMIT_S):
            while True:
                if self._unread.empty():
                    self.open(1)
                if data := await self._unread.get():
                    return data


class AwaitedSink(FakeSink):
    """Sends only when it is drained, so that every write has to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[bytes] = []

    def write(self, data: bytes) -> bool:
        self._held.append(data)
        return False

    async def drain(self) -> None:
        self.drains += 1
        held, self._held = self._held, []
        for data in held:
            super().write(data)


class LeftSink(FakeSink):
    """A client that has left once it was sent so many writes."""

    async def drain(self) -> None:
        raise ConnectionResetError("the client has left")


async def poured(reply: Reply, sink: FakeSink | None = None) -> bytes:
    """Stream a reply to its end, drop it, and return what the client got."""
    sink = FakeSink() if sink is None else sink
    assert reply.stream is not None
    try:
        await reply.stream(sink)
    finally:
        reply.drop()
    return sink.sent


@asynccontextmanager
async def pouring(reply: Reply, sink: FakeSink) -> AsyncGenerator[asyncio.Task[None], None]:
    """Stream a reply beside the test; at the end its client leaves, if it has not got all."""
    assert reply.stream is not None
    task = asyncio.create_task(_run(reply.stream, sink))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        reply.drop()


async def _run(stream: Stream, sink: FakeSink) -> None:
    await stream(sink)


async def settled() -> None:
    """Return when every task has gone as far as it can without anything from outside."""
    for _ in range(20):
        await asyncio.sleep(0)
