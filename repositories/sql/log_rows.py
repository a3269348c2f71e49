"""Rows of `request_logs` as database drivers take them.

Every request becomes a row, so this is the one place where SQLAlchemy's handling of parameters
costs: it is by-passed, and the values are made fit for their columns here. What comes from
clients and providers is cut or bounded, never a reason to lose the row.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache
from math import isfinite
from operator import attrgetter
from typing import Final, TypeAlias

from sqlalchemy import Connection, String

from models.exchange import RequestRecord
from models.usage import Usage
from repositories.sql.tables import Moment, request_logs, to_datetime

_Write: TypeAlias = Callable[[RequestRecord], object]

# More than any answer has, and far from where a column that sums such counts would overflow.
_MAX_COUNT: Final = 10**12
_TOKENS: Final = frozenset(field.name for field in fields(Usage))
_DURATIONS: Final = frozenset({"first_byte_ms", "latency_ms"})


def insert_logs(connection: Connection, records: Sequence[RequestRecord]) -> None:
    """Insert one row for each record."""
    rows = [tuple([write(record) for write in _WRITERS]) for record in records]
    connection.exec_driver_sql(_statement(connection.dialect.paramstyle), rows)


def count_of(value: int) -> int:
    """Return a count that the column holds, whatever an upstream reported."""
    return max(0, min(value, _MAX_COUNT))


def duration_of(value: object) -> float:
    """Return milliseconds that the column holds."""
    return float(value) if isinstance(value, int | float) and isfinite(value) else 0.0


@cache
def _statement(paramstyle: str) -> str:
    names = [column.name for column in request_logs.c]
    mark = "?" if paramstyle == "qmark" else "%s"
    marks = ", ".join([mark] * len(names))
    return f"INSERT INTO request_logs ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - our own names


def _writers() -> tuple[_Write, ...]:
    """Return for each column what makes its value."""
    return tuple(_writer(column.name) for column in request_logs.c)


def _writer(name: str) -> _Write:
    kind = request_logs.c[name].type
    if name in _TOKENS:
        return _tokens(attrgetter(f"usage.{name}"))
    read = attrgetter(name)
    if name in _DURATIONS:
        return _milliseconds(read)
    if isinstance(kind, Moment):
        return _moment(read)
    if isinstance(kind, String) and kind.length is not None:
        return _text(read, kind.length)
    return read


def _tokens(read: Callable[[RequestRecord], int | None]) -> _Write:
    def write(record: RequestRecord) -> int | None:
        value = read(record)
        return None if value is None else count_of(value)

    return write


def _milliseconds(read: _Write) -> _Write:
    def write(record: RequestRecord) -> float | None:
        value = read(record)
        return None if value is None else duration_of(value)

    return write


def _moment(read: Callable[[RequestRecord], float]) -> _Write:
    # The text that SQLAlchemy stores in SQLite, and that MySQL reads as DATETIME(6).
    def write(record: RequestRecord) -> str:
        return to_datetime(read(record)).isoformat(" ", "microseconds")

    return write


def _text(read: _Write, width: int) -> _Write:
    """Text cut to its column, lone surrogates replaced."""

    def write(record: RequestRecord) -> str | None:
        value = read(record)
        if value is None:
            return None
        text = str(value)
        if len(text) <= width and text.isascii():
            return text
        return text[:width].encode("utf-8", "replace").decode()

    return write


_WRITERS: Final = _writers()
