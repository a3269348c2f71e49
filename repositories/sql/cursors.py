"""How far something has been done that goes on, and who does it now: rows of `cursors`."""

from sqlalchemy import Connection, insert, or_, select, update

from models.errors import Conflict
from repositories.sql.engine import Database
from repositories.sql.tables import cursors


class SqlCursors:
    """Cursors, and leases on doing something."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, name: str) -> str | None:
        query = select(cursors.c.value).where(cursors.c.name == name)
        return await self._db.read(lambda connection: connection.execute(query).scalar())

    async def put(self, name: str, value: str, *, now: float) -> None:
        def work(connection: Connection) -> None:
            values = {"value": value, "updated_at": now}
            done = connection.execute(
                update(cursors).where(cursors.c.name == name).values(**values)
            )
            if done.rowcount == 0:
                connection.execute(insert(cursors).values(name=name, **values))

        try:
            await self._db.run(work)
        except Conflict:  # another replica began it at this moment
            await self._db.run(work)

    async def lead(self, name: str, owner: str, *, now: float, lease_s: float) -> bool:
        """One conditional update, one winner; the row's time is the end of the lease."""
        free = or_(cursors.c.value == owner, cursors.c.updated_at < now)
        values = {"value": owner, "updated_at": now + lease_s}

        def work(connection: Connection) -> bool:
            found = connection.execute(
                update(cursors).where(cursors.c.name == name, free).values(**values)
            )
            if found.rowcount:
                return True
            known = select(cursors.c.name).where(cursors.c.name == name)
            if connection.execute(known).first() is not None:
                return False
            return connection.execute(insert(cursors).values(name=name, **values)).rowcount == 1

        try:
            return await self._db.run(work)
        except Conflict:  # another replica was the first at this moment
            return False

    async def free(self, name: str, owner: str) -> None:
        statement = (
            update(cursors)
            .where(cursors.c.name == name, cursors.c.value == owner)
            .values(updated_at=0.0)
        )
        await self._db.run(lambda connection: connection.execute(statement).rowcount)
