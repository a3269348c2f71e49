"""The gate: which runs are let through."""

from collections.abc import Sequence

import pytest

from benchmarks import gate, results
from benchmarks.gate import Limit
from benchmarks.results import Figure, Run

OVER_RELAY = Limit("json", "json", "relay", at_most=5.0)


def figure(subject: str, costs: Sequence[float], *, failed: int = 0, name: str = "json") -> Figure:
    return Figure(name, subject, failed, {"us_per_request": results.spread(costs)})


@pytest.mark.parametrize(
    ("mine", "theirs", "passes"),
    [
        pytest.param([100, 100, 100], [100, 100, 100], True, id="the same"),
        pytest.param([109, 109, 109], [100, 100, 100], True, id="within what is allowed"),
        pytest.param([111, 111, 111], [100, 100, 100], False, id="more than is allowed"),
        pytest.param([210, 100, 320], [200, 100, 310], True, id="windows that were slow for both"),
        pytest.param([100, 100, 900], [100, 100, 100], True, id="one window that went wrong"),
        pytest.param([50, 50, 50], [100, 100, 100], True, id="better"),
    ],
)
def test_a_revision_may_cost_a_tenth_more_than_the_one_before(
    mine: Sequence[float], theirs: Sequence[float], passes: bool
) -> None:
    run = Run([figure("gateway", mine), figure("against", theirs)], against="v1")
    assert (gate.judge(run, []) == []) is passes
    assert [one["holds"] for one in run.ratios] == [passes]


@pytest.mark.parametrize(("cost", "passes"), [(50, True), (51, False)])
def test_a_reference_in_the_same_run_is_the_measure(cost: float, passes: bool) -> None:
    run = Run([figure("gateway", [cost] * 3), figure("relay", [10] * 3)])
    wrong = gate.judge(run, [OVER_RELAY])
    assert wrong == ([] if passes else [f"{run.ratios[0]['name']}: 5.100 times as much; at most 5"
                                        " are allowed"])  # fmt: skip


def test_answers_that_went_wrong_fail_a_run_that_is_fast() -> None:
    run = Run([figure("gateway", [1], failed=3), figure("relay", [10])])
    assert gate.judge(run, [OVER_RELAY]) == ["json gateway: 3 answers were not as expected"]


def test_a_run_that_compares_nothing_passes_nothing() -> None:
    assert len(gate.judge(Run([figure("gateway", [1])]), [OVER_RELAY])) == 1


def test_a_subject_that_finished_nothing_does_not_pass() -> None:
    run = Run([figure("gateway", [10]), figure("relay", [0])])
    assert len(gate.judge(run, [OVER_RELAY])) == 1


def test_the_limits_that_are_kept_name_scenarios_that_there_are() -> None:
    from benchmarks.scenarios import SCENARIOS

    names = {scenario.name for scenario in SCENARIOS}
    for limit in gate.read_limits():
        assert {limit.scenario, limit.over_scenario} <= names
        assert limit.at_most > 0
