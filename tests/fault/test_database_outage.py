"""The database killed, frozen, locked or not there yet: no row is lost, none counts twice."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Table, func, select

from auth.vault import Vault
from models.attempt import Attempt, Decision
from models.clock import SystemClock
from models.event import EventKind
from models.exchange import RequestRecord
from models.ids import new_id
from models.usage import Usage
from repositories.base import LogFilter
from repositories.open import Repositories, open_repositories
from repositories.shared_memory import MemoryState
from repositories.sql.engine import Limits
from repositories.sql.migrate import migrate
from repositories.sql.tables import decisions, request_attempts
from services.day_counts import DAY_S, read_today
from services.events import open_events
from services.recorder import Recorder, open_recorder
from tests.fakes.private_servers import PrivateMariaDB, private_mariadb
from tests.servers import mysql_database

VAULT = Vault.of(bytes(range(32)))
LIMITS = Limits(pool_size=2, connect_timeout_s=1, read_timeout_s=1, write_timeout_s=1)
PROXIES = ("proxy-a", "proxy-b")
AT = 1_800_000_000.0
DECISIONS = [
    Decision(f"{n:032x}", AT, "openai", "gpt-5", "round_robin", ("a", "b")) for n in range(3)
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateMariaDB]:
    with private_mariadb(tmp_path_factory.mktemp("mariadb")) as mariadb:
        yield mariadb


@pytest.fixture
def url(server: PrivateMariaDB) -> Iterator[str]:
    """A migrated database on the server, which is well again afterwards."""
    with mysql_database(server.url) as url:
        migrate(url)
        yield url
        server.thaw()
        if not server.answers():
            server.start()


def _records(count: int) -> list[RequestRecord]:
    """Records whose numbers add up to something that can be known."""
    now = SystemClock().now()
    return [
        RequestRecord(
            id=new_id(),
            # All on one day, whenever this runs.
            at=now - now % DAY_S + 1 + n / 1_000,
            key_id="key",
            dialect="chat",
            model="gpt-5",
            stream=False,
            provider_id="openai",
            proxy_id=PROXIES[n % 2],
            status=200 if n % 10 else 502,
            usage=Usage(input_tokens=n, output_tokens=1),
            latency_ms=2.0,
            tries=[
                Attempt(1, AT, "openai", "gpt-5", "a", None, "strategy", decision=DECISIONS[n % 3])
            ],
            egress_errors=() if n % 4 else (PROXIES[0],),
        )
        for n in range(count)
    ]


async def _feed(
    recorder: Recorder, records: list[RequestRecord], events: dict[int, Callable[[], None]]
) -> None:
    """Record all; at these numbers do something on the side."""
    for n, record in enumerate(records):
        if n in events:
            await asyncio.to_thread(events[n])
        recorder.record(record)
        if n % 10 == 0:
            await asyncio.sleep(0.005)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(50):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


async def _count(stores: Repositories, table: Table) -> int:
    query = select(func.count()).select_from(table)
    return await stores.db.read(lambda connection: int(connection.execute(query).scalar_one()))


async def _check(stores: Repositories, records: list[RequestRecord]) -> None:
    """Every record is there once, and the sums are those of the records."""
    stats = stores.stats
    first, last = records[0].at, records[-1].at + 1
    stored = []
    for offset in range(0, len(records) + 500, 500):
        page = await stats.logs(LogFilter(since=first, until=last), limit=500, offset=offset)
        stored += [record.id for record in page.data]
    assert sorted(stored) == sorted(record.id for record in records)
    summary = await stats.summary(since=first, until=last)
    assert summary.requests == len(records)
    assert summary.input_tokens == sum(range(len(records)))
    assert summary.output_tokens == len(records)
    assert summary.errors == len(records) // 10
    days = [day for proxy in PROXIES for day in await stats.proxy_days(proxy, days=2, now=last)]
    assert [day.requests for day in days] == [len(records) // 2] * 2
    assert [day.errors for day in days] == [len(records) // 4, 0]
    assert sum(day.input_tokens for day in days) == sum(range(len(records)))
    assert sum(day.latency_ms for day in days) == 2.0 * len(records)
    for record in records[::37]:
        assert await stores.attempts.of_request(record.id) == record.tries
    counted = [await _count(stores, table) for table in (request_attempts, decisions)]
    assert counted == [len(records), len(DECISIONS)]


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_an_outage_in_the_middle_of_2000_records_loses_and_doubles_none(
    server: PrivateMariaDB, url: str, tmp_path: Path, how: str
) -> None:
    break_it, mend_it = (
        (server.kill, server.start) if how == "killed" else (server.freeze, server.thaw)
    )
    records = _records(2_000)
    shared = MemoryState()
    async with open_repositories(url, VAULT, limits=LIMITS) as stores:
        async with open_recorder(
            stores.stats,
            shared,
            SystemClock(),
            tmp_path / "spool",
            batch_size=100,
            flush_interval_s=0.05,
        ) as recorder:
            await _feed(recorder, records[:1_500], {700: break_it})
            await _until(lambda: recorder.counts().spooled >= 700)
            await _until(lambda: recorder.counts().queued == 0)
            await _feed(recorder, records[1_500:], {100: mend_it})
            await _until(lambda: recorder.counts().spooled == 0)
        counts = recorder.counts()
        assert (counts.queued, counts.dropped, counts.refused) == (0, 0, 0)
        await _check(stores, records)
    assert await read_today(shared, PROXIES) == {PROXIES[0]: (1_000, 500), PROXIES[1]: (1_000, 0)}
    assert list((tmp_path / "spool").iterdir()) == []


async def test_a_database_that_is_away_at_the_start_gets_its_rows_later(
    server: PrivateMariaDB, url: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(server.kill)
    records = _records(40)
    async with open_repositories(url, VAULT, limits=LIMITS) as stores:
        async with open_recorder(
            stores.stats, MemoryState(), SystemClock(), tmp_path / "spool", flush_interval_s=0.05
        ) as recorder:
            await _feed(recorder, records[:20], {})
            await _until(lambda: recorder.counts().spooled == 20)
        async with open_recorder(
            stores.stats, MemoryState(), SystemClock(), tmp_path / "spool", flush_interval_s=0.05
        ) as recorder:
            await _feed(recorder, records[20:], {10: server.start})
            await _until(lambda: recorder.counts().written == 40)
        await _check(stores, records)


async def test_sqlite_locked_by_somebody_else_is_an_outage_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / "aigateway.db"
    await asyncio.to_thread(migrate, f"sqlite:///{file}")
    records = _records(400)
    lock = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    async with open_repositories(f"sqlite:///{file}", VAULT) as stores:
        async with open_recorder(
            stores.stats,
            MemoryState(),
            SystemClock(),
            tmp_path / "spool",
            batch_size=100,
            flush_interval_s=0.05,
        ) as recorder:
            await _feed(recorder, records[:100], {})
            await asyncio.to_thread(lock.execute, "BEGIN EXCLUSIVE")
            await _feed(recorder, records[100:], {})
            await _until(lambda: recorder.counts().spooled > 0)
            await asyncio.to_thread(lock.execute, "ROLLBACK")
            await _until(lambda: recorder.counts().spooled == 0)
        await _check(stores, records)
    lock.close()


async def test_events_told_during_an_outage_are_stored_after_it_once_and_in_order(
    server: PrivateMariaDB, url: str
) -> None:
    messages = [f"event {n}" for n in range(90)]
    async with open_repositories(url, VAULT, limits=LIMITS) as stores:
        async with open_events(stores.events, MemoryState(), SystemClock()) as events:
            for n, message in enumerate(messages):
                if n == 30:
                    await asyncio.to_thread(server.kill)
                if n == 60:
                    await asyncio.to_thread(server.start)
                events.tell(EventKind.ACCOUNT_COOLED, message)
                await asyncio.sleep(0.01)
        assert events.dropped == 0
        stored = await stores.events.after(0, limit=200)
    assert [event.message for event in stored] == messages
