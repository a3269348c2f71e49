"""`/api/v1/quota`."""

from functools import partial

from aiohttp import web

from handlers.bodies import answer, listing, path_id, path_slug, query
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from openapi.fields import moment
from openapi.quotas import (
    AccountQuotaAnswer,
    AccountQuotaList,
    ForecastAnswer,
    PoolSummaryAnswer,
    QuotaQuery,
    QuotaWindowAnswer,
    RestAnswer,
    WindowTotalsAnswer,
)
from services.quota_reports import AccountQuota, Forecast, WindowTotals

_route = partial(Endpoint, access=Access.ADMIN, tag="quota")


def endpoints() -> list[Endpoint]:
    """Return the routes of limits."""
    return [
        _route(
            "GET",
            "/api/v1/quota/accounts",
            _accounts,
            summary="List what accounts have left",
            query=QuotaQuery,
            response=AccountQuotaList,
        ),
        _route(
            "GET",
            "/api/v1/quota/providers/{id}/summary",
            _summary,
            summary="Sum up a provider's accounts, and tell when they run dry",
            response=PoolSummaryAnswer,
        ),
        _route(
            "POST",
            "/api/v1/quota/accounts/{id}/reset",
            _reset,
            summary="Forget what is known of an account's limits, and end the pauses they began",
            response=AccountQuotaAnswer,
        ),
    ]


async def _accounts(request: web.Request) -> web.Response:
    page = request.app[GATEWAY].account_care.quotas.accounts(query(request, QuotaQuery))
    return listing(page, _account, AccountQuotaList)


async def _summary(request: web.Request) -> web.Response:
    found = await request.app[GATEWAY].account_care.quotas.summary(path_slug(request))
    return answer(
        PoolSummaryAnswer(
            provider_id=found.provider_id,
            accounts=found.accounts,
            available=found.available,
            health=found.health,
            states=dict(found.states),
            windows=[_totals(one) for one in found.windows],
            forecast=_forecast(found.forecast),
        )
    )


async def _reset(request: web.Request) -> web.Response:
    return answer(_account(await request.app[GATEWAY].account_care.quotas.reset(path_id(request))))


def _account(found: AccountQuota) -> AccountQuotaAnswer:
    return AccountQuotaAnswer(
        account_id=found.account.id,
        provider_id=found.account.provider_id,
        label=found.account.label,
        state=found.state,
        rests=[RestAnswer.of(rest) for rest in found.rests],
        windows=[QuotaWindowAnswer.of(window) for window in found.windows],
    )


def _totals(found: WindowTotals) -> WindowTotalsAnswer:
    return WindowTotalsAnswer(
        model=found.scope,
        window=found.window,
        accounts=found.accounts,
        used_up=found.used_up,
        used_ratio=found.used_ratio,
        limit=found.limit,
        remaining=found.remaining,
        unit=found.unit,
        earliest_reset=moment(found.earliest_reset),
        confidence=found.confidence,
        forecast=_forecast(found.forecast),
    )


def _forecast(found: Forecast | None) -> ForecastAnswer | None:
    if found is None:
        return None
    return ForecastAnswer(
        dry_at=moment(found.dry_at),
        not_before=moment(found.not_before),
        per_hour=found.per_hour,
        unit=found.unit,
        basis=found.basis,
    )
