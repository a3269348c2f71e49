"""Whether a run is good enough: ratios of figures of the same run, never figures by themselves.

Absolute microseconds move with the machine and with the moment; what does not is how many times as
much the gateway takes as something measured in turns with it. Two kinds of comparison:

* with another revision (`--against REV`): no scenario may cost more than `allowed` times as much;
* with a reference, or with another scenario: `limits.json` says how many times as much at most.
"""

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks.results import Figure, Run

LIMITS: Final = Path(__file__).parent / "limits.json"
ALLOWED: Final = 1.10
_COST: Final = "us_per_request"


@dataclass(frozen=True, slots=True)
class Limit:
    """What a figure of the gateway may be, over another figure of the same run."""

    scenario: str
    over_scenario: str
    over_subject: str
    at_most: float
    subject: str = "gateway"
    figure: str = _COST


@dataclass(frozen=True, slots=True)
class Ratio:
    """One comparison."""

    name: str
    ratio: float
    at_most: float

    @property
    def holds(self) -> bool:
        return self.ratio <= self.at_most


def read_limits(path: Path = LIMITS) -> list[Limit]:
    """Return the limits that are kept with the code."""
    return [Limit(**one) for one in json.loads(path.read_text())]


def judge(run: Run, limits: Sequence[Limit], *, allowed: float = ALLOWED) -> list[str]:
    """Compare whatever the run measured of it; return what is wrong, and note the ratios in it."""
    ratios = [*_against(run, allowed), *_limited(run, limits)]
    run.ratios = [{**asdict(one), "holds": one.holds} for one in ratios]
    wrong = [
        f"{one.name}: {one.ratio:.3f} times as much; at most {one.at_most:g} are allowed"
        for one in ratios
        if not one.holds
    ]
    wrong += [
        f"{one.scenario} {one.subject}: {one.failed} answers were not as expected"
        for one in run.figures
        if one.failed and one.subject in {"gateway", "against"}
    ]
    if not ratios:
        wrong.append("nothing was compared: give --against, or scenarios that limits.json names")
    return wrong


def _against(run: Run, allowed: float) -> Iterator[Ratio]:
    for one in run.figures:
        other = run.find(one.scenario, "against")
        if one.subject == "gateway" and other is not None:
            yield Ratio(f"{one.scenario}, this over {run.against}", paired(one, other), allowed)


def _limited(run: Run, limits: Sequence[Limit]) -> Iterator[Ratio]:
    for limit in limits:
        one = run.find(limit.scenario, limit.subject)
        other = run.find(limit.over_scenario, limit.over_subject)
        if one is None or other is None:
            continue
        name = f"{limit.scenario} {limit.subject} over {limit.over_scenario} {limit.over_subject}"
        yield Ratio(f"{name}, {limit.figure}", paired(one, other, limit.figure), limit.at_most)


def paired(one: Figure, other: Figure, name: str = _COST) -> float:
    """Return the median of the ratios of windows that were measured one after the other."""
    pairs = zip(one.values[name].windows, other.values[name].windows, strict=False)
    ratios = [mine / theirs for mine, theirs in pairs if theirs]
    return statistics.median(ratios) if ratios else float("inf")
