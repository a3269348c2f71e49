"""Promise: half an hour of mixed load leaves nothing behind.

200 requests a second: whole answers, streams, answers that fail at the provider, and clients that
leave. After the warm-up resident memory grows by at most 1 MiB in 10 minutes; when the load has
ended, open files and threads are back where they were, give or take 5, nothing is under way, and
the log has no task that was lost.
"""

import argparse
import asyncio
import math
import random
import statistics
import sys
from collections.abc import Sequence
from time import monotonic
from typing import Final

from benchmarks import meter, promise
from benchmarks.caller import Expected, request
from benchmarks.gateway import Gateway, Provider
from benchmarks.idle import Listener
from benchmarks.load import OpenLoop, Target
from benchmarks.promise import Report
from benchmarks.scenarios import PATHS, Scenario
from benchmarks.stage import Stage

_SHARES: Final = {"json": 0.55, "burst": 0.25, "error": 0.10}
_LEAVING: Final = 0.10
_SAMPLE_S: Final = 5.0
_WARM: Final = 0.2
"""Of the whole time, before memory is looked at."""
_BASELINE_S: Final = 20.0
_MIB: Final = 2**20
_IN_FLIGHT: Final = "aigateway_requests_in_flight"
_BAD: Final = ("Task was destroyed", "never retrieved", "Traceback", "never awaited")


async def measure(here: Stage, options: argparse.Namespace) -> Report:
    """Load the gateway, watch its memory, and count what is left afterwards."""
    gateway = here.gateway(options.tree)
    await here.stack.enter_async_context(gateway)
    base = f"http://127.0.0.1:{here.upstreams.plain_port}"
    await gateway.furnish(
        [
            Provider(name, "chat", f"{base}/{name}/v1")
            for name in ("json", "burst", "error", "paced", "silent")
        ]
    )
    await _mixed(gateway, options.rate, min(_BASELINE_S, options.calm), [])
    await asyncio.sleep(options.calm)
    files, threads = meter.open_files(gateway.pid), meter.threads(gateway.pid)
    samples: list[tuple[float, float]] = []
    statuses = await _mixed(gateway, options.rate, options.minutes * 60, samples)
    await _calm(gateway, files, threads, options.calm * 2)
    report = Report()
    for name, count in statuses.items():
        report.figure(name, count)
    report.figure("RSS at the end, MiB", samples[-1][1])
    steady = samples[int(len(samples) * _WARM) :]
    report.promise("RSS slope, MiB per 10 minutes", slope(steady) * 600, "<=", 1)
    report.promise("open files more", abs(meter.open_files(gateway.pid) - files), "<=", 5)
    report.promise("threads more", abs(meter.threads(gateway.pid) - threads), "<=", 5)
    under_way = await gateway.metric(_IN_FLIGHT)
    if not math.isnan(under_way):  # a gateway without metrics does not tell
        report.promise("requests under way", under_way, "==", 0)
    report.promise("exit code", await gateway.stop(), "==", 0)
    log = gateway.log.read_text(errors="replace")
    report.promise("lines of lost tasks in the log", sum(map(log.count, _BAD)), "==", 0)
    return report


async def _mixed(
    gateway: Gateway, rate_per_s: float, seconds: float, samples: list[tuple[float, float]]
) -> dict[str, int]:
    """Load the gateway for some seconds; add what it weighs to the samples."""
    loads = {
        name: OpenLoop(_target(gateway, name), Expected(), rate_per_s * share)
        for name, share in _SHARES.items()
    }
    for load in loads.values():
        await load.start()
    leaving = asyncio.create_task(_leave(gateway, rate_per_s * _LEAVING))
    began = monotonic()
    while (now := monotonic() - began) < seconds:
        samples.append((now, meter.memory(gateway.pid).rss / _MIB))
        await asyncio.sleep(min(_SAMPLE_S, seconds - now))
    leaving.cancel()
    statuses: dict[str, int] = {}
    for name, load in loads.items():
        await load.stop()
        statuses[f"{name}: 200"] = load.tally.good
        statuses |= {f"{name}: {status}": n for status, n in load.tally.failed.items()}
    return statuses


async def _leave(gateway: Gateway, rate_per_s: float) -> None:
    """Ask, and leave a moment later, half of them before anything came."""
    chance = random.Random(11)  # noqa: S311 - the same in every run
    loop = asyncio.get_running_loop()
    sent = [_target(gateway, name).request for name in ("paced", "silent")]
    due = monotonic()
    while True:
        due += chance.expovariate(rate_per_s)
        await asyncio.sleep(max(0.0, due - monotonic()))
        listener = Listener(chance.choice(sent), set())
        await loop.create_connection(lambda: listener, "127.0.0.1", gateway.port)  # noqa: B023
        loop.call_later(chance.uniform(0.02, 0.5), listener.leave)


def _target(gateway: Gateway, name: str) -> Target:
    body = Scenario(name, "json", stream=name not in {"json", "error"}).body(f"{name}-model")
    return Target("127.0.0.1", gateway.port, request(PATHS["chat"], gateway.key, body))


async def _calm(gateway: Gateway, files: int, threads: int, limit_s: float) -> None:
    """Wait until open files and threads are as few as they were, at most so long."""
    until = monotonic() + limit_s
    while monotonic() < until:
        await asyncio.sleep(1.0)
        if meter.open_files(gateway.pid) <= files and meter.threads(gateway.pid) <= threads:
            return


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """Return by how much the second figure grows with the first, over all samples."""
    if len(samples) < 2:
        return 0.0
    return statistics.linear_regression(*zip(*samples, strict=True)).slope


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--calm", type=float, default=90.0, help="seconds of rest, then counted")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second in all")


if __name__ == "__main__":
    sys.exit(promise.keep("soak", __doc__, measure, _arguments))
