"""One kept-alive client connection: asks, and hands over each answer when it is whole.

It reads what the gateway and its peers write: heads with `Content-Length`, or chunks. An answer is
kept as it came over the wire; what a scenario expects of it is looked at afterwards.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from benchmarks.answers import LAST_CHUNK

LOST: Final = 0
"""The status of an answer whose connection was lost."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answer must hold to count."""

    ends: bytes = b""
    """Its last bytes."""
    word: bytes = b""
    times: int = 0
    """How often the word must be in it."""

    def holds(self, answer: bytes) -> bool:
        """Tell whether a whole answer, head included, is as expected."""
        if not answer.endswith(self.ends):
            return False
        # Chunks may part a word.
        return answer.count(self.word) >= self.times or body(answer).count(self.word) >= self.times


class Caller(asyncio.Protocol):
    """A connection that asks one request after the other."""

    __slots__ = (
        "_chunked",
        "_done",
        "_left",
        "_parts",
        "_tail",
        "began",
        "first",
        "request",
        "status",
        "transport",
    )

    def __init__(self, request: bytes, done: Callable[["Caller", bytes], None]) -> None:
        self.request = request
        self.status = LOST
        self.began = 0.0
        """When the request was sent, or should have been."""
        self.first = 0.0
        """When the first bytes of the answer came."""
        self.transport: asyncio.Transport | None = None
        self._done = done
        self._parts: list[bytes] = []
        self._left = 0
        self._chunked = False
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's are no subclasses

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.transport = None
        if self.began:
            self._finish(LOST)

    def ask(self, began: float) -> None:
        """Send the request, whose time runs since `began` (`time.monotonic`)."""
        self.began = began
        self.status = LOST
        if self.transport is None:
            self._finish(LOST)
        else:
            self.transport.write(self.request)

    def close(self) -> None:
        self.began = 0.0
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self.status:
            self._begin(data)
            return
        self._parts.append(data)
        if self._chunked:
            self._tail = data[-8:] if len(data) >= 8 else (self._tail + data)[-8:]
            if self._tail.endswith(b"\n" + LAST_CHUNK):
                self._finish(self.status)
        else:
            self._left -= len(data)
            if self._left <= 0:
                self._finish(self.status)

    def _begin(self, data: bytes) -> None:
        if self._parts:  # a head that came in pieces
            data = b"".join((*self._parts, data))
            self._parts.clear()
        else:
            self.first = monotonic()
        self._parts.append(data)
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        self.status = int(data[9:12])
        head = data[: end + 2].lower()
        at = head.find(b"\r\ncontent-length:")
        self._chunked = at < 0
        if self._chunked:
            self._tail = data[-8:]
            if self._tail.endswith(b"\n" + LAST_CHUNK):
                self._finish(self.status)
            return
        self._left = end + 4 + int(head[at + 17 : head.find(b"\r", at + 17)]) - len(data)
        if self._left <= 0:
            self._finish(self.status)

    def _finish(self, status: int) -> None:
        parts = self._parts
        answer = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self.status = status
        self._done(self, answer)


def request(target: str, key: str, body: bytes, *, host: str = "127.0.0.1") -> bytes:
    """Return a POST as client libraries write it, with the key as a bearer token."""
    return (
        f"POST {target} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nUser-Agent: bench/1\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def headers(answer: bytes) -> dict[str, str]:
    """Return the headers of an answer, names in small letters."""
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1")
    lines = [line.partition(":") for line in head.split("\r\n")[1:]]
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def body(answer: bytes) -> bytes:
    """Return the body of a whole answer without its chunks."""
    _, _, rest = answer.partition(b"\r\n\r\n")
    if "chunked" not in headers(answer).get("transfer-encoding", ""):
        return rest
    return Dechunker().feed(rest)


class Dechunker:
    """Takes the chunks off a body, in whatever pieces it comes."""

    __slots__ = ("_left", "_rest", "ended")

    def __init__(self) -> None:
        self._rest = b""
        self._left = 0
        """Bytes of the chunk that are missing, the line end after it included."""
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """Return the content in the next piece."""
        data, self._rest = self._rest + data, b""
        out: list[bytes] = []
        at = 0
        while at < len(data) and not self.ended:
            if self._left > 2:
                piece = data[at : at + self._left - 2]
                out.append(piece)
                at += len(piece)
                self._left -= len(piece)
                continue
            if self._left:
                if len(data) - at < self._left:
                    break
                at += self._left
                self._left = 0
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                break
            size = int(data[at:end].partition(b";")[0], 16)
            at = end + 2
            self._left = size + 2
            self.ended = size == 0
        self._rest = data[at:]
        return b"".join(out)
