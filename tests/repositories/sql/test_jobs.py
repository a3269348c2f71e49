from sqlalchemy import select

from repositories.open import Repositories
from repositories.sql.tables import job_runs


async def test_a_slot_is_claimed_once_and_others_are_free(stores: Repositories) -> None:
    assert await stores.jobs.claim("retention", "2027-01-15", "w1", now=1.0)
    assert not await stores.jobs.claim("retention", "2027-01-15", "w1", now=2.0)
    assert not await stores.jobs.claim("retention", "2027-01-15", "w2", now=2.0)
    assert await stores.jobs.claim("retention", "2027-01-16", "w2", now=2.0)
    assert await stores.jobs.claim("models", "2027-01-15", "w2", now=2.0)


async def test_a_finished_run_says_how_it_ended(stores: Repositories) -> None:
    await stores.jobs.claim("retention", "today", "w1", now=10.5)
    await stores.jobs.finish("retention", "today", "deleted 5 rows " + "x" * 500, now=12.25)
    row = await stores.db.run(lambda c: c.execute(select(job_runs)).mappings().one())
    assert (row["owner"], row["started_at"], row["finished_at"]) == ("w1", 10.5, 12.25)
    assert row["outcome"] == ("deleted 5 rows " + "x" * 500)[:255]


async def test_old_runs_are_deleted(stores: Repositories) -> None:
    for day in range(4):
        await stores.jobs.claim("retention", str(day), "w1", now=float(day))
    assert await stores.jobs.delete_before(2.0) == 2
    assert await stores.jobs.claim("retention", "1", "w1", now=5.0)
    assert not await stores.jobs.claim("retention", "2", "w1", now=5.0)
