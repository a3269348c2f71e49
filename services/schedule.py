"""Periodic work, each slot once over all replicas.

APScheduler only wakes: the work runs in the background's tasks, because the scheduler's own
shutdown would cancel it wherever it stands. Which replica does a slot is decided by one row of
`job_runs`. A replica wakes more often than long jobs are due, so that a database that is away
at the begin of a slot delays the work and does not cost it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from models.errors import GatewayError
from models.ports import Clock
from repositories.base import JobRepository
from services.background import Background

logger = logging.getLogger(__name__)

WAKE_EVERY_S: Final = 60.0
LIMIT_S: Final = 600.0

# It tells of every wake at the level of things that change.
logging.getLogger("apscheduler").setLevel(logging.WARNING)


@dataclass(slots=True)
class _Job:
    name: str
    period_s: float
    work: Callable[[], Awaitable[object]]
    limit_s: float
    is_spare: bool
    slot: str = ""
    """The last slot that this replica or another has taken."""
    is_running: bool = False


class Schedule:
    """Wakes jobs from `every` until closed."""

    def __init__(
        self, jobs: JobRepository, background: Background, clock: Clock, *, owner: str
    ) -> None:
        self._jobs = jobs
        self._background = background
        self._clock = clock
        self._owner = owner
        self._scheduler = AsyncIOScheduler(timezone=UTC)

    def every(
        self,
        name: str,
        period_s: float,
        work: Callable[[], Awaitable[object]],
        *,
        limit_s: float = LIMIT_S,
        is_spare: bool = False,
    ) -> None:
        """Do `work` once in each period, beginning now if nobody has in this one yet; shutdown
        does not wait for what is spare.

        Periods are counted from the epoch. Work that fails, is cut off after `limit_s` or dies with
        its process is done again in the next period, not in this one: it may have done half.
        """
        job = _Job(name, period_s, work, limit_s, is_spare)
        wake_s = min(period_s, WAKE_EVERY_S)
        self._scheduler.add_job(
            self._wake,
            IntervalTrigger(seconds=wake_s, start_date=_next_begin(wake_s), timezone=UTC),
            args=[job],
            id=name,
            next_run_time=datetime.now(UTC),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )

    def start(self) -> None:
        """Begin to wake, on the running loop."""
        self._scheduler.start()

    def close(self) -> None:
        """Wake no more; work that runs is the background's to wait for."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def _wake(self, job: _Job) -> None:
        if not job.is_running and self._slot(job) != job.slot:
            job.is_running = True
            turn = self._take_turn(job)
            self._background.spawn(f"job.{job.name}", turn, is_spare=job.is_spare)

    def _slot(self, job: _Job) -> str:
        """Return the begin of the period that holds now."""
        begin = self._clock.now() // job.period_s * job.period_s
        return datetime.fromtimestamp(begin, UTC).isoformat(timespec="milliseconds")

    async def _take_turn(self, job: _Job) -> None:
        slot = self._slot(job)
        try:
            is_ours = await self._jobs.claim(job.name, slot, self._owner, now=self._clock.now())
            job.slot = slot
            if is_ours:
                await self._finish(job, slot, await _outcome(job))
        except GatewayError as error:
            logger.info("job waits", extra={"job": job.name, "error": error.message})
        finally:
            job.is_running = False

    async def _finish(self, job: _Job, slot: str, outcome: str) -> None:
        logger.debug("job done", extra={"job": job.name, "slot": slot, "outcome": outcome})
        await self._jobs.finish(job.name, slot, outcome, now=self._clock.now())


@asynccontextmanager
async def open_schedule(
    jobs: JobRepository, background: Background, clock: Clock, *, owner: str
) -> AsyncGenerator[Schedule, None]:
    """Yield a schedule that wakes; enter it after the background, so that it is left before."""
    schedule = Schedule(jobs, background, clock, owner=owner)
    schedule.start()
    try:
        yield schedule
    finally:
        schedule.close()


async def _outcome(job: _Job) -> str:
    """Do the work and return what came of it."""
    try:
        async with asyncio.timeout(job.limit_s):
            await job.work()
    except TimeoutError:
        logger.error("job took too long", extra={"job": job.name, "limit_s": job.limit_s})
        return "failed: took too long"
    except GatewayError as error:
        logger.warning("job failed", extra={"job": job.name, "error": error.message})
        return f"failed: {error.message}"
    except Exception as error:
        logger.exception("job failed", extra={"job": job.name})
        return f"failed: {type(error).__name__}"
    return "ok"


def _next_begin(period_s: float) -> datetime:
    """Return the next moment at which periods begin, by the machine's clock."""
    now = datetime.now(UTC).timestamp()
    return datetime.fromtimestamp((now // period_s + 1) * period_s, UTC)
