"""One window: load on one subject for some seconds, and what it cost the subject."""

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from benchmarks import meter
from benchmarks.caller import Expected
from benchmarks.load import ClosedLoop, Load, OpenLoop, Tally, Target, percentile
from benchmarks.scenarios import Scenario
from benchmarks.upstream import Upstream

WARM_S: Final = 0.7
_LEAST: Final = 32
"""Answers without which a window says nothing; it is longer then."""
_PATIENCE: Final = 10


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that scenarios are run on: a gateway, a peer, or the pretend provider itself."""

    name: str
    pid: int
    """Its first process; 0 if it has none of its own."""
    target: Callable[[Scenario], Target | None]
    """Where a scenario's request goes; None if it cannot be run here."""
    rewrites: bool = False
    """Whether it writes whole answers anew even where nothing is translated."""


@dataclass(frozen=True, slots=True)
class Window:
    """What one window found. Times are microseconds of CPU of the whole process tree."""

    us_per_request: float
    us_per_event: float
    """0 where nothing is streamed."""
    us_by_ticks: float
    """`us_per_request` by the other clock; of short windows it is rough."""
    requests_per_s: float
    utilisation: float
    """CPU seconds of the subject per second."""
    load_utilisation: float
    """The same of load and upstream together: near 1, they are what is measured."""
    p50_ms: float
    p99_ms: float
    first_p50_ms: float
    """Until the first byte of the answer."""
    rss_mib: float
    failed: int


async def measure(
    subject: Subject,
    scenario: Scenario,
    target: Target,
    upstream: Upstream,
    *,
    seconds: float,
    warm_s: float = WARM_S,
) -> tuple[Window, Tally]:
    """Run a scenario on a subject; the first moments are not counted."""
    load = _load(scenario, target, scenario.expected(rewritten=subject.rewrites))
    await load.start()
    gc.collect()
    gc.disable()
    try:
        await asyncio.sleep(warm_s)
        load.tally, before = Tally(), _moment(subject, upstream)
        await asyncio.sleep(seconds)
        until = monotonic() + seconds * _PATIENCE
        while load.tally.good < _LEAST and monotonic() < until:  # noqa: ASYNC110 - counted
            await asyncio.sleep(0.1)
        tally, after = load.tally, _moment(subject, upstream)
        load.tally = Tally()  # what ends from now on belongs to no window
        return _window(scenario, tally, before, after), tally
    finally:
        gc.enable()
        await load.stop()


@dataclass(frozen=True, slots=True)
class _Moment:
    """Where all clocks and counters stood."""

    at: float
    subject: meter.Cpu
    load: meter.Cpu
    events: int
    rss: int


def _moment(subject: Subject, upstream: Upstream) -> _Moment:
    pid = subject.pid
    return _Moment(
        monotonic(),
        meter.cpu(pid) if pid else meter.Cpu({}, 0),
        meter.cpu(0, alone=True),
        upstream.events,
        meter.memory(pid).rss if pid else 0,
    )


def _window(scenario: Scenario, tally: Tally, before: _Moment, after: _Moment) -> Window:
    took, spent_us = after.at - before.at, after.subject.since_us(before.subject)
    events = after.events - before.events if scenario.stream else 0
    return Window(
        us_per_request=_per(spent_us, tally.good),
        us_per_event=_per(spent_us, events),
        us_by_ticks=_per(after.subject.ticks_since_us(before.subject), tally.good),
        requests_per_s=tally.good / took,
        utilisation=spent_us / took / 1e6,
        load_utilisation=after.load.since_us(before.load) / took / 1e6,
        p50_ms=tally.percentile_ms(50),
        p99_ms=tally.percentile_ms(99),
        first_p50_ms=percentile(tally.first_s, 50) * 1e3,
        rss_mib=after.rss / 2**20,
        failed=tally.failed.total(),
    )


def _load(scenario: Scenario, target: Target, expected: Expected) -> Load:
    if scenario.rate_per_s:
        return OpenLoop(target, expected, scenario.rate_per_s)
    return ClosedLoop(target, expected, scenario.connections)


def _per(total_us: float, count: int) -> float:
    return total_us / count if count else 0.0
