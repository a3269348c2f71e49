"""A provider without a socket: what it says arrives in the pieces and at the moments one likes."""

import asyncio
from collections.abc import Iterable

from models.exchange import UpstreamRequest
from services.guard import AddressGuard
from services.wire.connection import Connection
from services.wire.target import Target
from services.wire.transport import WireTransport

REQUEST = UpstreamRequest("POST", "http://provider.test/", {}, b"{}")


class MemoryTransport(asyncio.Transport):
    """The near end of a connection to nowhere."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection
        self.written = b""
        self.paused: list[bool] = []
        """What was said of the reading: pause (True) and go on."""
        self._is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def writelines(self, pieces: Iterable[bytes | bytearray | memoryview]) -> None:
        for piece in pieces:
            self.write(piece)

    def is_closing(self) -> bool:
        return self._is_closed

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.paused.append(True)

    def resume_reading(self) -> None:
        self.paused.append(False)

    def abort(self) -> None:
        self._close(None)

    def say(self, data: bytes) -> None:
        """Let bytes arrive, if the connection is still open."""
        if not self._is_closed:
            self.connection.get_buffer(len(data))[: len(data)] = data
            self.connection.buffer_updated(len(data))

    def hang_up(self, error: Exception | None = None) -> None:
        """End the connection from the far side, in order unless there is an error."""
        if not self._is_closed:
            if error is None:
                self.connection.eof_received()
            self._close(error)

    def _close(self, error: Exception | None) -> None:
        if not self._is_closed:
            self._is_closed = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self.connection.connection_lost, error)


class MemoryWire:
    """A transport, all of whose connections lead nowhere."""

    def __init__(self, *, idle_timeout_s: float = 5.0) -> None:
        self.transport = WireTransport(
            AddressGuard(), connect_timeout_s=5, idle_timeout_s=idle_timeout_s
        )
        self.opened: list[MemoryTransport] = []
        way = self.transport._direct
        way.open = self._open  # type: ignore[method-assign]
        self.idle = way.idle

    async def _open(self, target: Target) -> Connection:
        connection = self.idle.new(target.origin)
        self.opened.append(MemoryTransport(connection))
        connection.connection_made(self.opened[-1])
        return connection

    @property
    def last(self) -> MemoryTransport:
        """The connection that was opened last."""
        return self.opened[-1]
