"""Several pools on one Redis."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from functools import partial

import pytest
from redis import Redis

from models.account import Strategy
from repositories.lane import Command, Reply
from repositories.shared import open_shared
from repositories.shared_redis import _RedisLink
from tests.builders import make_stored
from tests.services.pool_rig import ROUTE, House, number_of, route_of
from tests.waiting import until

REPLICAS = 4


@pytest.fixture
async def houses(redis_url: str) -> AsyncIterator[list[House]]:
    """Replicas with ten accounts; a test gives them others."""
    async with AsyncExitStack() as stack:
        states = [
            await stack.enter_async_context(open_shared(redis_url, timeout_s=5))
            for _ in range(REPLICAS)
        ]
        yield [House(10, shared=state) for state in states]


@pytest.mark.parametrize("requests", [4000, 4007])
async def test_round_robin_is_exact_over_replicas(houses: list[House], requests: int) -> None:
    served = Counter(await asyncio.gather(*(houses[n % REPLICAS].next() for n in range(requests))))
    counts = [served[number] for number in range(1, 11)]
    assert sum(counts) == requests
    assert max(counts) - min(counts) <= 1


async def test_weights_are_exact_over_replicas(houses: list[House]) -> None:
    weights = [1, 2, 3, 4, 10]
    for house in houses:
        stored = [make_stored(number, weight=w) for number, w in enumerate(weights, 1)]
        house.snapshot = House(stored).snapshot
    route = route_of(Strategy.WEIGHTED)
    served = Counter(
        await asyncio.gather(*(houses[n % REPLICAS].next(route) for n in range(20 * 30)))
    )
    assert [served[number] for number in range(1, 6)] == [30 * weight for weight in weights]


async def test_limits_hold_over_replicas_and_turns_stay_near(houses: list[House]) -> None:
    for house in houses:
        house.snapshot = House(5, max_concurrent=2).snapshot
    leases = await asyncio.gather(*(house.lease() for house in houses for _ in range(50)))
    held = [lease for lease in leases if lease]
    assert Counter(map(number_of, held)) == dict.fromkeys(range(1, 6), 2)


async def test_one_trial_over_all_replicas(houses: list[House]) -> None:
    for house in houses:
        house.rest(3, 60)
        house.clock.advance(61)
    leases = await asyncio.gather(*(house.lease() for house in houses for _ in range(25)))
    assert Counter(lease.choice for lease in leases if lease) == {"trial": 1, "strategy": 99}


async def test_a_request_costs_one_round_trip_with_limits_and_without(
    houses: list[House], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips: list[int] = []
    exchange = _RedisLink.exchange

    async def counted(
        link: _RedisLink, commands: Sequence[Command], *, limit_s: float
    ) -> list[Reply]:
        trips.append(len(commands))
        return await exchange(link, commands, limit_s=limit_s)

    limited = House(5, max_concurrent=3, shared=houses[0].shared)
    async with limited.kept():
        for house in (houses[0], limited):
            await house.next()
            await until(partial(_holds_nothing, house))
            with monkeypatch.context() as patched:
                patched.setattr(_RedisLink, "exchange", counted)
                lease = await house.lease()
            assert lease is not None
            lease.release()
    assert trips == [1, 2], "a number; a number and a place"
    with Redis.from_url(redis_url) as client:
        assert client.keys("account:*") == [b"account:rr:openai:gpt-x"], "no place is left behind"


def _holds_nothing(house: House) -> bool:
    return all(seat.held == 0 for seat in house.pool.candidates(ROUTE).roster.seats)
