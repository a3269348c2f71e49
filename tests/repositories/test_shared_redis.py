"""What replicas have in common on one Redis."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing

import pytest

from repositories.base import SharedState
from repositories.counters import Counters, midnight_after
from repositories.shared import open_shared


@pytest.fixture
async def replicas(redis_url: str) -> AsyncIterator[list[SharedState]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(open_shared(redis_url, timeout_s=5)) for _ in range(4)
        ]


async def test_4000_requests_over_10_accounts_and_4_replicas_are_400_each(
    replicas: list[SharedState],
) -> None:
    async def requests(replica: SharedState) -> list[int]:
        return [await replica.increment("account:rr:openai:gpt-5") % 10 for _ in range(100)]

    chosen = await asyncio.gather(*(requests(replica) for replica in replicas for _ in range(10)))
    flat = [account for accounts in chosen for account in accounts]
    assert [flat.count(account) for account in range(10)] == [400] * 10


async def test_replicas_see_each_others_values_counts_and_messages(
    replicas: list[SharedState], redis_prefix: str
) -> None:
    one, two, *_ = replicas
    await one.put("k", b"1", 60)
    assert await two.get("k") == b"1"
    now = time.time()
    await one.count_today({"n": 1}, now=now)
    await two.count_today({"n": 2}, now=now)
    assert await one.read_counts(["n"]) == [3]
    channel = f"{redis_prefix}news"
    async with aclosing(two.subscribe(channel)) as listener, asyncio.timeout(10):
        heard = asyncio.ensure_future(anext(listener))
        while not heard.done():
            await one.publish(channel, b"hello")
            await asyncio.wait([heard], timeout=0.02)
        assert heard.result() == b"hello"


async def test_gateways_in_other_databases_of_one_redis_hear_nothing(
    replicas: list[SharedState], redis_url: str, redis_prefix: str
) -> None:
    channel = f"{redis_prefix}news"
    address, _, number = redis_url.rpartition("/")
    other_url = f"{address}/{1 if number == '0' else 0}"
    async with (
        open_shared(other_url, timeout_s=5) as other,
        aclosing(replicas[0].subscribe(channel)) as listener,
        asyncio.timeout(10),
    ):
        heard = asyncio.ensure_future(anext(listener))
        while not heard.done():
            await other.publish(channel, b"not for you")
            await replicas[1].publish(channel, b"for you")
            await asyncio.wait([heard], timeout=0.02)
        assert heard.result() == b"for you"


def test_the_counter_unused_for_longest_is_forgotten() -> None:
    counters = Counters(limit=2)
    for key in ("a", "b", "a", "c"):
        counters.add(key, 1)
    assert len(counters) == 2
    assert [counters.add("a", 1), counters.add("b", 1)] == [3, 1]


@pytest.mark.parametrize(
    ("now", "midnight"),
    [(0, 86_400), (86_399.9, 86_400), (86_400, 172_800), (1_795_132_800.5, 1_795_219_200)],
)
def test_a_day_ends_at_midnight_utc(now: float, midnight: int) -> None:
    assert midnight_after(now) == midnight
