"""What the repositories share: JSON in text columns, slices of lists, changes of columns."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    Table,
    func,
    literal,
    select,
)

from models.batches import batches
from models.errors import NotFound
from models.json_types import Json
from repositories.base import UNSET, Page

T = TypeVar("T")

_IDS_PER_QUERY = 500


def to_json(value: Json) -> str:
    """Return JSON as ASCII text: no column's character set can harm it."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def from_json(text: str) -> Json:
    """Read what `to_json` wrote."""
    value: Json = json.loads(text)
    return value


def names_to_json(names: Sequence[str] | None) -> str | None:
    """Return a list of names as JSON; None stays None."""
    return None if names is None else to_json(list(names))


def names_from_json(text: str | None) -> tuple[str, ...] | None:
    """Read what `names_to_json` wrote."""
    if text is None:
        return None
    value = from_json(text)
    return tuple(str(name) for name in value) if isinstance(value, list) else ()


def changed(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields that are to change: those that are not UNSET."""
    return {name: value for name, value in fields.items() if value is not UNSET}


def matching(
    values: Mapping[Column[str], object] | Mapping[Column[bool], object],
) -> list[ColumnElement[bool]]:
    """Return the conditions that columns have these values; None matches all."""
    return [column == value for column, value in values.items() if value is not None]


def page_of(
    connection: Connection,
    columns: Sequence[ColumnElement[object]],
    build: Callable[[RowMapping], T],
    *,
    where: Sequence[ColumnElement[bool]] = (),
    order: Sequence[ColumnElement[object]],
    limit: int,
    offset: int,
    count_limit: int | None = None,
) -> Page[T]:
    """Return a slice of the rows that match, and how many match in all.

    Counting stops at `count_limit`: an operator's list must not scan a table of any size.
    """
    query = select(*columns).where(*where)
    # Ones, not rows: with a limit the server puts aside what it counts.
    counted = (
        query.with_only_columns(literal(1), maintain_column_froms=True)
        .limit(count_limit)
        .subquery()
    )
    total = connection.execute(select(func.count()).select_from(counted)).scalar_one()
    rows = connection.execute(query.order_by(*order).limit(limit).offset(offset)).mappings()
    return Page([build(row) for row in rows], int(total), limit, offset)


def parts_of(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield as many ids at a time as one statement takes."""
    return batches(ids, _IDS_PER_QUERY)


def require(connection: Connection, table: Table, row_id: str, what: str) -> None:
    """Raise NotFound unless the row exists."""
    if connection.execute(select(table.c.id).where(table.c.id == row_id)).first() is None:
        raise NotFound(f"there is no {what} {row_id}")
