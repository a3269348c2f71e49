"""Promise: clients that read slowly cost little, disturb nobody, and are cut once they stop.

100 clients ask for a stream of 20 MB that the provider writes as fast as it is taken, and read
1 kB/s of it. The gateway may hold 256 KiB for each, 40 MiB in all. What other clients wait for 99
of 100 answers may grow by 10 % (two gateways of the same sources, one with such readers and one
without, measured in turns; the median of the ratios, because a moment in which the machine is busy
falls on one of them). The same two are measured before there are slow readers; what counts is how
much larger their ratio is beside them. A client that reads nothing for `server.stall_timeout_s` is
cut, and its connection to the provider is closed, within a second after that time.
"""

import argparse
import asyncio
import fcntl
import socket
import statistics
import sys
import termios
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, TypeAlias

from benchmarks import answers, meter, promise
from benchmarks.caller import request
from benchmarks.gateway import Gateway, Provider
from benchmarks.load import OpenLoop, Tally, percentile
from benchmarks.promise import Report
from benchmarks.scenarios import PATHS, SCENARIOS, Scenario
from benchmarks.stage import Stage, gateway_subject
from benchmarks.upstream import Connection

STREAM_BYTES: Final = 20_000_000
_EVENT_TEXT: Final = "y" * 16_000
_READ_BYTES: Final = 1000
_READ_EVERY_S: Final = 1.0
_RECEIVE_BUFFER: Final = 2048  # with more, kernels confirm nothing for many seconds at this pace
_RATE_PER_S: Final = 300.0
_STALLED: Final = 10
_SETTLE_S: Final = 3.0
_KIB: Final = 1024

Pair: TypeAlias = tuple["array[float]", "array[float]"]
"""What answers took, in seconds: of one gateway and of its twin, one after the other."""


class Firehose:
    """Streams so many bytes, as fast as they are taken, and knows when each stream was closed."""

    def __init__(self) -> None:
        first, *middle = answers.chat_events([_EVENT_TEXT])
        self._head = answers.STREAM_HEAD + answers.chunk(first)
        self._piece = answers.chunk(middle[0])
        self.open = 0
        self.closed_at: list[float] = []
        self.taken = 0

    def __call__(self, connection: Connection, sent: bytes) -> None:
        del sent
        self.open += 1
        left = STREAM_BYTES // len(self._piece)

        def pour() -> None:
            nonlocal left
            while left and not connection.is_full and not connection.transport.is_closing():
                left -= 1
                self.taken += len(self._piece)
                connection.transport.write(self._piece)

        def lost() -> None:
            self.open -= 1
            self.closed_at.append(monotonic())

        connection.drained = pour
        connection.lost = lost
        connection.transport.write(self._head)
        pour()


@dataclass(slots=True)
class SlowReaders:
    """Clients that read a little now and then."""

    sockets: list[socket.socket] = field(default_factory=list)
    read: int = 0

    async def open(self, gateway: Gateway, sent: bytes, count: int) -> None:
        """Ask for so many streams over connections that take in little at a time."""
        for _ in range(count):
            self.sockets.append(await _ask(gateway, sent))

    async def keep_reading(self) -> None:
        """Read, each in its turn, spread over the second, until cancelled."""
        while True:
            for client in list(self.sockets):
                self._read(client)
                await asyncio.sleep(_READ_EVERY_S / max(1, len(self.sockets)))

    def _read(self, client: socket.socket) -> None:
        with suppress(OSError):  # nothing has come, or it was cut: the provider notices that
            self.read += len(client.recv(_READ_BYTES))

    def close(self) -> None:
        for client in self.sockets:
            client.close()


async def _ask(gateway: Gateway, sent: bytes) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", gateway.port))
    await loop.sock_sendall(client, sent)
    return client


async def measure(here: Stage, options: argparse.Namespace) -> Report:
    """Weigh slow readers, see what others notice of them, and stop reading."""
    hose = Firehose()
    here.provider.behaviours[b"hose"] = hose
    plain, slow = [await _gateway(here, options) for _ in range(2)]
    stream = Scenario("hose", "json", stream=True).body("hose-model")
    sent = request(PATHS["chat"], slow.key, stream)
    await _others([plain, slow], 1, 1.0)  # warm
    report = Report()
    await _slow(report, plain, slow, sent, hose, options)
    report.figure("provider's bytes taken, MiB", hose.taken / 2**20)
    await _stalled(report, slow, sent, hose, options.stall)
    return report


async def _slow(
    report: Report,
    plain: Gateway,
    slow: Gateway,
    sent: bytes,
    hose: Firehose,
    options: argparse.Namespace,
) -> None:
    """Read slowly from one gateway, and ask both of them before that and meanwhile."""
    unread = await _others([plain, slow], options.rounds, options.seconds)
    before, twin = meter.memory(slow.pid).rss, meter.memory(plain.pid).rss
    readers, began = SlowReaders(), monotonic()
    await readers.open(slow, sent, options.clients)
    reading = asyncio.create_task(readers.keep_reading())
    await asyncio.sleep(_SETTLE_S)
    grown = meter.memory(slow.pid).rss - before
    meanwhile = await _others([plain, slow], options.rounds, options.seconds)
    # What the others' requests made it grow, they made its twin grow, too.
    grown_later = meter.memory(slow.pid).rss - before - (meter.memory(plain.pid).rss - twin)
    reading.cancel()
    rate = readers.read / options.clients / (monotonic() - began)
    report.figure("bytes read by a client each second", rate)
    # What the kernel holds for a client that was cut would keep it busy for long.
    report.promise("slow readers that were cut", options.clients - hose.open, "==", 0)
    _tell_memory(report, max(grown, grown_later), options.clients)
    _tell_waits(report, unread, meanwhile)
    readers.close()


def _tell_memory(report: Report, grown: int, clients: int) -> None:
    report.promise("buffer per stream, KiB", grown / _KIB / clients, "<=", 256)
    report.promise("RSS grown in all, MiB", grown / 2**20, "<=", 40)


def _tell_waits(report: Report, unread: Sequence[Pair], meanwhile: Sequence[Pair]) -> None:
    alone, beside = (
        percentile([took for one in side for took in one], 99)
        for side in zip(*meanwhile, strict=True)
    )
    report.figure("others' 99th percentile without, ms", alone * 1e3)
    report.figure("others' 99th percentile beside, ms", beside * 1e3)
    before, now = _ratio(unread), _ratio(meanwhile)
    report.figure("ratio of the two before there are slow readers", before)
    report.figure("ratio of the two beside slow readers", now)
    report.promise("others' 99th percentile, times as long", now / before, "<=", 1.10)


def _ratio(pairs: Sequence[Pair]) -> float:
    return statistics.median(
        percentile(beside, 99) / max(1e-9, percentile(alone, 99)) for alone, beside in pairs
    )


async def _stalled(
    report: Report, gateway: Gateway, sent: bytes, hose: Firehose, stall_s: float
) -> None:
    """Read nothing at all: there is no progress once the clients' kernels are full."""
    await _until(lambda: not hose.open, 10)
    await asyncio.sleep(_SETTLE_S)
    hose.closed_at.clear()
    files = meter.open_files(gateway.pid)
    clients = [await _ask(gateway, sent) for _ in range(_STALLED)]
    full_at = await _full_at(clients, stall_s / 2)
    await _until(lambda: len(hose.closed_at) == _STALLED, stall_s * 4)
    took = [closed - full_at - stall_s for closed in hose.closed_at]
    report.promise("stalled readers whose stream the provider lost", len(took), "==", _STALLED)
    report.figure("the first of them, s after the timeout", min(took, default=0))
    report.promise("the last of them, s after the timeout", max(took, default=stall_s), "<=", 1)
    held = meter.open_files(gateway.pid) - files
    report.promise("connections that the gateway still holds", held, "<=", 0)
    for client in clients:
        client.close()


async def _full_at(clients: Sequence[socket.socket], quiet_s: float) -> float:
    """Return when the last byte came to any of them, once none has come for so long."""
    held, since = 0, monotonic()
    while monotonic() - since < quiet_s:
        await asyncio.sleep(0.005)
        held, before = sum(map(_held_bytes, clients)), held
        if held != before:
            since = monotonic()
    return since


def _held_bytes(client: socket.socket) -> int:
    """Return what its kernel holds of what was sent to it."""
    return int.from_bytes(fcntl.ioctl(client, termios.FIONREAD, bytes(4)), sys.byteorder)


async def _until(reached: Callable[[], bool], limit_s: float) -> None:
    until = monotonic() + limit_s
    while not reached() and monotonic() < until:  # noqa: ASYNC110 - counted by callbacks
        await asyncio.sleep(0.005)


async def _gateway(here: Stage, options: argparse.Namespace) -> Gateway:
    gateway = here.gateway(options.tree, {"AIGATEWAY_SERVER__STALL_TIMEOUT_S": str(options.stall)})
    await here.stack.enter_async_context(gateway)
    base = f"http://127.0.0.1:{here.upstreams.plain_port}"
    await gateway.furnish(
        [Provider(name, "chat", f"{base}/{name}/v1") for name in ("json", "hose")]
    )
    return gateway


async def _others(gateways: Sequence[Gateway], rounds: int, seconds: float) -> list[Pair]:
    """Ask two gateways in turns; each second time the other one first."""
    found = []
    for number in range(rounds):
        order = gateways if number % 2 else gateways[::-1]
        took = {one.pid: await _window(one, seconds) for one in order}
        alone, beside = (took[one.pid] for one in gateways)
        found.append((alone, beside))
    return found


async def _window(gateway: Gateway, seconds: float) -> "array[float]":
    target = gateway_subject("gateway", gateway).target(SCENARIOS[0])
    assert target is not None
    load = OpenLoop(target, SCENARIOS[0].expected(), _RATE_PER_S)
    await load.start()
    await asyncio.sleep(0.3)
    load.tally = Tally()
    await asyncio.sleep(seconds)
    took = load.tally.latencies_s
    await load.stop()
    return took


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--stall", type=float, default=20.0, help="server.stall_timeout_s")


if __name__ == "__main__":
    sys.exit(promise.keep("readers", __doc__, measure, _arguments))
