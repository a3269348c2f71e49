"""What happened in each attempt, and the pictures of the pool that it was decided on.

Many attempts share a picture, and so do replicas: its id is a hash of its content. A row of
`decisions` is written once and its time renewed while it is in use, so that it is deleted after
the last attempt that refers to it.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from math import inf
from operator import attrgetter
from typing import Final, TypeAlias

from sqlalchemy import Connection, Executable, RowMapping, func, select

from models.attempt import Attempt, Decision
from models.exchange import RequestRecord
from models.json_types import Json, JsonObject
from repositories.sql.bulk import Rows
from repositories.sql.engine import Database
from repositories.sql.log_rows import LOGS, OWN_STATUS, own_attempt
from repositories.sql.old_attempts import (
    delete_attempts,
    delete_decisions,
    empty_own_attempts,
)
from repositories.sql.rows import from_json, to_json
from repositories.sql.tables import decisions, request_attempts, request_logs

_RENEW_AFTER_S: Final = 3_600.0
_KNOWN_DECISIONS: Final = 8_192
# A body stays below 64 KiB with these, whatever the names are made of.
_MAX_ACCOUNTS: Final = 200
_MAX_COUNTS: Final = 64
_MAX_WORD: Final = 64


_Numbered: TypeAlias = tuple[str, Attempt]
"""The id of a request, and an attempt of it."""

_PLAIN: Final = [
    column.name for column in request_attempts.c if column.name not in {"request_id", "decision_id"}
]
_plain: Final = attrgetter(*_PLAIN)


def _values(numbered: _Numbered) -> tuple[object, ...]:
    request_id, attempt = numbered
    decision = attempt.decision
    return (request_id, None if decision is None else decision.id, *_plain(attempt))


_ROWS: Final[Rows[_Numbered]] = Rows(
    request_attempts, ("request_id", "decision_id", *_PLAIN), _values
)


class AttemptWriter:
    """Stores new requests with their attempts."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, float] = OrderedDict()

    def unknown(self, records: Iterable[RequestRecord]) -> dict[str, Decision]:
        """Return the decisions that must be stored, or renewed, with these requests."""
        found: dict[str, Decision] = {}
        for record in records:
            for attempt in record.tries:
                made = attempt.decision
                if made is None or self._known.get(made.id, -inf) + _RENEW_AFTER_S >= attempt.at:
                    continue
                if made.id not in found or found[made.id].at < attempt.at:
                    found[made.id] = replace(made, at=attempt.at)
        return found

    def stored(self, made: Mapping[str, Decision]) -> None:
        """Remember decisions whose transaction was committed."""
        for decision_id, decision in made.items():
            self._known[decision_id] = decision.at
            self._known.move_to_end(decision_id)
        while len(self._known) > _KNOWN_DECISIONS:
            self._known.popitem(last=False)

    @staticmethod
    def write(
        connection: Connection, records: Sequence[RequestRecord], made: Mapping[str, Decision]
    ) -> None:
        """Insert a row for each request, one for each attempt that does not stand in that row,
        and the decisions that are not there yet."""
        logged = [(record, own_attempt(record)) for record in records]
        LOGS.insert(connection, logged)
        _ROWS.insert(
            connection,
            [one for record, own in logged if own is None for one in _numbered(record)],
        )
        if made:
            _store_decisions(connection, made)


class SqlAttempts:
    """Reads attempts, and forgets them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def of_request(self, request_id: str) -> list[Attempt]:
        """Return every attempt of a request in order, with its decision."""
        columns = request_attempts.c
        query = (
            select(request_attempts, decisions.c.body)
            .outerjoin(decisions, decisions.c.id == columns.decision_id)
            .where(columns.request_id == request_id)
            .order_by(columns.number)
        )

        own = (
            select(request_logs, decisions.c.body)
            .outerjoin(decisions, decisions.c.id == request_logs.c.decision_id)
            .where(request_logs.c.id == request_id, request_logs.c.choice.is_not(None))
        )

        def work(connection: Connection) -> list[Attempt]:
            found = [_attempt(row) for row in connection.execute(query).mappings()]
            return found or [_own_attempt(row) for row in connection.execute(own).mappings()]

        return await self._db.read(work)

    async def delete_before(self, at: float, *, batch: int) -> int:
        """Forget attempts older than `at` in at most `batch` requests; when none is left, as many
        decisions that nothing refers to any more. Return how many were looked at."""
        return await self._db.run(
            lambda connection: (
                delete_attempts(connection, at, batch)
                or empty_own_attempts(connection, at, batch)
                # Younger attempts may still refer to what was renewed so long ago.
                or delete_decisions(connection, at - 2 * _RENEW_AFTER_S, batch)
            )
        )


def _numbered(record: RequestRecord) -> Iterable[_Numbered]:
    # By number: should two have one, the row of the request must not be lost for it.
    by_number = {attempt.number: attempt for attempt in record.tries}
    return [(record.id, attempt) for attempt in by_number.values()]


# --- decisions ------------------------------------------------------------------------------


def _store_decisions(connection: Connection, made: Mapping[str, Decision]) -> None:
    """Insert those that are not there, renew the others; always in one order."""
    rows = [_row(made[decision_id]) for decision_id in sorted(made)]
    connection.execute(_insert_or_renew(connection.dialect.name), rows)


@cache
def _insert_or_renew(dialect: str) -> Executable:
    at = decisions.c.at
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        into = sqlite.insert(decisions)
        renewed = {"at": func.max(at, into.excluded.at)}
        return into.on_conflict_do_update(index_elements=["id"], set_=renewed)
    from sqlalchemy.dialects import mysql

    into_mysql = mysql.insert(decisions)
    return into_mysql.on_duplicate_key_update(at=func.greatest(at, into_mysql.inserted.at))


def _row(made: Decision) -> dict[str, object]:
    return {
        "id": made.id,
        "at": made.at,
        "provider_id": made.provider_id[:64],
        "model": made.model[:255].encode("utf-8", "replace").decode(),
        "body": to_json(_body(made)),
    }


def _body(made: Decision) -> JsonObject:
    eligible: list[Json] = [*made.eligible[:_MAX_ACCOUNTS]]
    room = _MAX_ACCOUNTS - len(eligible)
    excluded: JsonObject = {
        account_id: _word(reason) for account_id, reason in islice(made.excluded.items(), room)
    }
    counts: JsonObject = {
        _word(reason): count for reason, count in islice(made.counts.items(), _MAX_COUNTS)
    }
    return {
        "strategy": _word(made.strategy),
        "eligible": eligible,
        "excluded": excluded,
        "counts": counts,
    }


def _word(text: str) -> str:
    return text[:_MAX_WORD].encode("ascii", "replace").decode()


# --- reading --------------------------------------------------------------------------------


def _attempt(row: RowMapping) -> Attempt:
    values = {name: row[name] for name in _PLAIN}
    return Attempt(**values, decision=_decision(row, row["at"], row["model"]))


def _own_attempt(row: RowMapping) -> Attempt:
    """Read the attempt that stands in the row of its request."""
    return Attempt(
        1,
        row["tried_at"],
        row["provider_id"],
        row["upstream_model"],
        row["account_id"],
        row["proxy_id"],
        row["choice"],
        row["counter"],
        _decision(row, row["tried_at"], row["upstream_model"]),
        row["base_url"],
        OWN_STATUS,
        first_byte_ms=row["tried_first_byte_ms"],
        latency_ms=row["tried_latency_ms"],
    )


def _decision(row: RowMapping, at: float, model: str) -> Decision | None:
    """Return the picture that an attempt was decided on, as it was at its time."""
    match None if row["body"] is None else from_json(row["body"]):
        case {
            "strategy": str(strategy),
            "eligible": list(eligible),
            "excluded": dict(excluded),
            "counts": dict(counts),
        }:
            return Decision(
                row["decision_id"],
                at,
                row["provider_id"],
                model,
                strategy,
                tuple(map(str, eligible)),
                {account_id: str(reason) for account_id, reason in excluded.items()},
                {reason: n for reason, n in counts.items() if isinstance(n, int)},
            )
        case _:
            return None
