"""Places on a Redis that comes and goes: none is taken for longer than it is needed."""

import asyncio
from collections.abc import Sequence

import pytest

from repositories.lane import Command, Lane, LinkDown, Reply
from repositories.redis_slots import RedisSlots
from tests.waiting import until


class Line:
    """A connection that fails as it is told, and notes what arrived."""

    def __init__(self) -> None:
        self.faults: list[Exception] = []
        self.arrived: list[Command] = []

    async def exchange(self, commands: Sequence[Command], *, limit_s: float) -> list[Reply]:
        await asyncio.sleep(0)
        if self.faults and commands != [("PING",)]:
            raise self.faults.pop(0)
        self.arrived += commands
        return [1 for _ in commands]

    async def close(self) -> None:
        pass


def lane_of(line: Line, slots: RedisSlots) -> Lane:
    return Lane(
        line,
        timeout_s=1,
        breaker_failures=9,
        breaker_pause_s=0.01,
        first_words=slots.first_words,
        said=slots.said,
    )


@pytest.mark.parametrize("fault", [LinkDown("gone again"), RuntimeError("a fault of the library")])
async def test_what_a_redis_that_is_back_did_not_hear_is_said_again(fault: Exception) -> None:
    """It is away when a place is given back, and goes away once more while it is told so."""
    line, slots = Line(), RedisSlots()
    lane = lane_of(line, slots)
    await lane.start()
    try:
        assert await slots.take(lane, "a", "one", 1, 60.0) == 1
        line.faults = [LinkDown("gone"), fault]
        await slots.free(lane, "a", "one")
        async with asyncio.timeout(5):
            await until(lambda: lane.is_available)
        assert ("ZREM", "account:slots:{a}", "one") in line.arrived
        assert await lane.increment("n", 1) == 1
    finally:
        await lane.close()


async def test_what_it_has_heard_is_not_said_again() -> None:
    line, slots = Line(), RedisSlots()
    lane = lane_of(line, slots)
    await lane.start()
    try:
        for holder in ("one", "two"):
            line.faults = [LinkDown("gone")]
            await slots.free(lane, "a", holder)
            await until(lambda: lane.is_available)
        assert [command[2] for command in line.arrived if command[0] == "ZREM"] == ["one", "two"]
    finally:
        await lane.close()
