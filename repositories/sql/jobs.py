"""Periodic work: rows of `job_runs`, one for each slot over all replicas."""

from sqlalchemy import Connection, delete, insert, update

from models.errors import Conflict
from repositories.sql.engine import Database
from repositories.sql.tables import job_runs

_OUTCOME_LENGTH = 255


class SqlJobs:
    """Who runs which slot of which job."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def claim(self, job: str, slot: str, owner: str, *, now: float) -> bool:
        """Return True for exactly one caller of each (job, slot): the primary key decides."""
        statement = insert(job_runs).values(job=job, slot=slot, owner=owner, started_at=now)

        def work(connection: Connection) -> bool:
            return connection.execute(statement).rowcount == 1

        try:
            return await self._db.run(work)
        except Conflict:
            return False

    async def finish(self, job: str, slot: str, outcome: str, *, now: float) -> None:
        statement = (
            update(job_runs)
            .where(job_runs.c.job == job, job_runs.c.slot == slot)
            .values(finished_at=now, outcome=outcome[:_OUTCOME_LENGTH])
        )
        await self._db.run(lambda connection: connection.execute(statement).rowcount)

    async def delete_before(self, at: float) -> int:
        """Delete the runs that began before `at`; return how many."""
        statement = delete(job_runs).where(job_runs.c.started_at < at)
        return await self._db.run(lambda connection: connection.execute(statement).rowcount)
