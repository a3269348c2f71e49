"""One replica meets a limit, the others hear of it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import pytest

from models.errors import ErrorKind, UpstreamError
from repositories.shared_memory import MemoryState
from services.background import Background, open_background
from services.cooldown import Cooldowns, Pauses
from services.news import CHANNEL, CooldownNews
from tests.fakes.clock import FakeClock
from tests.waiting import until

LIMIT = UpstreamError("slow down", kind=ErrorKind.RATE_LIMIT, retry_after_s=60)
CLOCK = FakeClock()


class Shared(MemoryState):
    """One process's stand-in for a Redis of many."""

    mode: Literal["memory", "redis"] = "redis"


@pytest.fixture
async def background() -> AsyncIterator[Background]:
    async with open_background() as opened:
        yield opened


def news(shared: MemoryState, background: Background) -> CooldownNews:
    return CooldownNews(shared, Cooldowns(Pauses(), CLOCK), background)


async def hearing(listener: CooldownNews, shared: MemoryState) -> asyncio.Task[None]:
    task = asyncio.create_task(listener.listen())
    await until(lambda: shared._listeners.get(CHANNEL))
    return task


async def test_a_rest_here_is_a_rest_there(background: Background) -> None:
    shared = Shared()
    here, there = news(shared, background), news(shared, background)
    task = await hearing(there, shared)
    rest = here.cooldowns.report("a", None, "m", LIMIT)
    assert rest is not None
    here.tell(rest)
    await until(lambda: len(there.cooldowns))
    assert there.cooldowns.resting("a", "m", CLOCK.now()) == rest
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_message_that_is_none_is_passed_over(background: Background) -> None:
    shared = Shared()
    there = news(shared, background)
    task = await hearing(there, shared)
    rest = b'{"subject":"a","model":"m","began_at":1,"until":2,"reason":"rate_limit"}'
    for message in (
        b"",
        b"\xff",
        b"[]",
        b"{}",
        rest.replace(b"rate_limit", b"alien"),
        rest.replace(b"2", b'"2"'),
        rest,
    ):
        await shared.publish(CHANNEL, message)
    await until(lambda: len(there.cooldowns))
    assert len(there.cooldowns) == 1
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_single_process_tells_nobody(background: Background) -> None:
    shared = MemoryState()
    here = news(shared, background)
    task = await hearing(here, shared)
    rest = here.cooldowns.report("a", None, "m", LIMIT)
    assert rest is not None
    version = here.cooldowns.version
    here.tell(rest)
    await asyncio.sleep(0)
    assert here.cooldowns.version == version
    assert all(queue.empty() for queue in shared._listeners[CHANNEL])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
