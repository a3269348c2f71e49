"""Promise: three times the load that it can carry does not bring the gateway down.

In each round a closed loop finds what it can carry, then an open loop brings three times as much:
whoever is refused gets 503 with `Retry-After` within 50 ms (99 of 100, from the moment the request
was due), at least 80 % of the peak is served all the same, and memory stays bounded. Medians of the
rounds count; the machine may be slower in one than in another.
"""

import argparse
import asyncio
import gc
import statistics
import sys
from dataclasses import dataclass
from time import monotonic
from typing import Final

from benchmarks import meter, promise
from benchmarks.gateway import SetUpError
from benchmarks.load import OpenLoop, Tally, Target, percentile
from benchmarks.promise import Report
from benchmarks.scenarios import SCENARIOS
from benchmarks.stage import Stage, gateway_subject
from benchmarks.windows import Window
from benchmarks.windows import measure as window

_TIMES: Final = 3.0
_WARM_S: Final = 4.0
_JSON: Final = SCENARIOS[0]


@dataclass(frozen=True, slots=True)
class Flood:
    """What the open loop found."""

    seconds: float
    arrived: int
    tally: Tally
    share: float
    """CPU seconds of the gateway per second."""
    own_share: float

    @property
    def others(self) -> int:
        """Answers that were neither good nor a refusal."""
        return self.tally.failed.total() - self.tally.failed["503"]


async def measure(here: Stage, options: argparse.Namespace) -> Report:
    """Find the peak, then bring three times as much, and again."""
    gateway = await here.furnished(options.tree)
    subject = gateway_subject("gateway", gateway)
    target = subject.target(_JSON)
    if target is None:
        raise SetUpError("the gateway takes no JSON requests")
    before = meter.memory(gateway.pid).rss
    rounds: list[tuple[Window, Flood]] = []
    for _ in range(options.rounds):
        peak, _ = await window(subject, _JSON, target, here.provider, seconds=options.peak)
        rate = peak.requests_per_s * _TIMES
        rounds.append((peak, await flooded(gateway.pid, target, rate, options.seconds)))
    report = Report()
    _tell(report, rounds)
    grown = meter.memory(gateway.pid).rss - before
    report.promise("RSS grown, MiB", grown / 2**20, "<=", 64)
    return report


async def flooded(pid: int, target: Target, rate_per_s: float, seconds: float) -> Flood:
    """Bring so many requests a second; the first moments are not counted."""
    load = OpenLoop(target, _JSON.expected(), rate_per_s)
    await load.start()
    await asyncio.sleep(_WARM_S)
    gc.disable()
    load.tally, arrived = Tally(), load.arrived
    own, cpu, began = meter.cpu(0, alone=True), meter.cpu(pid), monotonic()
    await asyncio.sleep(seconds)
    tally, load.tally, took = load.tally, Tally(), monotonic() - began
    found = Flood(
        took,
        load.arrived - arrived,
        tally,
        meter.cpu(pid).since_us(cpu) / took / 1e6,
        meter.cpu(0, alone=True).since_us(own) / took / 1e6,
    )
    gc.enable()
    await load.stop()
    return found


def _tell(report: Report, rounds: list[tuple[Window, Flood]]) -> None:
    floods = [flood for _, flood in rounds]
    served = [flood.tally.good / flood.seconds for flood in floods]
    shares = [rate / peak.requests_per_s for (peak, _), rate in zip(rounds, served, strict=True)]
    refused_ms = [percentile(flood.tally.refused_s, 99) * 1e3 for flood in floods]
    figures = {
        "peak, requests/s": [peak.requests_per_s for peak, _ in rounds],
        "99th percentile at the peak, ms": [peak.p99_ms for peak, _ in rounds],
        "arrivals/s": [flood.arrived / flood.seconds for flood in floods],
        "served/s": served,
        "refused/s": [len(flood.tally.refused_s) / flood.seconds for flood in floods],
        "99th percentile of those served, ms": [flood.tally.percentile_ms(99) for flood in floods],
        "median of refusals, ms": [percentile(one.tally.refused_s, 50) * 1e3 for one in floods],
        "CPU share of the gateway": [flood.share for flood in floods],
        "CPU share of load and provider together": [flood.own_share for flood in floods],
    }
    for name, values in figures.items():
        report.figure(name, statistics.median(values))
    report.figure("least share of the peak in a round", min(shares))
    report.figure("most share of the peak in a round", max(shares))
    report.figure("99th percentile of refusals in the worst round, ms", max(refused_ms))
    others = sum(flood.others for flood in floods)
    least = min(len(flood.tally.refused_s) for flood in floods)
    report.promise("requests refused in every round", least, ">=", 1)
    report.promise("99th percentile of refusals, ms", statistics.median(refused_ms), "<=", 50)
    report.promise("neither served nor refused with Retry-After", others, "==", 0)
    report.promise("served, as a share of the peak", statistics.median(shares), ">=", 0.8)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak", type=float, default=3.0, help="seconds of each closed loop")
    parser.add_argument("--seconds", type=float, default=6.0, help="seconds of each overload")


if __name__ == "__main__":
    sys.exit(promise.keep("overload", __doc__, measure, _arguments))
