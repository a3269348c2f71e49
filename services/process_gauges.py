"""How the process itself is: memory, CPU time, files, and how late its event loop runs."""

import os
import resource
import time
from bisect import bisect_left
from pathlib import Path
from typing import Final

from services.metric_families import LAG_BOUNDS_S, Table

_STAT: Final = Path("/proc/self/stat")
_FILES: Final = Path("/proc/self/fd")
_START: Final = 19
"""Field 22 of `/proc/self/stat`, counted from the one after the name; see proc(5)."""
_PAGES: Final = 21
"""Field 24, the resident pages."""


def process_gauges(worker: str) -> Table:
    """Return how the process is. Blocks: call it in a thread."""
    # The name, in brackets, may hold anything.
    fields = _STAT.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[_START]) / ticks_per_s
    told = {
        "resident_memory_bytes": float(int(fields[_PAGES]) * resource.getpagesize()),
        "cpu_seconds_total": time.process_time(),
        "open_fds": float(_open_files()),
        "start_time_seconds": round(time.time() - age_s, 2),
    }
    return {f"aigateway_process_{name}": {(worker,): [value]} for name, value in told.items()}


def _open_files() -> int:
    # Since Linux 6.2 the size is the number of files; to list thousands of them takes long.
    return _FILES.stat().st_size or sum(1 for _ in _FILES.iterdir())


class LoopLag:
    """How late the event loop was."""

    def __init__(self) -> None:
        self._numbers = [0.0] * (len(LAG_BOUNDS_S) + 2)

    def saw(self, late_s: float) -> None:
        """Count one look."""
        late_s = max(0.0, late_s)
        self._numbers[bisect_left(LAG_BOUNDS_S, late_s)] += 1
        self._numbers[-1] += late_s

    def table(self) -> Table:
        """Return what was counted."""
        return {"aigateway_event_loop_lag_seconds": {(): list(self._numbers)}}
