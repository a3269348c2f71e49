"""`/api/v1/api-keys`."""

from aiohttp import web

from handlers.bodies import answer, body, listing, nothing, path_id, query
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from openapi.api_keys import (
    KeyAnswer,
    KeyCreate,
    KeyList,
    KeyPatch,
    KeyReplace,
    NewKeyAnswer,
)
from openapi.common import PageQuery

_ALL = "/api/v1/api-keys"
_ONE = "/api/v1/api-keys/{id}"
_TAG = "api-keys"


def endpoints() -> list[Endpoint]:
    """Return the routes of client keys."""
    return [
        Endpoint(
            "GET",
            _ALL,
            _list,
            Access.ADMIN,
            "List client keys",
            _TAG,
            query=PageQuery,
            response=KeyList,
        ),
        Endpoint(
            "POST",
            _ALL,
            _create,
            Access.ADMIN,
            "Make a client key; it is shown once",
            _TAG,
            request=KeyCreate,
            response=NewKeyAnswer,
            status=201,
        ),
        Endpoint("GET", _ONE, _get, Access.ADMIN, "Show a client key", _TAG, response=KeyAnswer),
        Endpoint(
            "PATCH",
            _ONE,
            _patch,
            Access.ADMIN,
            "Change some fields of a client key",
            _TAG,
            request=KeyPatch,
            response=KeyAnswer,
        ),
        Endpoint(
            "PUT",
            _ONE,
            _replace,
            Access.ADMIN,
            "Replace a client key, but for its secret",
            _TAG,
            request=KeyReplace,
            response=KeyAnswer,
        ),
        Endpoint("DELETE", _ONE, _delete, Access.ADMIN, "Revoke a client key", _TAG, status=204),
    ]


async def _list(request: web.Request) -> web.Response:
    page = await request.app[GATEWAY].keys.page(query(request, PageQuery))
    return listing(page, KeyAnswer.of, KeyList)


async def _create(request: web.Request) -> web.Response:
    new = await request.app[GATEWAY].keys.create(await body(request, KeyCreate))
    shown = NewKeyAnswer.made(new.key, new.secret)
    return answer(shown, status=201, location=f"{_ALL}/{new.key.id}")


async def _get(request: web.Request) -> web.Response:
    return answer(KeyAnswer.of(await request.app[GATEWAY].keys.get(path_id(request))))


async def _patch(request: web.Request) -> web.Response:
    changes = await body(request, KeyPatch)
    return answer(KeyAnswer.of(await request.app[GATEWAY].keys.patch(path_id(request), changes)))


async def _replace(request: web.Request) -> web.Response:
    whole = await body(request, KeyReplace)
    return answer(KeyAnswer.of(await request.app[GATEWAY].keys.replace(path_id(request), whole)))


async def _delete(request: web.Request) -> web.Response:
    await request.app[GATEWAY].keys.delete(path_id(request))
    return nothing()
