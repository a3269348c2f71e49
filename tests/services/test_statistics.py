import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from auth.vault import Vault
from models.egress import EgressProxy
from models.errors import NotFound
from models.exchange import RequestRecord
from models.ids import new_id
from models.usage import Usage
from repositories.base import LogFilter
from repositories.open import Repositories, open_repositories
from repositories.shared_memory import MemoryState
from repositories.sql.migrate import migrate
from services.day_counts import errors_key, requests_key
from services.statistics import Statistics
from tests.fakes.clock import FakeClock

DAY_S = 86_400


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def stores(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Repositories]:
    url = f"sqlite:///{tmp_path}/aigateway.db"
    await asyncio.to_thread(migrate, url)
    async with open_repositories(url, Vault.of(bytes(range(32))), clock=clock) as opened:
        yield opened


@pytest.fixture
def shared(clock: FakeClock) -> MemoryState:
    return MemoryState(clock)


@pytest.fixture
def statistics(stores: Repositories, shared: MemoryState, clock: FakeClock) -> Statistics:
    return Statistics(stores.stats, stores.egress, shared, clock)


def _record(at: float, proxy_id: str | None = None, **changes: object) -> RequestRecord:
    record = RequestRecord(
        new_id(), at, "key", "chat", "gpt-5", False, provider_id="openai", proxy_id=proxy_id
    )
    for name, value in changes.items():
        setattr(record, name, value)
    return record


async def test_a_proxys_days_and_todays_counters(
    statistics: Statistics, stores: Repositories, shared: MemoryState, clock: FakeClock
) -> None:
    now = clock.now()
    await stores.stats.store(
        [
            _record(now - DAY_S, "p1", usage=Usage(input_tokens=5, output_tokens=2)),
            _record(now, "p1", egress_errors=("p1",)),
        ]
    )
    await shared.count_today({requests_key("p1"): 3, errors_key("p1"): 1}, now=now)
    told = await statistics.proxy("p1", days=7)
    assert (told.requests_today, told.errors_today) == (3, 1)
    assert [(day.requests, day.errors, day.input_tokens) for day in told.days] == [
        (1, 0, 5),
        (1, 1, 0),
    ]


async def test_counters_that_began_anew_do_not_hide_the_ledger(
    statistics: Statistics, stores: Repositories, clock: FakeClock
) -> None:
    await stores.stats.store([_record(clock.now(), "p1", egress_errors=("p1",)) for _ in range(4)])
    told = await statistics.proxy("p1", days=1)
    assert (told.requests_today, told.errors_today) == (4, 4)


async def test_an_unused_proxy_has_empty_statistics_and_an_unknown_one_none(
    statistics: Statistics, stores: Repositories
) -> None:
    await stores.egress.create(EgressProxy("p9", "spare", "http://proxy.example:3128"))
    told = await statistics.proxy("p9", days=7)
    assert (told.requests_today, told.errors_today, list(told.days)) == (0, 0, [])
    with pytest.raises(NotFound, match="there is no proxy p8"):
        await statistics.proxy("p8", days=7)


async def test_a_summary_is_of_the_last_day_unless_told_otherwise(
    statistics: Statistics, stores: Repositories, clock: FakeClock
) -> None:
    now = clock.now()
    await stores.stats.store([_record(now - age) for age in (1, 2, DAY_S + 1)])
    day = await statistics.summary()
    assert (day.since, day.until, day.totals.requests) == (now - DAY_S, now, 2)
    assert (await statistics.summary(since=now - 2 * DAY_S)).totals.requests == 3
    earlier = await statistics.summary(until=now - DAY_S)
    assert (earlier.since, earlier.totals.requests) == (now - 2 * DAY_S, 1)


async def test_logs_are_those_that_match(
    statistics: Statistics, stores: Repositories, clock: FakeClock
) -> None:
    records = [_record(clock.now() - age, status=200 + age) for age in range(5)]
    await stores.stats.store(records)
    page = await statistics.logs(LogFilter(), limit=2, offset=1)
    assert ([record.id for record in page.data], page.total) == ([r.id for r in records[1:3]], 5)
    page = await statistics.logs(LogFilter(status=203), limit=2, offset=0)
    assert [record.id for record in page.data] == [records[3].id]
