"""Redis away: places, claims and bindings go on in each process, and come together afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis

from repositories.base import SharedState
from repositories.shared import open_shared
from tests.fakes.private_servers import PrivateRedis, private_redis
from tests.services.pool_rig import ROUTE, House, account_id
from tests.waiting import until

TIMEOUT_S = 0.25


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PrivateRedis]:
    with private_redis(tmp_path) as redis:
        yield redis


@pytest.fixture
async def states(server: PrivateRedis) -> AsyncIterator[list[SharedState]]:
    async with (
        open_shared(server.url, timeout_s=TIMEOUT_S, breaker_pause_s=0.2) as one,
        open_shared(server.url, timeout_s=TIMEOUT_S, breaker_pause_s=0.2) as two,
    ):
        yield [one, two]


async def test_places_of_this_process_are_counted_while_redis_is_away(
    server: PrivateRedis, states: list[SharedState]
) -> None:
    """Those taken before the outage count as well."""
    state, other = states
    assert await state.take_slot("a", "before", 3, 60) == 1
    assert await other.take_slot("a", "elsewhere", 3, 60) == 2
    server.freeze()
    taken = [await state.take_slot("a", f"during {n}", 3, 60) for n in range(4)]
    assert taken == [2, 3, 0, 0]
    assert await state.slots_taken(["a", "b"]) == [3, 0]
    await state.renew_slots([("a", "before")], 60)
    await state.free_slot("a", "during 0")
    assert await state.take_slot("a", "later", 3, 60) == 3


async def test_what_was_taken_and_given_back_meanwhile_is_told_when_redis_is_back(
    server: PrivateRedis, states: list[SharedState]
) -> None:
    state, other = states
    for holder in ("stays", "leaves"):
        await state.take_slot("a", holder, 5, 60)
    server.freeze()
    assert await state.take_slot("a", "came", 5, 60) == 3
    await state.free_slot("a", "leaves")
    server.thaw()
    await until(lambda: state.is_available and other.is_available)
    assert _holders(server, "a") >= {b"stays", b"came"}
    assert b"leaves" not in _holders(server, "a")
    assert await other.slots_taken(["a"]) == [2]


async def test_a_redis_that_comes_back_empty_learns_who_holds_places(
    server: PrivateRedis, states: list[SharedState]
) -> None:
    state, other = states
    await state.take_slot("a", "stays", 1, 60)
    await asyncio.to_thread(server.kill)
    await state.take_slot("b", "came", 1, 60)
    await asyncio.to_thread(server.start)
    with Redis.from_url(server.url) as client:
        client.flushall()
    await other.get("x")
    await until(lambda: state.is_available and other.is_available)
    await state.renew_slots([("a", "stays"), ("b", "came")], 60)
    assert await other.take_slot("a", "new", 1, 60) == 0
    assert await other.take_slot("b", "new", 1, 60) == 0


async def test_a_caller_that_leaves_while_its_place_is_on_the_way_holds_none(
    server: PrivateRedis, states: list[SharedState]
) -> None:
    state, _ = states
    for ticks in range(8):
        leaving = asyncio.create_task(state.take_slot("a", f"r{ticks}", 9, 60))
        for _ in range(ticks):
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        if not leaving.cancelled():
            await state.free_slot("a", f"r{ticks}")
    assert await state.slots_taken(["a"]) == [0]
    assert _holders(server, "a") == set()


async def test_keys_of_places_end_with_their_places(
    server: PrivateRedis, states: list[SharedState]
) -> None:
    state, _ = states
    await state.take_slot("a", "long", 3, 60)
    await state.take_slot("a", "short", 3, 1)
    with Redis.from_url(server.url) as client:
        assert 55 < client.ttl("account:slots:{a}") <= 60


async def test_claims_and_bindings_are_this_processs_own_while_redis_is_away(
    server: PrivateRedis, states: list[SharedState]
) -> None:
    state, _ = states
    assert await state.claim("won before", 60)
    server.freeze()
    await state.get("x")
    assert [await state.claim("trial", 60) for _ in range(2)] == [True, False]
    assert not await state.claim("won before", 60)
    assert await state.bind("conversation", b"me", 60) == b"me"
    assert not await state.raise_field("rests", "a", 1, b"x")
    assert await state.fields("rests") == {}
    began = time.monotonic()
    await state.touch("conversation", 60)
    await state.drop_field("rests", "a")
    assert time.monotonic() - began < TIMEOUT_S


async def test_a_pool_goes_on_without_redis_within_its_limits(
    server: PrivateRedis, states: list[SharedState]
) -> None:
    house = House(2, shared=states[0], max_concurrent=2)
    async with house.kept():
        before = await house.lease()
        await asyncio.to_thread(server.kill)
        leases = await asyncio.gather(*(house.lease() for _ in range(10)))
        assert len([lease for lease in leases if lease]) == 3
        for lease in (before, *leases):
            if lease is not None:
                lease.release()
        await until(lambda: len(house.pool.candidates(ROUTE).well) == 2)
        assert await house.next() is not None
        await asyncio.to_thread(server.start)
        await until(lambda: states[0].is_available)
        await until(lambda: all(s.held == 0 for s in house.pool.candidates(ROUTE).roster.seats))
    assert _holders(server, account_id(1)) | _holders(server, account_id(2)) == set()


def _holders(server: PrivateRedis, account: str) -> set[bytes]:
    with Redis.from_url(server.url) as client:
        return set(client.zrange(f"account:slots:{{{account}}}", 0, -1))
