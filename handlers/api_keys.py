"""`/api/v1/api-keys`."""

from functools import partial

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
_route = partial(Endpoint, access=Access.ADMIN, tag="api-keys")


def endpoints() -> list[Endpoint]:
    """Return the routes of client keys."""
    return [
        _route("GET", _ALL, _list, summary="List client keys", query=PageQuery, response=KeyList),
        _route(
            "POST",
            _ALL,
            _create,
            summary="Make a client key; it is shown once",
            request=KeyCreate,
            response=NewKeyAnswer,
            status=201,
        ),
        _route("GET", _ONE, _get, summary="Show a client key", response=KeyAnswer),
        _route(
            "PATCH",
            _ONE,
            _patch,
            summary="Change some fields of a client key",
            request=KeyPatch,
            response=KeyAnswer,
        ),
        _route(
            "PUT",
            _ONE,
            _replace,
            summary="Replace a client key, but for its secret",
            request=KeyReplace,
            response=KeyAnswer,
        ),
        _route("DELETE", _ONE, _delete, summary="Revoke a client key", status=204),
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
