"""`/api/v1/accounts`."""

from functools import partial

from aiohttp import web

from handlers.account_answers import account_answer, shows_accounts
from handlers.bodies import body, listing, nothing, path_id, query
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
_route = partial(Endpoint, access=Access.ADMIN, tag="accounts")


def endpoints() -> list[Endpoint]:
    """Return the routes of accounts."""
    return [
        _route(
            "GET", _ALL, _list, summary="List accounts", query=AccountQuery, response=AccountList
        ),
        _route(
            "POST",
            _ALL,
            _create,
            summary="Add an account",
            request=AccountCreate,
            response=AccountAnswer,
            status=201,
        ),
        _route("GET", _ONE, _get, summary="Show an account", response=AccountAnswer),
        _route(
            "PATCH",
            _ONE,
            _patch,
            summary="Change some fields of an account",
            request=AccountPatch,
            response=AccountAnswer,
        ),
        _route(
            "PUT",
            _ONE,
            _replace,
            summary="Replace an account",
            request=AccountReplace,
            response=AccountAnswer,
        ),
        _route("DELETE", _ONE, _delete, summary="Delete an account", status=204),
        _route(
            "POST",
            f"{_ONE}/reset",
            _reset,
            summary="End the cooldowns of an account",
            response=AccountAnswer,
        ),
    ]


async def _list(request: web.Request) -> web.Response:
    page = await request.app[GATEWAY].accounts.page(query(request, AccountQuery))
    return listing(page, shows_accounts(request), AccountList)


async def _create(request: web.Request) -> web.Response:
    account = await request.app[GATEWAY].accounts.create(await body(request, AccountCreate))
    return account_answer(request, account, status=201, location=f"{_ALL}/{account.id}")


async def _get(request: web.Request) -> web.Response:
    return account_answer(request, await request.app[GATEWAY].accounts.get(path_id(request)))


async def _patch(request: web.Request) -> web.Response:
    changes = await body(request, AccountPatch)
    account = await request.app[GATEWAY].accounts.patch(path_id(request), changes)
    return account_answer(request, account)


async def _replace(request: web.Request) -> web.Response:
    whole = await body(request, AccountReplace)
    account = await request.app[GATEWAY].accounts.replace(path_id(request), whole)
    return account_answer(request, account)


async def _delete(request: web.Request) -> web.Response:
    await request.app[GATEWAY].accounts.delete(path_id(request))
    return nothing()


async def _reset(request: web.Request) -> web.Response:
    return account_answer(request, await request.app[GATEWAY].accounts.reset(path_id(request)))
