"""What tests of the whole program share: how much, a steady load, the ledger afterwards.

AIGATEWAY_TEST_SCALE=full runs what the acceptance lines name: 10,000 requests, outages of 20 s.
"""

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import aiohttp

from config.sources import load_settings
from models.exchange import RequestRecord
from repositories.base import LogFilter
from repositories.sql.engine import Database
from repositories.sql.stats import SqlStats
from tests.e2e.cluster import Cluster
from tests.e2e.harness import Rig
from tests.fakes.provider import FakeProvider
from tests.fakes.proxies import FakeProxy

IS_FULL: Final = os.environ.get("AIGATEWAY_TEST_SCALE") == "full"
REQUESTS: Final = 10_000 if IS_FULL else 1_500
OUTAGE_S: Final = 20.0 if IS_FULL else 3.0
RATE_PER_S: Final = 250.0
"""The load lasts twice as long as the outage in its middle."""
AT_ONCE: Final = 1e9
LIMIT_S: Final = 300 if IS_FULL else 120
"""For `pytest.mark.timeout`."""

ASK: Final[dict[str, Any]] = {
    "model": "claude-fake",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hello"}],
}
DAY_S: Final = 86_400
_LANES: Final = 64

logger = logging.getLogger(__name__)


@dataclass
class Load:
    """What became of the requests of a load."""

    statuses: Counter[int] = field(default_factory=Counter)
    """0 stands for a connection that broke."""
    answered: dict[str, float] = field(default_factory=dict)
    """When those were answered whose answer was a 200, by the ids that the client chose."""
    seconds: list[float] = field(default_factory=list)

    @property
    def ids(self) -> set[str]:
        return set(self.answered)

    @property
    def count(self) -> int:
        return self.statuses.total()

    @property
    def slowest_s(self) -> float:
        return max(self.seconds)

    def late(self, limit_s: float) -> int:
        """Return how many requests took longer."""
        return sum(took > limit_s for took in self.seconds)


async def steady_load(
    rig: Rig, count: int, load: Load, *, name: str = "load", rate_per_s: float = RATE_PER_S
) -> None:
    """Send single-turn requests at a rate; each has an id of its own.

    Every lane is a client with one connection, so that every process has its share.
    """
    began = time.monotonic()
    left = iter(range(count))

    async def lane() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
            client = replace(rig, http=http)
            for number in left:
                await asyncio.sleep(max(0.0, began + number / rate_per_s - time.monotonic()))
                await _ask(client, f"{name}-{number}", load)

    await asyncio.gather(*[lane() for _ in range(_LANES)])


async def _ask(rig: Rig, request_id: str, load: Load) -> None:
    sent_at = time.monotonic()
    try:
        response = await rig.post("/v1/messages", ASK, headers={"x-request-id": request_id})
    except aiohttp.ClientError:
        load.statuses[0] += 1
    else:
        load.statuses[response.status] += 1
        if response.status == 200:
            load.answered[request_id] = time.monotonic()
    load.seconds.append(time.monotonic() - sent_at)


async def outage(
    load: Load, break_it: Callable[[], None], mend_it: Callable[[], None], *, at: int
) -> tuple[int, int]:
    """Break something once so many requests are answered, and mend it after `OUTAGE_S`.

    Returns how many were answered when it broke and when it was mended.
    """
    while load.count < at:  # noqa: ASYNC110 - counted by others
        await asyncio.sleep(0.01)
    await asyncio.to_thread(break_it)
    broken_at = load.count
    await asyncio.sleep(OUTAGE_S)
    mended_at = load.count
    await asyncio.to_thread(mend_it)
    return broken_at, mended_at


def tell(**figures: object) -> None:
    """Log what was measured: `pytest --log-cli-level=info` shows it."""
    shown = (f"{n}={v:.3f}" if isinstance(v, float) else f"{n}={v}" for n, v in figures.items())
    logger.info("measured: %s", " ".join(shown))


# --- the ledger ---------------------------------------------------------------------------------


@asynccontextmanager
async def open_books(cluster: Cluster) -> AsyncGenerator[SqlStats, None]:
    """Open the ledger in the gateway's database, whether the gateway runs or not."""
    settings = await asyncio.to_thread(load_settings, None, cluster.environ)
    database = Database(settings.database_url)
    try:
        yield SqlStats(database)
    finally:
        await database.aclose()


async def read_rows(books: SqlStats, ids: set[str], limit_s: float = 0.0) -> list[RequestRecord]:
    """Return all rows, once the requests of these ids are among them; fails after `limit_s`."""
    until = time.monotonic() + limit_s
    while True:
        rows = await _all_rows(books)
        missing = ids - {row.client_request_id for row in rows}
        if not missing:
            return rows
        assert time.monotonic() < until, f"{len(missing)} rows are missing: {sorted(missing)[:9]}"
        await asyncio.sleep(0.2)


async def _all_rows(books: SqlStats) -> list[RequestRecord]:
    rows: list[RequestRecord] = []
    while page := (await books.logs(LogFilter(), limit=500, offset=len(rows))).data:
        rows += page
    return rows


async def check_books(
    books: SqlStats, ids: set[str], provider: FakeProvider, *, limit_s: float = 0.0
) -> None:
    """Each request has one row; rows, sums and the proxies' days agree with what was told."""
    rows, told = await read_rows(books, ids, limit_s), provider.scenario
    assert sorted(str(row.client_request_id) for row in rows) == sorted(ids)
    assert {(row.usage.input_tokens, row.usage.output_tokens) for row in rows} == {
        (told.input_tokens, told.output_tokens)
    }
    now = time.time()
    summary = await books.summary(since=now - DAY_S, until=now)
    assert (summary.requests, summary.errors) == (len(ids), 0)
    assert summary.input_tokens == len(ids) * told.input_tokens
    assert summary.output_tokens == len(ids) * told.output_tokens
    for proxy_id, count in Counter(row.proxy_id for row in rows).items():
        assert proxy_id is not None
        days = await books.proxy_days(proxy_id, days=2, now=now)
        assert sum(day.requests for day in days) == count
        assert sum(day.errors for day in days) == 0
        assert sum(day.input_tokens for day in days) == count * told.input_tokens
        assert sum(day.output_tokens for day in days) == count * told.output_tokens


def spooled(cluster: Cluster) -> list[Path]:
    """Return the files of rows that wait for the database."""
    return list((cluster.log.parent / "data" / "spool").glob("*/*.lines"))


# --- the surroundings ---------------------------------------------------------------------------


async def furnish(cluster: Cluster, *, accounts: int = 10, proxies: int = 2) -> FakeProvider:
    """Add proxies and accounts behind them, and wait until every process knows all of it."""
    for number in range(proxies):
        proxy = FakeProxy()
        await proxy.start()
        cluster.stack.push_async_callback(proxy.stop)
        places = accounts // proxies
        body = {"label": f"p{number}", "url": proxy.url, "max_accounts": places}
        await cluster.api("POST", "/proxies", body)
    provider = await cluster.add_provider("messages", accounts=accounts)
    await everywhere()
    return provider


async def everywhere() -> None:
    """Wait until every process has seen the last change: they look every 0.4 s."""
    await asyncio.sleep(1.0)
