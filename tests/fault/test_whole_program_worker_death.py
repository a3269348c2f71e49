"""One of four workers is killed: the others do not notice, and little is lost."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.cluster import open_cluster
from tests.fakes.scenarios import Scenario
from tests.fault.live_streams import all_done, long_texts, open_stream, worker_of
from tests.fault.whole_program import AT_ONCE, Load, furnish, open_books, read_rows, steady_load
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
        provider.pause_s = 0.05
        streams = [
            await open_stream(cluster, "messages", "claude-fake", f"stream-{number}")
            for number in range(STREAMS)
        ]
        victim = worker_of(cluster, streams[0].port)
        doomed = [stream for stream in streams if worker_of(cluster, stream.port) == victim]
        survivors = [stream for stream in streams if stream not in doomed]
        assert survivors, "all streams on one worker"
        listening, load = cluster.listening(), Load()

        async def kill() -> float:
            await until(lambda: load.count > 200)
            os.kill(victim, signal.SIGKILL)
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
