"""One of four workers is killed: the others do not notice, and little is lost."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.cluster import open_cluster
from tests.fakes.private_servers import private_mariadb
from tests.fakes.scenarios import Scenario
from tests.fault.live_streams import all_done, long_texts, open_stream, worker_of
from tests.fault.whole_program import (
    AT_ONCE,
    Load,
    check_books,
    furnish,
    open_books,
    read_rows,
    spooled,
    steady_load,
    tell,
)
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

STREAMS = 40
FLUSH_S = 1.0
# What the flush itself takes, on a busy machine.
YOUNG_S = FLUSH_S + 2.0


async def test_a_killed_worker_takes_only_its_own_streams_and_youngest_rows(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    async with open_cluster(
        tmp_path, workers=4, database_url=mysql_url, redis_url=redis_url
    ) as cluster:
        provider = await furnish(cluster, accounts=4)
        old = Load()
        await steady_load(cluster, 200, old, name="old", rate_per_s=AT_ONCE)
        assert old.statuses == {200: 200}
        await asyncio.sleep(YOUNG_S)
        provider.scenario = Scenario(**long_texts(60))
        provider.pause_s = 0.5  # half a minute of streaming, if nobody hurried it
        streams = await asyncio.gather(
            *(
                open_stream(cluster, "messages", "claude-fake", f"stream-{number}")
                for number in range(STREAMS)
            )
        )
        victim = worker_of(cluster, streams[0].port)
        doomed = [stream for stream in streams if worker_of(cluster, stream.port) == victim]
        survivors = [stream for stream in streams if stream not in doomed]
        assert survivors, "all streams on one worker"
        listening, load = cluster.listening(), Load()

        async def kill() -> float:
            await until(lambda: load.count > 200)
            os.kill(victim, signal.SIGKILL)
            provider.pause_s = 0.02
            return time.monotonic()

        _, killed_at = await asyncio.gather(steady_load(cluster, 600, load, name="new"), kill())
        await all_done(streams)
        assert all(stream.is_broken for stream in doomed)
        assert all(stream.is_whole and not stream.errors for stream in survivors)
        assert set(load.statuses) <= {0, 200}
        await until(lambda: cluster.listening() == listening + 1, 60)
        assert victim not in cluster.worker_pids()
        assert len(cluster.worker_pids()) == 4
        kept = old.ids | {stream.request_id for stream in survivors}
        kept |= {id_ for id_, at in load.answered.items() if not killed_at - YOUNG_S < at}
        kept |= {id_ for id_, at in load.answered.items() if at > killed_at + 1}
        async with open_books(cluster) as books:
            rows = [row.client_request_id for row in await read_rows(books, kept, limit_s=20)]
        assert len(set(rows)) == len(rows)
        lost = len(load.ids | old.ids) + len(streams) - len(doomed) - len(rows)
        tell(statuses=load.statuses, broken_streams=len(doomed), rows_lost=lost)


async def test_what_a_killed_worker_had_on_the_disk_is_stored_by_the_others(
    tmp_path: Path, redis_url: str
) -> None:
    """The database is away, so that the rows wait on the disk; their owner dies meanwhile."""
    with private_mariadb(tmp_path) as server:
        async with (
            open_cluster(
                tmp_path, workers=2, database_url=server.url, redis_url=redis_url
            ) as cluster,
            open_books(cluster) as books,
        ):
            provider = await furnish(cluster, accounts=2)
            listening = cluster.listening()
            await asyncio.to_thread(server.kill)
            load = Load()
            await steady_load(cluster, 200, load, rate_per_s=AT_ONCE)
            await asyncio.sleep(YOUNG_S)
            for pid in cluster.worker_pids():
                os.kill(pid, signal.SIGKILL)
            await until(lambda: cluster.log.read_bytes().count(b"worker died") >= 2)
            await asyncio.to_thread(server.start)
            await until(lambda: cluster.listening() == listening + 2, 60)
            await steady_load(cluster, 20, load, name="after", rate_per_s=AT_ONCE)
            assert load.statuses == {200: 220}
            await check_books(books, load.ids, provider, limit_s=30)
            assert spooled(cluster) == []
