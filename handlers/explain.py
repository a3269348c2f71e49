"""`/api/v1/route/explain`."""

from aiohttp import web

from handlers.bodies import answer, body
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from openapi.explain import (
    AddressAnswer,
    ExplainAnswer,
    ExplainQuestion,
    HomeAnswer,
    NextAnswer,
    PlannedCandidateAnswer,
    PlannedModelAnswer,
    PlannedRouteAnswer,
    RefusalAnswer,
)
from openapi.fields import moment
from services.explain import ModelView, Question, RouteView
from services.snapshot import Snapshot


def endpoints() -> list[Endpoint]:
    """Return the route of dry runs."""
    return [
        Endpoint(
            "POST",
            "/api/v1/route/explain",
            _explain,
            Access.ADMIN,
            "Tell where a request would go, and why; nothing is sent or changed",
            "requests",
            request=ExplainQuestion,
            response=ExplainAnswer,
        )
    ]


async def _explain(request: web.Request) -> web.Response:
    asked = await body(request, ExplainQuestion)
    found = await request.app[GATEWAY].explain.explain(
        Question(
            asked.model,
            asked.dialect,
            asked.session,
            asked.key_id,
            None if asked.fallback is None else tuple(asked.fallback),
            asked.stream,
        )
    )
    return answer(
        ExplainAnswer(
            mode="race" if found.is_race else "sequential",
            hedge_after_s=found.hedge_after_s,
            models=[_model(one, found.snapshot) for one in found.models],
        )
    )


def _model(view: ModelView, snapshot: Snapshot) -> PlannedModelAnswer:
    return PlannedModelAnswer(
        model=view.model,
        is_fallback=view.is_fallback,
        problem=view.problem,
        routes=[_route(one, snapshot) for one in view.routes],
    )


def _route(view: RouteView, snapshot: Snapshot) -> PlannedRouteAnswer:
    return PlannedRouteAnswer(
        provider_id=view.route.provider.id,
        model=view.route.model,
        way=view.way,
        addresses=[
            AddressAnswer(base_url=one.base_url, breaker=one.state, opens_at=moment(one.opens_at))
            for one in view.addresses
        ],
        strategy=view.picture.strategy,
        counter=view.counter,
        home=_home(view, snapshot),
        next=_next(view, snapshot),
        trial_due=view.is_trial_due,
        candidates=_candidates(view, snapshot),
        counts=dict(view.picture.counts),
        refusal=_refusal(view),
    )


def _home(view: RouteView, snapshot: Snapshot) -> HomeAnswer | None:
    if view.home is None:
        return None
    return HomeAnswer(
        account_id=view.home.home,
        account_label=_label(snapshot, view.home.home),
        lender_id=view.home.lender,
    )


def _next(view: RouteView, snapshot: Snapshot) -> NextAnswer | None:
    if view.would_be is None:
        return None
    proxy = snapshot.proxies.get(_proxy_id(snapshot, view.would_be.account_id) or "")
    return NextAnswer(
        account_id=view.would_be.account_id,
        account_label=_label(snapshot, view.would_be.account_id),
        proxy_id=proxy.id if proxy is not None else None,
        proxy_label=proxy.label if proxy is not None else None,
        choice=view.would_be.choice,
    )


def _candidates(view: RouteView, snapshot: Snapshot) -> list[PlannedCandidateAnswer]:
    picture = view.picture
    reasons = {**dict.fromkeys(picture.eligible, "not_its_turn"), **picture.excluded}
    shown = []
    for account_id, reason in reasons.items():
        is_next = view.would_be is not None and view.would_be.account_id == account_id
        is_eligible = account_id not in picture.excluded
        shown.append(
            PlannedCandidateAnswer(
                account_id=account_id,
                account_label=_label(snapshot, account_id),
                proxy_id=_proxy_id(snapshot, account_id),
                outcome="next" if is_next else "eligible" if is_eligible else "excluded",
                reason=view.would_be.choice if is_next and view.would_be is not None else reason,
            )
        )
    return shown


def _refusal(view: RouteView) -> RefusalAnswer | None:
    error = view.refusal
    if error is None:
        return None
    return RefusalAnswer(
        status=error.status, message=error.message, retry_after_s=error.retry_after_s
    )


def _label(snapshot: Snapshot, account_id: str) -> str | None:
    stored = snapshot.accounts.get(account_id)
    return None if stored is None else stored.account.label


def _proxy_id(snapshot: Snapshot, account_id: str) -> str | None:
    stored = snapshot.accounts.get(account_id)
    return None if stored is None else stored.account.proxy_id
