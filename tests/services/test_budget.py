"""A provider that is down is not asked many times over."""

from services.budget import RetryBudget
from tests.fakes.clock import FakeClock


def spent(budget: RetryBudget, most: int = 10_000) -> int:
    """Take until nothing is left; return how often."""
    return next((count for count in range(most) if not budget.take()), most)


def test_repetitions_are_a_share_of_the_requests() -> None:
    budget = RetryBudget(FakeClock(), ratio=0.25, min_per_s=0.0)
    spent(budget)
    for _ in range(100):
        budget.saw_request()
    assert spent(budget) == 25


def test_some_are_allowed_each_second_whatever_the_traffic() -> None:
    clock = FakeClock()
    budget = RetryBudget(clock, ratio=0.0, min_per_s=10.0)
    spent(budget)
    clock.advance(1.0)
    assert spent(budget) == 10


def test_a_quiet_time_saves_up_no_more_than_a_burst() -> None:
    clock = FakeClock()
    budget = RetryBudget(clock, ratio=1.0, min_per_s=10.0)
    clock.advance(3600.0)
    for _ in range(5000):
        budget.saw_request()
    assert spent(budget) == 100
