"""The number that grows with every change of what requests read from snapshots."""

from sqlalchemy import Connection, select, update

from repositories.sql.engine import Database
from repositories.sql.tables import revisions

_NAME = "config"


class SqlRevisions:
    """Reads the revision. Readers ask before they load: a change in between shows next time."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def current(self) -> int:
        return await self._db.read(current)


def current(connection: Connection) -> int:
    """Return the revision as committed."""
    found = connection.execute(select(revisions.c.value).where(revisions.c.name == _NAME)).scalar()
    return int(found or 0)


def bump(connection: Connection) -> None:
    """Raise the revision: the first statement of every transaction that changes what it counts.

    The row stays locked until the transaction ends, so such transactions follow one another over
    all processes. That is what keeps placements exact, and what keeps them from deadlocking.
    """
    connection.execute(
        update(revisions).where(revisions.c.name == _NAME).values(value=revisions.c.value + 1)
    )
