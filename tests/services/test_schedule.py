import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from models.attempt import Attempt, Decision
from models.clock import SystemClock
from models.errors import StorageUnavailable
from models.exchange import RequestRecord
from models.ids import new_id
from repositories.base import LogFilter
from repositories.sql.attempts import SqlAttempts
from repositories.sql.engine import Database
from repositories.sql.jobs import SqlJobs
from repositories.sql.migrate import migrate
from repositories.sql.stats import SqlStats
from services import retention, schedule
from services.background import Background, open_background
from services.schedule import Schedule, open_schedule
from tests.fakes.clock import FakeClock

HOUR_S = 3600.0


class FakeJobs:
    """`job_runs` in memory; can be away."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], str] = {}
        self.is_away = False
        self.claims = 0

    async def claim(self, job: str, slot: str, owner: str, *, now: float) -> bool:
        self.claims += 1
        if self.is_away:
            raise StorageUnavailable("the database is unavailable")
        return self.runs.setdefault((job, slot), owner) is owner

    async def finish(self, job: str, slot: str, outcome: str, *, now: float) -> None:
        self.runs[job, slot] = outcome

    async def delete_before(self, at: float) -> int:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def quick_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "WAKE_EVERY_S", 0.01)


@pytest.fixture
def jobs() -> FakeJobs:
    return FakeJobs()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def background() -> AsyncIterator[Background]:
    async with open_background() as opened:
        yield opened


@pytest.fixture
async def wakes(
    jobs: FakeJobs, background: Background, clock: FakeClock
) -> AsyncIterator[Schedule]:
    async with open_schedule(jobs, background, clock, owner="here") as opened:
        yield opened


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


def _reached(done: list[float], count: int) -> bool:
    return len(done) >= count


def _has_outcome(jobs: FakeJobs, outcome: str) -> bool:
    return outcome in jobs.runs.values()


async def test_work_begins_at_once_and_is_done_once_in_each_slot(
    wakes: Schedule, jobs: FakeJobs, clock: FakeClock
) -> None:
    done: list[float] = []

    async def work() -> None:
        done.append(clock.now())

    wakes.every("count", HOUR_S, work)
    await _until(lambda: done)
    await asyncio.sleep(0.05)
    assert len(done) == 1
    assert jobs.claims == 1, "a slot that is known to be taken costs no statement"
    for _ in range(3):
        clock.advance(HOUR_S)
        await _until(partial(_reached, done, len(done) + 1))
    assert len(done) == 4
    assert set(jobs.runs.values()) == {"ok"}
    assert [slot for _, slot in jobs.runs][:2] == [
        "2027-01-15T08:00:00.000+00:00",
        "2027-01-15T09:00:00.000+00:00",
    ]


async def test_a_slot_that_another_replica_took_is_left_to_it(
    wakes: Schedule, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.runs["count", "2027-01-15T08:00:00.000+00:00"] = "elsewhere"
    done: list[float] = []

    async def work() -> None:
        done.append(clock.now())

    wakes.every("count", HOUR_S, work)
    await _until(lambda: jobs.claims)
    await asyncio.sleep(0.05)
    assert done == []
    clock.advance(HOUR_S)
    await _until(lambda: done)


async def test_a_database_that_is_away_delays_the_work_within_its_slot(
    wakes: Schedule, jobs: FakeJobs, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    jobs.is_away = True
    wakes.every("count", HOUR_S, work)
    await _until(lambda: jobs.claims >= 2)
    assert done == []
    jobs.is_away = False
    await _until(lambda: done)


async def test_work_that_fails_is_told_and_waits_for_the_next_slot(
    wakes: Schedule, jobs: FakeJobs, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    failures = iter([StorageUnavailable("away"), RuntimeError("a bug")])
    done: list[str] = []

    async def work() -> None:
        for failure in failures:
            raise failure
        done.append("work")

    wakes.every("count", HOUR_S, work)
    for outcome in ("failed: away", "failed: RuntimeError", "ok"):
        await _until(partial(_has_outcome, jobs, outcome))
        await asyncio.sleep(0.03)
        assert list(jobs.runs.values())[-1] == outcome
        clock.advance(HOUR_S)
    assert done
    assert [(r.message, vars(r)["job"]) for r in caplog.records] == [("job failed", "count")] * 2


async def test_work_that_takes_longer_than_its_limit_is_cut_off(
    wakes: Schedule, jobs: FakeJobs
) -> None:
    async def work() -> None:
        await asyncio.sleep(60)

    wakes.every("slow", HOUR_S, work, limit_s=0.02)
    await _until(lambda: "failed: took too long" in jobs.runs.values())


async def test_work_does_not_overlap_itself(
    wakes: Schedule, jobs: FakeJobs, clock: FakeClock
) -> None:
    may_end = asyncio.Event()
    running: list[int] = []
    most = 0

    async def work() -> None:
        nonlocal most
        running.append(1)
        most = max(most, len(running))
        await may_end.wait()
        running.pop()

    wakes.every("slow", HOUR_S, work)
    await _until(lambda: running)
    clock.advance(HOUR_S)
    await asyncio.sleep(0.05)
    may_end.set()
    await _until(lambda: len(jobs.runs) == 2)
    assert most == 1


async def test_shutdown_lets_work_end_and_begins_none(jobs: FakeJobs) -> None:
    ended: list[str] = []
    began = asyncio.Event()

    async def work() -> None:
        began.set()
        await asyncio.sleep(0.1)
        ended.append("work")

    clock = FakeClock()
    async with (
        open_background() as background,
        open_schedule(jobs, background, clock, owner="here") as wakes,
    ):
        wakes.every("slow", HOUR_S, work)
        await began.wait()
        clock.advance(HOUR_S)
    assert ended == ["work"]
    assert list(jobs.runs.values()) == ["ok"]


@pytest.fixture(params=["sqlite", "mariadb"])
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/aigateway.db"
    else:
        url = str(request.getfixturevalue("mysql_url"))
    await asyncio.to_thread(migrate, url)
    database = Database(url)
    yield database
    await database.aclose()


async def test_each_slot_once_over_all_replicas(db: Database) -> None:
    """Eight replicas, real time, real rows."""
    jobs = SqlJobs(db)
    clock = SystemClock()
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    async with open_background() as background:
        replicas = [Schedule(jobs, background, clock, owner=f"replica-{n}") for n in range(8)]
        for replica in replicas:
            replica.every("count", 0.2, work)
            replica.start()
        await _until(lambda: len(done) >= 5)
        for replica in replicas:
            replica.close()
    # One row for each slot: work that was done twice in one would have none.
    assert await jobs.delete_before(clock.now() + 1) == len(done)


async def test_retention_deletes_old_rows_and_keeps_young_ones(db: Database) -> None:
    clock = FakeClock()
    stats = SqlStats(db)
    records = [
        RequestRecord(new_id(), clock.now() - days * 86_400, "key", "chat", "gpt-5", False)
        for days in range(10)
        for _ in range(300)
    ]
    for start in range(0, len(records), 500):
        await stats.store(records[start : start + 500])
    assert await retention.delete_old_rows(stats, clock, kept_days=0) == 0
    clock.advance(1)
    assert await retention.delete_old_rows(stats, clock, kept_days=4) == 6 * 300
    page = await stats.logs(LogFilter(), limit=1, offset=0)
    assert page.total == 4 * 300


@pytest.mark.parametrize(("trace_days", "kept"), [(4, 4), (0, 0)])
async def test_attempts_are_kept_as_long_as_they_shall_explain(
    db: Database, trace_days: int, kept: int
) -> None:
    clock, stats, attempts = FakeClock(), SqlStats(db), SqlAttempts(db)
    records = []
    for days in range(10):
        at = clock.now() - days * 86_400
        made = Decision(f"{days:032x}", at, "openai", "gpt-5", "round_robin", ("a",))
        tried = Attempt(1, at, "openai", "gpt-5", "a", None, "strategy", decision=made)
        records.append(RequestRecord(new_id(), at, "key", "chat", "gpt-5", False, tries=[tried]))
    await stats.store(records)
    clock.advance(1)
    await retention.delete_old_attempts(attempts, clock, trace_days=trace_days)
    found = [await attempts.of_request(record.id) for record in records]
    assert [len(one) for one in found] == [1] * kept + [0] * (10 - kept)
    assert all(attempt.decision is not None for one in found for attempt in one)
    assert (await stats.logs(LogFilter(), limit=1, offset=0)).total == 10


async def test_old_runs_of_jobs_are_forgotten(db: Database) -> None:
    clock = FakeClock()
    jobs = SqlJobs(db)
    assert await jobs.claim("count", "old", "here", now=clock.now())
    clock.advance(61 * 86_400)
    assert await jobs.claim("count", "new", "here", now=clock.now())
    assert await retention.delete_old_runs(jobs, clock) == 1
    assert not await jobs.claim("count", "new", "there", now=clock.now())
