"""Answers of providers as bytes, bent: they end as an answer or as an error of ours."""

import asyncio
import gzip
import random
from collections.abc import Sequence
from typing import Final, TypeAlias

from models.errors import UpstreamError
from models.ports import Flow, UpstreamResponse
from tests.fakes.memory_wire import REQUEST, MemoryWire
from tests.fuzz.mutations import bent_bytes, split

_OK: Final = b"HTTP/1.1 200 OK\r\n"
_CHUNKED: Final = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_PACKED: Final = gzip.compress(b"data: {}\n\n" * 9)
SEEDS: Final = (
    _OK + b"Content-Type: application/json\r\nContent-Length: 11\r\n\r\nhello world",
    _CHUNKED + b"5\r\nhello\r\n1;a=b\r\n \r\n5\r\nworld\r\n0\r\nX-Trailer: y\r\n\r\n",
    _OK + b"X-A: 1\r\nx-a: 2\r\n\r\nhello world",
    b"HTTP/1.1 100 Continue\r\n\r\n" + _OK + b"Content-Length: 2\r\n\r\nok",
    b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
    b"HTTP/1.0 429 Slow down\r\nRetry-After: 1\r\nConnection: keep-alive\r\n\r\nno",
    _OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(_PACKED) + _PACKED,
)
_LINES: Final = (
    b"Content-Length: 5\r\n",
    b"Content-Length: -1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Content-Encoding: deflate\r\n",
    b" folded\r\n",
    b"\r\n",
    b"0\r\n\r\n",
    b"ffffffff\r\n",
    _OK,
)
_OWN: Final = b"this request's own answer"

Outcome: TypeAlias = tuple[int, bytes] | type[UpstreamError]


def answer(chance: random.Random) -> None:
    """However it is cut, it says the same, and the next request gets its own answer."""
    raw = chance.choice(SEEDS)
    for _ in range(chance.randint(0, 3)):
        raw = _with_a_line(raw, chance) if chance.random() < 0.5 else bent_bytes(raw, chance)
    error = chance.choice((None, ConnectionResetError()))
    pieces, reader = list(split(raw, chance)), chance.randrange(3)
    at_once, in_pieces = asyncio.run(_both(raw, pieces, reader, error))
    # What is known to lie with its first bytes is no answer; cut, some of it may have been one.
    assert in_pieces == at_once or at_once is UpstreamError


def _with_a_line(raw: bytes, chance: random.Random) -> bytes:
    lines = raw.splitlines(keepends=True)
    at = chance.randint(0, len(lines))
    return b"".join([*lines[:at], chance.choice(_LINES), *lines[at:]])


async def _both(
    raw: bytes, pieces: Sequence[bytes], reader: int, error: OSError | None
) -> tuple[Outcome, Outcome]:
    return await _came_of([raw], reader, error), await _came_of(pieces, reader, error)


async def _came_of(pieces: Sequence[bytes], reader: int, error: OSError | None) -> Outcome:
    wire = MemoryWire()
    call = asyncio.create_task(_call(wire, reader))
    await asyncio.sleep(0)
    for piece in pieces:
        wire.last.say(piece)
        await asyncio.sleep(0)
    for _ in range(3):  # a whole answer comes out without the end of its connection
        await asyncio.sleep(0)
    if not call.done():
        wire.last.hang_up(error)
    async with asyncio.timeout(10):
        outcome = await call
    await _next_has_its_own(wire)
    return outcome


async def _call(wire: MemoryWire, reader: int) -> Outcome:
    try:
        response = await wire.transport.send(REQUEST, None, first_byte_timeout_s=9)
        try:
            return response.status, await _read(response, reader)
        finally:
            response.close()
    except UpstreamError as error:
        return type(error)


async def _read(response: UpstreamResponse, reader: int) -> bytes:
    pieces: list[bytes] = []

    def take(data: bytes) -> bool:
        pieces.append(data)
        return reader == 1

    if reader == 0:
        return await response.read(1 << 20)
    while (outcome := await response.flow(take, 9)) is Flow.STOPPED:
        pass
    assert outcome is Flow.ENDED
    return b"".join(pieces)


async def _next_has_its_own(wire: MemoryWire) -> None:
    sending = asyncio.create_task(_call(wire, 0))
    await asyncio.sleep(0)
    wire.last.say(_OK + b"Content-Length: %d\r\n\r\n" % len(_OWN) + _OWN)
    async with asyncio.timeout(10):
        assert await sending == (200, _OWN)
