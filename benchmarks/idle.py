"""Promise: 5,000 streams that fell silent cost at most 12 kB of the gateway's memory each.

Each has had its first event and stays open: a model that thinks. Resident memory (RSS) and the
share that is the gateway's alone (PSS) are read before and with all of them open.
"""

import argparse
import asyncio
import sys
from time import monotonic
from typing import Final

from benchmarks import answers, meter, promise
from benchmarks.caller import request
from benchmarks.gateway import Gateway, Provider
from benchmarks.promise import Report
from benchmarks.scenarios import PATHS, Scenario
from benchmarks.stage import Stage

_AT_ONCE: Final = 25
_WAIT_S: Final = 60.0
_WARM: Final = 200
_SETTLE_S: Final = 3.0
_KB: Final = 1000


class Listener(asyncio.Protocol):
    """A client that asks for a stream and listens."""

    def __init__(self, sent: bytes, begun: set["Listener"]) -> None:
        self._sent = sent
        self._begun = begun
        self._seen = b""
        self.refused = b""
        """What came instead of a stream."""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's are no subclasses
        transport.write(self._sent)  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._begun.discard(self)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if answers.WORD in self._seen:
            self._begun.add(self)
        elif not self._seen.startswith(b"HTTP/1.1 200"):
            self.refused = self._seen

    def leave(self) -> None:
        if self.transport is not None:
            self.transport.abort()


async def opened(gateway: Gateway, sent: bytes, count: int) -> list[Listener]:
    """Open so many streams, a few at a time; return them once each has had content."""
    loop = asyncio.get_running_loop()
    begun: set[Listener] = set()
    listeners: list[Listener] = []
    until = monotonic() + _WAIT_S
    while len(begun) < count and monotonic() < until:
        if len(listeners) < count and len(listeners) - len(begun) < _AT_ONCE:
            listener = Listener(sent, begun)
            listeners.append(listener)
            await loop.create_connection(lambda: listener, "127.0.0.1", gateway.port)  # noqa: B023
        else:
            await asyncio.sleep(0.001)
    return [one for one in listeners if one in begun]


async def measure(here: Stage, options: argparse.Namespace) -> Report:
    """Weigh the gateway without and with the streams."""
    gateway = here.gateway(options.tree)
    await here.stack.enter_async_context(gateway)
    url = f"http://127.0.0.1:{here.upstreams.plain_port}/idle/v1"
    await gateway.furnish([Provider("idle", "chat", url)])
    body = Scenario("idle", "json", stream=True).body("idle-model")
    sent = request(PATHS["chat"], gateway.key, body)
    for listener in await opened(gateway, sent, min(_WARM, options.streams)):
        listener.leave()
    await asyncio.sleep(_SETTLE_S)
    before, files = meter.memory(gateway.pid), meter.open_files(gateway.pid)
    listeners = await opened(gateway, sent, options.streams)
    await asyncio.sleep(_SETTLE_S)
    after, cpu = meter.memory(gateway.pid), meter.cpu(gateway.pid)
    await asyncio.sleep(_SETTLE_S)
    report = Report()
    count = max(1, len(listeners))
    report.figure("RSS before, MiB", before.rss / 2**20)
    report.figure("RSS with all streams, MiB", after.rss / 2**20)
    report.figure("PSS per stream, kB", (after.pss - before.pss) / _KB / count)
    report.figure("open files more", meter.open_files(gateway.pid) - files)
    report.figure("CPU share while idle", meter.cpu(gateway.pid).since_us(cpu) / _SETTLE_S / 1e6)
    report.promise("streams open", len(listeners), "==", options.streams)
    report.promise("RSS per stream, kB", (after.rss - before.rss) / _KB / count, "<=", 12)
    for listener in listeners:
        listener.leave()
    return report


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--streams", type=int, default=5000)


if __name__ == "__main__":
    sys.exit(promise.keep("idle", __doc__, measure, _arguments))
