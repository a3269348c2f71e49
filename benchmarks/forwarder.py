"""A forwarding proxy that costs little, and the same as a plain relay of bytes.

As a proxy (`python -m benchmarks.forwarder PORT`) it reads the head of the first request of each
connection: `CONNECT` opens a tunnel, an absolute address is dialled; from then on bytes pass both
ways. With `--to HOST:PORT` it reads nothing: every connection is relayed there. That is the least
that a Python process in the middle can cost, and so what the gateway is compared with where no
other proxy is installed.
"""

import argparse
import asyncio
from typing import Final, Protocol

import uvloop

_ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"
_BAD: Final = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class _Writes(Protocol):
    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class End(asyncio.Protocol):
    """One end of a relay; `other` is where what it reads goes."""

    def __init__(self) -> None:
        self.transport: _Writes | None = None
        self.other: End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's are no subclasses

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.transport = None
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()


class Client(End):
    """The end towards a client: it dials before it relays."""

    def __init__(self, to: tuple[str, int] | None) -> None:
        super().__init__()
        self._to = to
        self._early = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._to is not None:
            self._dial(self._to, b"")

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            super().data_received(data)
            return
        self._early += data
        if self._task is None and b"\r\n\r\n" in self._early:
            self._begin()

    def _begin(self) -> None:
        method, address, _ = self._early.split(b" ", 2)
        try:
            if method == b"CONNECT":
                self._early = self._early.partition(b"\r\n\r\n")[2]
                self._dial(_host_port(address), _ESTABLISHED)
            else:
                self._dial(_host_port(address.removeprefix(b"http://").split(b"/", 1)[0]), b"")
        except ValueError:
            assert self.transport is not None
            self.transport.write(_BAD)
            self.transport.close()

    def _dial(self, to: tuple[str, int], first: bytes) -> None:
        self._task = asyncio.create_task(self._connect(to, first))

    async def _connect(self, to: tuple[str, int], first: bytes) -> None:
        try:
            _, server = await asyncio.get_running_loop().create_connection(End, *to)
        except OSError:
            if self.transport is not None:
                self.transport.close()
            return
        if self.transport is None or server.transport is None:
            if server.transport is not None:
                server.transport.close()
            return
        server.other, self.other = self, server
        if first:
            self.transport.write(first)
        if self._early:
            server.transport.write(self._early)
            self._early = b""


def _host_port(text: bytes) -> tuple[str, int]:
    host, _, port = text.decode("ascii").rpartition(":")
    return host, int(port)


async def listen(port: int, to: tuple[str, int] | None = None) -> asyncio.Server:
    """Serve on a port of 127.0.0.1 (0: any): as a proxy, or as a relay to one address."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Client(to), "127.0.0.1", port, backlog=4096)


async def _serve(port: int, to: tuple[str, int] | None) -> None:
    await (await listen(port, to)).serve_forever()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forwarder", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--to", metavar="HOST:PORT", help="relay everything there")
    options = parser.parse_args()
    uvloop.run(_serve(options.port, _host_port(options.to.encode()) if options.to else None))


if __name__ == "__main__":
    main()
