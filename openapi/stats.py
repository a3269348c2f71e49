"""Answers of `/api/v1/stats`."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from models.exchange import RequestRecord
from openapi.common import Listing, PageQuery
from openapi.fields import DIGITS, Answer, Body, Id, QueryText, QueryWhen, Slug, instant


class DaysQuery(Body):
    """How far back to look."""

    days: Annotated[int, Field(ge=1, le=366), DIGITS] = 7
    """Days (UTC) up to and including today."""


class SpanQuery(Body):
    """Which span of time to sum up."""

    since: QueryWhen | None = None
    """Begin; without it a day before the end."""
    until: QueryWhen | None = None
    """End, itself excluded; without it now."""

    @field_validator("until")
    @classmethod
    def _after_since(cls, until: float | None, info: ValidationInfo) -> float | None:
        return _in_order(until, info)


class LogQuery(PageQuery):
    """Which requests to list, newest first."""

    provider_id: Slug | None = None
    account_id: Id | None = None
    proxy_id: Id | None = None
    key_id: QueryText | None = None
    model: QueryText | None = None
    status: Annotated[int, Field(ge=100, le=599), DIGITS] | None = None
    error_code: QueryText | None = None
    since: QueryWhen | None = None
    """Only requests that came then or later."""
    until: QueryWhen | None = None
    """Only requests that came before."""

    @field_validator("until")
    @classmethod
    def _after_since(cls, until: float | None, info: ValidationInfo) -> float | None:
        return _in_order(until, info)


class LogAnswer(Answer):
    """One request as recorded. Null token counts were not reported."""

    id: str
    client_request_id: str | None
    at: datetime
    key_id: str
    dialect: str
    model: str
    stream: bool
    provider_id: str | None
    upstream_model: str | None
    account_id: str | None
    proxy_id: str | None
    status: int
    """Status given to the client; 499 when it left."""
    error_code: str | None
    attempts: int
    mode: str
    """`raw` or `translated`."""
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    first_byte_ms: float | None
    latency_ms: float
    affinity: str | None
    """Whether the turn stayed with its conversation's account: `new` (nobody knew the
    conversation), `kept`, `borrowed` (another one served this turn) or `moved` (to another one, for
    good). Null: it belongs to none."""
    cached_tokens_lost: int | None
    """Tokens in the cache of the account that the conversation left. Null: not known."""

    @classmethod
    def of(cls, record: RequestRecord) -> "LogAnswer":
        """Show a record."""
        usage = record.usage
        return cls(
            id=record.id,
            client_request_id=record.client_request_id,
            at=instant(record.at),
            key_id=record.key_id,
            dialect=record.dialect,
            model=record.model,
            stream=record.stream,
            provider_id=record.provider_id,
            upstream_model=record.upstream_model,
            account_id=record.account_id,
            proxy_id=record.proxy_id,
            status=record.status,
            error_code=record.error_code,
            attempts=record.attempts,
            mode=record.mode,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            first_byte_ms=record.first_byte_ms,
            latency_ms=record.latency_ms,
            affinity=record.affinity,
            cached_tokens_lost=record.cached_tokens_lost,
        )


class LogList(Listing[LogAnswer]):
    """A page of requests."""


class ProxyDayAnswer(Answer):
    """One proxy and provider on one day (UTC)."""

    day: Annotated[str, Field(json_schema_extra={"format": "date"})]
    provider_id: str
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    mean_latency_ms: float


class TodayAnswer(Answer):
    """Counters of today (UTC), ahead of the daily rows."""

    requests: int
    errors: int


class ProxyStatsAnswer(Answer):
    """What went through one proxy."""

    proxy_id: str
    today: TodayAnswer
    data: list[ProxyDayAnswer]
    """One entry for each day and provider with requests."""


class AffinityAnswer(Answer):
    """Turns of conversations, by whether they stayed with their account."""

    turns: int
    """All that belong to a conversation, the first ones included."""
    kept: int
    borrowed: int
    """Served by another account while their own could not."""
    moved: int
    """Served by another account, which is their own from then on."""
    cached_tokens_kept: int
    """Read from the caches of accounts that conversations stayed with."""
    cached_tokens_lost: int
    """Left behind in the caches of accounts, as far as it is known."""


class SummaryAnswer(Answer):
    """Totals over a span of time."""

    since: datetime
    until: datetime
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    mean_latency_ms: float
    by_provider: dict[str, int]
    """Requests by provider."""
    by_model: dict[str, int]
    by_status: dict[str, int]
    affinity: AffinityAnswer


def _in_order(until: float | None, info: ValidationInfo) -> float | None:
    since = info.data.get("since")
    if until is not None and since is not None and until < since:
        raise ValueError("must not lie before since")
    return until
