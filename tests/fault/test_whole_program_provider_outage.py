"""A provider that is down for everybody: nobody is blamed, and it is well again when it is."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.cluster import Cluster, open_cluster
from tests.fakes.formats.base import Seen
from tests.fakes.provider import Failure
from tests.fault.whole_program import ASK, IS_FULL, furnish, tell

pytestmark = pytest.mark.timeout(180)

ACCOUNTS = 10
RATE_PER_S = 50.0
OUTAGE_S = 30.0 if IS_FULL else 4.0
WELL_AFTER_S = 10.0
"""Beyond this, after the end of the outage, nobody may be kept back."""
LANES = 16


@dataclass
class Outage:
    """When the provider answers 529 to everybody."""

    begins_at: float
    ends_at: float

    async def meet(self, _seen: Seen) -> Failure | None:
        return Failure(529) if self.begins_at <= time.monotonic() < self.ends_at else None


@dataclass
class Told:
    """What clients were told, and when."""

    answers: list[tuple[float, int, str | None]] = field(default_factory=list)
    """When, status, `retry-after`."""

    def between(self, begin: float, end: float) -> list[tuple[int, str | None]]:
        return [(status, wait) for at, status, wait in self.answers if begin <= at < end]


@pytest.mark.parametrize("workers", [1, 2] if IS_FULL else [2])
async def test_an_overloaded_provider_benches_nobody_beyond_ten_seconds(
    tmp_path: Path, redis_url: str, mysql_url: str, workers: int
) -> None:
    async with open_cluster(
        tmp_path, workers=workers, redis_url=redis_url, database_url=mysql_url
    ) as cluster:
        provider = await furnish(cluster, accounts=ACCOUNTS)
        began = time.monotonic()
        outage = Outage(began + 2.0, began + 2.0 + OUTAGE_S)
        provider.behaviours |= {f"key-{number}": outage.meet for number in range(ACCOUNTS)}
        told = Told()
        until = outage.ends_at + WELL_AFTER_S + 4.0
        await _load(cluster, told, until)
        well_at = outage.ends_at + WELL_AFTER_S
        before = told.between(began, outage.begins_at)
        during = told.between(outage.begins_at + 1.0, outage.ends_at)
        after = told.between(well_at, until)
        served = [at for at, status, _ in told.answers if status == 200 and at > outage.ends_at]
        calls = [call for call in provider.served if outage.begins_at <= call.at]
        in_outage = sum(call.at < outage.ends_at for call in calls)
        turns = Counter(call.key for call in calls if call.at >= well_at)
        tell(
            during=dict(Counter(status for status, _ in during)),
            calls_in_outage=in_outage,
            back_after_s=min(served) - outage.ends_at,
            after=dict(Counter(status for status, _ in after)),
            turns=sorted(turns.values()),
        )
        assert {status for status, _ in before} == {200}
        assert {status for status, _ in after} == {200}
        assert len(turns) == ACCOUNTS
        assert max(turns.values()) - min(turns.values()) <= 2
        # Told at once, with a time to come back; and the provider is left alone.
        assert all(status in (503, 529) and wait is not None for status, wait in during)
        assert in_outage < len(during)


async def _load(cluster: Cluster, told: Told, until: float) -> None:
    began = time.monotonic()
    numbers = iter(range(10**9))

    async def lane() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
            client = replace(cluster, http=http)
            for number in numbers:
                at = began + number / RATE_PER_S
                if at >= until:
                    return
                await asyncio.sleep(max(0.0, at - time.monotonic()))
                answer = await client.post("/v1/messages", ASK)
                wait = answer.headers.get("retry-after")
                told.answers.append((time.monotonic(), answer.status, wait))

    await asyncio.gather(*[lane() for _ in range(LANES)])
