"""A model call over a plain connection, and its answer as bytes of HTTP/1.1."""

import time
from collections.abc import Coroutine, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from handlers.gate import request_id_of
from handlers.plain_connection import PlainConnection
from handlers.told import JSON_TYPE, SERVER, Told
from models.principal import Principal

_NONE: Final[Mapping[str, str]] = {}
_DEFAULTS: Final = {"cache-control": "no-store"}
_LAST_CHUNK: Final = b"0\r\n\r\n"
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


class PlainExchange:
    """An `Exchange` whose connection does all the waiting."""

    __slots__ = (
        "_connection",
        "_head",
        "about",
        "has_begun",
        "headers",
        "is_whole",
        "principal",
        "request_id",
    )

    parameters: Mapping[str, str] = _NONE
    query: Mapping[str, str] = _NONE
    principal: Principal
    """Set once the caller is known."""

    def __init__(self, connection: PlainConnection, headers: Mapping[str, str]) -> None:
        self._connection = connection
        self._head = b""  # of a stream, until there is something to send with it
        self.headers = headers
        self.request_id = request_id_of(headers)
        self.about: dict[str, str] = {}
        self.has_begun = False
        """Something of an answer was sent, or is about to be."""
        self.is_whole = False

    def read(self, max_bytes: int) -> Coroutine[object, object, bytes]:
        return self._connection.body()

    def whole(self, body: bytes, headers: Mapping[str, str]) -> None:
        self._answer(200, headers, body)

    def refuse(self, told: Told) -> None:
        """Answer with an error."""
        self._answer(told.status, {"content-type": JSON_TYPE, **told.headers}, told.body)

    async def begin(self, headers: Mapping[str, str]) -> None:
        self._head = self._written_head(200, headers, "transfer-encoding", "chunked")
        self.has_begun = True
        self.headers, self.about = _NONE, {}  # a stream may run for long
        self._connection.unwatch()

    def write(self, data: bytes) -> bool:
        head, self._head = self._head, b""
        if data:
            return self._connection.write(b"%b%x\r\n%b\r\n" % (head, len(data), data))
        return self._connection.write(head) if head else True

    async def drain(self) -> None:
        await self._connection.drain()

    async def end(self) -> None:
        self.is_whole = True
        self._connection.write(self._head + _LAST_CHUNK)

    def over(self) -> None:
        """The call has ended, well or not."""
        self._connection.served(is_whole=self.is_whole)

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        head = self._written_head(status, headers, "content-length", str(len(body)))
        self.has_begun = self.is_whole = True
        self._connection.write(head + body)

    def _written_head(
        self, status: int, headers: Mapping[str, str], framing: str, value: str
    ) -> bytes:
        """`framing` is the header that tells where the body ends."""
        fields = {**_DEFAULTS, **headers, "x-request-id": self.request_id, **self.about}
        if self._connection.is_last:
            fields["connection"] = "close"
        fields[framing] = value
        return written_head(status, fields)


def refusal_of(told: Told, request_id: str) -> bytes:
    """Return an error as the whole answer to a call that nothing more is known of."""
    fields = {
        **_DEFAULTS,
        "content-type": JSON_TYPE,
        **told.headers,
        "x-request-id": request_id,
        "content-length": str(len(told.body)),
    }
    return written_head(told.status, fields) + told.body


def written_head(status: int, fields: Mapping[str, str]) -> bytes:
    """Return the head of an answer. Raises ValueError for a value that would break it."""
    lines = list(map(": ".join, fields.items()))
    text = "".join(lines)
    if "\n" in text or "\r" in text or "\0" in text:
        raise ValueError("a header of the answer holds a line end")
    text = "\r\n".join(lines)
    return f"{_opening(status, int(time.time()))}{text}\r\n\r\n".encode()


@lru_cache(maxsize=16)
def _opening(status: int, now: int) -> str:
    """Return what begins all answers of a status within a second; `now` in epoch seconds."""
    phrase, date = _PHRASES.get(status, ""), formatdate(now, usegmt=True)
    return f"HTTP/1.1 {status} {phrase}\r\nserver: {SERVER}\r\ndate: {date}\r\n"
