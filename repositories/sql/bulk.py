"""Rows as database drivers take them, for tables that are written with every request.

SQLAlchemy's handling of parameters costs there: it is by-passed, and the values are made fit for
their columns here. What comes from clients and providers is cut or bounded, never a reason to
lose the row.
"""

from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from operator import attrgetter
from typing import Final, Generic, TypeAlias, TypeVar

from sqlalchemy import BigInteger, Connection, Double, Integer, String, Table

from repositories.sql.tables import Moment, to_datetime

T = TypeVar("T")

Fit: TypeAlias = Callable[[object], object]
"""Makes a value fit for its column; None stays None."""

# More than any answer has, and far from where a column that sums such counts would overflow.
_MAX_COUNT: Final = 10**12
_MAX_INTEGER: Final = 2**31 - 1


class Rows(Generic[T]):
    """Writes things of one kind into one table."""

    def __init__(
        self,
        table: Table,
        readers: Mapping[str, Callable[[T], object]] | None = None,
        *,
        default: Callable[[str], Callable[[T], object]] = attrgetter,
    ) -> None:
        """`readers`: how columns are read that are no attributes of the same name; `default`:
        how all others are."""
        readers = readers or {}
        self._names = [column.name for column in table.c]
        self._table = table.name
        self._writers = [
            (readers.get(column.name) or default(column.name), _fit(column.type))
            for column in table.c
        ]
        self._statements: dict[str, str] = {}

    def insert(self, connection: Connection, things: Iterable[T]) -> None:
        """Insert one row for each thing."""
        writers = self._writers
        rows = [tuple([fit(read(thing)) for read, fit in writers]) for thing in things]
        if rows:
            connection.exec_driver_sql(self._statement(connection.dialect.paramstyle), rows)

    def _statement(self, paramstyle: str) -> str:
        if paramstyle not in self._statements:
            marks = ", ".join(["?" if paramstyle == "qmark" else "%s"] * len(self._names))
            names = ", ".join(self._names)
            self._statements[paramstyle] = f"INSERT INTO {self._table} ({names}) VALUES ({marks})"  # noqa: S608 - our own names
        return self._statements[paramstyle]


def count_of(value: int) -> int:
    """Return a count that the column holds, whatever an upstream reported."""
    return max(0, min(value, _MAX_COUNT))


def duration_of(value: object) -> float:
    """Return milliseconds that the column holds."""
    return float(value) if isinstance(value, int | float) and isfinite(value) else 0.0


def _fit(kind: object) -> Fit:
    match kind:
        case Moment():
            return _moment
        case String(length=int(width)):
            return _text(width)
        case String():
            return _text(None)
        case BigInteger():
            return _count
        case Integer():
            return _integer
        case Double():
            return _milliseconds
        case _:
            return _same


def _same(value: object) -> object:
    return value


def _count(value: object) -> int | None:
    return count_of(value) if isinstance(value, int) else None


def _integer(value: object) -> int | None:
    return max(0, min(value, _MAX_INTEGER)) if isinstance(value, int) else None


def _milliseconds(value: object) -> float | None:
    return None if value is None else duration_of(value)


def _moment(value: object) -> str | None:
    # The text that SQLAlchemy stores in SQLite, and that MySQL reads as DATETIME(6).
    if not isinstance(value, int | float):
        return None
    return to_datetime(value).isoformat(" ", "microseconds")


def _text(width: int | None) -> Fit:
    """Text cut to its column, lone surrogates replaced."""

    def fit(value: object) -> str | None:
        if value is None:
            return None
        text = str(value)
        if text.isascii() and (width is None or len(text) <= width):
            return text
        return text[:width].encode("utf-8", "replace").decode()

    return fit
