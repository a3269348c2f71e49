"""However an answer is cut on its way, it is the same answer, or it is none."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ConnectionLost, StreamBroken, UpstreamError
from models.ports import Flow, UpstreamResponse
from tests.fakes.memory_wire import REQUEST, MemoryWire

LENGTH: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-A: 1\r\nx-a: 2\r\n\r\nhello world"
CHUNKED: Final = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n1;a=b\r\n \r\n5\r\nworld\r\n0\r\nX-Trailer: y\r\n\r\n"
)
TO_THE_END: Final = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\nhello world"
HINTED: Final = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + LENGTH
EMPTY: Final = b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"
ANSWERS: Final[Mapping[str, tuple[bytes, bytes]]] = {
    "with a length": (LENGTH, b"hello world"),
    "in chunks": (CHUNKED, b"hello world"),
    "to the end": (TO_THE_END, b"hello world"),
    "after hints": (HINTED, b"hello world"),
    "empty": (EMPTY, b""),
}


async def read(response: UpstreamResponse) -> bytes:
    return await response.read(1 << 20)


async def read_some(response: UpstreamResponse) -> bytes:
    pieces = []
    while data := await response.read_some(5):
        pieces.append(data)
    return b"".join(pieces)


async def flow(response: UpstreamResponse) -> bytes:
    pieces: list[bytes] = []

    def take(data: bytes) -> bool:
        pieces.append(data)
        return len(pieces) % 3 != 0

    while await response.flow(take, 5) is Flow.STOPPED:
        pass
    return b"".join(pieces)


READERS: Final[Mapping[str, Callable[[UpstreamResponse], Awaitable[bytes]]]] = {
    "read": read,
    "read_some": read_some,
    "flow": flow,
}


async def outcome(
    wire: MemoryWire, pieces: Sequence[bytes], reader: str, *, pause: bool, error: OSError | None
) -> tuple[int, bytes]:
    """Send, let the pieces arrive and the connection end; return what came of it."""

    async def call() -> tuple[int, bytes]:
        response = await wire.transport.send(REQUEST, None, first_byte_timeout_s=5)
        try:
            return response.status, await READERS[reader](response)
        finally:
            response.close()

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    for piece in pieces:
        wire.last.say(piece)
        if pause:
            await asyncio.sleep(0)
    wire.last.hang_up(error)
    return await task


def cut(raw: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(raw) + 1) for place in places), len(raw)]
    return [raw[start:end] for start, end in pairwise(edges) if start < end]


@given(
    answer=st.sampled_from(sorted(ANSWERS)),
    reader=st.sampled_from(sorted(READERS)),
    places=st.lists(st.integers(0, 1000), max_size=8),
    pause=st.booleans(),
)
async def test_the_body_is_the_same_wherever_the_answer_is_cut(
    answer: str, reader: str, places: Sequence[int], pause: bool
) -> None:
    raw, body = ANSWERS[answer]
    status, got = await outcome(MemoryWire(), cut(raw, places), reader, pause=pause, error=None)
    assert (status, got) == (204 if answer == "empty" else 200, body)


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("reader", READERS)
async def test_byte_by_byte_it_is_the_same_answer(answer: str, reader: str) -> None:
    raw, body = ANSWERS[answer]
    pieces = [bytes([byte]) for byte in raw]
    _status, got = await outcome(MemoryWire(), pieces, reader, pause=True, error=None)
    assert got == body


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("error", [None, ConnectionResetError()], ids=["closed", "reset"])
@pytest.mark.parametrize("answer", ["with a length", "in chunks", "after hints"])
async def test_an_answer_that_ends_too_early_is_none(
    answer: str, reader: str, error: OSError | None
) -> None:
    raw, _body = ANSWERS[answer]
    head_bytes = raw.rindex(b"\r\n\r\n", 0, -10) + 4 if answer != "in chunks" else 47
    for length in range(len(raw)):
        wire = MemoryWire()
        with pytest.raises(UpstreamError) as caught:
            await outcome(wire, [raw[:length]], reader, pause=True, error=error)
        expected = ConnectionLost if length < head_bytes else StreamBroken
        assert type(caught.value) is expected, length
        assert wire.idle.take(wire.last.connection.origin) is None


@pytest.mark.parametrize("reader", READERS)
async def test_a_body_that_the_end_of_the_connection_ends_must_not_be_reset(reader: str) -> None:
    with pytest.raises(StreamBroken):
        await outcome(MemoryWire(), [TO_THE_END], reader, pause=True, error=ConnectionResetError())
