"""Forgets attempts that are too old to explain anything, wherever they stand.

Those in rows of their own are deleted. Those in the rows of their requests, which live longer, are
emptied; a cursor says how far that has come, so that no row is looked at twice.
"""

from typing import Final

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from repositories.sql.log_rows import OWN
from repositories.sql.rows import parts_of
from repositories.sql.tables import cursors, decisions, request_attempts, request_logs

_CURSOR: Final = "attempts.forgotten"
_EMPTY: Final = dict.fromkeys(OWN)


def delete_attempts(connection: Connection, at: float, batch: int) -> int:
    """Delete at most `batch` attempts older than `at` and return of how many requests."""
    columns = request_attempts.c
    oldest = select(columns.request_id).where(columns.at < at).order_by(columns.at).limit(batch)
    requests = sorted(set(connection.execute(oldest).scalars()))
    for part in parts_of(requests):
        connection.execute(delete(request_attempts).where(columns.request_id.in_(part)))
    return len(requests)


def empty_own_attempts(connection: Connection, at: float, batch: int) -> int:
    """Go through the next `batch` requests older than `at`, and return how many there were."""
    columns = request_logs.c
    done_at, done_id = _done(connection)
    not_done = or_(columns.at > done_at, and_(columns.at == done_at, columns.id > done_id))
    query = (
        select(columns.id, columns.at, columns.choice)
        .where(columns.at >= done_at, columns.at < at, not_done)
        .order_by(columns.at, columns.id)
        .limit(batch)
    )
    rows = connection.execute(query).all()
    for part in parts_of([row.id for row in rows if row.choice is not None]):
        connection.execute(update(request_logs).where(columns.id.in_(part)).values(_EMPTY))
    if rows:
        _done_until(connection, rows[-1].at, rows[-1].id)
    return len(rows)


def delete_decisions(connection: Connection, at: float, batch: int) -> int:
    """Delete at most `batch` decisions that were used last before `at`; return how many."""
    unused = decisions.c.at < at
    ids = connection.execute(select(decisions.c.id).where(unused).limit(batch)).scalars().all()
    for part in parts_of(ids):
        connection.execute(delete(decisions).where(decisions.c.id.in_(part), unused))
    return len(ids)


def _done(connection: Connection) -> tuple[float, str]:
    """Return the last request that was gone through: when it came, and its id."""
    query = select(cursors.c.value).where(cursors.c.name == _CURSOR)
    at, _, request_id = (connection.execute(query).scalar() or "0 ").partition(" ")
    return float(at), request_id


def _done_until(connection: Connection, at: float, request_id: str) -> None:
    values = {"value": f"{at:.6f} {request_id}", "updated_at": at}
    mine = update(cursors).where(cursors.c.name == _CURSOR).values(values)
    if connection.execute(mine).rowcount == 0:
        connection.execute(insert(cursors).values(name=_CURSOR, **values))
