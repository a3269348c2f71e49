"""`/api/v1/accounts`."""

from aiohttp import web

from handlers.bodies import answer, body, listing, nothing, path_id, query
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from openapi.accounts import (
    AccountAnswer,
    AccountCreate,
    AccountList,
    AccountPatch,
    AccountQuery,
    AccountReplace,
)

_ALL = "/api/v1/accounts"
_ONE = "/api/v1/accounts/{id}"
_TAG = "accounts"


def endpoints() -> list[Endpoint]:
    """Return the routes of accounts."""
    return [
        Endpoint(
            "GET",
            _ALL,
            _list,
            Access.ADMIN,
            "List accounts",
            _TAG,
            query=AccountQuery,
            response=AccountList,
        ),
        Endpoint(
            "POST",
            _ALL,
            _create,
            Access.ADMIN,
            "Add an account",
            _TAG,
            request=AccountCreate,
            response=AccountAnswer,
            status=201,
        ),
        Endpoint("GET", _ONE, _get, Access.ADMIN, "Show an account", _TAG, response=AccountAnswer),
        Endpoint(
            "PATCH",
            _ONE,
            _patch,
            Access.ADMIN,
            "Change some fields of an account",
            _TAG,
            request=AccountPatch,
            response=AccountAnswer,
        ),
        Endpoint(
            "PUT",
            _ONE,
            _replace,
            Access.ADMIN,
            "Replace an account",
            _TAG,
            request=AccountReplace,
            response=AccountAnswer,
        ),
        Endpoint("DELETE", _ONE, _delete, Access.ADMIN, "Delete an account", _TAG, status=204),
        Endpoint(
            "POST",
            f"{_ONE}/reset",
            _reset,
            Access.ADMIN,
            "End the cooldowns of an account",
            _TAG,
            response=AccountAnswer,
        ),
    ]


async def _list(request: web.Request) -> web.Response:
    page = await request.app[GATEWAY].accounts.page(query(request, AccountQuery))
    return listing(page, AccountAnswer.of, AccountList)


async def _create(request: web.Request) -> web.Response:
    account = await request.app[GATEWAY].accounts.create(await body(request, AccountCreate))
    return answer(AccountAnswer.of(account), status=201, location=f"{_ALL}/{account.id}")


async def _get(request: web.Request) -> web.Response:
    return answer(AccountAnswer.of(await request.app[GATEWAY].accounts.get(path_id(request))))


async def _patch(request: web.Request) -> web.Response:
    changes = await body(request, AccountPatch)
    account = await request.app[GATEWAY].accounts.patch(path_id(request), changes)
    return answer(AccountAnswer.of(account))


async def _replace(request: web.Request) -> web.Response:
    whole = await body(request, AccountReplace)
    account = await request.app[GATEWAY].accounts.replace(path_id(request), whole)
    return answer(AccountAnswer.of(account))


async def _delete(request: web.Request) -> web.Response:
    await request.app[GATEWAY].accounts.delete(path_id(request))
    return nothing()


async def _reset(request: web.Request) -> web.Response:
    return answer(AccountAnswer.of(await request.app[GATEWAY].accounts.reset(path_id(request))))
