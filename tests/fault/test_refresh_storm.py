"""However many want a new token at once, the provider is asked once and everybody is served."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.fault.token_cluster import Cluster, open_cluster

PROCESSES = 4
REQUESTS = 250

pytestmark = pytest.mark.timeout(120)


async def _storm(cluster: Cluster) -> Counter[str]:
    """Let every process want the token at the same time; returns the tokens they got."""
    cluster.idp.latency_s = 0.2
    workers = [await cluster.start(requests=REQUESTS) for _ in range(PROCESSES)]
    await asyncio.gather(*(worker.ready() for worker in workers))
    outcomes = await asyncio.gather(*(worker.outcome() for worker in workers))
    assert [outcome.errors for outcome in outcomes] == [{}] * PROCESSES
    return sum((outcome.access for outcome in outcomes), Counter())


async def test_four_processes_on_one_sqlite_file_refresh_once(tmp_path: Path) -> None:
    async with open_cluster(tmp_path) as cluster:
        served = await _storm(cluster)
        assert served == {"access-family-1": PROCESSES * REQUESTS}
        assert cluster.idp.counts == {"calls": 1, "refreshed": 1}
        assert (await cluster.stored()).credentials.access == "access-family-1"


async def test_four_processes_on_mariadb_and_redis_refresh_once(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    async with open_cluster(tmp_path, mysql_url, redis_url) as cluster:
        served = await _storm(cluster)
        assert served == {"access-family-1": PROCESSES * REQUESTS}
        assert cluster.idp.counts == {"calls": 1, "refreshed": 1}
        assert (await cluster.stored()).credentials.access == "access-family-1"
