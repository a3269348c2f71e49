"""A cable that can be cut: a TCP relay between a program and the server it talks to."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tests.fakes.proxies import pipe


class TcpRelay:
    """Passes bytes between its own port and another one, until it is cut."""

    def __init__(self, far_port: int) -> None:
        self._far_port = far_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self.port = 0

    def cut(self) -> None:
        """Break every connection, and let new ones come about and lead nowhere."""
        self._is_cut = True
        for writer in list(self._writers):
            writer.transport.abort()

    def mend(self) -> None:
        """Pass on what comes from now on."""
        self._is_cut = False
        for writer in list(self._writers):
            writer.transport.abort()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._is_cut:
                await reader.read()
            else:
                await pipe(reader, writer, *await self._dial())
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        far = await asyncio.open_connection("127.0.0.1", self._far_port)
        self._writers.add(far[1])
        return far


@asynccontextmanager
async def tcp_relay(far_port: int) -> AsyncGenerator[TcpRelay, None]:
    """Yield a running relay to a port of this machine."""
    relay = TcpRelay(far_port)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()
