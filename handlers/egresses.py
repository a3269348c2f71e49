"""`/api/v1/proxies`."""

from collections.abc import Callable
from functools import partial

from aiohttp import web

from handlers.account_answers import shows_accounts
from handlers.bodies import answer, body, listing, nothing, path_id, query
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from models.account import Account
from models.egress import EgressProxy
from openapi.accounts import AccountAnswer, AccountList
from openapi.common import PageQuery
from openapi.egresses import (
    AssignmentsAnswer,
    AssignmentsList,
    ProxyAnswer,
    ProxyCreate,
    ProxyList,
    ProxyPatch,
    ProxyQuery,
    ProxyReplace,
    RecalculatedAnswer,
)
from services.egresses import Assignments

_ALL = "/api/v1/proxies"
_ONE = "/api/v1/proxies/{id}"
_route = partial(Endpoint, access=Access.ADMIN, tag="proxies")


def endpoints() -> list[Endpoint]:
    """Return the routes of outbound proxies."""
    return [
        _route("GET", _ALL, _list, summary="List proxies", query=ProxyQuery, response=ProxyList),
        _route(
            "POST",
            _ALL,
            _create,
            summary="Add a proxy",
            request=ProxyCreate,
            response=ProxyAnswer,
            status=201,
        ),
        _route("GET", _ONE, _get, summary="Show a proxy", response=ProxyAnswer),
        _route(
            "PATCH",
            _ONE,
            _patch,
            summary="Change some fields of a proxy",
            request=ProxyPatch,
            response=ProxyAnswer,
        ),
        _route(
            "PUT",
            _ONE,
            _replace,
            summary="Replace a proxy",
            request=ProxyReplace,
            response=ProxyAnswer,
        ),
        _route("DELETE", _ONE, _delete, summary="Delete a proxy", status=204),
        _route(
            "GET",
            f"{_ONE}/assignments",
            _assignments,
            summary="List the accounts that hold places at a proxy",
            query=PageQuery,
            response=AccountList,
        ),
        _route(
            "GET",
            f"{_ALL}/assignments",
            _all_assignments,
            summary="List which accounts hold places at which proxies",
            query=PageQuery,
            response=AssignmentsList,
        ),
        _route(
            "POST",
            f"{_ALL}/recalculate",
            _recalculate,
            summary="Recount all places and let waiting accounts in",
            response=RecalculatedAnswer,
        ),
    ]


async def _list(request: web.Request) -> web.Response:
    page = await request.app[GATEWAY].egresses.page(query(request, ProxyQuery))
    return listing(page, ProxyAnswer.of, ProxyList)


async def _create(request: web.Request) -> web.Response:
    proxy = await request.app[GATEWAY].egresses.create(await body(request, ProxyCreate))
    return _shown_proxy(request, proxy, status=201, location=f"{_ALL}/{proxy.id}")


async def _get(request: web.Request) -> web.Response:
    return _shown_proxy(request, await request.app[GATEWAY].egresses.get(path_id(request)))


async def _patch(request: web.Request) -> web.Response:
    changes = await body(request, ProxyPatch)
    proxy = await request.app[GATEWAY].egresses.patch(path_id(request), changes)
    return _shown_proxy(request, proxy)


async def _replace(request: web.Request) -> web.Response:
    whole = await body(request, ProxyReplace)
    proxy = await request.app[GATEWAY].egresses.replace(path_id(request), whole)
    return _shown_proxy(request, proxy)


async def _delete(request: web.Request) -> web.Response:
    await request.app[GATEWAY].egresses.delete(path_id(request))
    return nothing()


async def _assignments(request: web.Request) -> web.Response:
    asked = query(request, PageQuery)
    page = await request.app[GATEWAY].egresses.assignments(path_id(request), asked)
    return listing(page, shows_accounts(request), AccountList)


async def _all_assignments(request: web.Request) -> web.Response:
    page = await request.app[GATEWAY].egresses.all_assignments(query(request, PageQuery))
    return listing(page, partial(_shown, shows_accounts(request)), AssignmentsList)


async def _recalculate(request: web.Request) -> web.Response:
    found = await request.app[GATEWAY].egresses.recalculate()
    return answer(
        RecalculatedAnswer(proxies=found.proxies, corrected=found.corrected, placed=found.placed)
    )


def _shown_proxy(
    request: web.Request, proxy: EgressProxy, *, status: int = 200, location: str | None = None
) -> web.Response:
    shown = ProxyAnswer.of(request.app[GATEWAY].egresses.watched(proxy))
    return answer(shown, status=status, location=location)


def _shown(show: Callable[[Account], AccountAnswer], assignments: Assignments) -> AssignmentsAnswer:
    proxy = assignments.proxy
    return AssignmentsAnswer(
        proxy_id=proxy.id,
        max_accounts=proxy.max_accounts,
        assigned=proxy.assigned,
        accounts=[show(account) for account in assignments.accounts],
    )
