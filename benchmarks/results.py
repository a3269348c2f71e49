"""What a run found, as medians with their spread: a table for people, a line of JSON for later."""

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine
from benchmarks.windows import Window


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the windows of a run."""

    median: float
    low: float
    high: float
    windows: list[float]


@dataclass(frozen=True, slots=True)
class Figure:
    """What one scenario cost one subject."""

    scenario: str
    subject: str
    failed: int
    """Answers that were not as expected, over all windows."""
    values: Mapping[str, Spread]
    """By the names of the fields of `Window`."""

    def median(self, name: str) -> float:
        return self.values[name].median


@dataclass(slots=True)
class Run:
    """All that a run found."""

    figures: list[Figure] = field(default_factory=list)
    ratios: list[dict[str, object]] = field(default_factory=list)
    """What the gate compared."""
    commit: str = ""
    against: str = ""
    window_s: float = 0.0
    options: str = ""

    def find(self, scenario: str, subject: str) -> Figure | None:
        for figure in self.figures:
            if (figure.scenario, figure.subject) == (scenario, subject):
                return figure
        return None

    def as_json(self) -> str:
        """Return it as one line of JSON, with the time, the commit and the machine."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return json.dumps({"at": now, "machine": machine.described(), **asdict(self)})


def spread(values: Sequence[float]) -> Spread:
    """Return median, least and most of some values; all 0 of nothing."""
    rounded = [round(value, 4) for value in values] or [0.0]
    return Spread(statistics.median(rounded), min(rounded), max(rounded), list(rounded))


def figure(scenario: str, subject: str, windows: Sequence[Window]) -> Figure:
    """Put the windows of one scenario on one subject together."""
    rows = [asdict(window) for window in windows]
    failed = sum(window.failed for window in windows)
    names = [name for name in rows[0] if name != "failed"]
    values = {name: spread([float(row[name]) for row in rows]) for name in names}
    return Figure(scenario, subject, failed, values)


def append(path: Path, run: Run) -> None:
    """Add a run to a history: one line of JSON each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(run.as_json() + "\n")


def table(run: Run) -> Iterator[str]:
    """Yield the lines of a table."""
    yield (
        f"{'scenario':22}{'subject':11}{'us/request':>11}  {'[least-most]':17}{'us/event':>9}"
        f"{'req/s':>8}{'util':>6}{'load':>6}{'p50 ms':>8}{'p99 ms':>8}{'RSS MiB':>9}  failed"
    )
    for one in run.figures:
        cost = one.values["us_per_request"]
        per_event = one.median("us_per_event")
        yield (
            f"{one.scenario:22}{one.subject:11}{cost.median:11.1f}  "
            f"{f'[{cost.low:.1f}-{cost.high:.1f}]':17}"
            f"{f'{per_event:.2f}' if per_event else '':>9}"
            f"{one.median('requests_per_s'):8.0f}{one.median('utilisation'):6.2f}"
            f"{one.median('load_utilisation'):6.2f}"
            f"{one.median('p50_ms'):8.2f}{one.median('p99_ms'):8.2f}"
            f"{one.median('rss_mib'):9.1f}  {one.failed or ''}"
        )
    yield from _added(run)


def _added(run: Run) -> Iterator[str]:
    """Yield the latency that each subject adds to asking the provider directly."""
    for one in run.figures:
        plain = run.find(one.scenario, "direct")
        if plain is None or plain is one:
            continue
        added = [one.median(name) - plain.median(name) for name in ("p50_ms", "p99_ms")]
        yield (
            f"{one.scenario:22}{one.subject:11} adds {added[0]:.2f} ms at the median, "
            f"{added[1]:.2f} ms at the 99th percentile"
        )
