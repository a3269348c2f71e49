"""How accounts take turns."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.account import Strategy
from services.seats import Roster, Seat
from services.shelf import Shelf
from services.strategies import Facts, Order, order_of
from tests.builders import make_stored
from tests.fakes.clock import FakeClock
from tests.services.pool_rig import ROUTE, House, account_id, route_of

WEIGHTED = route_of(Strategy.WEIGHTED)
LEAST = route_of(Strategy.LEAST_INFLIGHT)
FILL = route_of(Strategy.FILL_FIRST)
SOONEST = route_of(Strategy.SOONEST_RESET)
LEAST_USED = route_of(Strategy.LEAST_USED)


def weighted(weights: Sequence[int]) -> House:
    return House([make_stored(number, weight=w) for number, w in enumerate(weights, 1)])


# --- round robin ---


@pytest.mark.parametrize(("requests", "accounts"), [(1000, 7), (999, 10), (5, 10), (64, 8)])
async def test_round_robin_counts_differ_by_at_most_one(requests: int, accounts: int) -> None:
    house = House(accounts)
    served = Counter([await house.next() for _ in range(requests)])
    counts = [served[number] for number in range(1, accounts + 1)]
    assert max(counts) - min(counts) <= 1


# --- weighted ---


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(0, 10_000))
def test_a_whole_cycle_is_dealt_exactly_by_weight(weights: list[int], begin: int) -> None:
    order = _order(Strategy.WEIGHTED, weights)
    cycle = sum(weights)
    dealt = Counter(_first(order, turn).id for turn in range(begin, begin + cycle))
    assert [dealt[account_id(number)] for number in range(1, len(weights) + 1)] == weights


@given(st.lists(st.integers(1, 40), min_size=2, max_size=12))
def test_the_turns_of_one_account_are_spread_over_the_cycle(weights: list[int]) -> None:
    """Never further apart than four times what would be even."""
    order, cycle = _order(Strategy.WEIGHTED, weights), sum(weights)
    dealt = [_first(order, turn).id for turn in range(2 * cycle)]
    for number, weight in enumerate(weights, 1):
        turns = [at for at, one in enumerate(dealt) if one == account_id(number)]
        assert max(b - a for a, b in pairwise(turns)) <= 4 * cycle / weight + 1


async def test_weights_hold_among_those_who_are_well() -> None:
    house = weighted([5, 1, 2, 9])
    house.rest(4, 60)
    served = Counter([await house.next(WEIGHTED) for _ in range(80)])
    assert served == {1: 50, 2: 10, 3: 20}
    house.cooldowns.release(account_id(4), "*", "quota is back")
    served = Counter([await house.next(WEIGHTED) for _ in range(17 * 4)])
    assert served == {1: 20, 2: 4, 3: 8, 4: 36}


async def test_weights_count_in_the_best_tier_alone() -> None:
    accounts = [make_stored(1, weight=9), make_stored(2, weight=1, priority=1)]
    accounts.append(make_stored(3, weight=2, priority=1))
    house = House(accounts)
    assert Counter([await house.next(WEIGHTED) for _ in range(30)]) == {2: 10, 3: 20}
    assert sorted(map(str, await house.walk(WEIGHTED))) == ["1", "2", "3"]


# --- least in flight ---


async def test_the_one_with_the_fewest_requests_under_way_serves() -> None:
    house = House(3)
    leases = [await house.lease(LEAST) for _ in range(6)]
    under_way = [house.pool.inflight(account_id(number)) for number in (1, 2, 3)]
    assert under_way == [2, 2, 2]
    second = next(lease for lease in leases if lease and lease.account.label == "account 2")
    second.release()
    assert await house.next(LEAST) == 2
    assert house.asked == []


async def test_who_has_waited_longest_serves_first_among_equals() -> None:
    house = House(4)
    assert [await house.next(LEAST) for _ in range(8)] == [1, 2, 3, 4, 1, 2, 3, 4]
    assert [await house.walk(LEAST) for _ in range(2)] == [[1, 2, 3, 4]] * 2


async def test_a_resting_account_has_no_turn_however_idle() -> None:
    house = House(3)
    house.rest(1, 60)
    leases = [await house.lease(LEAST) for _ in range(4)]
    assert sorted(lease.account.label for lease in leases if lease) == [
        "account 2",
        "account 2",
        "account 3",
        "account 3",
    ]
    house.cooldowns.release(account_id(1), "*", "quota is back")
    assert [await house.next(LEAST) for _ in range(2)] == [1, 1]


async def test_ten_thousand_idle_rounds_leave_no_heap_behind() -> None:
    house = House(2)
    for _ in range(10_000):
        await house.next(LEAST)
    order = house.pool.candidates(LEAST).order
    assert len(order._heap) < 100  # type: ignore[attr-defined] # what it costs is the point


# --- fill first ---


async def test_the_first_account_serves_until_it_is_full() -> None:
    house = House([make_stored(number, max_concurrent=2) for number in (1, 2, 3)])
    async with house.kept():
        leases = [await house.lease(FILL) for _ in range(7)]
    served = [lease.account.label if lease else None for lease in leases]
    assert served == [*["account 1"] * 2, *["account 2"] * 2, *["account 3"] * 2, None]
    assert await House(3).walk(FILL) == [1, 2, 3]


# --- soonest reset, least used ---


async def test_whose_limit_begins_anew_soonest_serves_and_the_unknown_come_last() -> None:
    resets = {account_id(1): 500.0, account_id(2): 100.0, account_id(3): None}
    house = House(3, resets_at=lambda account, model: resets[account] if model == "gpt-x" else None)
    assert [await house.next(SOONEST) for _ in range(3)] == [2, 2, 2]
    assert await house.walk(SOONEST) == [2, 1, 3]
    house.rest(2, 60)
    assert await house.next(SOONEST) == 1
    resets[account_id(3)] = 50.0
    assert await house.next(SOONEST) == 1, "looked up about once a second"
    house.clock.advance(1.1)
    assert await house.next(SOONEST) == 3


async def test_the_least_used_serve_and_equals_take_turns() -> None:
    used = {account_id(1): 0.9, account_id(2): 0.41, account_id(3): 0.42, account_id(4): None}
    house = House(4, used_ratio=lambda account, _: used[account])
    assert {await house.next(LEAST_USED) for _ in range(4)} == {4}
    used[account_id(4)] = 1.0
    house.clock.advance(1.1)
    assert Counter([await house.next(LEAST_USED) for _ in range(10)]) == {2: 5, 3: 5}
    assert (await house.walk(LEAST_USED))[2:] == [1, 4]


async def test_a_fact_is_looked_up_once_a_second_and_not_for_each_request() -> None:
    looked_up: list[str] = []

    def used(account: str, _: str) -> float | None:
        looked_up.append(account)
        return 0.5

    house = House(50, used_ratio=used)
    for _ in range(200):
        await house.next(LEAST_USED)
    assert len(looked_up) == 50


async def test_who_comes_back_between_two_lookups_is_not_lost() -> None:
    house = House(2, used_ratio=lambda account, _: 0.1 if account == account_id(1) else 0.9)
    assert await house.next(LEAST_USED) == 1
    house.rest(1, 60)
    assert await house.next(LEAST_USED) == 2
    house.cooldowns.release(account_id(1), "*", "quota is back")
    house.rest(2, 60)
    assert await house.next(LEAST_USED) == 1


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_every_strategy_asks_each_account_once_tier_by_tier(strategy: Strategy) -> None:
    accounts = [make_stored(number, priority=number % 2, weight=number) for number in range(1, 9)]
    walked = await House(accounts).walk(route_of(strategy))
    assert sorted(map(int, map(str, walked[:4]))) == [1, 3, 5, 7]
    assert sorted(map(int, map(str, walked[4:]))) == [2, 4, 6, 8]


@pytest.mark.parametrize(
    "strategy", [s for s in Strategy if s.value not in {"round_robin", "weighted"}]
)
async def test_strategies_without_a_counter_ask_redis_nothing(strategy: Strategy) -> None:
    house = House(5)
    for _ in range(10):
        await house.next(route_of(strategy))
    assert house.asked == []
    assert await house.next(ROUTE) == 1


def _order(strategy: Strategy, weights: Sequence[int]) -> Order:
    roster = Roster()
    seats = []
    for number, weight in enumerate(weights, 1):
        seats.append(Seat(account_id(number), roster))
        seats[-1].take(make_stored(number, weight=weight), {})
    roster.take(seats)
    facts = Facts(FakeClock().monotonic)
    return order_of(strategy, "gpt-x", Shelf(roster.seats), roster.seats, facts)


def _first(order: Order, turn: int) -> Seat:
    return order.few(turn, None, (), 1)[0]
