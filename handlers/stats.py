"""`/api/v1/stats`."""

from functools import partial

from aiohttp import web

from handlers.bodies import answer, listing, path_id, query
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from openapi.fields import instant
from openapi.stats import (
    AffinityAnswer,
    DaysQuery,
    LogAnswer,
    LogList,
    LogQuery,
    ProxyDayAnswer,
    ProxyStatsAnswer,
    SpanQuery,
    SummaryAnswer,
    TodayAnswer,
)
from repositories.base import AffinitySummary, LogFilter, ProxyDay

_route = partial(Endpoint, access=Access.ADMIN, tag="stats")


def endpoints() -> list[Endpoint]:
    """Return the routes of statistics."""
    return [
        _route(
            "GET",
            "/api/v1/stats/summary",
            _summary,
            summary="Sum up a span of time; the last day by default",
            query=SpanQuery,
            response=SummaryAnswer,
        ),
        _route(
            "GET",
            "/api/v1/stats/logs",
            _logs,
            summary="List requests, newest first",
            query=LogQuery,
            response=LogList,
        ),
        _route(
            "GET",
            "/api/v1/stats/proxies/{id}",
            _proxy,
            summary="Show what went through a proxy, day by day",
            query=DaysQuery,
            response=ProxyStatsAnswer,
        ),
    ]


async def _summary(request: web.Request) -> web.Response:
    span = query(request, SpanQuery)
    found = await request.app[GATEWAY].statistics.summary(since=span.since, until=span.until)
    totals = found.totals
    return answer(
        SummaryAnswer(
            since=instant(found.since),
            until=instant(found.until),
            requests=totals.requests,
            errors=totals.errors,
            input_tokens=totals.input_tokens,
            output_tokens=totals.output_tokens,
            cache_read_tokens=totals.cache_read_tokens,
            cache_write_tokens=totals.cache_write_tokens,
            reasoning_tokens=totals.reasoning_tokens,
            mean_latency_ms=totals.mean_latency_ms,
            by_provider=dict(totals.by_provider),
            by_model=dict(totals.by_model),
            by_status=dict(totals.by_status),
            affinity=_affinity(totals.affinity),
        )
    )


def _affinity(found: AffinitySummary) -> AffinityAnswer:
    return AffinityAnswer(
        turns=found.turns,
        kept=found.kept,
        borrowed=found.borrowed,
        moved=found.moved,
        cached_tokens_kept=found.cached_tokens_kept,
        cached_tokens_lost=found.cached_tokens_lost,
    )


async def _logs(request: web.Request) -> web.Response:
    asked = query(request, LogQuery)
    page = await request.app[GATEWAY].statistics.logs(
        LogFilter(
            provider_id=asked.provider_id,
            account_id=asked.account_id,
            proxy_id=asked.proxy_id,
            key_id=asked.key_id,
            model=asked.model,
            status=asked.status,
            error_code=asked.error_code,
            since=asked.since,
            until=asked.until,
        ),
        limit=asked.limit,
        offset=asked.offset,
    )
    return listing(page, LogAnswer.of, LogList)


async def _proxy(request: web.Request) -> web.Response:
    days = query(request, DaysQuery).days
    found = await request.app[GATEWAY].statistics.proxy(path_id(request), days=days)
    return answer(
        ProxyStatsAnswer(
            proxy_id=found.proxy_id,
            today=TodayAnswer(requests=found.requests_today, errors=found.errors_today),
            data=[_shown(day) for day in found.days],
        )
    )


def _shown(day: ProxyDay) -> ProxyDayAnswer:
    return ProxyDayAnswer(
        day=day.day,
        provider_id=day.provider_id,
        requests=day.requests,
        errors=day.errors,
        input_tokens=day.input_tokens,
        output_tokens=day.output_tokens,
        mean_latency_ms=day.latency_ms / day.requests if day.requests else 0.0,
    )
