"""Promise: clients that leave take their connections to the provider with them.

1,000 clients leave before the first byte of their answer, and 1,000 in the middle of a stream. The
provider's connections are closed within a second, nothing stays under way, every request has its
row, and what the provider had told of tokens by then is in it.
"""

import argparse
import asyncio
import math
import sys
from time import monotonic
from typing import Final, cast

from benchmarks import answers, promise
from benchmarks.caller import request
from benchmarks.gateway import Gateway, Provider
from benchmarks.idle import Listener, opened
from benchmarks.promise import Report
from benchmarks.scenarios import PATHS, Scenario
from benchmarks.stage import Stage

_AT_ONCE: Final = 25
_WAIT_S: Final = 30.0
_ROWS_S: Final = 10.0
_IN_FLIGHT: Final = "aigateway_requests_in_flight"


async def measure(here: Stage, options: argparse.Namespace) -> Report:
    """Let clients leave in both ways."""
    gateway = here.gateway(options.tree)
    await here.stack.enter_async_context(gateway)
    base = f"http://127.0.0.1:{here.upstreams.plain_port}"
    await gateway.furnish(
        [Provider(name, "messages", f"{base}/{name}") for name in ("silent", "idle")]
    )
    report = Report()
    count: int = options.clients
    silent = Scenario("silent", "mjson", "messages", stream=True).body("silent-model")
    await _early(report, here, gateway, request(PATHS["messages"], gateway.key, silent), count)
    idle = Scenario("idle", "mjson", "messages", stream=True).body("idle-model")
    await _late(report, here, gateway, request(PATHS["messages"], gateway.key, idle), count)
    await _books(report, gateway, count)
    return report


async def _early(report: Report, here: Stage, gateway: Gateway, sent: bytes, count: int) -> None:
    """Leave before anything came; the provider has every request."""
    before, listeners = here.provider.requests, list[Listener]()
    loop = asyncio.get_running_loop()
    until = monotonic() + _WAIT_S
    while here.provider.requests - before < count and monotonic() < until:
        waiting = len(listeners) - (here.provider.requests - before)
        if len(listeners) < count and waiting < _AT_ONCE:
            listener = Listener(sent, set())
            listeners.append(listener)
            await loop.create_connection(lambda: listener, "127.0.0.1", gateway.port)  # noqa: B023
        else:
            await asyncio.sleep(0.001)
    report.promise("asked, none answered", here.provider.requests - before, "==", count)
    await _leave(report, here, gateway, listeners, "before the first byte")


async def _late(report: Report, here: Stage, gateway: Gateway, sent: bytes, count: int) -> None:
    """Leave once there was content."""
    listeners = await opened(gateway, sent, count)
    report.promise("streams with content", len(listeners), "==", count)
    await _leave(report, here, gateway, listeners, "in mid-stream")


async def _leave(
    report: Report, here: Stage, gateway: Gateway, listeners: list[Listener], when: str
) -> None:
    most = len(here.provider.connections)
    for listener in listeners:
        listener.leave()
    left_at = monotonic()
    while here.provider.connections and monotonic() < left_at + _WAIT_S:  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    report.figure(f"connections to the provider, {when}", most)
    report.promise(f"connections left, {when}", len(here.provider.connections), "==", 0)
    report.promise(f"all closed after, {when}, s", monotonic() - left_at, "<=", 1)
    under_way = await gateway.metric(_IN_FLIGHT)
    if not math.isnan(under_way):  # a gateway without metrics does not tell
        report.promise(f"requests under way, {when}", under_way, "==", 0)


async def _books(report: Report, gateway: Gateway, count: int) -> None:
    """Look into the rows."""
    until = monotonic() + _ROWS_S
    while True:
        summary = await gateway.api("GET", "/stats/summary")
        if cast("int", summary["requests"]) >= 2 * count or monotonic() > until:
            break
        await asyncio.sleep(0.2)
    report.promise("rows", cast("int", summary["requests"]), "==", 2 * count)
    report.promise("rows of status 499", await _rows(gateway, "status=499"), "==", 2 * count)
    left = await _rows(gateway, "error_code=cancelled")
    report.promise("rows that say the client left", left, "==", 2 * count)
    tokens = cast("int", summary["input_tokens"])
    report.promise("input tokens in the rows", tokens, ">=", count * answers.INPUT_TOKENS)


async def _rows(gateway: Gateway, asked: str) -> int:
    """Return how many rows there are of a kind."""
    return cast("int", (await gateway.api("GET", f"/stats/logs?{asked}&limit=1"))["total"])


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clients", type=int, default=1000, help="of each kind")


if __name__ == "__main__":
    sys.exit(promise.keep("abandoned", __doc__, measure, _arguments))
