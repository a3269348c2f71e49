"""SIGTERM under live streams: told first, drained, cut with a word, and recorded."""

import asyncio
import signal
import time
from pathlib import Path

import aiohttp
import pytest

from models.exchange import RequestRecord
from tests.e2e.cluster import Cluster, open_cluster
from tests.fakes.private_servers import private_mariadb
from tests.fakes.provider import FakeProvider
from tests.fakes.scenarios import Scenario
from tests.fault.live_streams import (
    PATHS,
    LiveStream,
    all_done,
    client_headers,
    long_texts,
    open_stream,
)
from tests.fault.whole_program import (
    ASK,
    AT_ONCE,
    Load,
    everywhere,
    open_books,
    read_rows,
    steady_load,
)
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

DELAY_S, DRAIN_S = 2.0, 5.0
TIMES = {
    "AIGATEWAY_SERVER__DRAIN_DELAY_S": str(DELAY_S),
    "AIGATEWAY_SERVER__DRAIN_TIMEOUT_S": str(DRAIN_S),
}
EACH = 6
CLAUDE, GPT = "claude-fake", "gpt-fake"


async def _furnish(cluster: Cluster) -> tuple[FakeProvider, FakeProvider]:
    """Claude's streams end after some 3 s; those of GPT begin and then fall silent for ever."""
    claude = await cluster.add_provider("messages", accounts=2)
    claude.scenario, claude.pause_s = Scenario(**long_texts(30)), 0.1
    gpt = await cluster.add_provider("chat", accounts=2)
    gpt.hang_after = 3
    await everywhere()
    return claude, gpt


async def _streams(cluster: Cluster, model: str) -> list[LiveStream]:
    """Open streams of one model in both formats: one is raw, the other translated."""
    return [
        await open_stream(cluster, dialect, model, f"{model}-{dialect}-{number}")
        for dialect in PATHS
        for number in range(EACH)
    ]


async def _health(cluster: Cluster) -> int:
    """Ask for readiness over a connection of its own; 0 when none comes about."""
    try:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{cluster.url}/health/ready") as response,
        ):
            return response.status
    except aiohttp.ClientError:
        return 0


async def _late_call(cluster: Cluster) -> aiohttp.ClientResponse:
    """Ask a model that never answers; its answer is not streamed."""
    response = await cluster.http.post(
        cluster.url + PATHS["messages"],
        json={**ASK, "model": GPT},
        headers=client_headers(cluster, "late-call"),
    )
    await response.read()
    return response


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_stop_lets_streams_end_and_tells_those_that_do_not(
    request: pytest.FixtureRequest, tmp_path: Path, workers: int
) -> None:
    urls = _stores(request) if workers > 1 else {}
    async with open_cluster(tmp_path, workers=workers, environment=TIMES, **urls) as cluster:
        _, gpt = await _furnish(cluster)
        assert await _health(cluster) == 200
        hanging = await _streams(cluster, GPT)
        ending = await _streams(cluster, CLAUDE)
        gpt.delay_s = 600.0
        late = asyncio.create_task(_late_call(cluster))
        await until(lambda: len(gpt.seen) == 2 * EACH + 1)
        assert cluster.process is not None
        cluster.process.send_signal(signal.SIGTERM)
        # Not ready at once, and still accepting: a load balancer turns away first.
        await until(lambda: cluster.log.read_bytes().count(b": stopping\n") == workers)
        assert await _health(cluster) == 503
        joined = await open_stream(cluster, "messages", CLAUDE, "joined")
        await all_done([*ending, joined, *hanging])
        assert all(stream.is_whole and not stream.errors for stream in (*ending, joined))
        assert [stream.body[-300:] for stream in hanging if not stream.has_told_its_error] == []
        answer = await late
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert (await answer.json())["type"] == "error"
        assert await asyncio.to_thread(cluster.process.wait, 20) == 0
        assert await _health(cluster) == 0
        await _check_rows(cluster, ending=[*ending, joined], hanging=hanging)


async def _check_rows(
    cluster: Cluster, *, ending: list[LiveStream], hanging: list[LiveStream]
) -> None:
    """Every request has its row, and nobody was blamed for our stop."""
    async with open_books(cluster) as books:
        found = await read_rows(books, set())
    rows = {row.client_request_id: row for row in found}
    assert len(rows) == len(found) == len(ending) + len(hanging) + 1
    for stream in ending:
        row = rows[stream.request_id]
        assert _told(row) == (200, None)
        assert row.usage.output_tokens == 7
    for stream in hanging:
        assert _told(rows[stream.request_id]) == (200, "unavailable")
    assert _told(rows["late-call"]) == (503, "unavailable")
    assert b"cooling down" not in cluster.log.read_bytes()


def _told(row: RequestRecord) -> tuple[int, str | None]:
    return row.status, row.error_code


async def test_a_second_signal_ends_it_within_5_s(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    workers, long = 2, {"AIGATEWAY_SERVER__DRAIN_TIMEOUT_S": "300"}
    async with open_cluster(
        tmp_path, workers=workers, database_url=mysql_url, redis_url=redis_url, environment=long
    ) as cluster:
        await _furnish(cluster)
        hanging = await _streams(cluster, GPT)
        assert cluster.process is not None
        cluster.process.send_signal(signal.SIGTERM)
        await until(lambda: cluster.log.read_bytes().count(b": stopping\n") == workers)
        await asyncio.sleep(0.5)
        assert not any(stream.done is not None and stream.done.done() for stream in hanging)
        cluster.process.send_signal(signal.SIGTERM)
        second_at = time.monotonic()
        await asyncio.to_thread(cluster.process.wait, 20)
        assert time.monotonic() - second_at <= 5.0
        await all_done(hanging)
        assert all(stream.has_told_its_error for stream in hanging)
        async with open_books(cluster) as books:
            rows = await read_rows(books, {stream.request_id for stream in hanging})
        assert len(rows) == len(hanging)


async def test_not_even_a_frozen_database_holds_up_the_second_signal(tmp_path: Path) -> None:
    """And what it has not taken is on the disk by then."""
    with private_mariadb(tmp_path) as server:
        async with open_cluster(tmp_path, database_url=server.url) as cluster:
            await cluster.add_provider("messages")
            await everywhere()
            server.freeze()
            load = Load()
            await steady_load(cluster, 20, load, rate_per_s=AT_ONCE)
            assert load.statuses == {200: 20}
            assert cluster.process is not None
            for _ in range(2):
                cluster.process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0.5)
            second_at = time.monotonic()
            await asyncio.to_thread(cluster.process.wait, 20)
            assert time.monotonic() - second_at <= 5.0
            server.thaw()
            await cluster.start()
            async with open_books(cluster) as books:
                assert len(await read_rows(books, load.ids, limit_s=20)) == 20


def _stores(request: pytest.FixtureRequest) -> dict[str, str]:
    return {
        "database_url": request.getfixturevalue("mysql_url"),
        "redis_url": request.getfixturevalue("redis_url"),
    }


async def test_a_provider_that_does_not_tell_its_models_holds_up_no_stop(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()  # to the end: a client that leaves
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, open_cluster(tmp_path) as cluster:
        body = {"id": "silent", "name": "silent", "dialect": "messages", "base_url": url}
        await cluster.api("POST", "/providers", body)
        await cluster.add_account("silent", "key-0")
        async with asyncio.timeout(30):
            await asked.wait()
        assert await cluster.stop() == 0
        assert "cancelled at shutdown" not in cluster.log.read_text()
