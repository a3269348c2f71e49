"""Deletes what is too old to be kept."""

from collections.abc import Awaitable
from typing import Final, Protocol

from models.ports import Clock
from repositories.base import JobRepository

DAY_S: Final = 86_400
BATCH: Final = 1_000
"""Rows of one transaction: small, so that recording is not held up."""
RUNS_KEPT_S: Final = 60 * DAY_S
"""Longer than any job's period: a forgotten run would be done again."""


class Ledger(Protocol):
    """Rows that age: requests, attempts, events."""

    def delete_before(self, at: float, *, batch: int) -> Awaitable[int]:
        """Delete at most `batch` rows older than `at`; return how many."""
        ...


async def delete_old_rows(ledger: Ledger, clock: Clock, *, kept_days: int) -> int:
    """Delete rows older than so many days, 0 = none; return how many."""
    if kept_days == 0:
        return 0
    return await _delete_before(ledger, clock.now() - kept_days * DAY_S)


async def delete_old_attempts(attempts: Ledger, clock: Clock, *, trace_days: int) -> int:
    """Delete attempts and decisions older than so many days, 0 = all; return how many."""
    return await _delete_before(attempts, clock.now() - trace_days * DAY_S)


async def delete_old_runs(jobs: JobRepository, clock: Clock) -> int:
    """Delete what is known of jobs that ran long ago; return how many."""
    return await jobs.delete_before(clock.now() - RUNS_KEPT_S)


async def _delete_before(ledger: Ledger, before: float) -> int:
    deleted = 0
    while (count := await ledger.delete_before(before, batch=BATCH)) > 0:
        deleted += count
    return deleted
