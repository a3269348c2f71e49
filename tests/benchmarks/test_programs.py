"""Every program runs from end to end, with a real gateway, at the smallest size.

How fast it was is not looked at: the machine that runs tests is no machine to measure on.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# A gateway starts in each, however busy the machine is.
pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def report(file: Path) -> dict[str, Any]:
    (line,) = file.read_text().splitlines()
    found: dict[str, Any] = json.loads(line)
    assert found["machine"]["cores"] >= 1
    return found


def test_a_run_measures_keeps_its_history_and_fails_at_the_gate(tmp_path: Path) -> None:
    limits, history = tmp_path / "limits.json", tmp_path / "history.jsonl"
    limit = {"scenario": "json", "over_scenario": "json", "over_subject": "relay"}
    limits.write_text(json.dumps([limit | {"at_most": 0.001}, limit | {"at_most": 10_000}]))
    told = run(
        *("benchmarks", "--scenarios", "json,burst,translated", "--rounds", "1"),
        *("--seconds", "0.3", "--gate", "--limits", str(limits), "--json", str(history)),
    )
    assert told.returncode == 1, told.stderr
    found = report(history)
    assert [one["holds"] for one in found["ratios"]] == [False, True]
    costs = {
        (one["scenario"], one["subject"]): one["values"]["us_per_request"]
        for one in found["figures"]
    }
    assert costs.keys() == {
        ("json", "gateway"),
        ("json", "relay"),
        ("burst", "gateway"),
        ("burst", "relay"),
        ("translated", "gateway"),
    }
    assert all(cost["low"] <= cost["median"] <= cost["high"] for cost in costs.values())
    assert all(cost["median"] > 0 for cost in costs.values())
    assert [one["failed"] for one in found["figures"]] == [0] * len(costs)
    assert "gate: json gateway over json relay" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "exact"),
    [
        pytest.param(
            ("streams", "--streams", "6", "--seconds", "1"),
            ["streams that ended whole", "streams with a wrong byte", "connections lost"],
            id="streams",
        ),
        pytest.param(("idle", "--streams", "12"), ["streams open"], id="idle"),
        pytest.param(
            ("overload", "--rounds", "1", "--peak", "0.3", "--seconds", "1"),
            ["neither served nor refused with Retry-After"],
            id="overload",
        ),
        pytest.param(
            ("readers", "--clients", "3", "--rounds", "1", "--seconds", "0.3", "--stall", "4"),
            ["slow readers that were cut", "stalled readers whose stream the provider lost"],
            id="readers",
        ),
        pytest.param(
            ("abandoned", "--clients", "8"),
            ["asked, none answered", "streams with content", "rows", "rows of status 499"],
            id="abandoned",
        ),
        pytest.param(
            ("soak", "--minutes", "0.03", "--calm", "2", "--rate", "50"),
            ["exit code", "lines of lost tasks in the log"],
            id="soak",
        ),
    ],
)
def test_a_program_checks_its_promise(
    tmp_path: Path, arguments: tuple[str, ...], exact: list[str]
) -> None:
    file = tmp_path / "report.jsonl"
    told = run(f"benchmarks.{arguments[0]}", *arguments[1:], "--json", str(file))
    assert told.returncode in {0, 1}, told.stderr
    found = report(file)
    assert found["program"] == arguments[0]
    assert found["holds"] is (told.returncode == 0)
    held = {one["name"]: (one["holds"], one["measured"]) for one in found["promises"]}
    assert {name: held[name][0] for name in exact} == dict.fromkeys(exact, True), held


def test_a_scenario_that_there_is_not_is_named() -> None:
    told = run("benchmarks", "--scenarios", "json,jsno")
    assert told.returncode != 0
    assert "no such scenario: jsno" in told.stderr
