"""Rows of tables that are written with every request.

SQLAlchemy's handling of parameters costs there: it is by-passed, and the values are made fit for
their columns here (`columns.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final, Generic, NamedTuple, TypeVar

from sqlalchemy import Connection, Table

from models.batches import batches
from repositories.sql.columns import Escape, Kind, Values, kind_of

T = TypeVar("T")

# Rows that are read, made fit and written before the next: few enough to stay in a core's cache.
_TOGETHER: Final = 100
# Rows of one statement of SQLite: a prepared one is kept for each of these sizes, so few sizes.
_SIZES: Final = (_TOGETHER, 20, 4, 1)
_STATEMENTS: Final = 64


class _Filled(NamedTuple):
    """A column that holds something in these rows, and what."""

    name: str
    kind: Kind
    values: Values


class Rows(Generic[T]):
    """Writes things of one kind into one table."""

    def __init__(
        self, table: Table, names: Sequence[str], read: Callable[[T], tuple[object, ...]]
    ) -> None:
        """`read` returns a thing's values in the order of the columns' names."""
        self._read = read
        self._columns = [(name, kind_of(table.c[name].type)) for name in names]
        self._table = table.name

    def insert(self, connection: Connection, things: Sequence[T]) -> None:
        """Insert one row for each thing. A row that exists ends the whole transaction.

        Many by one statement: with each, SQLite's driver lets the event loop go on, and then waits
        for its turn again. For every row that would cost both more than the row itself.
        """
        insert = _insert_bound if connection.dialect.name == "sqlite" else _insert_written
        for part in batches(things, _TOGETHER):
            insert(connection, self._table, self._filled(part), len(part))

    def _filled(self, things: Sequence[T]) -> list[_Filled]:
        """Return the values, column by column, without columns that are empty in all rows.

        Many are, and of all values SQLite's driver takes longest for None.
        """
        rows = map(self._read, things)
        return [
            _Filled(name, kind, kind.fit(values))
            for (name, kind), values in zip(self._columns, zip(*rows, strict=True), strict=True)
            if values[0] is not None or values.count(None) < len(values)
        ]


def _insert_bound(
    connection: Connection, table: str, columns: Sequence[_Filled], count: int
) -> None:
    """Bind the values to statements that are prepared once."""
    width = len(columns)
    values: list[object] = [None] * (width * count)
    for at, column in enumerate(columns):
        values[at::width] = column.values
    names = _names(columns)
    for start, size in _portions(count):
        part = values[start * width : (start + size) * width]
        connection.exec_driver_sql(_bound(table, names, width, size), tuple(part))


def _insert_written(connection: Connection, table: str, columns: Sequence[_Filled], _: int) -> None:
    """Write the values into the statement, as MySQL's driver does it, but each text once."""
    escape: Escape = getattr(connection.connection.driver_connection, "escape")  # noqa: B009
    literals = [column.kind.literals(column.values, escape) for column in columns]
    rows = ", ".join([f"({', '.join(row)})" for row in zip(*literals, strict=True)])
    statement = f"INSERT INTO {table} ({_names(columns)}) VALUES {rows}"  # noqa: S608 - the driver escaped it
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _names(columns: Sequence[_Filled]) -> str:
    return ", ".join([column.name for column in columns])


def _portions(count: int) -> Iterator[tuple[int, int]]:
    """Yield as few portions of our sizes as so many rows can be divided into: first row, size."""
    start = 0
    for size in _SIZES:
        while start + size <= count:
            yield start, size
            start += size


@lru_cache(_STATEMENTS)
def _bound(table: str, names: str, width: int, count: int) -> str:
    """Return SQLite's statement for so many rows, of so many values each.

    ROLLBACK: a row that exists ends the transaction, so that SQLite need not be ready to take back
    this statement alone, which takes a copy of every page that it changes.
    """
    row = f"({', '.join('?' * width)})"
    rows = ", ".join([row] * count)
    return f"INSERT OR ROLLBACK INTO {table} ({names}) VALUES {rows}"  # noqa: S608 - our own names
