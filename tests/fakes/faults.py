"""A provider that breaks below HTTP: what it does with a connection is told byte by byte."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass
class Exchange:
    """One request that came in, and the means to answer it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes
    body: bytes

    @property
    def asks_stream(self) -> bool:
        return b'"stream":true' in self.body.replace(b" ", b"")

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def hang(self) -> None:
        """Do nothing until the other side closes."""
        with contextlib.suppress(ConnectionError):
            await self.reader.read()

    def reset(self) -> None:
        """Break the connection off with RST."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Behaviour: TypeAlias = Callable[[Exchange], Awaitable[None]]


@dataclass
class FaultyProvider:
    """Reads requests whole and lets a behaviour answer them; then it closes."""

    behaviour: Behaviour
    requests: list[bytes] = field(default_factory=list)
    """Heads."""
    open_connections: int = 0
    url: str = ""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FaultyProvider"]:
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
            listener.setblocking(False)
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            self._spawn(self._listen(listener))
            try:
                yield self
            finally:
                while self._tasks:
                    for task in self._tasks:
                        task.cancel()
                    await asyncio.wait(self._tasks)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, listener: socket.socket) -> None:
        # A server of asyncio leaves a connection open that comes at the moment of its end.
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            self._spawn(self._serve(connection))
            await asyncio.sleep(0)  # it has begun: whoever cancels it now closes its connection

    async def _serve(self, connection: socket.socket) -> None:
        self.open_connections += 1
        try:
            reader, writer = await asyncio.open_connection(sock=connection, limit=1 << 22)
            try:
                await self._converse(reader, writer)
            finally:
                writer.close()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open_connections -= 1

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(_content_length(head))
        if head.startswith(b"POST"):
            self.requests.append(head)
            await self.behaviour(Exchange(reader, writer, head, body))
        else:
            writer.write(
                b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """A port on which no connection ever comes about: its queue is full and nobody accepts."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        port: int = listener.getsockname()[1]
        yield port
