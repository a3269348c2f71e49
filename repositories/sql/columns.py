"""Whole columns of values, made fit for where they are stored, and as MySQL's literals.

A batch repeats most of its words and numbers: each is looked at once, not once for every row.
What comes from clients and providers is cut or bounded, never a reason to lose the row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import isfinite
from sys import maxsize
from typing import Final, TypeAlias, cast

from sqlalchemy import BigInteger, Boolean, Double, Integer, String

from repositories.sql.tables import LATEST, LongText, Moment, to_datetime

Values: TypeAlias = Sequence[object]
"""Values of one column, one for each row."""
Escape: TypeAlias = Callable[[str], str]
"""The driver's own way to make a literal of text."""

# More than any answer has, and far from where a column that sums such counts would overflow.
_MAX_COUNT: Final = 10**12
_MAX_INTEGER: Final = 2**31 - 1
_SECONDS_KNOWN: Final = 64
_NULL: Final = "NULL"
_FLOAT: Final = frozenset({float})


@dataclass(frozen=True, slots=True)
class Kind:
    """How values of one type are stored."""

    fit: Callable[[Values], Values]
    """Makes them fit for their column; None stays None."""
    literals: Callable[[Values, Escape], Sequence[str]]
    """Writes those that are fit as SQL of MySQL and MariaDB."""


def kind_of(type_: object) -> Kind:
    """Return how values of a column of this SQLAlchemy type are stored."""
    match type_:
        case String():
            return Kind(partial(_texts, type_.length or maxsize), _text_literals)
        case LongText():
            return Kind(partial(_texts, maxsize), _text_literals)
        case Integer():
            most = _MAX_COUNT if isinstance(type_, BigInteger) else _MAX_INTEGER
            return Kind(partial(_integers, most), _integer_literals)
        case Boolean():
            return Kind(partial(_integers, 1), _integer_literals)
        case Double():
            return Kind(_durations, _float_literals)
        case Moment():
            return Kind(_moments, _moment_literals)
        case _:
            raise TypeError(f"rows with {type_!r} are not written in bulk")


def count_of(value: int) -> int:
    """Return a count that the column holds, whatever an upstream reported."""
    return max(0, min(value, _MAX_COUNT))


def duration_of(value: object) -> float:
    """Return milliseconds that the column holds."""
    return float(value) if isinstance(value, int | float) and isfinite(value) else 0.0


# --- fit ------------------------------------------------------------------------------------


def _texts(width: int, column: Values) -> Values:
    odd = {
        text: _cut(str(text), width)
        for text in set(column)
        if not (type(text) is str and len(text) <= width and text.isascii()) and text is not None
    }
    return _replaced(column, odd)


def _integers(most: int, column: Values) -> Values:
    odd = {
        number: _bounded(number, most)
        for number in set(column)
        if not (type(number) is int and 0 <= number <= most) and number is not None
    }
    return _replaced(column, odd)


def _durations(column: Values) -> Values:
    if (durations := _floats(column)) is not None:
        return durations
    return [None if value is None else duration_of(value) for value in column]


def _moments(column: Values) -> Values:
    moments = _floats(column)
    if moments and min(moments) >= 1.0 and max(moments) < LATEST:
        return [_instant(str(int(at * 1e6 + 0.5))) for at in moments]
    return [None if at is None else _moment(at) for at in column]


def _floats(column: Values) -> Sequence[float] | None:
    """Return a column that holds nothing but finite numbers, as most do; None for any other."""
    if not _FLOAT.issuperset(map(type, column)):
        return None
    numbers = cast("Sequence[float]", column)
    return numbers if isfinite(sum(numbers)) else None  # else their sum is not


def _replaced(column: Values, odd: Mapping[object, object]) -> Values:
    return [odd.get(value, value) for value in column] if odd else column


def _cut(text: str, width: int) -> str:
    """Cut text to its column, lone surrogates replaced."""
    return text[:width].encode("utf-8", "replace").decode()


def _bounded(value: object, most: int) -> int | None:
    return max(0, min(int(value), most)) if isinstance(value, int) else None


def _moment(at: object) -> str | None:
    """Return the text that SQLAlchemy stores in SQLite, and that MySQL reads as DATETIME(6)."""
    if not isinstance(at, int | float):
        return None
    if 1.0 <= at < LATEST:
        return _instant(str(int(at * 1e6 + 0.5)))
    return to_datetime(at).isoformat(" ", "microseconds")


def _instant(microseconds: str) -> str:
    return f"{_second(microseconds[:-6])}.{microseconds[-6:]}"


@lru_cache(_SECONDS_KNOWN)
def _second(epoch_s: str) -> str:
    return to_datetime(int(epoch_s)).isoformat(" ")


# --- literals -------------------------------------------------------------------------------


def _text_literals(column: Values, escape: Escape) -> Sequence[str]:
    known = {text: _text_literal(text, escape) for text in set(column)}
    return [known[text] for text in column]


def _text_literal(text: object, escape: Escape) -> str:
    if not isinstance(text, str):
        return _NULL
    # Ids, of which each row has others: in letters and digits there is nothing to escape.
    return f"'{text}'" if text.isascii() and text.isalnum() else escape(text)


def _integer_literals(column: Values, _: Escape) -> Sequence[str]:
    known = {number: _NULL if number is None else f"{number:d}" for number in set(column)}
    return [known[number] for number in column]


def _float_literals(column: Values, _: Escape) -> Sequence[str]:
    return [_NULL if value is None else _float_literal(repr(value)) for value in column]


def _float_literal(digits: str) -> str:
    # Without an exponent it would be a DECIMAL.
    return digits if "e" in digits else f"{digits}e0"


def _moment_literals(column: Values, _: Escape) -> Sequence[str]:
    return [_NULL if at is None else f"'{at}'" for at in column]
