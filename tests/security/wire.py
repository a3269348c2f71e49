"""Raw HTTP over sockets: what no proper client would send, and what came back."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from tests.e2e.harness import Rig


class HasUrl(Protocol):
    """A server, as a test has it."""

    @property
    def url(self) -> str: ...


@dataclass(frozen=True)
class Answer:
    """One answer as read from a socket."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON of many shapes, in tests
        return json.loads(self.body)


@dataclass(frozen=True)
class Wire:
    """One connection to the gateway."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send; a connection that is closed already is no failure of the test."""
        with suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def answer(self) -> Answer | None:
        """Read one whole answer; None when the connection was closed instead."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        start, *lines = head.decode("latin-1").strip().split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Answer(int(start.split()[1]), headers, await self._body(headers))

    @property
    def is_over(self) -> bool:
        """Whether the other side has closed, one way or the other."""
        return self.reader.at_eof() or self.reader.exception() is not None

    async def is_closed(self, limit_s: float = 10.0) -> bool:
        """Wait for the end of the connection."""
        with suppress(ConnectionError):
            async with asyncio.timeout(limit_s):
                await self.reader.read()
        return self.is_over

    async def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            pieces = []
            while size := int((await self.reader.readline()).strip(), 16):
                pieces.append(await self.reader.readexactly(size))
                await self.reader.readline()
            await self.reader.readline()
            return b"".join(pieces)
        return await self.reader.readexactly(int(headers.get("content-length", "0")))


@asynccontextmanager
async def connected(server: HasUrl, *, buffer_bytes: int = 0) -> AsyncGenerator[Wire, None]:
    """Open a connection; `buffer_bytes`: take little without reading."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    opened = socket.socket()
    if buffer_bytes:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    opened.setblocking(False)
    await asyncio.get_running_loop().sock_connect(opened, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=opened, limit=buffer_bytes or 1 << 16)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def answers(rig: Rig, data: bytes, limit_s: float = 10.0) -> list[Answer]:
    """Send bytes and read every answer until the server closes, or is silent for a moment."""
    found: list[Answer] = []
    async with connected(rig) as wire:
        await wire.send(data)
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while (one := await wire.answer()) is not None:
                    found.append(one)
    return found


def head(start: str, rig: Rig, *lines: str, key: str | None = None) -> bytes:
    """Return the head of a request with a key, ready to be sent."""
    fixed = [start, "Host: gateway", f"Authorization: Bearer {rig.key if key is None else key}"]
    return "\r\n".join([*fixed, *lines, "", ""]).encode("latin-1")
