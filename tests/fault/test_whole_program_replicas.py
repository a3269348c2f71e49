"""Several gateways behind HAProxy are one: restarts, a cut cable, changes, work done once."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.e2e.cluster import Cluster
from tests.fakes.private_servers import PrivateHaproxy, PrivateRedis, private_redis
from tests.fakes.scenarios import Scenario
from tests.fakes.tcp_relay import tcp_relay
from tests.fault.live_streams import LiveStream, all_done, long_texts, open_stream
from tests.fault.replicas import open_replicas
from tests.fault.whole_program import (
    AT_ONCE,
    IS_FULL,
    Load,
    everywhere,
    furnish,
    open_books,
    read_rows,
    steady_load,
    tell,
)
from tests.waiting import until

pytestmark = pytest.mark.timeout(300)

REQUESTS = 10_000 if IS_FULL else 2_000
RATE_PER_S = 200.0
DRAIN = {
    "AIGATEWAY_SERVER__DRAIN_DELAY_S": "2",
    "AIGATEWAY_SERVER__DRAIN_TIMEOUT_S": "30",
}
# Who waits for Redis no longer takes a turn of its own: on a busy machine that is no lost cable.
PATIENT = {"AIGATEWAY_REDIS__TIMEOUT_S": "1.5"}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[PrivateRedis]:
    with private_redis(tmp_path) as server:
        yield server


def port_of(cluster: Cluster) -> int:
    return int(cluster.url.rpartition(":")[2])


async def test_replicas_are_restarted_in_turn_and_no_client_notices(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    async with open_replicas(
        tmp_path, database_url=mysql_url, redis_urls=[redis_url] * 2, environment=DRAIN
    ) as replicas:
        provider = await furnish(replicas[0], accounts=6)
        balancer = PrivateHaproxy(tmp_path, [port_of(replica) for replica in replicas])
        await asyncio.to_thread(balancer.start)
        replicas[0].stack.push_async_callback(asyncio.to_thread, balancer.stop)
        client, load = replace(replicas[0], url=balancer.url), Load()
        provider.scenario = Scenario(**long_texts(40))
        streams: list[LiveStream] = []

        async def restarts() -> None:
            for number, replica in enumerate(replicas):
                await until(partial(_is_past, load, 0.1 + 0.4 * number), 60)
                provider.pause_s = 0.05  # streams of two seconds
                for _ in range(4):
                    name = f"stream-{len(streams)}"
                    streams.append(await open_stream(client, "messages", "claude-fake", name))
                provider.pause_s = 0.0
                assert await replica.stop() == 0
                await replica.start()

        await asyncio.gather(steady_load(client, REQUESTS, load, rate_per_s=RATE_PER_S), restarts())
        await all_done(streams)
        tell(statuses=dict(load.statuses), slowest_s=load.slowest_s, streams=len(streams))
        assert load.statuses == {200: REQUESTS}
        assert [stream.is_whole for stream in streams] == [True] * 8


def _is_past(load: Load, share: float) -> bool:
    return load.count > REQUESTS * share


async def test_one_that_is_cut_off_from_redis_serves_on_and_finds_back(
    tmp_path: Path, redis: PrivateRedis, mysql_url: str
) -> None:
    async with tcp_relay(redis.port) as cable:
        urls = [redis.url, f"redis://127.0.0.1:{cable.port}"]
        async with open_replicas(
            tmp_path, database_url=mysql_url, redis_urls=urls, environment=PATIENT
        ) as replicas:
            provider, load = await furnish(replicas[0], accounts=5), Load()
            count = REQUESTS // 4
            for name, is_cut in (("before", False), ("during", True), ("after", False)):
                (cable.cut if is_cut else cable.mend)()
                if name == "after":
                    await until_well(replicas[1])
                before = Counter(provider.by_key)
                await asyncio.gather(
                    *(
                        steady_load(each, count, load, name=f"{name}-{number}", rate_per_s=150)
                        for number, each in enumerate(replicas)
                    )
                )
                turns = provider.by_key - before
                tell(phase=name, turns=sorted(turns.values()))
                assert len(turns) == 5
                # One counter: exact. Two, while the cable is cut: each of them is.
                assert max(turns.values()) - min(turns.values()) <= (2 if is_cut else 1)
            assert load.statuses == {200: 6 * count}
            async with open_books(replicas[0]) as books:
                rows = await read_rows(books, load.ids, limit_s=20)
            assert len(rows) == load.count


async def until_well(cluster: Cluster) -> None:
    async with asyncio.timeout(10):
        while True:
            response = await cluster.http.get(f"{cluster.url}/health")
            if (await response.json())["components"]["redis"] == "ok":
                return
            await asyncio.sleep(0.05)


async def test_a_change_at_one_is_seen_by_all_within_a_second(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    async with open_replicas(
        tmp_path, database_url=mysql_url, redis_urls=[redis_url] * 3
    ) as replicas:
        await furnish(replicas[0], accounts=2)
        account = (await replicas[1].api("GET", "/accounts"))["data"][0]
        waits: list[float] = []
        for number, is_active in enumerate([False, True] * 5):
            await replicas[number % 3].api(
                "PATCH", f"/accounts/{account['id']}", {"is_active": is_active}
            )
            changed = time.monotonic()
            await asyncio.gather(*(_sees(each, is_active=is_active) for each in replicas))
            waits.append(time.monotonic() - changed)
        tell(slowest_change_s=max(waits))
        assert max(waits) < 1.0


async def _sees(cluster: Cluster, *, is_active: bool) -> None:
    """Wait until a replica takes both accounts, or one only, for a model."""
    body = {"model": "claude-fake"}
    wanted = 2 if is_active else 1
    async with asyncio.timeout(10):
        while True:
            found = await cluster.api("POST", "/route/explain", body)
            candidates = found["models"][0]["routes"][0]["candidates"]
            if sum(one["outcome"] != "excluded" for one in candidates) == wanted:
                return
            await asyncio.sleep(0.01)


async def test_periodic_work_is_done_once_over_all(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    async with open_replicas(
        tmp_path, database_url=mysql_url, redis_urls=[redis_url] * 3
    ) as replicas:
        await everywhere()
        load = Load()
        await steady_load(replicas[0], 20, load, rate_per_s=AT_ONCE)
        await asyncio.sleep(2.0)
        engine = create_engine(mysql_url)

        def runs() -> list[tuple[str, str, str]]:
            with engine.connect() as connection:
                query = text("SELECT job, slot, owner FROM job_runs")
                return [(row.job, row.slot, row.owner) for row in connection.execute(query)]

        found = await asyncio.to_thread(runs)
        engine.dispose()
        slots = Counter((job, slot) for job, slot, _ in found)
        tell(jobs=sorted({job for job, _ in slots}), runs=len(found))
        assert {job for job, _ in slots} >= {"tokens.due", "catalog", "retention"}
        assert set(slots.values()) == {1}
