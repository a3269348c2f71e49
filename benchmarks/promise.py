"""What the programs that check a promise share: limits, a report, one way to be run.

Each prints what it measured beside what it promises, can write the same as JSON, and ends with 0 if
everything held, 1 if something did not, 2 if it could not be measured.
"""

import argparse
import json
import operator
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import uvloop

from benchmarks import machine
from benchmarks.gateway import SetUpError
from benchmarks.stage import Stage

NOT_MEASURED: Final = 2
_COMPARED: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
}


@dataclass(frozen=True, slots=True)
class Promise:
    """A figure and what it must be."""

    name: str
    """With its unit."""
    measured: float
    must_be: Literal["<=", ">=", "=="]
    limit: float

    @property
    def holds(self) -> bool:
        return _COMPARED[self.must_be](self.measured, self.limit)


@dataclass(slots=True)
class Report:
    """What a program found."""

    promises: list[Promise] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    """What was measured besides, by names with units."""

    def promise(
        self, name: str, measured: float, must_be: Literal["<=", ">=", "=="], limit: float
    ) -> None:
        self.promises.append(Promise(name, round(measured, 4), must_be, limit))

    def figure(self, name: str, measured: float) -> None:
        self.figures[name] = round(measured, 4)

    @property
    def holds(self) -> bool:
        return all(promise.holds for promise in self.promises)

    def print(self) -> None:
        for name, value in self.figures.items():
            print(f"      {name}: {value:g}")
        for one in self.promises:
            verdict = "ok  " if one.holds else "FAIL"
            print(f"{verdict}  {one.name}: {one.measured:g} (must be {one.must_be} {one.limit:g})")


Measure = Callable[[Stage, argparse.Namespace], Awaitable[Report]]


def keep(
    name: str,
    told: str | None,
    measure: Measure,
    add_arguments: Callable[[argparse.ArgumentParser], None],
) -> int:
    """Read the command line, measure, tell, and return the exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=told)
    parser.add_argument("--tree", type=Path, default=machine.ROOT, help="sources to measure")
    parser.add_argument("--json", type=Path, help="file that the report goes on to, a line each")
    add_arguments(parser)
    options = parser.parse_args()
    options.tree = options.tree.resolve()
    try:
        report = uvloop.run(_staged(measure, options))
    except SetUpError as error:
        print(error, file=sys.stderr)
        return NOT_MEASURED
    report.print()
    if options.json:
        with options.json.open("a") as file:
            file.write(_as_json(name, options.tree, report) + "\n")
    return 0 if report.holds else 1


async def _staged(measure: Measure, options: argparse.Namespace) -> Report:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        here = Stage(folder, stack)
        await here.open()
        return await measure(here, options)


def _as_json(name: str, tree: Path, report: Report) -> str:
    return json.dumps(
        {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "program": name,
            "commit": machine.commit(tree),
            "machine": machine.described(),
            "holds": report.holds,
            "promises": [{**asdict(one), "holds": one.holds} for one in report.promises],
            "figures": report.figures,
        }
    )
