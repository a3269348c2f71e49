"""The machine a benchmark runs on: its cores, its limit on open files, and what tells it apart."""

import os
import platform
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core the measured program has to itself, and which one load and upstream share."""

    measured: int
    load: int

    @property
    def apart(self) -> bool:
        return self.measured != self.load


def cores() -> Cores:
    """Return the first and the last core that this process may use."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[-1])


def pin(pid: int, core: int) -> None:
    """Keep every thread of a process, and what it will start, on one core; 0 is this process."""
    for task in Path(f"/proc/{pid or 'self'}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


def raise_open_files() -> int:
    """Allow as many open files as the hard limit does; children inherit it. Returns the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def described() -> dict[str, str | int]:
    """Return what a figure depends on besides the code."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 0,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def commit(tree: Path = ROOT) -> str:
    """Return the short hash of a checkout, with `+` where files differ; empty outside of git."""
    head = _git(tree, "rev-parse", "--short=12", "HEAD")
    return f"{head}+" if head and _git(tree, "status", "--porcelain", "-uno") else head


def _git(tree: Path, *arguments: str) -> str:
    run = subprocess.run(
        ["git", "-C", str(tree), *arguments], capture_output=True, text=True, check=False
    )
    return run.stdout.strip() if run.returncode == 0 else ""


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
