"""Requests that wait until somebody can serve them."""

import asyncio
import contextlib

import pytest

from models.errors import ErrorKind
from services import waiting
from services.slots import Lease
from services.waiting import WaitingRoom
from tests.builders import make_snapshot, make_stored
from tests.services.pool_rig import ROUTE, Counting, House, account_id, route_of
from tests.services.test_slots import limited
from tests.waiting import until

LONG_S = 30.0


async def served(house: House, name: str, since: float, done: list[str]) -> Lease:
    """One request that waits until it is served."""
    while True:
        lease = await house.lease()
        if lease is not None:
            done.append(name)
            return lease
        assert await house.pool.until_able(ROUTE, LONG_S, since=since)


async def test_the_oldest_request_is_served_first_whoever_came_to_the_queue_first() -> None:
    house, done = limited(1), list[str]()
    async with house.kept():
        first = await house.lease()
        assert first is not None
        ages = {"c": 3.0, "a": 1.0, "d": 4.0, "b": 2.0}
        tasks = {
            name: asyncio.create_task(served(house, name, age, done)) for name, age in ages.items()
        }
        await until(lambda: house.waiting == 4)
        first.release()
        for name in "abcd":
            (await tasks[name]).release()
    assert done == ["a", "b", "c", "d"]


async def test_a_thousand_requests_share_four_places_and_all_are_served() -> None:
    """No more than four at once, and about one ask for a place for each request."""
    house, at_once = limited(2, 2), [0, 0]

    async def request(number: int) -> None:
        lease = await served(house, str(number), float(number), [])
        at_once[0] += 1
        at_once[1] = max(at_once)
        await asyncio.sleep(0)
        at_once[0] -= 1
        lease.release()

    async with house.kept(), asyncio.timeout(20):
        await asyncio.gather(*(request(number) for number in range(1000)))
    assert at_once == [0, 4]
    assert len([asked for asked in house.asked if asked.startswith("take")]) < 1500


async def test_a_place_that_another_replica_gives_back_is_found() -> None:
    shared = Counting()
    here, there = limited(1, shared=shared), limited(1, shared=shared)
    async with here.kept(), there.kept():
        theirs = await there.lease()
        assert theirs is not None
        assert await here.lease() is None
        waiting = asyncio.create_task(served(here, "here", 0.0, []))
        await until(lambda: here.waiting == 1)
        ticking = asyncio.create_task(_tick(here))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        theirs.release()
        async with asyncio.timeout(5):
            (await waiting).release()
        ticking.cancel()


async def test_the_end_of_a_rest_wakes_everybody_where_there_is_no_limit() -> None:
    house = House(2)
    house.rest(1, 20)
    house.rest(2, 20)
    tasks = [asyncio.create_task(house.pool.until_able(ROUTE, LONG_S)) for _ in range(50)]
    await until(lambda: house.waiting == 50)
    house.cooldowns.release(account_id(1), "*", "quota is back")
    assert await asyncio.gather(*tasks) == [True] * 50


async def test_time_alone_wakes_too() -> None:
    house = House(1)
    house.rest(1, 20, reason=ErrorKind.OVERLOADED)
    task = asyncio.create_task(house.pool.until_able(ROUTE, LONG_S))
    await until(lambda: house.waiting == 1)
    house.clock.advance(21)
    assert await task


async def test_a_new_account_wakes_too() -> None:
    house = House(1)
    house.rest(1, 20)
    task = asyncio.create_task(house.pool.until_able(ROUTE, LONG_S))
    await until(lambda: house.waiting == 1)
    house.snapshot = make_snapshot([make_stored(1), make_stored(2)], revision=2)
    assert await task


async def test_a_trial_wakes_one_request() -> None:
    house = House(1)
    house.rest(1, 18_000, trial_after_s=10)
    tasks = [asyncio.create_task(house.pool.until_able(ROUTE, LONG_S)) for _ in range(5)]
    await until(lambda: house.waiting == 5)
    house.clock.advance(11)
    await until(lambda: any(task.done() for task in tasks))
    assert [task.done() for task in tasks].count(True) == 1
    for task in tasks:
        task.cancel()


@pytest.mark.parametrize(("rest_s", "limit_s"), [(60, 30), (0, 30), (10, 0)])
async def test_pain_18_nobody_waits_for_what_is_not_to_come(rest_s: float, limit_s: float) -> None:
    """The next rest opens too late, or nobody will ever serve, or nobody may wait."""
    house = House([make_stored(1, is_active=rest_s > 0)])
    if rest_s:
        house.rest(1, rest_s)
    async with asyncio.timeout(1):
        assert not await house.pool.until_able(ROUTE, limit_s)


async def test_who_has_waited_long_enough_is_told_so() -> None:
    house = limited(1)
    assert await house.lease() is not None
    assert not await house.pool.until_able(ROUTE, 0.05)
    assert house.waiting == 0


async def test_who_leaves_the_queue_keeps_nobody_from_going_on() -> None:
    house, done = limited(1), list[str]()
    async with house.kept():
        first = await house.lease()
        assert first is not None
        leaving = asyncio.create_task(served(house, "leaving", 1.0, done))
        staying = asyncio.create_task(served(house, "staying", 2.0, done))
        await until(lambda: house.waiting == 2)
        leaving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leaving
        first.release()
        async with asyncio.timeout(5):
            (await staying).release()
    assert (done, house.waiting) == (["staying"], 0)


async def test_each_route_has_a_queue_of_its_own() -> None:
    house = House(1)
    house.rest(1, 20, scope="gpt-x")
    house.rest(1, 20, scope="gpt-y")
    other = route_of(house.pool._strategy, "gpt-y")
    x = asyncio.create_task(house.pool.until_able(ROUTE, LONG_S))
    y = asyncio.create_task(house.pool.until_able(other, LONG_S))
    await until(lambda: house.waiting == 2)
    house.cooldowns.release(account_id(1), "gpt-y", "quota is back")
    assert await y
    assert not x.done()
    x.cancel()


async def test_beyond_so_many_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MAX_WAITING", 3)
    room = WaitingRoom[str](lambda _key, _in_doubt: 0)
    tasks = [asyncio.create_task(room.wait("x", LONG_S, 0.0)) for _ in range(4)]
    await until(lambda: tasks[3].done())
    assert not tasks[3].result()
    assert [task.done() for task in tasks[:3]] == [False] * 3
    for task in tasks[:3]:
        task.cancel()
    await asyncio.wait(tasks)
    assert (len(room), room._queues) == (0, {})


async def test_who_waits_for_a_full_account_after_its_rest_lets_others_go_on() -> None:
    """Its rest is over and its only place is taken: there is nothing to wake anybody for."""
    house, asked = limited(1), 0
    async with house.kept():
        house.rest(1, 5.0)
        house.clock.advance(6.0)
        first = await house.lease()
        assert first is not None

        async def waits() -> Lease:
            nonlocal asked
            while (lease := await house.lease()) is None:
                asked += 1
                assert asked < 100, "it spins, and nobody else runs meanwhile"
                assert await house.pool.until_able(ROUTE, LONG_S)
            return lease

        waiting = asyncio.create_task(waits())
        await until(lambda: house.waiting == 1)
        first.release()
        async with asyncio.timeout(5):
            (await waiting).release()
    assert house.waiting == 0


async def test_who_waits_for_very_many_models_does_not_keep_everybody_busy() -> None:
    house = House(3)
    for number in range(1, 4):
        house.rest(number, 20)
    routes = [route_of(house.pool._strategy, f"invented-{number}") for number in range(1000)]
    tasks = [asyncio.create_task(house.pool.until_able(route, LONG_S)) for route in routes]
    await until(lambda: any(task.done() for task in tasks))
    assert (house.waiting, len(house.pool._waiting._queues)) == (200, 200)
    known = asyncio.create_task(house.pool.until_able(routes[0], LONG_S))
    await until(lambda: house.waiting == 201)
    for task in (*tasks, known):
        task.cancel()
    await asyncio.wait([*tasks, known])
    assert (house.waiting, house.pool._waiting._queues) == (0, {})


async def _tick(house: House) -> None:
    while True:
        await asyncio.sleep(0.01)
        house.clock.advance(0.01)
