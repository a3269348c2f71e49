"""The meter: whose CPU time and memory it sees."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks import meter

BUSY = "while True: pass"
IDLE = "import time; time.sleep(60)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"


@contextmanager
def running(source: str) -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", source], start_new_session=True)
    try:
        yield process.pid
    finally:
        # The session, and so what is being started just now as well.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def spent_us(pid: int, at_least: float) -> tuple[float, float]:
    """Wait until a tree has used so much, at most 10 s; return it by both clocks."""
    before, until = meter.cpu(pid), time.monotonic() + 10
    while True:
        now = meter.cpu(pid)
        if now.since_us(before) >= at_least or time.monotonic() > until:
            return now.since_us(before), now.ticks_since_us(before)
        time.sleep(0.02)


@pytest.mark.parametrize(
    "source", [pytest.param(BUSY, id="a process"), pytest.param(PARENT, id="what it started")]
)
def test_a_busy_loop_is_seen_by_both_clocks(source: str) -> None:
    with running(source) as pid:
        by_threads, by_ticks = spent_us(pid, 300_000)
    assert by_threads >= 300_000
    assert by_ticks == pytest.approx(by_threads, rel=0.2)


def test_a_process_that_sleeps_uses_nothing() -> None:
    with running(IDLE) as pid, running(BUSY) as busy:
        spent_us(busy, 200_000)  # it has started
        before = meter.cpu(pid)
        spent_us(busy, 300_000)
        assert meter.cpu(pid).since_us(before) < 30_000


def test_a_process_alone_is_counted_without_what_it_started() -> None:
    with running(PARENT) as pid:
        spent_us(pid, 300_000)
        assert meter.cpu(pid, alone=True).threads_ns.keys() < meter.cpu(pid).threads_ns.keys()


def test_where_a_thread_has_ended_the_ticks_tell() -> None:
    before = meter.Cpu({(1, 1): 1_000_000, (1, 2): 500_000}, ticks=100)
    after = meter.Cpu({(1, 1): 2_000_000}, ticks=103)
    assert after.since_us(before) == after.ticks_since_us(before) == 30_000
    kept = meter.Cpu({(1, 1): 2_000_000, (1, 2): 500_000, (1, 3): 7_000}, ticks=103)
    assert kept.since_us(before) == 1_007


def test_memory_that_is_taken_is_seen() -> None:
    with running(f"held = b'x' * 60_000_000\n{IDLE}") as pid:
        until = time.monotonic() + 10
        while meter.memory(pid).pss < 60_000_000 and time.monotonic() < until:
            time.sleep(0.05)
        found = meter.memory(pid)
        assert 60_000_000 <= found.pss <= found.rss < 100_000_000
