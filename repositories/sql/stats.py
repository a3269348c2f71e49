"""The ledger of requests: `request_logs`, and `proxy_stats` summed from it day by day.

`proxy_stats` counts a request, its tokens and its latency at the proxy through which it was
answered, and one error for each attempt on which a proxy failed (`RequestRecord.egress_errors`).
A request that failed at its last proxy is thus one request and one error there.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import date, timedelta
from functools import cache, lru_cache
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, Executable, RowMapping, and_, delete, func, select

from models.attempt import Decision
from models.errors import Conflict
from models.exchange import RequestRecord
from models.session import Outcome
from models.usage import Usage
from repositories.base import AffinitySummary, LogFilter, Page, ProxyDay, Summary
from repositories.sql.attempts import AttemptWriter
from repositories.sql.columns import count_of, duration_of
from repositories.sql.engine import Database
from repositories.sql.log_rows import LOG_COLUMNS, LOGS
from repositories.sql.rows import matching, page_of, parts_of
from repositories.sql.tables import proxy_stats, request_logs, to_datetime

_TOKENS = tuple(field.name for field in fields(Usage))
_TOP_MODELS = 100
_FIRST_ERROR = 400
_COUNT_LIMIT = 1_000_000
_DAY_S = 86_400
_DAYS_KNOWN = 8
_KEPT: Outcome = "kept"
_Place: TypeAlias = tuple[str, str, date]
"""Proxy, provider and day: the key of `proxy_stats`."""


@dataclass(slots=True)
class _Tally:
    """What a batch adds to one row of `proxy_stats`."""

    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    latency_ms: float = 0.0


class SqlStats:
    """Writes the ledger in batches and reads it for operators."""

    def __init__(self, db: Database, *, keeps_attempts: bool = True) -> None:
        self._db = db
        self._attempts = AttemptWriter() if keeps_attempts else None

    async def store(self, records: Sequence[RequestRecord]) -> int:
        """Write a batch in one transaction and return how many rows were new.

        Ids that exist already are passed over and do not count again. They are looked for only
        when one shows itself: nearly always all are new, and each is new but once.
        """
        by_id = {record.id: record for record in records}
        attempts = self._attempts
        decisions = attempts.unknown(records) if attempts is not None else {}

        def store_all(connection: Connection) -> int:
            self._write(connection, list(by_id.values()), decisions)
            return len(by_id)

        def store_new(connection: Connection) -> int:
            known = _known(connection, list(by_id))
            new = [record for id_, record in by_id.items() if id_ not in known]
            self._write(connection, new, decisions)
            return len(new)

        stored = await self._first_that_fits(store_all, store_new, store_new)
        if attempts is not None and stored:
            attempts.stored(decisions)
        return stored

    async def _first_that_fits(self, *ways: Callable[[Connection], int]) -> int:
        """Return what the first way returns that meets no row of another; the last may raise.

        Should another process write one of the rows at this very moment, they are looked for once
        more.
        """
        for work in ways[:-1]:
            with suppress(Conflict):
                return await self._db.run(work)
        return await self._db.run(ways[-1])

    def _write(
        self,
        connection: Connection,
        records: Sequence[RequestRecord],
        decisions: Mapping[str, Decision],
    ) -> None:
        if not records:
            return
        if self._attempts is None:
            LOGS.insert(connection, [(record, None) for record in records])
        else:
            self._attempts.write(connection, records, decisions)
        _raise_proxy_stats(connection, records)

    async def logs(self, log_filter: LogFilter, *, limit: int, offset: int) -> Page[RequestRecord]:
        """Return rows that match, newest first; `total` counts up to a million."""
        columns = request_logs.c
        where = matching(
            {
                columns.provider_id: log_filter.provider_id,
                columns.account_id: log_filter.account_id,
                columns.proxy_id: log_filter.proxy_id,
                columns.key_id: log_filter.key_id,
                columns.model: log_filter.model,
                columns.status: log_filter.status,
                columns.error_code: log_filter.error_code,
            }
        )
        if log_filter.since is not None:
            where.append(columns.at >= log_filter.since)
        if log_filter.until is not None:
            where.append(columns.at < log_filter.until)
        return await self._db.read(
            lambda connection: page_of(
                connection,
                LOG_COLUMNS,
                _record,
                where=where,
                order=[columns.at.desc(), columns.id.desc()],
                limit=limit,
                offset=offset,
                count_limit=_COUNT_LIMIT,
            )
        )

    async def find(self, name: str) -> RequestRecord | None:
        """Return a request by its id, else the latest that its client gave this id."""
        columns = request_logs.c
        by_id = select(*LOG_COLUMNS).where(columns.id == name)
        by_client = (
            select(*LOG_COLUMNS)
            .where(columns.client_request_id == name)
            .order_by(columns.at.desc(), columns.id.desc())
            .limit(1)
        )

        def work(connection: Connection) -> RequestRecord | None:
            for query in (by_id, by_client):
                row = connection.execute(query).mappings().first()
                if row is not None:
                    return _record(row)
            return None

        return await self._db.read(work)

    async def proxy_days(self, proxy_id: str, *, days: int, now: float) -> list[ProxyDay]:
        """Return the last `days` days (UTC, today included), oldest first, without empty ones."""
        first = to_datetime(now).date() - timedelta(days=min(days, 36_500) - 1)
        query = (
            select(proxy_stats)
            .where(proxy_stats.c.proxy_id == proxy_id, proxy_stats.c.day >= first)
            .order_by(proxy_stats.c.day, proxy_stats.c.provider_id)
        )

        def work(connection: Connection) -> list[ProxyDay]:
            return [_proxy_day(row) for row in connection.execute(query).mappings()]

        return await self._db.read(work)

    async def summary(self, *, since: float, until: float) -> Summary:
        """Return totals from `since` up to before `until`. An error is a status of 400 or more;
        of the models, the 100 most asked for are named."""
        span = and_(request_logs.c.at >= since, request_logs.c.at < until)
        return await self._db.read(lambda connection: _summary(connection, span))

    async def delete_before(self, at: float, *, batch: int) -> int:
        """Delete at most `batch` rows older than `at`, oldest first; return how many."""
        oldest = (
            select(request_logs.c.id)
            .where(request_logs.c.at < at)
            .order_by(request_logs.c.at, request_logs.c.id)
            .limit(batch)
        )

        def work(connection: Connection) -> int:
            ids = connection.execute(oldest).scalars().all()
            for part in parts_of(ids):
                connection.execute(delete(request_logs).where(request_logs.c.id.in_(part)))
            return len(ids)

        return await self._db.run(work)


def _known(connection: Connection, ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for part in parts_of(ids):
        query = select(request_logs.c.id).where(request_logs.c.id.in_(part))
        found.update(connection.execute(query).scalars())
    return found


def _raise_proxy_stats(connection: Connection, records: Sequence[RequestRecord]) -> None:
    """Add the records to their days; always in one order, so that batches do not deadlock."""
    rows: list[dict[str, object]] = [
        {"proxy_id": proxy_id, "provider_id": provider_id, "day": day}
        | {name: getattr(tally, name) for name in _Tally.__slots__}
        for (proxy_id, provider_id, day), tally in sorted(_tallies(records).items())
    ]
    if rows:
        connection.execute(_insert_or_add(connection.dialect.name), rows)


@cache
def _insert_or_add(dialect: str) -> Executable:
    columns = proxy_stats.c
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        into = sqlite.insert(proxy_stats)
        sums = {name: columns[name] + into.excluded[name] for name in _Tally.__slots__}
        return into.on_conflict_do_update(index_elements=[*proxy_stats.primary_key], set_=sums)
    from sqlalchemy.dialects import mysql

    into_mysql = mysql.insert(proxy_stats)
    return into_mysql.on_duplicate_key_update(
        {name: columns[name] + into_mysql.inserted[name] for name in _Tally.__slots__}
    )


def _tallies(records: Sequence[RequestRecord]) -> dict[_Place, _Tally]:
    tallies: defaultdict[_Place, _Tally] = defaultdict(_Tally)
    for record in records:
        if record.proxy_id is None and not record.egress_errors:
            continue
        provider, day = record.provider_id or "", _day(record.at // _DAY_S)
        if record.proxy_id is not None:
            tally, usage = tallies[record.proxy_id, provider, day], record.usage
            tally.requests += 1
            tally.input_tokens += count_of(usage.input_tokens or 0)
            tally.output_tokens += count_of(usage.output_tokens or 0)
            tally.latency_ms += duration_of(record.latency_ms)
        for proxy_id in record.egress_errors:
            tallies[proxy_id, provider, day].errors += 1
    return tallies


@lru_cache(_DAYS_KNOWN)
def _day(days: float) -> date:
    """Return the day so many whole days after the epoch (UTC)."""
    return to_datetime(days * _DAY_S).date()


def _record(row: RowMapping) -> RequestRecord:
    values = {name: value for name, value in row.items() if name not in _TOKENS}
    return RequestRecord(**values, usage=Usage(*(row[name] for name in _TOKENS)))


def _proxy_day(row: RowMapping) -> ProxyDay:
    return ProxyDay(
        proxy_id=row["proxy_id"],
        provider_id=row["provider_id"],
        day=row["day"].isoformat(),
        requests=row["requests"],
        errors=row["errors"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        latency_ms=row["latency_ms"],
    )


def _summary(connection: Connection, span: ColumnElement[bool]) -> Summary:
    totals: Counter[str] = Counter()
    by_provider: Counter[str] = Counter()
    by_status: Counter[str] = Counter()
    by_affinity: Counter[str] = Counter()
    latency_ms = 0.0
    for row in _groups(connection, span):
        requests = row["requests"]
        totals["requests"] += requests
        totals["errors"] += requests if row["status"] >= _FIRST_ERROR else 0
        # MySQL adds integers up to decimals.
        totals.update({name: int(row[name] or 0) for name in _TOKENS})
        latency_ms += float(row["latency_ms"])
        by_provider[row["provider_id"] or ""] += requests
        by_status[f"{row['status'] // 100}xx"] += requests
        if row["affinity"] is not None:
            by_affinity[row["affinity"]] += requests
            totals["lost"] += int(row["lost"] or 0)
        if row["affinity"] == _KEPT:
            totals["kept"] += int(row["cache_read_tokens"] or 0)
    return Summary(
        requests=totals["requests"],
        errors=totals["errors"],
        mean_latency_ms=latency_ms / totals["requests"] if totals["requests"] else 0.0,
        by_provider=dict(by_provider.most_common()),
        by_model=_top_models(connection, span),
        by_status=dict(sorted(by_status.items())),
        affinity=AffinitySummary(
            by_affinity.total(),
            by_affinity[_KEPT],
            by_affinity["borrowed"],
            by_affinity["moved"],
            cached_tokens_kept=totals["kept"],
            cached_tokens_lost=totals["lost"],
        ),
        **{name: totals[name] for name in _TOKENS},
    )


def _groups(connection: Connection, span: ColumnElement[bool]) -> Sequence[RowMapping]:
    """Add the requests up by provider, status and affinity: few groups, in one scan of the span."""
    columns = request_logs.c
    query = select(
        columns.provider_id,
        columns.status,
        columns.affinity,
        func.sum(columns.cached_tokens_lost).label("lost"),
        func.count().label("requests"),
        func.sum(columns.latency_ms).label("latency_ms"),
        *(func.sum(columns[name]).label(name) for name in _TOKENS),
    )
    by = (columns.provider_id, columns.status, columns.affinity)
    return connection.execute(query.where(span).group_by(*by)).mappings().all()


def _top_models(connection: Connection, span: ColumnElement[bool]) -> dict[str, int]:
    model, count = request_logs.c.model, func.count()
    query = select(model, count).where(span).group_by(model).order_by(count.desc(), model)
    return {str(name): int(n) for name, n in connection.execute(query.limit(_TOP_MODELS)).all()}
