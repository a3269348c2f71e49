"""An only attempt that served at once stands in the row of its request."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Double, func, select, text

from auth.vault import Vault
from models.attempt import Attempt
from models.exchange import RequestRecord
from models.usage import Usage
from repositories.base import LogFilter
from repositories.open import Repositories, open_repositories
from repositories.sql.columns import kind_of
from repositories.sql.engine import Database, Limits, open_engine, read_url
from repositories.sql.migrate import migrate, upgrade
from repositories.sql.tables import Moment, request_attempts, request_logs, to_datetime
from tests.repositories.conftest import MASTER_KEY
from tests.repositories.sql.test_attempts import DAY, NOON, decision
from tests.repositories.sql.test_stats import record

ACCOUNT, PROXY = "a" * 32, "e" * 32
HOSTILE = "'; DROP TABLE request_logs; --\\' \" %s %(a)s %% :a ? \x00\n\ud800\U0001f4a3"


TRIED_AT = NOON + 0.000_123


def served(**changes: object) -> Attempt:
    plain = Attempt(
        1,
        TRIED_AT,
        "openai",
        "gpt-5",
        ACCOUNT,
        PROXY,
        "strategy",
        counter=17,
        decision=decision(at=TRIED_AT),
        base_url="https://api.openai.com/v1",
        status=200,
        first_byte_ms=12.25,
        latency_ms=13.5,
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # names are checked at run time


def ordinary(*tries: Attempt, **changes: object) -> RequestRecord:
    plain = record(
        upstream_model="gpt-5",
        account_id=ACCOUNT,
        proxy_id=PROXY,
        tries=[*tries] or [served()],
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # names are checked at run time


async def rows(stores: Repositories) -> int:
    query = select(func.count()).select_from(request_attempts)
    return await stores.db.read(lambda connection: int(connection.execute(query).scalar_one()))


async def test_an_only_attempt_that_served_needs_no_row_and_reads_back_the_same(
    stores: Repositories,
) -> None:
    made = [
        ordinary(),
        ordinary(served(counter=None, decision=None, first_byte_ms=None, choice="trial")),
        ordinary(served(proxy_id=None), proxy_id=None),
    ]
    assert await stores.stats.store(made) == 3
    assert await rows(stores) == 0
    for one in made:
        assert await stores.attempts.of_request(one.id) == one.tries
        assert await stores.stats.find(one.id) == replace(one, tries=[])


@pytest.mark.parametrize(
    "tries",
    [
        pytest.param([served(status=502)], id="it failed"),
        pytest.param([served(status=201)], id="another success than 200"),
        pytest.param([served(sent=False)], id="never sent"),
        pytest.param([served(error_kind="cancelled")], id="broken off"),
        pytest.param([served(blame="provider")], id="somebody to blame"),
        pytest.param([served(message="why")], id="with a message"),
        pytest.param([served(rest_scope="a *", rest_until=NOON + 9)], id="with a rest"),
        pytest.param([served(number=2)], id="not the first"),
        pytest.param([served(account_id="b" * 32)], id="another account than the record's"),
        pytest.param([served(proxy_id=None)], id="another way out than the record's"),
        pytest.param([served(model="gpt-4", decision=None)], id="another model than the record's"),
        pytest.param(
            [served(provider_id="glm", decision=None)], id="another provider than the record's"
        ),
        pytest.param([served(), served(number=2, choice="failover")], id="two attempts"),
    ],
)
async def test_whatever_says_more_has_rows_of_its_own(
    stores: Repositories, tries: list[Attempt]
) -> None:
    one = ordinary(*tries)
    await stores.stats.store([ordinary(), one])
    assert await rows(stores) == len(tries)
    assert await stores.attempts.of_request(one.id) == tries


async def test_a_batch_that_is_sent_twice_counts_once(stores: Repositories) -> None:
    batch = [ordinary(served(counter=n)) for n in range(300)]
    assert await stores.stats.store(batch[:200]) == 200
    assert await stores.stats.store(batch) == 100
    assert await stores.stats.store(batch) == 0
    (day,) = await stores.stats.proxy_days(PROXY, days=1, now=NOON)
    assert day.requests == 300
    assert (await stores.stats.logs(LogFilter(), limit=1, offset=0)).total == 300
    assert [(await stores.attempts.of_request(one.id))[0].counter for one in batch[::60]] == [
        *range(0, 300, 60)
    ]


@pytest.mark.parametrize("count", [1, 3, 4, 99, 100, 124, 501])
async def test_a_batch_of_any_size_is_stored_whole(stores: Repositories, count: int) -> None:
    batch = [ordinary(served(counter=n)) for n in range(count)]
    assert await stores.stats.store(batch) == count
    for one in (batch[0], batch[count // 2], batch[-1]):
        assert await stores.attempts.of_request(one.id) == one.tries


async def test_text_of_strangers_is_stored_as_it_is_and_is_no_statement(
    stores: Repositories,
) -> None:
    odd = ordinary(
        served(model=HOSTILE, base_url=HOSTILE),
        model=HOSTILE,
        upstream_model=HOSTILE,
        client_request_id=HOSTILE,
        usage=Usage(10**30, -1, True, None, 7),
        latency_ms=float("nan"),
        first_byte_ms=1e-7,
    )
    kept = HOSTILE.replace("\ud800", "?")
    assert await stores.stats.store([odd, ordinary()]) == 2
    found = await stores.stats.find(odd.id)
    assert found is not None
    assert (found.model, found.upstream_model, found.client_request_id) == (kept,) * 3
    assert found.usage == Usage(10**12, 0, 1, None, 7)
    assert (found.latency_ms, found.first_byte_ms) == (0.0, 1e-7)
    (attempt,) = await stores.attempts.of_request(odd.id)
    assert (attempt.model, attempt.base_url) == (kept, kept)


def test_moments_are_the_text_that_sqlalchemy_stores() -> None:
    chance = random.Random(7)
    plain = [round(chance.uniform(1, 4e9), 6) for _ in range(2_000)]
    plain += [1.0, NOON, NOON + 0.999_999]
    odd = [0.0, 0.5, 0.999_999, -5.0, 1e30, float("inf"), float("nan")]
    for moments in (plain, odd, odd + plain, [*plain, odd[-1]], [int(NOON)]):
        texts = [to_datetime(at).isoformat(" ", "microseconds") for at in moments]
        assert list(kind_of(Moment()).fit(moments)) == texts
        assert list(kind_of(Moment()).fit([None, *moments, None])) == [None, *texts, None]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        pytest.param([1.5, 1e-7], [1.5, 1e-7], id="as they are"),
        pytest.param([1.5, None, 2], [1.5, None, 2.0], id="some are missing"),
        pytest.param([1.5, float("nan"), 2.5], [1.5, 0.0, 2.5], id="one is no number"),
        pytest.param([float("inf"), float("-inf")], [0.0, 0.0], id="endless both ways"),
        pytest.param([1e308, 1e308], [1e308, 1e308], id="only their sum is endless"),
    ],
)
def test_durations_that_no_column_holds_are_stored_as_none_at_all(
    given: list[float | None], stored: list[float | None]
) -> None:
    assert list(kind_of(Double()).fit(given)) == stored


async def test_attempts_are_forgotten_where_their_requests_are_kept(stores: Repositories) -> None:
    made = [
        ordinary(served(at=at, decision=decision(n, at=at)), at=at)
        for n in range(10)
        for at in [NOON + n * DAY]
    ]
    broken = ordinary(served(status=502), at=NOON + 1)
    await stores.stats.store([*made, broken])
    while await stores.attempts.delete_before(NOON + 6 * DAY, batch=2):
        pass
    found = [await stores.attempts.of_request(one.id) for one in made]
    assert found == [[]] * 6 + [one.tries for one in made[6:]]
    assert await stores.attempts.of_request(broken.id) == []
    while await stores.attempts.delete_before(NOON + 8 * DAY, batch=100):
        pass
    found = [await stores.attempts.of_request(one.id) for one in made]
    assert found == [[]] * 8 + [one.tries for one in made[8:]]
    assert (await stores.stats.logs(LogFilter(), limit=1, offset=0)).total == 11


async def test_requests_of_one_moment_are_forgotten_together(stores: Repositories) -> None:
    made = [ordinary(served(at=NOON)) for _ in range(20)]
    await stores.stats.store(made)
    while await stores.attempts.delete_before(NOON + 1, batch=3):
        pass
    assert [await stores.attempts.of_request(one.id) for one in made] == [[]] * 20


async def test_traces_from_before_the_migration_are_read(empty_url: str) -> None:
    old = "0" * 32
    at = "2027-01-15 12:00:00.250000"
    log = {
        "id": old, "at": at, "key_id": "k", "dialect": "chat", "model": "m", "stream": 0,
        "mode": "raw", "status": 200, "attempts": 1, "latency_ms": 5.0, "proxy_id": PROXY,
        "provider_id": "openai", "upstream_model": "gpt-5", "account_id": ACCOUNT,
    }  # fmt: skip
    attempt = {
        "request_id": old, "number": 1, "at": at, "provider_id": "openai", "model": "gpt-5",
        "account_id": ACCOUNT, "proxy_id": PROXY, "choice": "affinity", "status": 200, "sent": 1,
        "latency_ms": 4.0,
    }  # fmt: skip

    def before() -> None:
        engine = open_engine(read_url(empty_url), Limits(1), foreign_keys=False)
        with engine.connect() as connection:
            upgrade(connection, "0021")
            for table, row in (("request_logs", log), ("request_attempts", attempt)):
                marks = ", ".join(f":{name}" for name in row)
                connection.execute(
                    text(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"), row
                )
            connection.commit()
        engine.dispose()
        migrate(empty_url)

    await asyncio.to_thread(before)
    async with open_repositories(empty_url, Vault.of(MASTER_KEY)) as stores:
        late = NOON + DAY
        young = ordinary(served(at=late, decision=decision(at=late)), at=late)
        await stores.stats.store([young])
        assert await stores.attempts.of_request(young.id) == young.tries
        (shown,) = await stores.attempts.of_request(old)
        assert (shown.at, shown.choice, shown.latency_ms) == (NOON + 0.25, "affinity", 4.0)
        (found,) = (await stores.stats.logs(LogFilter(proxy_id=PROXY), limit=9, offset=1)).data
        assert found.id == old
        # What was there before has nothing of its own: forgetting begins behind it.
        cursor = await stores.cursors.get("attempts.forgotten")
        assert cursor == f"{NOON + 0.25:.6f} "
        while await stores.attempts.delete_before(NOON + DAY, batch=9):
            pass
        assert await stores.attempts.of_request(old) == []
        assert await stores.attempts.of_request(young.id) == young.tries


@pytest.mark.parametrize("name", ["client_request_id", "proxy_id", "account_id", "key_id"])
async def test_sqlite_finds_requests_by_an_index(migrated_file: Path, name: str) -> None:
    query = select(request_logs.c.id).where(request_logs.c[name] == "x")
    statement = query.order_by(request_logs.c.at.desc()).compile()
    db = Database(f"sqlite:///{migrated_file}")
    plan = await db.read(
        lambda c: c.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", ("x",)).all()
    )
    await db.aclose()
    assert f"ix_request_logs_{name}" in str(plan)
