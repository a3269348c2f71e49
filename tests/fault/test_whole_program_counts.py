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
    outage,
    read_ledger,
    steady_load,
)
from tests.servers import mysql_database

pytestmark = pytest.mark.timeout(LIMIT_S)


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
    async with open_cluster(
        tmp_path, workers=4, database_url=database_url, redis_url=redis_url
    ) as cluster:
        provider = await furnish(cluster)
        load = Load()
        _, (broken_at, mended_at) = await asyncio.gather(
            steady_load(cluster, REQUESTS, load),
            outage(load, *_ways(server, how), at=REQUESTS // 4),
        )
        assert load.statuses == {200: REQUESTS}
        assert mended_at - broken_at > REQUESTS // 10, "the outage met hardly any request"
        ledger = await read_ledger(cluster, REQUESTS)
        assert ledger.client_ids == sorted(load.ids)
        await check_books(cluster, ledger, provider)
        assert _spooled(cluster) == []


def _spooled(cluster: Cluster) -> list[Path]:
    return list((cluster.log.parent / "data" / "spool").glob("*/*.lines"))


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_rows_that_no_database_would_take_outlive_the_gateway(
    tmp_path: Path, server: PrivateMariaDB, database_url: str, redis_url: str, how: str
) -> None:
    """The outage outlasts the gateway: its next start finds the rows on the disk."""
    break_it, mend_it = _ways(server, how)
    async with open_cluster(
        tmp_path, workers=4, database_url=database_url, redis_url=redis_url
    ) as cluster:
        provider = await furnish(cluster)
        load = Load()
        _ = await asyncio.gather(
            steady_load(cluster, REQUESTS, load, rate_per_s=AT_ONCE),
            _once(load, break_it, at=REQUESTS // 2),
        )
        assert load.statuses == {200: REQUESTS}
        assert await cluster.stop() == 0
        assert len(_spooled(cluster)) >= 1
        await asyncio.to_thread(mend_it)
        await cluster.start()
        ledger = await read_ledger(cluster, REQUESTS)
        assert ledger.client_ids == sorted(load.ids)
        await check_books(cluster, ledger, provider)
        assert _spooled(cluster) == []


async def test_a_stop_right_after_the_last_answer_keeps_every_row(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    async with open_cluster(
        tmp_path, workers=4, database_url=mysql_url, redis_url=redis_url
    ) as cluster:
        await _stopped_after_the_last_answer(cluster)


async def test_a_stop_right_after_the_last_answer_keeps_every_row_in_one_process(
    tmp_path: Path,
) -> None:
    async with open_cluster(tmp_path) as cluster:
        await _stopped_after_the_last_answer(cluster)


async def _stopped_after_the_last_answer(cluster: Cluster) -> None:
    provider = await furnish(cluster)
    load = Load()
    await steady_load(cluster, REQUESTS, load, rate_per_s=AT_ONCE)
    assert await cluster.stop() == 0
    assert load.statuses == {200: REQUESTS}
    assert _spooled(cluster) == []
    await cluster.start()
    ledger = await read_ledger(cluster, REQUESTS, limit_s=1.0)
    assert ledger.client_ids == sorted(load.ids)
    await check_books(cluster, ledger, provider)


async def _once(load: Load, break_it: Callable[[], None], *, at: int) -> None:
    while load.count < at:  # noqa: ASYNC110 - counted by others
        await asyncio.sleep(0.01)
    await asyncio.to_thread(break_it)
