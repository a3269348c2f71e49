"""The check of seeded streams sees what it is there to see."""

import asyncio

import pytest

from benchmarks import answers
from benchmarks.streams import Book, Reader, event

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
LAST = b"data: [DONE]\n\n"


class Sink(asyncio.Transport):
    """A transport that goes nowhere."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        del data

    def close(self) -> None:
        pass


def read(*events: bytes, size: int = 1000) -> Book:
    """Let a client of seed 1, with three events, read a stream; return the book."""
    book = Book(3, 0.5, counted_from=0.0, sent_at={1: 0.0})
    reader = Reader(b"", 1, book)
    reader.connection_made(Sink())
    wire = HEAD + b"".join(map(answers.chunk, events)) + answers.LAST_CHUNK
    for at in range(0, len(wire), size):
        reader.data_received(wire[at : at + size])
    reader.connection_lost(None)
    return book


@pytest.mark.parametrize("size", [1, 13, 100_000])
def test_a_stream_that_is_right_is_counted_as_such(size: int) -> None:
    book = read(event(1, 0), event(1, 1), event(1, 2), LAST, size=size)
    assert (book.ended, book.wrong, book.lost, book.events) == (1, 0, 0, 3)
    assert len(book.delays_s) == 3


@pytest.mark.parametrize(
    "events",
    [
        pytest.param((event(1, 0), event(1, 2), event(1, 1), LAST), id="swapped"),
        pytest.param((event(1, 0), event(2, 1), event(1, 2), LAST), id="of another stream"),
        pytest.param((event(1, 0), event(1, 1), event(1, 1), LAST), id="twice"),
        pytest.param((event(1, 0), event(1, 1), event(1, 2)), id="without an end"),
        pytest.param((event(1, 0), event(1, 1)[:-3], event(1, 2), LAST), id="bytes lost"),
    ],
)
def test_a_stream_that_is_not_its_own_is_wrong(events: tuple[bytes, ...]) -> None:
    assert read(*events).wrong == 1


def test_a_connection_that_breaks_is_lost() -> None:
    book = Book(3, 0.5)
    reader = Reader(b"", 1, book)
    reader.connection_made(Sink())
    reader.data_received(HEAD + answers.chunk(event(1, 0)))
    reader.connection_lost(None)
    assert (book.ended, book.lost) == (0, 1)


def test_streams_differ_in_what_they_say_and_how_long_they_say_it() -> None:
    events = {event(seed, number) for seed in range(20) for number in range(20)}
    assert len(events) == 400
    assert len({len(one) for one in events}) > 50
