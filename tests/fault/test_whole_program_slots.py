"""Accounts with a limit under many requests at once, from several processes of which one dies.

The places of the killed process come back after a tenth of the usual time;
AIGATEWAY_TEST_SCALE=full waits as long as users would.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from redis.asyncio import Redis

from tests.e2e.cluster import Cluster, open_cluster
from tests.fakes.provider import FakeProvider
from tests.fault.brief_places import SHARE
from tests.fault.whole_program import ASK, IS_FULL, everywhere, tell

pytestmark = pytest.mark.timeout(300)

WORKERS = 4
REQUESTS = 1000
ACCOUNTS = 5
LIMIT = 2
DELAY_S = 0.1
FREE_WITHIN_S = 90 if IS_FULL else 90 * SHARE
ENVIRONMENT = {"AIGATEWAY_RETRY__MAX_WAIT_S": "200"}


async def test_limits_hold_while_a_process_is_killed_and_its_places_come_back(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    async with (
        open_cluster(
            tmp_path,
            workers=WORKERS,
            database_url=mysql_url,
            redis_url=redis_url,
            environment=ENVIRONMENT,
            program="aigateway" if IS_FULL else "tests.fault.brief_places",
        ) as cluster,
        Redis.from_url(redis_url) as redis,
    ):
        provider = await _limited(cluster)
        began = time.monotonic()
        load, ends = asyncio.create_task(_all_at_once(cluster)), list[float]()
        load.add_done_callback(lambda _: ends.append(time.monotonic()))
        held = await _kill_one(cluster, provider, redis)
        free_after_s = await _until_free(redis, held, time.monotonic())
        statuses = await load
        assert dict(provider.most_in_flight) == {
            f"key-{number}": LIMIT for number in range(ACCOUNTS)
        }
        assert statuses.keys() <= {200, 0}
        assert statuses[0] < REQUESTS / 2, "only the killed process's clients lost their answer"
        tell(
            statuses=dict(statuses),
            held=len(held),
            free_after_s=free_after_s,
            load_s=ends[0] - began,
        )
        again = await _all_at_once(cluster, 50)
        assert again == {200: 50}
        assert max(provider.most_in_flight.values()) == LIMIT


async def _limited(cluster: Cluster) -> FakeProvider:
    provider = await cluster.add_provider("messages", accounts=ACCOUNTS)
    provider.delay_s = DELAY_S
    for account in (await cluster.api("GET", "/accounts"))["data"]:
        await cluster.api("PATCH", f"/accounts/{account['id']}", {"max_concurrent": LIMIT})
    await everywhere()
    return provider


async def _all_at_once(cluster: Cluster, count: int = REQUESTS) -> Counter[int]:
    """Send them on connections of their own, so that every process has its share."""
    headers = {"authorization": f"Bearer {cluster.key}"}
    connector = aiohttp.TCPConnector(limit=0, force_close=True)

    async def one(http: aiohttp.ClientSession) -> int:
        try:
            async with http.post(f"{cluster.url}/v1/messages", json=ASK, headers=headers) as answer:
                await answer.read()
                return answer.status
        except aiohttp.ClientError:
            return 0

    async with aiohttp.ClientSession(connector=connector) as http:
        return Counter(await asyncio.gather(*(one(http) for _ in range(count))))


async def _kill_one(cluster: Cluster, provider: FakeProvider, redis: Redis) -> set[bytes]:
    """Kill a process that holds places, and return them."""
    async with asyncio.timeout(60):
        while len(provider.seen) < 100:  # noqa: ASYNC110 - counted by the provider
            await asyncio.sleep(0.01)
        for victim in cluster.worker_pids() * 9:
            # While it stands still its places stay, and those of the others change hands.
            os.kill(victim, signal.SIGSTOP)
            held = await _places(redis)
            await asyncio.sleep(5 * DELAY_S)
            held &= await _places(redis)
            if held:
                os.kill(victim, signal.SIGKILL)
                return held
            os.kill(victim, signal.SIGCONT)
    raise AssertionError("nobody holds a place")


async def _until_free(redis: Redis, held: set[bytes], since: float) -> float:
    """Return after how many seconds nobody holds these places any more."""
    while await _places(redis) & held:
        assert time.monotonic() - since < FREE_WITHIN_S
        await asyncio.sleep(0.1)
    return time.monotonic() - since


async def _places(redis: Redis) -> set[bytes]:
    """Return who holds places now."""
    now = (await redis.time())[0] * 1000
    found: set[bytes] = set()
    for key in await redis.keys("account:slots:*"):
        found |= {
            who for who in await redis.zrangebyscore(key, now, "+inf") if isinstance(who, bytes)
        }
    return found
