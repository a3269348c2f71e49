"""Promise: 2,000 paced streams at once (2 chunks a second each, for 60 s) on one core lose nothing.

What each stream says follows from its seed, and every client checks it byte by byte: nothing is
lost, swapped, joined to another stream, or changed. The delay of a chunk is the time from the
provider's write to the client's read, on one clock; it must be at most 50 ms for 99 of 100. Memory
grows by at most 60 KiB for each stream, and the gateway uses at most 80 % of its core.
"""

import argparse
import asyncio
import hashlib
import sys
from array import array
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from benchmarks import answers, meter, promise
from benchmarks.caller import Dechunker, request
from benchmarks.gateway import Gateway, Provider
from benchmarks.load import percentile
from benchmarks.promise import Report
from benchmarks.scenarios import PATHS
from benchmarks.stage import Stage
from benchmarks.upstream import Connection

_OPENING_PER_S: Final = 400
_END_S: Final = 30.0
_SETTLE_S: Final = 2.0
_LAST: Final = b"data: [DONE]\n\n"


def event(seed: int, number: int) -> bytes:
    """Return an event of a stream: other bytes, and another length, for each seed and number."""
    told = hashlib.sha256(b"%d:%d" % (seed, number)).hexdigest()
    text = (told * 4)[: 16 + int(told[:2], 16) % 200]
    return (
        b'data: {"id":"chatcmpl-%d","object":"chat.completion.chunk","created":1750000000,'
        b'"model":"seeded-model","choices":[{"index":0,"delta":{"content":"%b"},'
        b'"finish_reason":null}]}\n\n' % (seed, text.encode())
    )


@dataclass(slots=True)
class Book:
    """What all streams together saw."""

    chunks: int
    """Events of each stream."""
    interval_s: float
    counted_from: float = float("inf")
    sent_at: dict[int, float] = field(default_factory=dict)
    """When the newest event of a seed was written."""
    delays_s: "array[float]" = field(default_factory=lambda: array("d"))
    events: int = 0
    wrong: int = 0
    """Streams with a byte that is not theirs, or an end that is not the end."""
    lost: int = 0
    """Streams whose connection broke."""
    begun: int = 0
    ended: int = 0


class Seeded:
    """The provider's side: each request names the seed of its stream."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def __call__(self, connection: Connection, sent: bytes) -> None:
        seed = int(sent.rpartition(b"seed-")[2].partition(b'"')[0])
        connection.transport.write(answers.STREAM_HEAD)
        self._send(connection, seed, 0, asyncio.get_running_loop().time())

    def _send(self, connection: Connection, seed: int, number: int, due: float) -> None:
        book = self._book
        if number == book.chunks:
            connection.next = None
            connection.transport.write(answers.chunk(_LAST) + answers.LAST_CHUNK)
            return
        book.sent_at[seed] = monotonic()
        connection.send(answers.chunk(event(seed, number)))
        due += book.interval_s
        loop = asyncio.get_running_loop()
        connection.next = loop.call_at(due, self._send, connection, seed, number + 1, due)


class Reader(asyncio.Protocol):
    """The client's side: reads one stream and checks it."""

    def __init__(self, sent: bytes, seed: int, book: Book) -> None:
        self._sent = sent
        self._seed = seed
        self._book = book
        self._head: bytes | None = b""
        self._dechunker = Dechunker()
        self._rest = b""
        self._number = 0
        self._over = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's are no subclasses
        self._transport.write(self._sent)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self._over:
            self._over = True
            self._book.lost += 1

    def data_received(self, data: bytes) -> None:
        now = monotonic()
        if self._head is not None:
            self._head += data
            head, found, data = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self._close(wrong=True)
                return
            self._head = None
            self._book.begun += 1
        self._check(self._dechunker.feed(data), now)

    def _check(self, content: bytes, now: float) -> None:
        book = self._book
        self._rest += content
        while self._number < book.chunks:
            wanted = event(self._seed, self._number)
            if len(self._rest) < len(wanted):
                if not wanted.startswith(self._rest):
                    self._close(wrong=True)
                return
            if not self._rest.startswith(wanted):
                self._close(wrong=True)
                return
            self._rest = self._rest[len(wanted) :]
            self._number += 1
            book.events += 1
            if now >= book.counted_from:
                book.delays_s.append(now - book.sent_at[self._seed])
        if self._dechunker.ended:
            self._close(wrong=self._rest != _LAST)

    def _close(self, *, wrong: bool) -> None:
        if self._over:
            return
        self._over = True
        self._book.ended += 1
        self._book.wrong += wrong
        self._transport.close()


def body(seed: int) -> bytes:
    """Return the request for the stream of a seed."""
    return (
        b'{"model":"seeded-model","stream":true,"stream_options":{"include_usage":true},'
        b'"messages":[{"role":"user","content":"Tell me of seed-%d"}]}' % seed
    )


@dataclass(frozen=True, slots=True)
class Watch:
    """What was used while all streams were open."""

    took_s: float
    share: float
    """CPU seconds of the gateway per second."""
    own_share: float
    rss: int


async def measure(here: Stage, options: argparse.Namespace) -> Report:
    """Open the streams over some seconds, let them run, and close the book when all have ended."""
    count: int = options.streams
    opening_s = count / _OPENING_PER_S
    book = Book(
        int((opening_s + _SETTLE_S + options.seconds) / options.interval) + 1, options.interval
    )
    here.provider.behaviours[b"seeded"] = Seeded(book)
    gateway = here.gateway(options.tree)
    await here.stack.enter_async_context(gateway)
    url = f"http://127.0.0.1:{here.upstreams.plain_port}/seeded/v1"
    await gateway.furnish([Provider("seeded", "chat", url)])
    before = meter.memory(gateway.pid).rss
    await _open(gateway, book, count)
    await asyncio.sleep(_SETTLE_S)
    watch = await _watched(gateway, book, options.seconds * 0.9)  # the first ones end soon
    until = monotonic() + opening_s + options.seconds + _END_S
    while book.ended + book.lost < count and monotonic() < until:  # noqa: ASYNC110 - counted
        await asyncio.sleep(0.1)
    report = Report()
    _tell(report, book, watch, count)
    report.promise("RSS per stream, KiB", (watch.rss - before) / 1024 / count, "<=", 60)
    return report


async def _open(gateway: Gateway, book: Book, count: int) -> None:
    """Ask for all streams, so many a second: their chunks are then spread over time."""
    loop = asyncio.get_running_loop()
    began = monotonic()
    for seed in range(count):
        reader = Reader(request(PATHS["chat"], gateway.key, body(seed)), seed, book)
        await loop.create_connection(lambda: reader, "127.0.0.1", gateway.port)  # noqa: B023
        await asyncio.sleep(max(0.0, began + seed / _OPENING_PER_S - monotonic()))


async def _watched(gateway: Gateway, book: Book, seconds: float) -> Watch:
    book.counted_from = monotonic()
    cpu, own = meter.cpu(gateway.pid), meter.cpu(0, alone=True)
    await asyncio.sleep(seconds)
    took = monotonic() - book.counted_from
    book.counted_from = float("inf")
    return Watch(
        took,
        meter.cpu(gateway.pid).since_us(cpu) / took / 1e6,
        meter.cpu(0, alone=True).since_us(own) / took / 1e6,
        meter.memory(gateway.pid).rss,
    )


def _tell(report: Report, book: Book, watch: Watch, count: int) -> None:
    used_us = watch.share * watch.took_s * 1e6
    report.figure("streams", count)
    report.figure("chunks", book.events)
    report.figure("CPU us per chunk", used_us / max(1, len(book.delays_s)))
    report.figure("CPU share of load and provider together", watch.own_share)
    report.figure("delay of a chunk, median, ms", percentile(book.delays_s, 50) * 1e3)
    report.promise("streams that ended whole", book.ended - book.wrong, "==", count)
    report.promise("streams with a wrong byte", book.wrong, "==", 0)
    report.promise("connections lost", book.lost, "==", 0)
    report.promise("chunks that arrived", book.events, "==", count * book.chunks)
    delay_ms = percentile(book.delays_s, 99) * 1e3
    report.promise("delay of a chunk, 99th percentile, ms", delay_ms, "<=", 50)
    report.promise("CPU share of the core", watch.share, "<=", 0.8)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--interval", type=float, default=0.5, help="seconds between two chunks")


if __name__ == "__main__":
    sys.exit(promise.keep("streams", __doc__, measure, _arguments))
