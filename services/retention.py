"""Deletes what is too old to be kept."""

from typing import Final

from models.ports import Clock
from repositories.base import JobRepository, StatsRepository

DAY_S: Final = 86_400
BATCH: Final = 1_000
"""Rows of one transaction: small, so that recording is not held up."""
RUNS_KEPT_S: Final = 60 * DAY_S
"""Longer than any job's period: a forgotten run would be done again."""


async def delete_old_logs(stats: StatsRepository, clock: Clock, *, retention_days: int) -> int:
    """Delete rows of requests older than so many days, 0 = none; return how many."""
    if retention_days == 0:
        return 0
    before = clock.now() - retention_days * DAY_S
    deleted = 0
    while (count := await stats.delete_before(before, batch=BATCH)) > 0:
        deleted += count
    return deleted


async def delete_old_runs(jobs: JobRepository, clock: Clock) -> int:
    """Delete what is known of jobs that ran long ago; return how many."""
    return await jobs.delete_before(clock.now() - RUNS_KEPT_S)
