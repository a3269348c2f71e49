"""Accounts that may serve only so many requests at once."""

import asyncio
from collections import Counter
from functools import partial

import pytest

from models.account import Strategy
from repositories.base import SharedState
from services.seats import Seat
from services.slots import FULL_S, Lease
from tests.builders import make_snapshot, make_stored
from tests.services.pool_rig import ROUTE, Counting, House, account_id, number_of, route_of
from tests.waiting import until


def limited(*limits: int, shared: SharedState | None = None) -> House:
    accounts = [make_stored(n, max_concurrent=limit) for n, limit in enumerate(limits, 1)]
    return House(accounts, shared=shared)


async def taken(house: House, number: int) -> int:
    return (await house.shared.slots_taken([account_id(number)]))[0]


async def test_nobody_serves_more_at_once_than_it_may() -> None:
    house = limited(2, 2, 2)
    leases = await asyncio.gather(*(house.lease() for _ in range(50)))
    assert Counter(number_of(lease) for lease in leases if lease) == {1: 2, 2: 2, 3: 2}
    refusal = house.pool.refusal(ROUTE)
    assert (refusal.status, refusal.retry_after_s) == (503, 1)
    assert refusal.details["reasons"] == {"at_limit": 3}


async def test_a_place_is_free_again_when_its_request_ends() -> None:
    house = limited(1)
    async with house.kept():
        for _ in range(5):
            lease = await house.lease()
            assert lease is not None
            assert await house.lease() is None
            lease.release()
            lease.release()
            await until(lambda: bool(house.pool.candidates(ROUTE).well.seats))
    assert await taken(house, 1) == 0


async def test_the_number_and_the_place_of_its_turn_go_together() -> None:
    """One round trip: the place is asked for at the account that the next number means."""
    house = limited(5, 5, 5)
    async with house.kept():
        await house.next()
        house.asked.clear()
        for _ in range(6):
            assert await house.next() is not None
    assert house.asked == [
        asked
        for number in (2, 3, 1, 2, 3, 1)
        for asked in ("increment account:rr:openai:gpt-x", f"take {number}")
    ]


async def test_limited_accounts_take_turns_exactly_while_all_have_places() -> None:
    house = limited(100, 100, 100, 100)
    leases = await asyncio.gather(*(house.lease() for _ in range(200)))
    served = Counter(number_of(lease) for lease in leases if lease)
    assert served == {1: 50, 2: 50, 3: 50, 4: 50}


async def test_a_place_that_was_taken_for_anothers_number_stays() -> None:
    shared = Counting()
    one, two = limited(5, 5, 5, shared=shared), limited(5, 5, 5, shared=shared)
    for _ in range(2):
        await one.next()
    lease = await two.lease()
    assert lease is not None
    assert (number_of(lease), lease.counter) == (1, 2), "the third had the number's turn"
    after = await two.lease()
    assert after is not None
    assert (number_of(after), after.counter) == (1, 3)


async def test_limits_hold_over_replicas() -> None:
    shared = Counting()
    houses = [limited(2, 2, shared=shared) for _ in range(4)]
    leases = await asyncio.gather(*(house.lease() for house in houses for _ in range(20)))
    assert Counter(number_of(lease) for lease in leases if lease) == {1: 2, 2: 2}


async def test_a_full_account_is_not_asked_for_again_by_everybody() -> None:
    """Another replica has all places: a thousand requests ask once a moment, not each."""
    house = limited(2)
    for holder in ("x", "y"):
        await house.shared.take_slot(account_id(1), holder, 2, 60)
    house.asked.clear()
    assert await asyncio.gather(*(house.lease() for _ in range(1000))) == [None] * 1000
    assert house.asked.count("take 1") <= 2
    house.asked.clear()
    house.clock.advance(FULL_S + 0.01)
    assert await house.lease() is None
    assert house.asked == ["take 1"]
    await house.shared.free_slot(account_id(1), "x")
    house.clock.advance(FULL_S + 0.01)
    assert await house.next() == 1


async def test_a_request_that_leaves_takes_its_place_with_it() -> None:
    class Slow(Counting):
        async def take_slot(self, account_id: str, holder: str, limit: int, ttl_s: float) -> int:
            number = await super().take_slot(account_id, holder, limit, ttl_s)
            await asyncio.sleep(0)
            return number

        async def increment(self, key: str, by: int = 1) -> int:
            for _ in range(5):
                await asyncio.sleep(0)
            return await super().increment(key, by)

    for ticks in range(12):
        house = limited(1, 1, shared=Slow())
        async with house.kept():
            leaving = asyncio.create_task(house.lease())
            for _ in range(ticks):
                await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.wait([leaving])
            if not leaving.cancelled():
                continue
            await until(partial(_all_well, house, 2))
            assert all(seat.held == 0 for seat in house.pool.candidates(ROUTE).roster.seats)
            assert house.pool.inflight(account_id(1)) == 0


async def test_places_are_renewed_for_as_long_as_they_are_held() -> None:
    house = limited(1)
    async with house.kept():
        lease = await house.lease()
        for _ in range(6):
            house.clock.advance(0.5)  # the fake time of the pool; the store's own goes on
            await asyncio.sleep(0.3)
            assert await taken(house, 1) == 1, "held for longer than one lease lasts"
        assert lease is not None
        lease.release()
        await until(lambda: bool(house.pool.candidates(ROUTE).well.seats))
    assert await taken(house, 1) == 0


async def test_without_renewal_places_end() -> None:
    """As those of a process that was killed."""
    house = limited(1)
    assert await house.lease() is not None
    await asyncio.sleep(1.1)
    assert await taken(house, 1) == 0


async def test_stopping_gives_every_place_back() -> None:
    house = limited(3, 3)
    async with house.kept():
        leases = [await house.lease() for _ in range(6)]
        assert all(leases)
    assert await house.shared.slots_taken([account_id(1), account_id(2)]) == [0, 0]


async def test_home_is_waited_for_and_then_borrowed_from() -> None:
    house = limited(1, 1)
    async with house.kept():
        at_home = await house.lease(home=1)
        assert at_home is not None
        turn = house.pool.desk(ROUTE).walk(home=account_id(1), home_wait_s=30)
        waiting = asyncio.create_task(turn.next())
        await until(lambda: house.waiting == 1)
        at_home.release()
        lease = await waiting
        assert lease is not None
        assert (number_of(lease), lease.choice) == (1, "affinity")

        impatient = house.pool.desk(ROUTE).walk(home=account_id(1), home_wait_s=0)
        borrowed = await impatient.next()
        assert borrowed is not None
        assert (number_of(borrowed), borrowed.choice) == (2, "borrowed")


async def test_a_home_that_stays_full_is_waited_for_no_longer_than_asked() -> None:
    house = limited(1, 0)
    assert await house.lease(home=1) is not None
    ticking = asyncio.create_task(_tick(house))
    turn = house.pool.desk(ROUTE).walk(home=account_id(1), home_wait_s=0.2)
    lease = await turn.next()
    ticking.cancel()
    assert lease is not None
    assert (number_of(lease), lease.choice) == (2, "borrowed")


async def test_a_higher_limit_counts_at_once() -> None:
    house = limited(1)
    assert await house.lease() is not None
    assert await house.lease() is None
    house.snapshot = make_snapshot([make_stored(1, max_concurrent=2)], revision=2)
    assert await house.lease() is not None
    assert await house.lease() is None
    house.snapshot = make_snapshot([make_stored(1)], revision=3)
    assert await house.lease() is not None


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_every_strategy_passes_over_full_accounts(strategy: Strategy) -> None:
    accounts = [make_stored(number, max_concurrent=number % 3) for number in range(1, 8)]
    house = House(accounts)
    leases: list[Lease | None] = [await house.lease(route_of(strategy)) for _ in range(60)]
    served = Counter(number_of(lease) for lease in leases if lease)
    assert sum(served.values()) == 60
    assert all(served[number] <= number % 3 for number in range(1, 8) if number % 3)


def _all_well(house: House, count: int) -> bool:
    return len(house.pool.candidates(ROUTE).well) == count


async def _tick(house: House) -> None:
    while True:
        await asyncio.sleep(0.01)
        house.clock.advance(0.01)


@pytest.mark.parametrize("strategy", [Strategy.FILL_FIRST, Strategy.ROUND_ROBIN, Strategy.WEIGHTED])
async def test_who_is_free_is_found_behind_a_long_row_of_those_that_another_replica_filled(
    strategy: Strategy,
) -> None:
    shared = Counting()
    accounts = [make_stored(number, max_concurrent=1) for number in range(1, 101)]
    here, there = (House(accounts, shared=shared, strategy=strategy) for _ in range(2))
    for number in range(99):
        assert await here.pool.slots.take(seat_of(here, number + 1)) is not None
    lease = await there.lease()
    assert lease is not None
    assert number_of(lease) == 100
    assert await there.lease() is None
    assert there.pool.refusal(ROUTE).details["reasons"] == {"at_limit": 100}


def seat_of(house: House, number: int) -> Seat:
    return house.pool.candidates(ROUTE).roster.by_id[account_id(number)]
