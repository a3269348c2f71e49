"""When a pool runs dry."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.quota import QuotaWindow
from services.forecast import Rises, Tank, dry_at

HOUR_S = 3_600.0
DAY_S = 24 * HOUR_S
KEY = ("a", "*", "5h")


def full(resets_at: float | None = None, left: float = 1.0) -> Tank:
    return Tank(left, 1.0, resets_at, 5 * HOUR_S)


@pytest.mark.parametrize(
    ("tanks", "per_hour", "hours"),
    [
        pytest.param([full()], 0.5, 2.0, id="one account"),
        pytest.param([full(), full(left=0.5)], 0.5, 3.0, id="two"),
        pytest.param([full(left=0.0)], 0.5, 0.0, id="dry already"),
        pytest.param([full(left=0.0)], 0.0, 0.0, id="dry, though nobody asks"),
        pytest.param([full()], 0.0, None, id="nobody asks"),
        pytest.param([full(HOUR_S)], 0.5, 3.0, id="full again after an hour"),
        pytest.param([full(HOUR_S, left=0.25)], 0.5, 0.5, id="dry before it is full again"),
        pytest.param([full(HOUR_S)], 0.19, None, id="a window lasts for its use"),
        pytest.param([full(HOUR_S, left=0.0), full()], 0.5, 4.0, id="an empty one comes back"),
        pytest.param([full()], 1 / 48, None, id="later than is looked at"),
        pytest.param([], 1.0, 0.0, id="no account"),
    ],
)
def test_a_pool_runs_dry_when_all_is_used_that_comes_back_meanwhile(
    tanks: list[Tank], per_hour: float, hours: float | None
) -> None:
    found = dry_at(tanks, per_hour / HOUR_S, 0.0, DAY_S)
    assert found == (None if hours is None else pytest.approx(hours * HOUR_S))


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(1, 5 * HOUR_S)), min_size=1, max_size=8),
    st.floats(0.01, 20),
)
def test_it_agrees_with_a_pool_that_is_played_through(
    pool: list[tuple[float, float]], per_hour: float
) -> None:
    tanks = [full(resets_at, left) for left, resets_at in pool]
    found = dry_at(tanks, per_hour / HOUR_S, 0.0, DAY_S)
    played = _played(tanks, per_hour / HOUR_S)
    assert (found is None) == (played is None) or abs((found or DAY_S) - (played or DAY_S)) < 60
    if found is not None and played is not None:
        assert abs(found - played) < 60


def _played(tanks: list[Tank], per_s: float, step_s: float = 20.0) -> float | None:
    left = [tank.left for tank in tanks]
    resets = [tank.resets_at or 0.0 for tank in tanks]
    at = 0.0
    while at < DAY_S:
        total = sum(left)
        if total <= 1e-12:
            return at
        span = min([step_s, *(one - at for one in resets if one > at)])
        if per_s * span >= total:
            return at + total / per_s
        left = [one * (total - per_s * span) / total for one in left]
        at += span
        for number, reset_at in enumerate(resets):
            if reset_at <= at:
                left[number], resets[number] = 1.0, reset_at + 5 * HOUR_S
    return None


# --- how fast ---------------------------------------------------------------------------------


def window(used: float, at: float) -> QuotaWindow:
    return QuotaWindow("a", "*", "5h", used, updated_at=at)


def noted(*told: tuple[float, float]) -> Rises:
    """(minute, share) in order."""
    rises, known = Rises(), None
    for minute, used in told:
        new = window(used, minute * 60)
        rises.note(known, new)
        known = new
    return rises


@pytest.mark.parametrize(
    ("told", "minute", "per_hour"),
    [
        pytest.param([(0, 0.1), (30, 0.2), (60, 0.3)], 60, 0.2, id="an hour"),
        pytest.param([(0, 0.1), (30, 0.2)], 30, 0.2, id="half an hour"),
        pytest.param([(0, 0.1), (1, 0.2)], 1, 1.2, id="a minute counts as five"),
        pytest.param([(0, 0.9), (30, 0.1)], 30, 0.2, id="begun anew"),
        pytest.param([(0, 0.1)], 60, 0.0, id="told once"),
        pytest.param([(0, 0.1), (30, 0.2)], 100, 0.0, id="idle for more than an hour"),
        pytest.param([(0, 0.0), (60, 0.6), (120, 0.8)], 120, 0.2, id="only the last hour counts"),
    ],
)
def test_the_rise_of_the_last_hour_tells_how_fast_a_share_is_used(
    told: list[tuple[float, float]], minute: float, per_hour: float
) -> None:
    assert noted(*told).per_s(KEY, minute * 60) * HOUR_S == pytest.approx(per_hour)


def test_limits_on_the_pace_tell_nothing() -> None:
    rises = Rises()
    first = replace(window(0.1, 0.0), window="requests", unit="requests")
    rises.note(None, first)
    rises.note(first, replace(first, used_ratio=0.9, updated_at=60.0))
    assert rises.per_s(("a", "*", "requests"), 60.0) == 0.0


def test_what_is_dropped_is_forgotten() -> None:
    rises = noted((0, 0.1), (30, 0.2))
    rises.drop(KEY)
    assert rises.per_s(KEY, 1800.0) == 0.0
