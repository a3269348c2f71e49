"""A pool of which half is ill serves every request, and its traces tell what really happened."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.cluster import Cluster, open_cluster
from tests.fakes.provider import Served
from tests.fault.sick_pool import (
    HANGING,
    ILL,
    LIMITED,
    REVOKED,
    SickPool,
    by_request,
    furnish,
    naive_round_robin,
    question,
)
from tests.fault.whole_program import IS_FULL, tell
from tests.waiting import until

pytestmark = pytest.mark.timeout(400)

REQUESTS = 10_000 if IS_FULL else 1_500
RATE_PER_S = 100.0
LANES = 96
PATIENCE_S = 2.0
DEAD = 2
"""The proxy that dies."""


async def test_half_of_the_pool_is_ill_and_no_client_notices(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    environment = {
        "AIGATEWAY_RETRY__ATTEMPT_TIMEOUT_S": str(PATIENCE_S),
        "AIGATEWAY_STATS__FLUSH_INTERVAL_S": "0.5",
    }
    async with open_cluster(
        tmp_path,
        workers=2,
        database_url=mysql_url,
        redis_url=redis_url,
        environment=environment,
    ) as cluster:
        pool = await furnish(cluster)
        began = time.monotonic()
        statuses: Counter[int] = Counter()
        await asyncio.gather(_load(cluster, statuses), _proxy_dies(pool, statuses))
        took_s = time.monotonic() - began
        settled = began + (60.0 if IS_FULL else took_s * 0.6)
        calls, to_ill = pool.attempts(settled)
        journal = by_request(pool.provider.served)
        naive = await naive_round_robin(pool, 400, PATIENCE_S)
        tell(
            statuses=dict(statuses),
            calls=sum(map(len, journal.values())),
            calls_when_settled=calls,
            to_ill_when_settled=to_ill,
            naive=dict(naive),
        )
        assert statuses == {200: REQUESTS}
        # Tries of one that was ill are how it is found to be well again.
        assert to_ill <= calls * (0.01 if IS_FULL else 0.05)
        assert naive.total() - naive[200] > naive.total() * 0.3
        await _check_traces(cluster, pool, journal)


async def _load(cluster: Cluster, statuses: Counter[int]) -> None:
    began = time.monotonic()
    left = iter(range(REQUESTS))

    async def lane() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
            client = replace(cluster, http=http)
            for number in left:
                await asyncio.sleep(max(0.0, began + number / RATE_PER_S - time.monotonic()))
                named = {"x-request-id": f"sick-{number}"}
                answer = await client.post("/v1/messages", question(number), headers=named)
                statuses[answer.status] += 1

    await asyncio.gather(*[lane() for _ in range(LANES)])


async def _proxy_dies(pool: SickPool, statuses: Counter[int]) -> None:
    await until(lambda: statuses.total() > REQUESTS * 0.3, 300)
    await pool.proxies[DEAD].stop()


# --- the traces ---


async def _check_traces(
    cluster: Cluster, pool: SickPool, journal: Mapping[int, Sequence[Served]]
) -> None:
    """Every call in the provider's journal is an attempt of its request's trace, in order, to the
    same account and with the same status; and every attempt that was sent is in the journal."""
    await cluster.logs(REQUESTS)
    turns = asyncio.Semaphore(16)

    async def check(number: int) -> int:
        async with turns:
            trace = await cluster.api("GET", f"/requests/sick-{number}/trace")
        told = [_told(pool, attempt) for attempt in trace["attempts"] if attempt["sent"]]
        met = [(call.key, call.status) for call in journal.get(number, [])]
        assert told == met, f"request {number}"
        _check_decisions(pool, trace)
        return len(trace["attempts"])

    attempts = await asyncio.gather(*[check(number) for number in range(REQUESTS)])
    tell(attempts=sum(attempts), most_for_one_request=max(attempts))


def _told(pool: SickPool, attempt: dict[str, Any]) -> tuple[str, int]:
    return pool.keys[attempt["account_id"]], attempt["status"] or 0


def _check_decisions(pool: SickPool, trace: dict[str, Any]) -> None:
    """Each attempt says of every account whether it could serve, and why not; none that was well
    was ever kept back."""
    unwell = ILL | {key for key, proxy in pool.behind.items() if proxy == DEAD}
    for attempt in trace["attempts"]:
        candidates = attempt["decision"]["candidates"]
        assert {one["account_id"] for one in candidates} == set(pool.keys)
        taken = [one["account_id"] for one in candidates if one["outcome"] == "taken"]
        assert taken == [attempt["account_id"]]
        kept_back = {one["account_id"] for one in candidates if one["outcome"] == "excluded"}
        assert {pool.keys[account_id] for account_id in kept_back} <= unwell
        assert all(one["reason"] for one in candidates)
    last = trace["attempts"][-1]
    assert pool.keys[last["account_id"]] not in LIMITED | REVOKED | HANGING
    assert (last["status"], trace["request"]["status"]) == (200, 200)
