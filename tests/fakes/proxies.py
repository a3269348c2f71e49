"""Outbound proxies that keep a log: HTTP (CONNECT and absolute form) and SOCKS5."""

import asyncio
import base64
import socket
import struct
from dataclasses import dataclass, field


@dataclass
class FakeProxy:
    """A proxy on loopback. `username`/`password` set: others are refused."""

    username: str | None = None
    password: str | None = None
    targets: list[tuple[str, int]] = field(default_factory=list)
    """Where it was asked to go, as asked: names stay names."""
    refused: int = 0
    mode: str = "serve"
    """`serve`, `hang` (accepts and says nothing), `drop` (closes at once), `refuse` (does not want
    to) or `lost` (cannot reach anybody)."""
    limit: int = 0
    """Connections at once, beyond which it refuses; 0 means any number."""
    connections: int = 0
    """How many it has accepted."""
    hosts: dict[str, str] = field(default_factory=dict)
    """Names that this proxy resolves itself."""
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    port: int = 0

    scheme = "http"

    @property
    def url(self) -> str:
        userinfo = f"{self.username}:{self.password}@" if self.username else ""
        return f"{self.scheme}://{userinfo}127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the listener and every connection."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        try:
            if self.mode == "hang":
                await reader.read()
            elif self.mode != "drop":
                await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _version = lines[0].split(" ")
        if not self._knows(lines):
            self.refused += 1
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            return
        rest = target.removeprefix("http://")
        authority, _, path = rest.partition("/")
        host, _, port = authority.partition(":")
        if self.refuses:
            writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            return
        far = await self._dial(host, int(port or 80))
        if far is None:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
            return
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await pipe(reader, writer, *far)
            return
        kept = [line for line in lines[1:] if not line.lower().startswith("proxy-")]
        far[1].write("\r\n".join([f"{method} /{path} HTTP/1.1", *kept]).encode("latin-1"))
        await pipe(reader, writer, *far)

    def _knows(self, lines: list[str]) -> bool:
        if self.username is None:
            return True
        wanted = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return any(
            line.lower().startswith("proxy-authorization:") and line.endswith(wanted)
            for line in lines
        )

    @property
    def refuses(self) -> bool:
        """Whether it does not want to serve this connection, which is among its writers."""
        return self.mode == "refuse" or bool(self.limit and len(self._writers) > self.limit)

    async def _dial(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Connect to where it was asked to go; None when it cannot."""
        self.targets.append((host, port))
        if self.mode == "lost":
            return None
        try:
            return await asyncio.open_connection(self.hosts.get(host, host), port)
        except OSError:
            return None


@dataclass
class FakeSocks(FakeProxy):
    """A SOCKS5 proxy (RFC 1928, RFC 1929)."""

    scheme = "socks5"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _version, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        if self.username is not None:
            if 2 not in methods:
                self.refused += 1
                writer.write(b"\x05\xff")
                return
            writer.write(b"\x05\x02")
            if not await self._authenticated(reader):
                self.refused += 1
                writer.write(b"\x01\x01")
                return
            writer.write(b"\x01\x00")
        else:
            writer.write(b"\x05\x00")
        _version, _command, _reserved, kind = await reader.readexactly(4)
        host = await _address(reader, kind)
        (port,) = struct.unpack("!H", await reader.readexactly(2))
        if self.refuses:
            writer.write(b"\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00")
            return
        far = await self._dial(host, port)
        if far is None:
            writer.write(b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00")
            return
        writer.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        await pipe(reader, writer, *far)

    async def _authenticated(self, reader: asyncio.StreamReader) -> bool:
        await reader.readexactly(1)
        name = await reader.readexactly((await reader.readexactly(1))[0])
        secret = await reader.readexactly((await reader.readexactly(1))[0])
        return (name.decode(), secret.decode()) == (self.username, self.password)


async def _address(reader: asyncio.StreamReader, kind: int) -> str:
    if kind == 1:
        return socket.inet_ntop(socket.AF_INET, await reader.readexactly(4))
    if kind == 4:
        return socket.inet_ntop(socket.AF_INET6, await reader.readexactly(16))
    return (await reader.readexactly((await reader.readexactly(1))[0])).decode()


async def pipe(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    """Copy both ways until one side ends."""
    try:
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
    finally:
        far_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, OSError):
        pass
    finally:
        if not writer.is_closing():
            try:
                writer.write_eof()
            except (OSError, RuntimeError):
                writer.close()
