"""What is left of the limits of accounts: rows of `quota_windows`, and sums of the ledger."""

from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from typing import Final, TypeAlias

from sqlalchemy import (
    BindParameter,
    Column,
    Connection,
    Insert,
    RowMapping,
    Select,
    Update,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from models.batches import batches
from models.errors import Conflict
from models.quota import QuotaWindow
from repositories.base import Use
from repositories.sql.columns import count_of
from repositories.sql.engine import Database
from repositories.sql.tables import accounts, quota_windows, request_logs

_Key: TypeAlias = tuple[str, str, str]

_ALL: Final = quota_windows.c
_KEYS: Final = ("account_id", "model", "window")
_WIDTHS: Final = {"model": 255, "window": 32, "unit": 16}
_COUNTS: Final = ("limit", "remaining")
_ACCOUNTS_PER_QUERY: Final = 500
_FIRST_ERROR: Final = 400
_LEFT: Final = 499
"""The client left: what came so far was used."""


class SqlQuotas:
    """Windows of all accounts."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def all(self) -> list[QuotaWindow]:
        return await self._read(select(quota_windows))

    async def updated_since(self, at: float) -> list[QuotaWindow]:
        return await self._read(select(quota_windows).where(_ALL.updated_at >= at))

    async def store(self, windows: Sequence[QuotaWindow]) -> None:
        """Insert or replace; one that was updated later stays."""
        rows = {_key(row): row for row in map(_row, windows)}
        ordered = [
            rows[key] for key in sorted(rows)
        ]  # in one order, so that batches don't deadlock

        def work(connection: Connection) -> None:
            known = _known(connection, sorted({key[0] for key in rows}))
            new = [row for row in ordered if _key(row) not in known]
            old = [_renamed(row) for row in ordered if _key(row) in known]
            if old:
                connection.execute(_replace(), old)
            if new:
                connection.execute(_insert(), new)

        if not rows:
            return
        try:
            await self._db.run(work)
        except Conflict:  # another process inserted one of them at this very moment
            await self._db.run(work)

    async def delete(self, account_id: str) -> None:
        statement = delete(quota_windows).where(_ALL.account_id == account_id)
        await self._db.run(lambda connection: connection.execute(statement).rowcount)

    async def delete_orphans(self) -> int:
        """Forget windows of accounts that are gone; return how many."""
        statement = delete(quota_windows).where(_ALL.account_id.not_in(select(accounts.c.id)))
        return await self._db.run(lambda connection: connection.execute(statement).rowcount)

    async def use(
        self, *, since: float, account_id: str | None = None, provider_id: str | None = None
    ) -> list[Use]:
        """Sum up the ledger by account and model. Requests that were refused used nothing."""
        query = _use(since, account_id, provider_id)

        def work(connection: Connection) -> list[Use]:
            return [
                # MySQL adds integers up to decimals.
                Use(row.account_id, row.upstream_model, int(row.requests), int(row.tokens or 0))
                for row in connection.execute(query)
            ]

        return await self._db.read(work)

    async def _read(self, query: Select[tuple[object, ...]]) -> list[QuotaWindow]:
        def work(connection: Connection) -> list[QuotaWindow]:
            return [_window(row) for row in connection.execute(query).mappings()]

        return await self._db.read(work)


def _use(
    since: float, account_id: str | None, provider_id: str | None
) -> Select[tuple[str, str, int, int]]:
    columns = request_logs.c
    kinds = (
        columns.input_tokens,
        columns.output_tokens,
        columns.cache_read_tokens,
        columns.cache_write_tokens,
    )
    tokens = sum(
        (func.coalesce(func.sum(kind), 0) for kind in kinds[1:]),
        start=func.coalesce(func.sum(kinds[0]), 0),
    )
    query = (
        select(
            columns.account_id,
            columns.upstream_model,
            func.count().label("requests"),
            tokens.label("tokens"),
        )
        .where(columns.at >= since, or_(columns.status < _FIRST_ERROR, columns.status == _LEFT))
        .where(columns.account_id.is_not(None), columns.upstream_model.is_not(None))
        .group_by(columns.account_id, columns.upstream_model)
    )
    if account_id is not None:
        query = query.where(columns.account_id == account_id)
    if provider_id is not None:
        query = query.where(columns.provider_id == provider_id)
    return query


def _known(connection: Connection, account_ids: Sequence[str]) -> set[_Key]:
    found: set[_Key] = set()
    for part in batches(account_ids, _ACCOUNTS_PER_QUERY):
        query = select(_ALL.account_id, _ALL.model, _ALL.window)
        rows = connection.execute(query.where(_ALL.account_id.in_(part)))
        found.update((row[0], row[1], row[2]) for row in rows)
    return found


def _insert() -> Insert:
    return insert(quota_windows)


def _replace() -> Update:
    """One row by its key, unless it was updated later."""
    mine = [_ALL[name] == bindparam(f"key_{name}") for name in _KEYS]
    values: dict[Column[object], BindParameter[object]] = {
        column: bindparam(f"new_{column.name}")
        for column in quota_windows.c
        if column.name not in _KEYS
    }
    newer = _ALL.updated_at < bindparam("new_updated_at")
    return update(quota_windows).where(*mine, newer).values(values)


def _renamed(row: dict[str, object]) -> dict[str, object]:
    """Return the row under the names of `_replace`, whose parameters may not be columns'."""
    return {f"{'key' if name in _KEYS else 'new'}_{name}": value for name, value in row.items()}


def _key(row: dict[str, object]) -> _Key:
    return str(row["account_id"]), str(row["model"]), str(row["window"])


def _row(window: QuotaWindow) -> dict[str, object]:
    """Return the columns; what providers told is cut or bounded, never a reason to lose it."""
    row: dict[str, object] = asdict(window)
    for name, width in _WIDTHS.items():
        value = row[name]
        row[name] = None if value is None else str(value)[:width]
    for name in _COUNTS:
        value = row[name]
        row[name] = count_of(value) if isinstance(value, int) else None
    ratio = window.used_ratio
    row["used_ratio"] = ratio if ratio is not None and isfinite(ratio) else None
    return row


def _window(row: RowMapping) -> QuotaWindow:
    return QuotaWindow(**row)
