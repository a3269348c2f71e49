"""A pretend provider that costs little: a raw protocol on the loop of whoever measures.

The first part of the path says how it behaves: `/json/v1/chat/completions` answers whole,
`/split/...` streams with a system call for each event. Programs add behaviours of their own.
Requests are read by `Content-Length` only, one at a time on a connection.
"""

import asyncio
import os
import ssl
from collections.abc import Callable, Sequence
from typing import Final, Self

from benchmarks import answers

Behaviour = Callable[["Connection", bytes], None]
"""Answers a request; it is given its head and what of the body came along, all of a small one."""

PACE_S: Final = 0.02
_NOT_FOUND: Final = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection from the gateway."""

    __slots__ = (
        "_fd",
        "_missing",
        "_request",
        "drained",
        "is_full",
        "lost",
        "next",
        "transport",
        "upstream",
    )

    def __init__(self, upstream: "Upstream") -> None:
        self.upstream = upstream
        self.transport: asyncio.Transport
        self.lost: Callable[[], None] | None = None
        """Called once when the connection is gone; a behaviour may set it."""
        self.next: asyncio.TimerHandle | None = None
        """What a paced stream does next."""
        self.drained: Callable[[], None] | None = None
        """Called when more may be written after the transport was full."""
        self.is_full = False
        self._fd = -1
        self._request = b""
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]  # uvloop's are no subclasses
        if transport.get_extra_info("sslcontext") is None:
            self._fd = transport.get_extra_info("socket").fileno()
        self.upstream.connections.add(self)
        self.upstream.accepted += 1

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._fd = -1
        self.upstream.connections.discard(self)
        if self.next is not None:
            self.next.cancel()
        if self.lost is not None:
            self.lost()

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        if self.drained is not None:
            self.drained()

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
            if not self._missing:
                self._serve()
            return
        self._request = data = self._request + data if self._request else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = data[: end + 2].lower()
        at = head.find(b"\r\ncontent-length:")
        length = int(head[at + 17 : head.find(b"\r", at + 17)]) if at >= 0 else 0
        self._missing = end + 4 + length - len(data)
        if not self._missing:
            self._serve()

    def _serve(self) -> None:
        request, self._request = self._request, b""
        self.upstream.requests += 1
        # A server must take the absolute form as well, which proxies are sent (RFC 9112, 3.2.2).
        after = request.find(b" ") + 1
        begin = request.find(b"/", after + (8 if request[after : after + 1] != b"/" else 0)) + 1
        name = request[begin : request.find(b"/", begin)]
        behaviour = self.upstream.behaviours.get(name)
        if behaviour is None or not request.startswith(b"POST "):  # lists of models are looked for
            self.transport.write(_NOT_FOUND)
        else:
            behaviour(self, request)

    def send(self, data: bytes) -> None:
        """Write in a system call of its own, so that it is not joined with what comes next."""
        sent = 0
        if self._fd >= 0 and not self.transport.get_write_buffer_size():
            try:
                sent = os.write(self._fd, data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.transport.abort()
                return
        if sent < len(data):
            self.transport.write(data[sent:])


class Upstream:
    """A server on loopback, and what happened at it."""

    def __init__(self) -> None:
        self.behaviours: dict[bytes, Behaviour] = {}
        self.connections: set[Connection] = set()
        self.accepted = 0
        self.requests = 0
        self.events = 0
        """Events of streams that were sent so far."""
        self._servers: list[asyncio.Server] = []

    async def listen(self, *, tls: ssl.SSLContext | None = None) -> int:
        """Serve on a free port of 127.0.0.1, and return it."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(self), "127.0.0.1", 0, ssl=tls, backlog=4096
        )
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


# --- behaviours ---------------------------------------------------------------------------------


def whole(chat: bytes, messages: bytes) -> Behaviour:
    """Answer at once with one of these bodies, in the format that the path asks for."""
    of_chat, of_messages = answers.whole(chat), answers.whole(messages)

    def behave(connection: Connection, request: bytes) -> None:
        connection.transport.write(of_messages if asks_messages(request) else of_chat)

    return behave


def fixed(data: bytes) -> Behaviour:
    """Answer at once with these bytes, head included."""
    return lambda connection, request: connection.transport.write(data)


def streams(way: Callable[[Sequence[bytes]], Behaviour], count: int = answers.CHUNKS) -> Behaviour:
    """Stream in the format that the path asks for, in one of the ways below."""
    of_chat = way(answers.written(answers.chat_events(answers.texts(count))))
    of_messages = way(answers.written(answers.messages_events(answers.texts(count))))

    def behave(connection: Connection, request: bytes) -> None:
        (of_messages if asks_messages(request) else of_chat)(connection, request)

    return behave


def burst(pieces: Sequence[bytes]) -> Behaviour:
    """Send the whole stream in one write."""
    joined = b"".join(pieces)

    def behave(connection: Connection, request: bytes) -> None:
        del request
        connection.upstream.events += len(pieces)
        connection.transport.write(joined)

    return behave


def split(pieces: Sequence[bytes]) -> Behaviour:
    """Send each event in a system call of its own, as fast as possible."""

    def behave(connection: Connection, request: bytes) -> None:
        del request
        connection.upstream.events += len(pieces)
        for piece in pieces:
            connection.send(piece)

    return behave


def paced(pieces: Sequence[bytes], interval_s: float = PACE_S) -> Behaviour:
    """Send an event every so often."""

    def behave(connection: Connection, request: bytes) -> None:
        del request
        loop = asyncio.get_running_loop()
        left = iter(pieces)
        due = loop.time()

        def step() -> None:
            nonlocal due
            piece = next(left, None)
            if piece is None:
                connection.next = None
                return
            connection.upstream.events += 1
            connection.send(piece)
            due += interval_s
            connection.next = loop.call_at(due, step)

        step()

    return behave


def idle(pieces: Sequence[bytes]) -> Behaviour:
    """Send the first events, with content, and then nothing any more."""

    def behave(connection: Connection, request: bytes) -> None:
        del request
        connection.upstream.events += 3
        connection.transport.write(b"".join(pieces[:3]))

    return behave


def silent(connection: Connection, request: bytes) -> None:
    """Never answer."""
    del connection, request


def asks_messages(request: bytes) -> bool:
    """Tell whether a request is in the Messages format, from its first line."""
    return request.find(b"/messages ", 0, 200) > 0


def usual() -> dict[bytes, Behaviour]:
    """Return the behaviours that the throughput scenarios need."""
    return {
        b"json": whole(answers.chat(), answers.messages()),
        b"large": whole(answers.chat(100_000), answers.messages(100_000)),
        b"burst": streams(burst),
        b"split": streams(split),
        b"paced": streams(paced),
        b"idle": streams(idle),
        b"silent": silent,
        b"error": fixed(answers.ERROR),
    }
