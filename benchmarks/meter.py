"""What a process and all that it started have used: CPU time, memory, open files, threads.

CPU time is the scheduler's own run time of every thread (`/proc/PID/task/TID/schedstat`, in
nanoseconds). A thread that ends takes its figure away; then the clock ticks of the processes
(`/proc/PID/stat`, which keep it) tell instead.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK_US: Final = 1e6 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cpu:
    """What every thread of a tree had used at one moment."""

    threads_ns: dict[tuple[int, int], int]
    """Process and thread to the scheduler's run time."""
    ticks: int
    """User and system time of all processes, their ended children included."""

    def since_us(self, before: "Cpu") -> float:
        """Return the CPU microseconds used since an earlier moment."""
        if before.threads_ns.keys() - self.threads_ns.keys():
            return self.ticks_since_us(before)
        return sum(ns - before.threads_ns.get(of, 0) for of, ns in self.threads_ns.items()) / 1e3

    def ticks_since_us(self, before: "Cpu") -> float:
        """Return the same by the processes' clock ticks: a check, in steps of 10 ms."""
        return (self.ticks - before.ticks) * _TICK_US


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a tree, in bytes."""

    rss: int
    """What is resident; memory that several processes share counts for each."""
    pss: int
    """The same with shared memory divided among those who share it."""


def tree(pid: int) -> list[int]:
    """Return a process and everything below it."""
    found = [pid]
    for one in found:
        for task in _tasks(one):
            with contextlib.suppress(OSError):
                found += map(int, Path(f"/proc/{one}/task/{task}/children").read_text().split())
    return found


def cpu(pid: int, *, alone: bool = False) -> Cpu:
    """Return what a tree, or one process `alone`, has used; 0 is this one."""
    pid = pid or os.getpid()
    threads: dict[tuple[int, int], int] = {}
    ticks = 0
    for one in [pid] if alone else tree(pid):
        for task in _tasks(one):
            with contextlib.suppress(OSError):
                ran = Path(f"/proc/{one}/task/{task}/schedstat").read_text().partition(" ")[0]
                threads[one, task] = int(ran)
        with contextlib.suppress(OSError):
            # The name may hold spaces; after its bracket come state (3), … utime (14) to cstime.
            after = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, after[11:15]))
    return Cpu(threads, ticks)


def memory(pid: int) -> Memory:
    """Return the memory of a tree."""
    sums = {"Rss:": 0, "Pss:": 0}
    for one in tree(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(" ")
                if name in sums:
                    sums[name] += int(rest.split()[0]) * 1024
    return Memory(sums["Rss:"], sums["Pss:"])


def open_files(pid: int) -> int:
    """Return how many files and sockets a tree has open."""
    count = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            count += sum(1 for _ in Path(f"/proc/{one}/fd").iterdir())
    return count


def threads(pid: int) -> int:
    """Return how many threads a tree has."""
    return sum(1 for one in tree(pid) for _ in _tasks(one))


def _tasks(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        yield from sorted(int(task.name) for task in Path(f"/proc/{pid}/task").iterdir())
