"""Rests over a restart: rows of `rests`."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Final

from sqlalchemy import Connection, RowMapping, and_, delete, insert, or_, select, update

from models.batches import batches
from models.errors import Conflict, ErrorKind
from models.rest import NEVER, Rest
from repositories.sql.engine import Database
from repositories.sql.tables import rests, to_datetime

FORGOTTEN_S: Final = 600.0
"""How long after its end a rest still means something."""

_EVIDENCE_LENGTH: Final = 255
_AT_ONCE: Final = 200
_LATEST: Final = to_datetime(NEVER).replace(tzinfo=UTC).timestamp()
"""What the column makes of it."""


class SqlRests:
    """Who rested when the process ended."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def all(self, now: float) -> list[Rest]:
        query = select(rests).where(rests.c.until > now - FORGOTTEN_S)
        return await self._db.read(
            lambda connection: [
                rest
                for row in connection.execute(query).mappings()
                if (rest := _rest(row)) is not None
            ]
        )

    async def store(self, given: Sequence[Rest]) -> None:
        """Insert or replace; one that ends later than the given stays."""

        ordered = sorted(given, key=lambda rest: (rest.subject, rest.scope))

        def work(connection: Connection) -> None:
            for rest in ordered:  # always in one order, so that batches do not deadlock
                _store(connection, rest)

        try:
            await self._db.run(work)
        except Conflict:  # another process inserted one of them at this very moment
            await self._db.run(work)

    async def delete(self, ended: Mapping[tuple[str, str], float]) -> None:
        """Delete by subject and scope what began no later than the given moments."""
        keys = list(ended.items())

        def work(connection: Connection) -> None:
            for part in batches(keys, _AT_ONCE):
                some = [
                    and_(
                        rests.c.subject == subject,
                        rests.c.scope == scope,
                        rests.c.began_at <= began_at,
                    )
                    for (subject, scope), began_at in part
                ]
                connection.execute(delete(rests).where(or_(*some)))

        await self._db.run(work)

    async def delete_before(self, at: float) -> int:
        """Delete those that ended before `at`; return how many."""
        statement = delete(rests).where(rests.c.until < at)
        return await self._db.run(lambda connection: connection.execute(statement).rowcount)


def _store(connection: Connection, rest: Rest) -> None:
    values = {
        "reason": rest.reason.value,
        "evidence": rest.evidence[:_EVIDENCE_LENGTH],
        "began_at": rest.began_at,
        "until": rest.until,
        "trial_at": rest.trial_at,
        "strikes": rest.strikes,
    }
    mine = and_(rests.c.subject == rest.subject, rests.c.scope == rest.scope)
    found = connection.execute(select(rests.c.until).where(mine)).scalar()
    if found is None:
        connection.execute(insert(rests).values(subject=rest.subject, scope=rest.scope, **values))
    else:
        # Looked at again by the statement: another process may have been quicker.
        not_longer = rests.c.until <= rest.until
        connection.execute(update(rests).where(mine, not_longer).values(**values))


def _rest(row: RowMapping) -> Rest | None:
    """Read a row; None for a reason that a newer version stored."""
    try:
        reason = ErrorKind(row["reason"])
    except ValueError:
        return None
    return Rest(
        row["subject"],
        row["scope"],
        row["began_at"],
        NEVER if row["until"] >= _LATEST else row["until"],
        reason,
        row["evidence"],
        row["trial_at"],
        row["strikes"],
    )
