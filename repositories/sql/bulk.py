"""Rows as database drivers take them, for tables that are written with every request.

SQLAlchemy's handling of parameters costs there: it is by-passed, and the values are made fit for
their columns here. What comes from clients and providers is cut or bounded, never a reason to
lose the row.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from math import isfinite
from operator import attrgetter
from sys import maxsize
from typing import Final, Generic, TypeAlias, TypeVar

from sqlalchemy import BigInteger, Connection, Double, Integer, String, Table

from repositories.sql.tables import Moment, to_datetime

T = TypeVar("T")

Fit: TypeAlias = Callable[[object], object]
"""Makes a value that is not None fit for its column."""

# More than any answer has, and far from where a column that sums such counts would overflow.
_MAX_COUNT: Final = 10**12
_MAX_INTEGER: Final = 2**31 - 1
# A statement takes 32,766 parameters (SQLite since 3.32, of 2020).
_TOGETHER: Final = 100


class Rows(Generic[T]):
    """Writes things of one kind into one table."""

    def __init__(
        self,
        table: Table,
        readers: Mapping[str, Callable[[T], object]] | None = None,
        *,
        path: Callable[[str], str] = str,
    ) -> None:
        """`readers`: how columns are read that are no attributes; `path`: where all others have
        their attribute, if not under their own name."""
        readers = readers or {}
        plain = [column.name for column in table.c if column.name not in readers]
        self._read = attrgetter(*map(path, plain))
        self._readers = list(readers.values())
        self._names = [*plain, *readers]
        self._table = table.name
        kinds = [(at, table.c[name].type) for at, name in enumerate(self._names)]
        self._widths = [
            (at, kind.length or maxsize) for at, kind in kinds if isinstance(kind, String)
        ]
        self._mosts = [(at, _most(kind)) for at, kind in kinds if isinstance(kind, Integer)]
        self._fits = [(at, fit) for at, kind in kinds if (fit := _fit(kind)) is not None]
        self._statements: dict[tuple[str, int], str] = {}
        """By the mark of a parameter and the number of rows."""

    def insert(self, connection: Connection, things: Iterable[T]) -> None:
        """Insert one row for each thing.

        Many by one statement: with each, SQLite's driver lets the event loop go on, and then waits
        for its turn again. For every row that would cost both more than the row itself.
        """
        rows = [self._row(thing) for thing in things]
        mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
        for start in range(0, len(rows), _TOGETHER):
            part = rows[start : start + _TOGETHER]
            values = tuple(chain.from_iterable(part))
            connection.exec_driver_sql(self._statement(mark, len(part)), values)

    def _row(self, thing: T) -> list[object]:
        """Return the values of a thing as its columns can hold them.

        Nearly all text and numbers are fine as they are: that is seen here, without a call.
        """
        row = [*self._read(thing), *[read(thing) for read in self._readers]]
        for at, width in self._widths:
            text = row[at]
            is_fine = type(text) is str and len(text) <= width and text.isascii()
            if not is_fine and text is not None:
                row[at] = _cut(str(text), width)
        for at, most in self._mosts:
            number = row[at]
            is_fine = type(number) is int and 0 <= number <= most
            if not is_fine and number is not None:
                row[at] = _bounded(number, most)
        for at, fit in self._fits:
            if (value := row[at]) is not None:
                row[at] = fit(value)
        return row

    def _statement(self, mark: str, count: int) -> str:
        """Return what inserts so many rows."""
        found = self._statements.get((mark, count))
        if found is None:
            names = ", ".join(self._names)
            row = f"({', '.join([mark] * len(self._names))})"
            rows = ", ".join([row] * count)
            found = f"INSERT INTO {self._table} ({names}) VALUES {rows}"  # noqa: S608 - our own names
            self._statements[mark, count] = found
        return found


def count_of(value: int) -> int:
    """Return a count that the column holds, whatever an upstream reported."""
    return max(0, min(value, _MAX_COUNT))


def duration_of(value: object) -> float:
    """Return milliseconds that the column holds."""
    return float(value) if isinstance(value, int | float) and isfinite(value) else 0.0


def _most(kind: Integer) -> int:
    """Return the greatest number that a column holds."""
    return _MAX_COUNT if isinstance(kind, BigInteger) else _MAX_INTEGER


def _fit(kind: object) -> Fit | None:
    """Return what makes other values fit for a column; None where any does."""
    match kind:
        case Moment():
            return _moment
        case Double():
            return duration_of
        case _:
            return None


def _bounded(value: object, most: int) -> int | None:
    return max(0, min(value, most)) if isinstance(value, int) else None


def _moment(value: object) -> str | None:
    # The text that SQLAlchemy stores in SQLite, and that MySQL reads as DATETIME(6).
    if not isinstance(value, int | float):
        return None
    return to_datetime(value).isoformat(" ", "microseconds")


def _cut(text: str, width: int) -> str:
    """Cut text to its column, lone surrogates replaced."""
    return text[:width].encode("utf-8", "replace").decode()
