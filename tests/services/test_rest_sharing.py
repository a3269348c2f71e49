"""Replicas know of each other's rests: at once, after a lost message, after having been cut off."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ErrorKind
from models.rest import EVERY_MODEL, Rest
from repositories.base import SharedState
from repositories.shared import open_shared
from repositories.shared_memory import MemoryState
from repositories.shared_redis import RedisState
from services.rest_book import FORGOTTEN_S, SKEW_S
from services.rest_messages import read, written
from services.rest_sharing import CHANNEL, ENDS, EVERY_S, RESTS, RestSharing
from tests.fakes.clock import FakeClock
from tests.services.resting_rig import Desk, disabled, limited, overloaded, rejected, used_up
from tests.waiting import until

HOUR = 3_600.0


class Line(MemoryState):
    """One replica's way to a shared state, which can be cut."""

    mode: Literal["memory", "redis"] = "redis"

    def __init__(self, hub: MemoryState, clock: FakeClock) -> None:
        super().__init__(clock)
        self.is_cut = False
        self.loses_messages = False
        self._hashes = hub._hashes
        self._listeners = hub._listeners
        self._entries = hub._entries

    @property
    def is_available(self) -> bool:
        return not self.is_cut

    async def raise_field(self, key: str, name: str, rank: float, value: bytes) -> bool:
        return not self.is_cut and await super().raise_field(key, name, rank, value)

    async def drop_field(self, key: str, name: str) -> None:
        if not self.is_cut:
            await super().drop_field(key, name)

    async def fields(self, key: str) -> dict[str, bytes]:
        return {} if self.is_cut else await super().fields(key)

    async def publish(self, channel: str, message: bytes) -> None:
        if not self.is_cut and not self.loses_messages:
            await super().publish(channel, message)


class Replica(Desk):
    """A desk that shares."""

    def __init__(self, shared: SharedState, clock: FakeClock) -> None:
        super().__init__(clock, shared)
        self.shared = shared
        self.sharing = RestSharing(shared, self.cooldowns, clock)
        self.cooldowns.followers.append(self.sharing)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Replica"]:
        await self.sharing.compare()
        tasks = [
            asyncio.create_task(self.sharing.run()),
            asyncio.create_task(self.sharing.listen()),
        ]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class House:
    """Replicas around one shared state."""

    def __init__(self, count: int = 2) -> None:
        self.clock = FakeClock()
        self.hub = MemoryState(self.clock)
        self.lines = [Line(self.hub, self.clock) for _ in range(count)]
        self.replicas = [Replica(line, self.clock) for line in self.lines]

    async def compare(self) -> None:
        """Everybody tells what waits and compares, twice, so that all have seen all."""
        for _ in range(2):
            for replica in self.replicas:
                await replica.sharing.tell()
                await replica.sharing.compare()

    def rests(self) -> list[list[tuple[str, str, float]]]:
        """What each replica knows."""
        return [
            [(r.subject, r.scope, r.until) for r in one.cooldowns.active(self.clock.now())]
            for one in self.replicas
        ]


# --- at once ---


@pytest.fixture(params=["memory", "redis"])
async def states(request: pytest.FixtureRequest) -> AsyncIterator[Callable[[], SharedState]]:
    """Makes a way to one shared state for each replica; real Redis as well."""
    clock = FakeClock()
    if request.param == "memory":
        hub = MemoryState(clock)
        yield lambda: Line(hub, clock)
        return
    async with AsyncExitStack() as stack:
        url = str(request.getfixturevalue("redis_url"))
        made = [await stack.enter_async_context(open_shared(url, timeout_s=5)) for _ in range(3)]
        yield lambda: made.pop()


async def listening(state: SharedState, count: int) -> None:
    """Wait until so many replicas hear each other: what is told before is lost to them."""
    async with asyncio.timeout(10):
        while isinstance(state, RedisState):
            match await state._ask(("PUBSUB", "NUMSUB", state._named(CHANNEL))):
                case [_, int(heard)] if heard >= count:
                    return
            await asyncio.sleep(0.01)


async def test_a_rest_here_is_a_rest_there_and_so_is_its_end(
    states: Callable[[], SharedState],
) -> None:
    clock = FakeClock()
    here, there, late = (Replica(states(), clock) for _ in range(3))
    async with here.running(), there.running():
        await listening(here.shared, 2)
        rest = here.failed(used_up(HOUR))
        await until(lambda: there.rest() == rest)
        assert there.is_benched()
        async with late.running():
            assert late.rest() == rest
            clock.advance(900)
            late.succeeded()
            await until(lambda: here.rest() is None and there.rest() is None)


async def test_a_message_that_is_none_is_passed_over() -> None:
    house = House()
    there = house.replicas[1]
    good = written(Rest("acc-1", "m", 1.0, 4e9, ErrorKind.QUOTA))
    async with there.running():
        await until(lambda: house.hub._listeners.get(CHANNEL))
        for message in (
            b"",
            b"\xff",
            b"[]",
            b"{}",
            good.replace(b"quota", b"alien"),
            good.replace(b"4000000000.0", b'"2"'),
            good.replace(b"acc-1", b"acc-2").replace(b'"m"', b"null"),
            good,
        ):
            await house.hub.publish(CHANNEL, message)
        await until(lambda: len(there.cooldowns))
        assert [rest.subject for rest in there.cooldowns.active(house.clock.now())] == ["acc-1"]


def test_what_is_written_is_read_again() -> None:
    rest = Rest("acc-1", "family:x", 1.5, 2.25, ErrorKind.QUOTA, "5h window", 1.75, 3)
    assert read(written(rest)) == rest


# --- when something is lost ---


async def test_a_lost_message_costs_seconds() -> None:
    house = House()
    here, there = house.replicas
    house.lines[0].loses_messages = True
    here.failed(limited(retry_after_s=60))
    await here.sharing.tell()
    assert there.rest() is None
    await there.sharing.compare()
    assert there.rest() == here.rest()
    house.clock.advance(60)
    here.succeeded()
    await here.sharing.tell()
    assert there.rest() is not None
    await there.sharing.compare()
    assert there.rest() is None


async def test_the_loops_compare_by_themselves() -> None:
    house = House()
    here, there = house.replicas
    house.lines[0].loses_messages = True
    async with here.running(), there.running():
        here.failed(limited(retry_after_s=600))
        house.clock.advance(2 * EVERY_S)  # both are due now, in whichever order
        await until(lambda: house.hub._hashes.get(RESTS))
        house.clock.advance(2 * EVERY_S)
        await until(lambda: there.rest() is not None)
        assert there.rest() == here.rest()


async def test_what_the_shared_state_forgot_is_written_down_again() -> None:
    house = House()
    house.replicas[0].failed(used_up(HOUR))
    await house.compare()
    house.hub._hashes.clear()
    await house.compare()
    late = Replica(Line(house.hub, house.clock), house.clock)
    await late.sharing.compare()
    assert late.is_benched()


async def test_an_old_copy_of_an_ended_rest_brings_it_back_nowhere() -> None:
    house = House(3)
    first, second, third = house.replicas
    first.failed(used_up(HOUR))
    await house.compare()
    copy = dict(house.hub._hashes[RESTS])
    house.clock.advance(900)
    second.succeeded()
    await house.compare()
    house.hub._hashes[RESTS].update(copy)
    await house.compare()
    assert house.rests() == [[], [], []]
    assert not house.hub._hashes[RESTS]
    assert third.failed(used_up(HOUR)) is not None
    await house.compare()
    assert all(replica.is_benched() for replica in house.replicas)


# --- partition and merge ---


async def test_a_replica_that_was_cut_off_keeps_its_rests_and_merges_without_shortening() -> None:
    house = House()
    here, there = house.replicas
    here.failed(limited(retry_after_s=100), "acc-1")
    await house.compare()
    house.lines[1].is_cut = True
    there.failed(used_up(HOUR), "acc-1")
    there.failed(limited(retry_after_s=50), "acc-2")
    here.failed(limited(retry_after_s=500), "acc-2")
    here.failed(limited(retry_after_s=70), "acc-3")
    here.failed(limited(retry_after_s=50), "acc-4")
    there.failed(limited(retry_after_s=500), "acc-4")
    await house.compare()
    assert there.is_benched("acc-1")
    assert there.rest("acc-3") is None
    longest = {
        account: max(rest.until for replica in house.replicas if (rest := replica.rest(account)))
        for account in ("acc-1", "acc-2", "acc-3", "acc-4")
    }
    house.lines[1].is_cut = False
    await house.compare()
    for replica in house.replicas:
        for account, until_ in longest.items():
            rest = replica.rest(account)
            assert rest is not None
            assert rest.until == until_


async def test_what_ended_while_one_was_cut_off_ends_there_too() -> None:
    house = House()
    here, there = house.replicas
    here.failed(used_up(HOUR))
    await house.compare()
    house.lines[1].is_cut = True
    house.clock.advance(900)
    here.succeeded()
    await house.compare()
    assert there.rest() is not None
    house.lines[1].is_cut = False
    await house.compare()
    assert house.rests() == [[], []]


async def test_an_end_while_cut_off_is_told_later() -> None:
    house = House()
    here, there = house.replicas
    here.failed(used_up(HOUR))
    await house.compare()
    house.lines[1].is_cut = True
    house.clock.advance(900)
    there.succeeded()
    await house.compare()
    house.lines[1].is_cut = False
    await house.compare()
    assert house.rests() == [[], []]


async def test_an_outage_that_answers_nothing_is_not_taken_for_the_truth() -> None:
    house = House()
    here, there = house.replicas
    here.failed(used_up(HOUR))
    await house.compare()
    for line in house.lines:
        line.is_cut = True
    await house.compare()
    assert here.is_benched()
    assert there.is_benched()


@pytest.mark.parametrize("skew_s", [-5.0, 5.0])
async def test_clocks_that_differ_by_seconds_lose_no_rest(skew_s: float) -> None:
    hub, clock, other = MemoryState(), FakeClock(), FakeClock()
    other.time += skew_s
    here, there = Replica(Line(hub, clock), clock), Replica(Line(hub, other), other)
    for _ in range(3):
        assert here.failed(limited(retry_after_s=60)) is not None
        await here.sharing.tell()
        await there.sharing.compare()
        assert there.is_benched()
        for moved in (clock, other):
            moved.advance(66)
        there.succeeded()
        await there.sharing.tell()
        await here.sharing.compare()
        assert here.rest() is None


async def test_an_end_does_not_take_the_rest_along_that_follows_it() -> None:
    house = House()
    here, there = house.replicas
    here.failed(limited(retry_after_s=60))
    await here.sharing.tell()
    house.clock.advance(60)
    here.succeeded()
    again = here.failed(limited(retry_after_s=600))
    await here.sharing.tell()
    await there.sharing.compare()
    assert there.rest() == again


# --- leftovers ---


async def test_what_is_over_is_removed_by_whoever_comes_by() -> None:
    house = House()
    here, there = house.replicas
    here.failed(limited(retry_after_s=60), "acc-1")
    here.failed(limited(retry_after_s=60), "acc-2")
    await house.compare()
    house.clock.advance(60)
    here.succeeded("acc-1")
    await house.compare()
    assert (len(house.hub._hashes[RESTS]), len(house.hub._hashes[ENDS])) == (1, 1)
    house.clock.advance(FORGOTTEN_S + SKEW_S + 1)
    await there.sharing.compare()
    await house.compare()
    assert (len(house.hub._hashes[RESTS]), len(house.hub._hashes[ENDS])) == (0, 0)


async def test_a_field_that_is_not_understood_is_removed() -> None:
    house = House(1)
    house.hub._hashes[RESTS] = {"x": (1.0, b"nonsense")}
    house.hub._hashes[ENDS] = {"y": (1.0, b"{}")}
    await house.compare()
    assert (house.hub._hashes[RESTS], house.hub._hashes[ENDS]) == ({}, {})


async def test_a_reset_holds_though_the_shared_state_still_tells_of_the_rest() -> None:
    house = House()
    here, there = house.replicas
    here.failed(disabled())
    await house.compare()
    for replica in house.replicas:
        replica.cooldowns.void({"acc-1": house.clock.now()})
    await there.sharing.compare()
    await house.compare()
    assert house.rests() == [[], []]


async def test_strikes_go_on_where_another_replica_left_off() -> None:
    house = House()
    for number, lasts_s in enumerate((1, 2, 4, 8, 16)):
        replica = house.replicas[number % 2]
        assert replica.lasts_s(replica.failed(limited())) == lasts_s
        await house.compare()
        house.clock.advance(lasts_s)


async def test_a_key_that_two_replicas_saw_refused_needs_its_operator() -> None:
    house = House()
    first = house.replicas[0].failed(rejected())
    assert first is not None
    await house.compare()
    house.clock.time = first.until
    second = house.replicas[1].failed(rejected())
    assert second is not None
    assert second.needs_operator


async def test_a_provider_that_fails_for_everybody_frees_the_accounts_of_all_replicas() -> None:
    house = House()
    here, there = house.replicas
    for number in range(3):
        here.failed(overloaded(), f"acc-{number}")
    await house.compare()
    for number in range(3, 6):
        there.failed(overloaded(), f"acc-{number}")
    await house.compare()
    assert house.rests() == [[], []]


# --- whatever happens ---


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["limit", "window", "serve", "compare", "cut", "wait", "flush"]),
            st.integers(0, 2),
            st.integers(1, 3),
        ),
        max_size=40,
    )
)
def test_replicas_agree_once_they_have_told_each_other(
    steps: list[tuple[str, int, int]],
) -> None:
    """And nobody forgot a rest that nobody ended."""

    def known(replica: Replica) -> set[tuple[str, str]]:
        return {(rest.subject, rest.scope) for rest in replica.cooldowns.active(0.0)}

    async def act() -> None:
        house = House(3)
        expected: dict[tuple[str, str], float] = {}
        for step, who, amount in steps:
            replica, account = house.replicas[who], f"acc-{amount}"
            match step:
                case "limit" | "window":
                    error = limited(retry_after_s=40) if step == "limit" else used_up(HOUR)
                    rest = replica.failed(error, account)
                    if rest is not None:
                        key = (rest.subject, rest.scope)
                        expected[key] = max(expected.get(key, 0.0), rest.until)
                case "serve":
                    before = known(replica)
                    replica.succeeded(account)
                    for key in before - known(replica):
                        expected.pop(key, None)
                case "compare":
                    await replica.sharing.tell()
                    await replica.sharing.compare()
                case "cut":
                    house.lines[who].is_cut = not house.lines[who].is_cut
                case "wait":
                    house.clock.advance(20 * amount)
                case _:
                    house.hub._hashes.clear()
        for line in house.lines:
            line.is_cut = False
        await house.compare()
        await house.compare()
        rests = house.rests()
        assert rests[0] == rests[1] == rests[2]
        ends = {(subject, scope): end for subject, scope, end in rests[0]}
        for key, end in expected.items():
            assert end <= house.clock.now() or ends[key] >= end

    asyncio.run(act())


def test_scopes_are_told_apart() -> None:
    clock = FakeClock()
    desk = Replica(Line(MemoryState(clock), clock), clock)
    desk.failed(used_up(HOUR))
    desk.failed(limited(retry_after_s=60))
    assert [rest.scope for rest in desk.cooldowns.active(clock.now())] == [EVERY_MODEL, "m"]
