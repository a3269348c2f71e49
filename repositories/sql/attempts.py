"""What happened in each attempt, and the pictures of the pool that it was decided on.

Many attempts share a picture, and so do replicas: its id is a hash of its content. A row of
`decisions` is written once and its time renewed while it is in use, so that it is deleted after
the last attempt that refers to it.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from math import inf
from typing import Final

from sqlalchemy import Connection, Executable, RowMapping, delete, func, select
from sqlalchemy.dialects import mysql, sqlite

from models.attempt import Attempt, Decision
from models.exchange import RequestRecord
from models.json_types import Json, JsonObject
from repositories.sql.bulk import Rows
from repositories.sql.engine import Database
from repositories.sql.rows import from_json, parts_of, to_json
from repositories.sql.tables import decisions, request_attempts

_RENEW_AFTER_S: Final = 3_600.0
_KNOWN_DECISIONS: Final = 8_192
# A body stays below 64 KiB with these, whatever the names are made of.
_MAX_ACCOUNTS: Final = 200
_MAX_COUNTS: Final = 64
_MAX_WORD: Final = 64


@dataclass(frozen=True, slots=True)
class _Numbered:
    """An attempt and the request that it belongs to."""

    request_id: str
    attempt: Attempt


_ROWS: Final[Rows[_Numbered]] = Rows(
    request_attempts,
    {
        "request_id": lambda row: row.request_id,
        "decision_id": lambda row: row.attempt.decision.id if row.attempt.decision else None,
    },
    path=lambda name: f"attempt.{name}",
)


class AttemptWriter:
    """Adds the attempts of new requests to the transaction that stores those."""

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
        """Insert a row for each attempt, and the decisions that are not there yet."""
        _ROWS.insert(connection, [row for record in records for row in _numbered(record)])
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

        def work(connection: Connection) -> list[Attempt]:
            return [_attempt(row) for row in connection.execute(query).mappings()]

        return await self._db.read(work)

    async def delete_before(self, at: float, *, batch: int) -> int:
        """Delete at most `batch` attempts older than `at`; when none is left, as many decisions
        that nothing refers to any more. Return how many."""
        return await self._db.run(lambda connection: _delete_before(connection, at, batch))


def _numbered(record: RequestRecord) -> Iterable[_Numbered]:
    # By number: should two have one, the row of the request must not be lost for it.
    by_number = {attempt.number: attempt for attempt in record.tries}
    return [_Numbered(record.id, attempt) for attempt in by_number.values()]


# --- decisions ------------------------------------------------------------------------------


def _store_decisions(connection: Connection, made: Mapping[str, Decision]) -> None:
    """Insert those that are not there, renew the others; always in one order."""
    rows = [_row(made[decision_id]) for decision_id in sorted(made)]
    connection.execute(_insert_or_renew(connection.dialect.name), rows)


@cache
def _insert_or_renew(dialect: str) -> Executable:
    at = decisions.c.at
    if dialect == "sqlite":
        into = sqlite.insert(decisions)
        renewed = {"at": func.max(at, into.excluded.at)}
        return into.on_conflict_do_update(index_elements=["id"], set_=renewed)
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
    values = {key: row[key] for key in row if key not in {"request_id", "decision_id", "body"}}
    decision = None
    if row["decision_id"] is not None and row["body"] is not None:
        decision = _decision(row["decision_id"], row, from_json(row["body"]))
    return Attempt(**values, decision=decision)


def _decision(decision_id: str, row: RowMapping, body: Json) -> Decision | None:
    match body:
        case {
            "strategy": str(strategy),
            "eligible": list(eligible),
            "excluded": dict(excluded),
            "counts": dict(counts),
        }:
            return Decision(
                decision_id,
                row["at"],
                row["provider_id"],
                row["model"],
                strategy,
                tuple(map(str, eligible)),
                {account_id: str(reason) for account_id, reason in excluded.items()},
                {reason: n for reason, n in counts.items() if isinstance(n, int)},
            )
        case _:
            return None


# --- forgetting -----------------------------------------------------------------------------


def _delete_before(connection: Connection, at: float, batch: int) -> int:
    columns = request_attempts.c
    oldest = select(columns.request_id).where(columns.at < at).order_by(columns.at).limit(batch)
    requests = sorted(set(connection.execute(oldest).scalars()))
    for part in parts_of(requests):
        connection.execute(delete(request_attempts).where(columns.request_id.in_(part)))
    if requests:
        return len(requests)
    # Younger attempts may still refer to what was renewed so long ago.
    unused = decisions.c.at < at - 2 * _RENEW_AFTER_S
    ids = connection.execute(select(decisions.c.id).where(unused).limit(batch)).scalars().all()
    for part in parts_of(ids):
        connection.execute(delete(decisions).where(decisions.c.id.in_(part), unused))
    return len(ids)
