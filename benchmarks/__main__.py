"""What the gateway costs: `python -m benchmarks`. See docs/performance.md.

Every scenario is run in rounds: in each, every subject has one window of every scenario, so that
whatever else the machine does meets all of them alike.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import uvloop

from benchmarks import gate, machine, peers, results, scenarios, stage, stores, windows
from benchmarks.gateway import SetUpError, checkout, give_back
from benchmarks.scenarios import Scenario, Setting
from benchmarks.stage import Stage
from benchmarks.windows import Subject, Window

HISTORY: Final = Path(__file__).parent / "history.jsonl"
_BAD_RUN: Final = 2


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(one.name for one in scenarios.SCENARIOS)
    parser.add_argument(
        "--scenarios",
        default=",".join(scenarios.SHORT),
        help=f"comma-separated, or `all`: {names}",
    )
    parser.add_argument("--rounds", type=int, default=5, help="windows for each figure")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a window")
    parser.add_argument("--tree", type=Path, default=machine.ROOT, help="sources to measure")
    parser.add_argument("--against", metavar="REV", help="measure another revision in turns")
    parser.add_argument("--gate", action="store_true", help="fail where a ratio is too large")
    parser.add_argument("--allowed", type=float, default=gate.ALLOWED, help="ratio to --against")
    parser.add_argument("--limits", type=Path, default=gate.LIMITS)
    parser.add_argument("--peers", action="store_true", help="measure what is installed of them")
    parser.add_argument("--with-peers", action="store_true", help="install them, then --peers")
    parser.add_argument("--json", type=Path, default=HISTORY, help="file that results go on to")
    parser.add_argument("--mysql", default=stores.from_environment().mysql_url)
    parser.add_argument("--redis", default=stores.from_environment().redis_url)
    return parser.parse_args(given)


async def run(options: argparse.Namespace) -> results.Run:
    """Set everything up, measure, and take it down again."""
    chosen = scenarios.chosen(options.scenarios)
    servers = stores.Servers(options.mysql, options.redis)
    if not servers.there and any(one.setting == "shared" for one in chosen):
        _tell("scenarios on Redis and MariaDB are left out: give --mysql and --redis")
        chosen = [one for one in chosen if one.setting != "shared"]
    found = results.Run(
        commit=machine.commit(options.tree),
        against=options.against or "",
        window_s=options.seconds,
        options=" ".join(sys.argv[1:]),
    )
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        trees = {"gateway": options.tree.resolve()}
        if options.against:
            trees["against"] = checkout(options.against, folder)
            stack.callback(give_back, trees["against"])
        here = Stage(folder, stack)
        await here.open()
        if not here.cores.apart:
            _tell("one core only: load and gateway share it, and latencies say little")
        subjects = await _subjects(here, chosen, trees, servers, with_peers=options.peers)
        found.figures = await _rounds(here, chosen, subjects, options.rounds, options.seconds)
    return found


Subjects = Sequence[Subject | dict[Setting, Subject]]


async def _subjects(
    here: Stage,
    chosen: Sequence[Scenario],
    trees: dict[str, Path],
    servers: stores.Servers,
    *,
    with_peers: bool,
) -> Subjects:
    settings = list(dict.fromkeys(one.setting for one in chosen))
    found: list[Subject | dict[Setting, Subject]] = [
        await stage.subject(here, name, tree, settings, servers) for name, tree in trees.items()
    ]
    core = here.cores.measured
    found.append(await peers.relay(here.stack, here.upstreams, core))
    if any(one.rate_per_s or one.connections == 1 for one in chosen):
        found.append(peers.direct(here.upstreams))
    if with_peers:
        for start in (peers.nginx, peers.litellm):
            if (peer := await start(here.stack, here.folder, here.upstreams, core)) is not None:
                found.append(peer)
    return found


async def _rounds(
    here: Stage,
    chosen: Sequence[Scenario],
    subjects: Subjects,
    rounds: int,
    seconds: float,
) -> list[results.Figure]:
    taken: dict[tuple[str, str], list[Window]] = {}
    for number in range(rounds):
        for scenario in chosen:
            for one in subjects:
                subject = one if isinstance(one, Subject) else one[scenario.setting]
                if not _measured(subject, scenario) or not (target := subject.target(scenario)):
                    continue
                window, tally = await windows.measure(
                    subject, scenario, target, here.provider, seconds=seconds
                )
                taken.setdefault((scenario.name, subject.name), []).append(window)
                _tell(
                    f"round {number + 1}: {scenario.name} {subject.name} "
                    f"{window.us_per_request:.1f} us"
                )
                if tally.failed:
                    _tell(f"  failed: {dict(tally.failed)} {tally.sample[:500]!r}")
    return [results.figure(name, subject, taken[name, subject]) for name, subject in taken]


def _measured(subject: Subject, scenario: Scenario) -> bool:
    """Tell whether a pair says anything: the provider itself only tells of latency."""
    return subject.name != "direct" or scenario.rate_per_s > 0 or scenario.connections == 1


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print the table, keep the history; 1 if the gate fails, 2 if nothing could run."""
    options = arguments()
    if options.with_peers:
        peers.install()
        options.peers = True
    try:
        found = uvloop.run(run(options))
    except SetUpError as error:
        _tell(str(error))
        return _BAD_RUN
    wrong = []
    if options.gate:
        wrong = gate.judge(found, gate.read_limits(options.limits), allowed=options.allowed)
    print("\n".join(results.table(found)))
    results.append(options.json, found)
    for one in found.ratios:
        print(f"ratio {one['ratio']:.3f} (at most {one['at_most']}) {one['name']}")
    for line in wrong:
        print(f"gate: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
