"""Rows of `request_logs`, and the attempt that most of them hold.

An only attempt that served at once says hardly more than its request's row: that little stands in
the row itself, and `request_attempts` has a row for each attempt of all other requests. So an
ordinary request costs one row, not two.
"""

from typing import Final, TypeAlias

from models.attempt import Attempt
from models.exchange import RequestRecord
from repositories.sql.bulk import Rows
from repositories.sql.tables import request_logs

Logged: TypeAlias = tuple[RequestRecord, Attempt | None]
"""A request, and its attempt if that is to stand in its row."""

OWN_STATUS: Final = 200
"""The provider's status in such an attempt."""

_OF_REQUEST: Final = (
    "id",
    "at",
    "client_request_id",
    "key_id",
    "dialect",
    "model",
    "provider_id",
    "upstream_model",
    "account_id",
    "proxy_id",
    "stream",
    "mode",
    "status",
    "error_code",
    "attempts",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "first_byte_ms",
    "latency_ms",
    "affinity",
    "cached_tokens_lost",
)
OWN: Final = (
    "tried_at",
    "choice",
    "counter",
    "decision_id",
    "base_url",
    "tried_first_byte_ms",
    "tried_latency_ms",
)
"""What an attempt says of itself; all empty where it has a row of its own."""
_NOTHING: Final = (None,) * len(OWN)

LOG_COLUMNS: Final = [request_logs.c[name] for name in _OF_REQUEST]
"""What is read of a request itself."""


def own_attempt(record: RequestRecord) -> Attempt | None:
    """Return the attempt that stands in the row of its request, if it is such a one."""
    if len(record.tries) != 1:
        return None
    attempt = record.tries[0]
    says_no_more = (
        attempt.number == 1
        and attempt.status == OWN_STATUS
        and attempt.sent
        and attempt.error_kind is None
        and attempt.blame is None
        and attempt.message is None
        and attempt.rest_scope is None
        and attempt.rest_until is None
    )
    is_of_record = (
        attempt.account_id == record.account_id
        and attempt.proxy_id == record.proxy_id
        and attempt.model == record.upstream_model
        and attempt.provider_id == record.provider_id
    )
    return attempt if says_no_more and is_of_record else None


# Attribute by attribute: `attrgetter` takes four times as long, and this is for every request.
def _values(logged: Logged) -> tuple[object, ...]:
    record, attempt = logged
    usage = record.usage
    of_request = (
        record.id,
        record.at,
        record.client_request_id,
        record.key_id,
        record.dialect,
        record.model,
        record.provider_id,
        record.upstream_model,
        record.account_id,
        record.proxy_id,
        record.stream,
        record.mode,
        record.status,
        record.error_code,
        record.attempts,
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        record.first_byte_ms,
        record.latency_ms,
        record.affinity,
        record.cached_tokens_lost,
    )
    return of_request + (_NOTHING if attempt is None else _own_values(attempt))


def _own_values(attempt: Attempt) -> tuple[object, ...]:
    decision = attempt.decision
    return (
        attempt.at,
        attempt.choice,
        attempt.counter,
        None if decision is None else decision.id,
        attempt.base_url,
        attempt.first_byte_ms,
        attempt.latency_ms,
    )


LOGS: Final[Rows[Logged]] = Rows(request_logs, (*_OF_REQUEST, *OWN), _values)
