"""Redis killed or frozen under load: requests go on, accounts take turns, and it is found again."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster, open_cluster
from tests.fakes.private_servers import PrivateRedis, private_redis
from tests.fault.whole_program import (
    AT_ONCE,
    LIMIT_S,
    REQUESTS,
    Load,
    check_books,
    furnish,
    open_books,
    outage,
    steady_load,
    tell,
)

pytestmark = pytest.mark.timeout(LIMIT_S)

WORKERS = 4
RECOVERY_S = 5.0
# What a request may wait for Redis is half a second; a busy machine adds to it.
LATE_S = 1.5


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[PrivateRedis]:
    with private_redis(tmp_path) as server:
        yield server


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_an_outage_of_redis_is_hardly_noticed(
    tmp_path: Path, redis: PrivateRedis, mysql_url: str, how: str
) -> None:
    async with open_cluster(
        tmp_path, workers=WORKERS, database_url=mysql_url, redis_url=redis.url
    ) as cluster:
        provider = await furnish(cluster)
        load, counts = Load(), [Counter[str]()]

        def break_it() -> None:
            (redis.kill if how == "killed" else redis.freeze)()
            counts.append(Counter(provider.by_key))

        def mend_it() -> None:
            counts.append(Counter(provider.by_key))
            (redis.start if how == "killed" else redis.thaw)()

        async def broken() -> float:
            await outage(load, break_it, mend_it, at=REQUESTS // 4)
            return await _all_back(cluster)

        _, back_s = await asyncio.gather(steady_load(cluster, REQUESTS, load), broken())
        assert back_s <= RECOVERY_S
        assert load.statuses[200] >= 0.999 * REQUESTS, load.statuses
        assert load.late(LATE_S) <= 0.001 * REQUESTS, sorted(load.seconds)[-20:]
        during = counts[2] - counts[1]
        assert len(during) == 10
        assert max(during.values()) <= 1.5 * min(during.values())
        before = Counter(provider.by_key)
        await steady_load(cluster, 400, load, name="after", rate_per_s=AT_ONCE)
        after = provider.by_key - before
        assert len(after) == 10
        assert max(after.values()) - min(after.values()) <= 2
        tell(
            statuses=load.statuses,
            slowest_s=load.slowest_s,
            in_outage=sorted(during.values()),
            back_s=back_s,
            after=sorted(after.values()),
        )
        async with open_books(cluster) as books:
            await check_books(books, load.ids, provider, limit_s=20)


async def _all_back(cluster: Cluster) -> float:
    """Wait until every worker uses Redis again; return how long that took."""
    mended_at = time.monotonic()
    async with asyncio.timeout(60):
        while True:
            told = cluster.log.read_bytes()
            away = told.count(b"shared state is away")
            if told.count(b"shared state is back") == away >= WORKERS:
                break
            await asyncio.sleep(0.02)
    return time.monotonic() - mended_at
