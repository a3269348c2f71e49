"""What operators want to hear of: rows of `events`, in the order in which they were stored."""

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Final

from sqlalchemy import Connection, RowMapping, delete, select, update

from models.event import Event, EventKind
from repositories.base import Page
from repositories.sql.bulk import Rows
from repositories.sql.engine import Database
from repositories.sql.rows import from_json, matching, page_of, to_json
from repositories.sql.tables import events, revisions

_NUMBER: Final = "events"
# What a newer version stored is passed over by an older one.
_KNOWN: Final = events.c.kind.in_([kind.value for kind in EventKind])
_COUNT_LIMIT: Final = 1_000_000

_plain = attrgetter("id", "at", "message", "provider_id", "account_id", "proxy_id", "position")
_ROWS: Final[Rows[Event]] = Rows(
    events,
    ("id", "at", "message", "provider_id", "account_id", "proxy_id", "position", "kind", "details"),
    lambda event: (*_plain(event), event.kind.value, to_json(event.details)),
)


class SqlEvents:
    """Writes events in batches, reads them as a list or as a stream that goes on."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def store(self, batch: Sequence[Event]) -> None:
        """Insert and number; ids that exist already are passed over."""
        by_id = {event.id: event for event in batch}

        def work(connection: Connection) -> None:
            last = _raise_number(connection, len(by_id))
            known = connection.execute(select(events.c.id).where(events.c.id.in_(by_id))).scalars()
            passed = set(known)
            new = [event for event in by_id.values() if event.id not in passed]
            first = last - len(by_id) + 1
            _ROWS.insert(
                connection, [replace(event, position=first + n) for n, event in enumerate(new)]
            )

        if by_id:
            await self._db.run(work)

    async def page(
        self,
        *,
        limit: int,
        offset: int,
        kind: str | None = None,
        account_id: str | None = None,
        proxy_id: str | None = None,
        since: float | None = None,
    ) -> Page[Event]:
        """Return events that match, newest first."""
        columns = events.c
        named = {columns.kind: kind, columns.account_id: account_id, columns.proxy_id: proxy_id}
        where = [_KNOWN, *matching(named)]
        if since is not None:
            where.append(columns.at >= since)
        return await self._db.read(
            lambda connection: page_of(
                connection,
                list(columns),
                _event,
                where=where,
                order=[columns.at.desc(), columns.id.desc()],
                limit=limit,
                offset=offset,
                count_limit=_COUNT_LIMIT,
            )
        )

    async def after(self, position: int, *, limit: int) -> list[Event]:
        query = (
            select(events)
            .where(events.c.position > position, _KNOWN)
            .order_by(events.c.position)
            .limit(limit)
        )

        def work(connection: Connection) -> list[Event]:
            return [_event(row) for row in connection.execute(query).mappings()]

        return await self._db.read(work)

    async def last_position(self) -> int:
        return await self._db.read(_number)

    async def delete_before(self, at: float, *, batch: int) -> int:
        """Delete at most `batch` events older than `at`, oldest first; return how many."""
        oldest = select(events.c.id).where(events.c.at < at).order_by(events.c.at).limit(batch)

        def work(connection: Connection) -> int:
            ids = connection.execute(oldest).scalars().all()
            if ids:
                connection.execute(delete(events).where(events.c.id.in_(ids)))
            return len(ids)

        return await self._db.run(work)


def _raise_number(connection: Connection, by: int) -> int:
    """Take so many numbers and return the last of them.

    The row stays locked until the transaction ends, so transactions that store events follow one
    another over all replicas: whoever has read up to a number never misses a smaller one.
    """
    row = revisions.c.name == _NUMBER
    connection.execute(update(revisions).where(row).values(value=revisions.c.value + by))
    return _number(connection)


def _number(connection: Connection) -> int:
    query = select(revisions.c.value).where(revisions.c.name == _NUMBER)
    return int(connection.execute(query).scalar_one())


def _event(row: RowMapping) -> Event:
    details = from_json(row["details"])
    return Event(
        **{
            **row,
            "kind": EventKind(row["kind"]),
            "details": details if isinstance(details, dict) else {},
        }
    )
