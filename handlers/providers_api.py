"""`/api/v1/providers`."""

from functools import partial

from aiohttp import web

from handlers.bodies import answer, body, listing, nothing, path_slug, query
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from models.provider import StoredProvider
from openapi.common import PageQuery
from openapi.providers import (
    ProviderAnswer,
    ProviderCreate,
    ProviderList,
    ProviderPatch,
    ProviderReplace,
)
from services.providers import dialects_of

_ALL = "/api/v1/providers"
_ONE = "/api/v1/providers/{id}"
_route = partial(Endpoint, access=Access.ADMIN, tag="providers")


def endpoints() -> list[Endpoint]:
    """Return the routes of providers."""
    return [
        _route(
            "GET", _ALL, _list, summary="List providers", query=PageQuery, response=ProviderList
        ),
        _route(
            "POST",
            _ALL,
            _create,
            summary="Add a provider",
            request=ProviderCreate,
            response=ProviderAnswer,
            status=201,
        ),
        _route("GET", _ONE, _get, summary="Show a provider", response=ProviderAnswer),
        _route(
            "PATCH",
            _ONE,
            _patch,
            summary="Change some fields of a provider",
            request=ProviderPatch,
            response=ProviderAnswer,
        ),
        _route(
            "PUT",
            _ONE,
            _replace,
            summary="Replace a provider",
            request=ProviderReplace,
            response=ProviderAnswer,
        ),
        _route("DELETE", _ONE, _delete, summary="Delete a provider", status=204),
    ]


async def _list(request: web.Request) -> web.Response:
    page = await request.app[GATEWAY].providers.page(query(request, PageQuery))
    return listing(page, _shown, ProviderList)


async def _create(request: web.Request) -> web.Response:
    provider = await request.app[GATEWAY].providers.create(await body(request, ProviderCreate))
    return answer(_shown(provider), status=201, location=f"{_ALL}/{provider.id}")


async def _get(request: web.Request) -> web.Response:
    return answer(_shown(await request.app[GATEWAY].providers.get(path_slug(request))))


async def _patch(request: web.Request) -> web.Response:
    changes = await body(request, ProviderPatch)
    provider = await request.app[GATEWAY].providers.patch(path_slug(request), changes)
    return answer(_shown(provider))


async def _replace(request: web.Request) -> web.Response:
    whole = await body(request, ProviderReplace)
    provider = await request.app[GATEWAY].providers.replace(path_slug(request), whole)
    return answer(_shown(provider))


async def _delete(request: web.Request) -> web.Response:
    await request.app[GATEWAY].providers.delete(path_slug(request))
    return nothing()


def _shown(provider: StoredProvider) -> ProviderAnswer:
    return ProviderAnswer.of(provider, dialects_of(provider))
