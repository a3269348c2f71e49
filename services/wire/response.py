"""An answer, as those who asked for it read it."""

from collections.abc import Callable
from typing import Final

from models.errors import StreamBroken
from models.ports import Flow
from services import failed_calls
from services.wire.connection import Connection, Take
from services.wire.headers import Headers

_READ: Final = Headers()
"""In place of those that were read."""


class Response:
    """An answer whose head has arrived. It holds its connection until it is closed."""

    __slots__ = ("_connection", "_give", "_idle_timeout_s", "headers", "status")

    def __init__(
        self, connection: Connection, give: Callable[[Connection], None], idle_timeout_s: float
    ) -> None:
        """`give` takes the connection back."""
        self._connection: Connection | None = connection
        self._give = give
        self._idle_timeout_s = idle_timeout_s
        self.status = connection.status
        self.headers = connection.headers

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body.

        Raises StreamBroken when it is cut or exceeds the limit, TimedOut when it stops coming.
        """
        connection = self._open()
        if connection.is_over:  # it came with the head, as most do
            body = connection.taken()
            if len(body) > limit_bytes:
                raise failed_calls.too_large()
            return body
        return await self._gathered(limit_bytes)

    async def _gathered(self, limit_bytes: int) -> bytes:
        pieces: list[bytes] = []
        size = 0

        def take(data: bytes) -> bool:
            nonlocal size
            pieces.append(data)
            size += len(data)
            return size <= limit_bytes

        try:
            outcome = await self._flow(take, self._idle_timeout_s)
        except StreamBroken as error:
            raise failed_calls.cut_answer() from error
        if outcome is Flow.STOPPED:
            raise failed_calls.too_large()
        if outcome is Flow.SILENT:
            raise failed_calls.silent()
        return b"".join(pieces)

    async def read_some(self, wait_s: float) -> bytes | None:
        """Return what has arrived, b"" at the end, None when nothing came within `wait_s`."""
        connection = self._open()
        while not (data := connection.taken()) and not _has_ended(connection):
            try:
                outcome = await connection.more(wait_s)
            except BaseException:
                self._forget(connection)
                raise
            self._open()
            if outcome is Flow.SILENT:
                return connection.taken() or None
        return data

    async def flow(self, take: Take, wait_s: float) -> Flow:
        """Hand what arrives to `take`, as it arrives, for as long as that says True.

        The headers are gone by then: a stream may run for long.
        """
        if self._connection is not None:
            self.headers = self._connection.headers = _READ
        return await self._flow(take, wait_s)

    async def _flow(self, take: Take, wait_s: float) -> Flow:
        connection = self._open()
        if (data := connection.taken()) and not self._is_taken(data, take, connection):
            return Flow.STOPPED
        if _has_ended(connection):
            return Flow.ENDED
        try:
            outcome = await connection.flow(take, wait_s)
        except BaseException:
            self._forget(connection)
            raise
        if outcome is Flow.ENDED:
            _has_ended(connection)
        return outcome

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else drop it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._give(connection)

    def drop(self) -> None:
        """Drop the connection, whatever was read."""
        self._open().abort()

    def _forget(self, connection: Connection) -> None:
        """Wait no more. If we were closed meanwhile, the connection may serve another by now."""
        if self._connection is connection:
            connection.forget()

    def _open(self) -> Connection:
        if self._connection is None:
            raise failed_calls.cut_answer()
        return self._connection

    @staticmethod
    def _is_taken(data: bytes, take: Take, connection: Connection) -> bool:
        try:
            return take(data)
        except BaseException:
            connection.abort()
            raise


def _has_ended(connection: Connection) -> bool:
    """Whether nothing more comes. Raises StreamBroken when it was cut."""
    if connection.fault is not None:
        raise failed_calls.cut_stream() from connection.fault
    return connection.is_over
