"""Every request has its row, whatever happens to the database meanwhile, and none has two."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster, open_cluster
from tests.fakes.private_servers import PrivateMariaDB, private_mariadb
from tests.fault.whole_program import (
    AT_ONCE,
    LIMIT_S,
    REQUESTS,
    Load,
    check_books,
    furnish,
    open_books,
    outage,
    spooled,
    steady_load,
    tell,
)
from tests.servers import mysql_database

pytestmark = pytest.mark.timeout(LIMIT_S)

REPLAY_S = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateMariaDB]:
    with private_mariadb(tmp_path_factory.mktemp("mariadb")) as mariadb:
        yield mariadb


@pytest.fixture
def database_url(server: PrivateMariaDB) -> Iterator[str]:
    """An empty database on the server, which is well again afterwards."""
    with mysql_database(server.url) as url:
        yield url
        server.thaw()
        if not server.answers():
            server.start()


def _ways(server: PrivateMariaDB, how: str) -> tuple[Callable[[], None], Callable[[], None]]:
    return {"killed": (server.kill, server.start), "frozen": (server.freeze, server.thaw)}[how]


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_an_outage_of_the_database_costs_no_request_and_no_row(
    tmp_path: Path, server: PrivateMariaDB, database_url: str, redis_url: str, how: str
) -> None:
    """One in the middle of the load, and one that outlasts the gateway."""
    break_it, mend_it = _ways(server, how)
    async with (
        open_cluster(
            tmp_path, workers=4, database_url=database_url, redis_url=redis_url
        ) as cluster,
        open_books(cluster) as books,
    ):
        provider, load = await furnish(cluster), Load()
        _, (broken_at, mended_at) = await asyncio.gather(
            steady_load(cluster, REQUESTS, load),
            outage(load, break_it, mend_it, at=REQUESTS // 4),
        )
        assert load.statuses == {200: REQUESTS}
        assert mended_at - broken_at > REQUESTS // 10, "the outage met hardly any request"
        await check_books(books, load.ids, provider, limit_s=REPLAY_S)
        assert spooled(cluster) == []
        tell(statuses=load.statuses, in_outage=mended_at - broken_at, slowest_s=load.slowest_s)

        await asyncio.to_thread(break_it)
        more = REQUESTS // 5
        await steady_load(cluster, more, load, name="more", rate_per_s=AT_ONCE)
        assert load.statuses == {200: REQUESTS + more}
        assert await cluster.stop() == 0
        assert len(spooled(cluster)) >= 1
        await asyncio.to_thread(mend_it)
        await cluster.start()
        await check_books(books, load.ids, provider, limit_s=REPLAY_S)
        assert spooled(cluster) == []


async def test_a_stop_right_after_the_last_answer_keeps_every_row(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    async with open_cluster(
        tmp_path, workers=4, database_url=mysql_url, redis_url=redis_url
    ) as cluster:
        await _stop_after_the_last_answer(cluster)


async def test_a_stop_right_after_the_last_answer_keeps_every_row_in_one_process(
    tmp_path: Path,
) -> None:
    async with open_cluster(tmp_path) as cluster:
        await _stop_after_the_last_answer(cluster)


async def _stop_after_the_last_answer(cluster: Cluster) -> None:
    provider, load = await furnish(cluster), Load()
    await steady_load(cluster, REQUESTS, load, rate_per_s=AT_ONCE)
    assert await cluster.stop() == 0
    assert load.statuses == {200: REQUESTS}
    async with open_books(cluster) as books:
        await check_books(books, load.ids, provider)
    tell(statuses=load.statuses, slowest_s=load.slowest_s)
    assert spooled(cluster) == []
