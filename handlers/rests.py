"""`/api/v1/rests`."""

from functools import partial

from aiohttp import web

from handlers.bodies import listing, nothing, query
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from openapi.rests import RestEntry, RestList, RestQuery, RestTarget
from services.rests import ShownRest

_ALL = "/api/v1/rests"
_route = partial(Endpoint, access=Access.ADMIN, tag="rests")


def endpoints() -> list[Endpoint]:
    """Return the routes of rests."""
    return [
        _route(
            "GET",
            _ALL,
            _list,
            summary="List who rests, for what, until when and why",
            query=RestQuery,
            response=RestList,
        ),
        _route("DELETE", _ALL, _end, summary="End rests", query=RestTarget, status=204),
    ]


async def _list(request: web.Request) -> web.Response:
    page = request.app[GATEWAY].rests.page(query(request, RestQuery))
    return listing(page, _answer, RestList)


async def _end(request: web.Request) -> web.Response:
    request.app[GATEWAY].rests.end(query(request, RestTarget))
    return nothing()


def _answer(shown: ShownRest) -> RestEntry:
    return RestEntry.of(shown.rest, provider_id=shown.provider_id, label=shown.label, now=shown.now)
