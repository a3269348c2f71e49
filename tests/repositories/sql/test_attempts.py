import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import func, select

from models.attempt import Attempt, Decision
from models.exchange import RequestRecord
from models.ids import new_id
from models.rest import NEVER
from repositories.open import Repositories, open_repositories
from repositories.sql.tables import decisions, request_attempts
from tests.repositories.sql.test_stats import record

NOON = 1_800_014_400.0  # 2027-01-15 12:00 UTC
DAY = 86_400.0
FIRST, SECOND = "a" * 32, "b" * 32


def decision(number: int = 1, **changes: object) -> Decision:
    plain = Decision(
        f"{number:032x}",
        NOON,
        "openai",
        "gpt-5",
        "round_robin",
        (FIRST, SECOND),
        {"c" * 32: "cooling_rate_limit", "d" * 32: "inactive"},
        {"cooling_rate_limit": 1, "inactive": 1},
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # names are checked at run time


def attempt(number: int = 1, **changes: object) -> Attempt:
    plain = Attempt(number, NOON, "openai", "gpt-5", FIRST, None, "strategy")
    return replace(plain, **changes)  # type: ignore[arg-type] # names are checked at run time


def tried(*tries: Attempt, **changes: object) -> RequestRecord:
    return record(tries=list(tries), attempts=len(tries), **changes)


async def count(stores: Repositories) -> tuple[int, int]:
    """Return how many attempts and decisions are stored."""
    attempts = select(func.count()).select_from(request_attempts)
    made = select(func.count()).select_from(decisions)
    return await stores.db.read(
        lambda connection: (
            int(connection.execute(attempts).scalar_one()),
            int(connection.execute(made).scalar_one()),
        )
    )


async def test_attempts_read_back_as_they_were_stored(stores: Repositories) -> None:
    failed = attempt(
        proxy_id="e" * 32,
        counter=17,
        decision=decision(),
        base_url="https://api.openai.com/v1",
        status=429,
        error_kind="rate_limit",
        blame="account_model",
        message="too many requests",
        rest_scope="gpt-5",
        rest_until=NOON + 60.5,
        first_byte_ms=12.25,
        latency_ms=13.5,
    )
    unsent = attempt(2, account_id=SECOND, choice="failover", sent=False)
    one = tried(failed, unsent)
    await stores.stats.store([one, record()])
    assert await stores.attempts.of_request(one.id) == [failed, unsent]
    assert await stores.attempts.of_request(new_id()) == []


async def test_a_batch_that_is_sent_twice_counts_once(stores: Repositories) -> None:
    batch = [tried(attempt(decision=decision())), tried(attempt(decision=decision(2)))]
    assert await stores.stats.store(batch) == 2
    assert await stores.stats.store([*batch, tried(attempt())]) == 1
    assert await count(stores) == (3, 2)


async def test_requests_share_their_decision(stores: Repositories) -> None:
    batch = [tried(attempt(decision=decision(n % 3))) for n in range(500)]
    await stores.stats.store(batch)
    assert await count(stores) == (500, 3)


async def test_replicas_that_decide_alike_at_one_moment_lose_no_row(
    stores: Repositories, database_url: str
) -> None:
    async with open_repositories(database_url, stores.vault, clock=stores.clock) as other:
        requests = 0
        for turn in range(10):
            made = [decision(100 * turn + n) for n in range(20)]
            batches = [
                [tried(attempt(decision=one)) for one in made[n::2] + made[: 2 * n]]
                for n in range(8)
            ]
            stored = await asyncio.gather(
                *(
                    one.stats.store(batch)
                    for one, batch in zip([stores, other] * 4, batches, strict=True)
                )
            )
            assert list(stored) == [len(batch) for batch in batches]
            requests += sum(stored)
    assert await count(stores) == (requests, 200)


async def test_a_decision_lives_as_long_as_an_attempt_that_was_made_on_it(
    stores: Repositories,
) -> None:
    for day in range(9):
        at = NOON + day * DAY
        await stores.stats.store([tried(attempt(at=at, decision=decision()), at=at)])
    at = NOON + 8 * DAY
    old, young = decision(2), decision(3)
    await stores.stats.store([tried(attempt(decision=old)), tried(attempt(at=at, decision=young))])
    late = NOON + 7.5 * DAY
    while await stores.attempts.delete_before(late, batch=3):
        pass
    assert await count(stores) == (2, 2)
    (left,) = await stores.db.read(
        lambda c: (
            c.execute(
                select(request_attempts.c.request_id).where(
                    request_attempts.c.decision_id == decision().id
                )
            )
            .scalars()
            .all()
        )
    )
    (shown,) = await stores.attempts.of_request(left)
    assert shown.decision is not None
    assert shown.decision.eligible == (FIRST, SECOND)


async def test_nothing_is_kept_where_no_traces_are_wanted(
    stores: Repositories, database_url: str
) -> None:
    async with open_repositories(
        database_url, stores.vault, clock=stores.clock, keeps_attempts=False
    ) as opened:
        assert await opened.stats.store([tried(attempt(decision=decision()))]) == 1
    assert await count(stores) == (0, 0)


async def test_what_no_column_holds_is_cut_and_the_row_is_kept(stores: Repositories) -> None:
    hostile = "\ud800'; DROP TABLE request_attempts; --\x00\U0001f4a3" * 50
    one = tried(
        attempt(
            model=hostile,
            message=hostile,
            base_url=hostile,
            rest_scope=hostile,
            counter=10**30,
            status=10**12,
            rest_until=NEVER,
            latency_ms=float("nan"),
            first_byte_ms=float("inf"),
            decision=decision(
                model=hostile,
                strategy=hostile,
                excluded={hostile: hostile},
                counts={hostile: 1},
            ),
        ),
        attempt(),
    )
    assert await stores.stats.store([one]) == 1
    (kept,) = await stores.attempts.of_request(one.id)
    assert (kept.number, kept.latency_ms) == (1, 0.0)


async def test_the_picture_of_a_huge_pool_stays_below_64_kib(stores: Repositories) -> None:
    reason = "\u1234" * 5000
    huge = decision(
        eligible=tuple(f"{n:032x}" for n in range(150)),
        excluded={f"{n:032x}": reason for n in range(150, 10_000)},
        counts={f"{reason}{n}": n for n in range(1000)},
    )
    one = tried(attempt(decision=huge))
    await stores.stats.store([one])
    (body,) = await stores.db.read(lambda c: c.execute(select(decisions.c.body)).scalars().all())
    assert len(body) < 65_536
    assert len(json.loads(body)["eligible"]) == 150
    (kept,) = await stores.attempts.of_request(one.id)
    assert kept.decision is not None
    assert len(kept.decision.excluded) == 50


def _many(size: int) -> Sequence[RequestRecord]:
    made = [decision(n) for n in range(5)]
    return [
        tried(attempt(decision=made[n % 5]), attempt(2, decision=made[(n + 1) % 5]))
        for n in range(size)
    ]


async def test_a_full_batch_is_stored_whole(stores: Repositories) -> None:
    assert await stores.stats.store(_many(500)) == 500
    assert await count(stores) == (1000, 5)
