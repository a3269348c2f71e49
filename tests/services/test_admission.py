"""Nobody is let in who could not be served soon, and nobody is kept out for longer than that."""

import asyncio

import pytest

from services.admission import MOST, Admission, overloaded
from tests.fakes.clock import FakeClock


def come(gate: Admission, arrivals: int) -> int:
    """Let calls arrive together; return how many were let in."""
    entered = 0
    for _ in range(arrivals):
        if gate.admits():
            gate.enter()
            entered += 1
    return entered


async def a_round() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_burst_after_a_quiet_moment_is_let_in_whole() -> None:
    gate = Admission(lambda: 0, max_calls=10_000, max_lag_s=0.02)
    assert come(gate, MOST) == MOST
    assert gate.refused == 0
    assert come(gate, 5) == 0
    assert gate.refused == 5
    await a_round()
    assert come(gate, 10) == 10


async def test_calls_under_way_are_bounded_by_their_number() -> None:
    under_way = 3
    gate = Admission(lambda: under_way, max_calls=3, max_lag_s=0)
    assert not gate.admits()
    under_way = 2
    assert gate.admits()
    assert gate.refused == 1


async def test_without_a_limit_on_waiting_only_their_number_counts() -> None:
    gate = Admission(lambda: 0, max_calls=5_000, max_lag_s=0)
    assert come(gate, 4_000) == 4_000


@pytest.mark.parametrize(("cost_s", "admitted"), [(0.001, 64), (0.00005, 400), (0.00001, MOST)])
async def test_a_round_is_as_long_as_it_may_be_when_more_come_than_can_begin(
    monkeypatch: pytest.MonkeyPatch, cost_s: float, admitted: int
) -> None:
    clock = FakeClock()
    monkeypatch.setattr("services.admission.time.thread_time", clock.monotonic)
    gate = Admission(lambda: 0, max_calls=10_000, max_lag_s=0.02)
    entered = 0
    for _ in range(40):
        entered = come(gate, 5_000)
        clock.advance(entered * cost_s)
        await a_round()
    assert entered == pytest.approx(admitted, rel=0.1)


async def test_what_was_refused_under_load_is_let_in_soon_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FakeClock()
    monkeypatch.setattr("services.admission.time.thread_time", clock.monotonic)
    gate = Admission(lambda: 0, max_calls=10_000, max_lag_s=0.02)
    for _ in range(40):
        clock.advance(come(gate, 5_000) * 0.001)
        await a_round()
    assert come(gate, 500) == 64
    for _ in range(40):
        await a_round()
        come(gate, 1)
    await a_round()
    assert come(gate, 500) == 500


async def test_a_call_that_is_not_let_in_is_told_when_to_come_again() -> None:
    error = overloaded()
    assert (error.status, error.retry_after_s) == (503, 1.0)
