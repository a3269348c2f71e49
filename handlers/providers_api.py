"""`/api/v1/providers`."""

from aiohttp import web

from handlers.bodies import answer, body, listing, nothing, path_slug, query
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from openapi.common import PageQuery
from openapi.providers import (
    ProviderAnswer,
    ProviderCreate,
    ProviderList,
    ProviderPatch,
    ProviderReplace,
)

_ALL = "/api/v1/providers"
_ONE = "/api/v1/providers/{id}"
_TAG = "providers"


def endpoints() -> list[Endpoint]:
    """Return the routes of providers."""
    return [
        Endpoint(
            "GET",
            _ALL,
            _list,
            Access.ADMIN,
            "List providers",
            _TAG,
            query=PageQuery,
            response=ProviderList,
        ),
        Endpoint(
            "POST",
            _ALL,
            _create,
            Access.ADMIN,
            "Add a provider",
            _TAG,
            request=ProviderCreate,
            response=ProviderAnswer,
            status=201,
        ),
        Endpoint("GET", _ONE, _get, Access.ADMIN, "Show a provider", _TAG, response=ProviderAnswer),
        Endpoint(
            "PATCH",
            _ONE,
            _patch,
            Access.ADMIN,
            "Change some fields of a provider",
            _TAG,
            request=ProviderPatch,
            response=ProviderAnswer,
        ),
        Endpoint(
            "PUT",
            _ONE,
            _replace,
            Access.ADMIN,
            "Replace a provider",
            _TAG,
            request=ProviderReplace,
            response=ProviderAnswer,
        ),
        Endpoint("DELETE", _ONE, _delete, Access.ADMIN, "Delete a provider", _TAG, status=204),
    ]


async def _list(request: web.Request) -> web.Response:
    page = await request.app[GATEWAY].providers.page(query(request, PageQuery))
    return listing(page, ProviderAnswer.of, ProviderList)


async def _create(request: web.Request) -> web.Response:
    provider = await request.app[GATEWAY].providers.create(await body(request, ProviderCreate))
    return answer(ProviderAnswer.of(provider), status=201, location=f"{_ALL}/{provider.id}")


async def _get(request: web.Request) -> web.Response:
    return answer(ProviderAnswer.of(await request.app[GATEWAY].providers.get(path_slug(request))))


async def _patch(request: web.Request) -> web.Response:
    changes = await body(request, ProviderPatch)
    provider = await request.app[GATEWAY].providers.patch(path_slug(request), changes)
    return answer(ProviderAnswer.of(provider))


async def _replace(request: web.Request) -> web.Response:
    whole = await body(request, ProviderReplace)
    provider = await request.app[GATEWAY].providers.replace(path_slug(request), whole)
    return answer(ProviderAnswer.of(provider))


async def _delete(request: web.Request) -> web.Response:
    await request.app[GATEWAY].providers.delete(path_slug(request))
    return nothing()
