"""`/api/v1/proxies`."""

from aiohttp import web

from handlers.bodies import answer, body, listing, nothing, path_id, query
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from openapi.accounts import AccountAnswer
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
_TAG = "proxies"


def endpoints() -> list[Endpoint]:
    """Return the routes of outbound proxies."""
    return [
        Endpoint(
            "GET",
            _ALL,
            _list,
            Access.ADMIN,
            "List proxies",
            _TAG,
            query=ProxyQuery,
            response=ProxyList,
        ),
        Endpoint(
            "POST",
            _ALL,
            _create,
            Access.ADMIN,
            "Add a proxy",
            _TAG,
            request=ProxyCreate,
            response=ProxyAnswer,
            status=201,
        ),
        Endpoint("GET", _ONE, _get, Access.ADMIN, "Show a proxy", _TAG, response=ProxyAnswer),
        Endpoint(
            "PATCH",
            _ONE,
            _patch,
            Access.ADMIN,
            "Change some fields of a proxy",
            _TAG,
            request=ProxyPatch,
            response=ProxyAnswer,
        ),
        Endpoint(
            "PUT",
            _ONE,
            _replace,
            Access.ADMIN,
            "Replace a proxy",
            _TAG,
            request=ProxyReplace,
            response=ProxyAnswer,
        ),
        Endpoint("DELETE", _ONE, _delete, Access.ADMIN, "Delete a proxy", _TAG, status=204),
        Endpoint(
            "GET",
            f"{_ONE}/assignments",
            _assignments,
            Access.ADMIN,
            "List the accounts that hold places at a proxy",
            _TAG,
            response=AssignmentsAnswer,
        ),
        Endpoint(
            "GET",
            f"{_ALL}/assignments",
            _all_assignments,
            Access.ADMIN,
            "List which accounts hold places at which proxies",
            _TAG,
            query=PageQuery,
            response=AssignmentsList,
        ),
        Endpoint(
            "POST",
            f"{_ALL}/recalculate",
            _recalculate,
            Access.ADMIN,
            "Recount all places and let waiting accounts in",
            _TAG,
            response=RecalculatedAnswer,
        ),
    ]


async def _list(request: web.Request) -> web.Response:
    page = await request.app[GATEWAY].egresses.page(query(request, ProxyQuery))
    return listing(page, ProxyAnswer.of, ProxyList)


async def _create(request: web.Request) -> web.Response:
    proxy = await request.app[GATEWAY].egresses.create(await body(request, ProxyCreate))
    return answer(ProxyAnswer.of(proxy), status=201, location=f"{_ALL}/{proxy.id}")


async def _get(request: web.Request) -> web.Response:
    return answer(ProxyAnswer.of(await request.app[GATEWAY].egresses.get(path_id(request))))


async def _patch(request: web.Request) -> web.Response:
    changes = await body(request, ProxyPatch)
    proxy = await request.app[GATEWAY].egresses.patch(path_id(request), changes)
    return answer(ProxyAnswer.of(proxy))


async def _replace(request: web.Request) -> web.Response:
    whole = await body(request, ProxyReplace)
    proxy = await request.app[GATEWAY].egresses.replace(path_id(request), whole)
    return answer(ProxyAnswer.of(proxy))


async def _delete(request: web.Request) -> web.Response:
    await request.app[GATEWAY].egresses.delete(path_id(request))
    return nothing()


async def _assignments(request: web.Request) -> web.Response:
    return answer(_shown(await request.app[GATEWAY].egresses.assignments(path_id(request))))


async def _all_assignments(request: web.Request) -> web.Response:
    page = await request.app[GATEWAY].egresses.all_assignments(query(request, PageQuery))
    return listing(page, _shown, AssignmentsList)


async def _recalculate(request: web.Request) -> web.Response:
    found = await request.app[GATEWAY].egresses.recalculate()
    return answer(
        RecalculatedAnswer(proxies=found.proxies, corrected=found.corrected, placed=found.placed)
    )


def _shown(assignments: Assignments) -> AssignmentsAnswer:
    proxy = assignments.proxy
    return AssignmentsAnswer(
        proxy_id=proxy.id,
        max_accounts=proxy.max_accounts,
        assigned=proxy.assigned,
        accounts=[AccountAnswer.of(account) for account in assignments.accounts],
    )
