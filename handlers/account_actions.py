"""`/api/v1/accounts/{id}/test`, `/enable`, `/disable`, `/drain`."""

from functools import partial

from aiohttp import web

from handlers.account_answers import account_answer
from handlers.bodies import answer, body, path_id
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from models.errors import UpstreamError
from openapi.account_actions import (
    AccountDisable,
    AccountDrain,
    AccountTest,
    AccountTestAnswer,
)
from openapi.accounts import AccountAnswer
from services.account_tests import Tested

_ONE = "/api/v1/accounts/{id}"
_route = partial(Endpoint, access=Access.ADMIN, tag="accounts")


def endpoints() -> list[Endpoint]:
    """Return the routes of what is done with one account."""
    return [
        _route(
            "POST",
            f"{_ONE}/test",
            _test,
            summary="Try an account with a real call, whatever state it is in",
            request=AccountTest,
            response=AccountTestAnswer,
        ),
        _route(
            "POST",
            f"{_ONE}/enable",
            _enable,
            summary="Switch an account on; it drains no more",
            response=AccountAnswer,
        ),
        _route(
            "POST",
            f"{_ONE}/disable",
            _disable,
            summary="Switch an account off",
            request=AccountDisable,
            response=AccountAnswer,
        ),
        _route(
            "POST",
            f"{_ONE}/drain",
            _drain,
            summary="Let an account end what it has begun",
            request=AccountDrain,
            response=AccountAnswer,
        ),
    ]


async def _test(request: web.Request) -> web.Response:
    account_id, asked = path_id(request), await body(request, AccountTest)
    return answer(_shown(await request.app[GATEWAY].account_care.tests.test(account_id, asked)))


async def _enable(request: web.Request) -> web.Response:
    account = await request.app[GATEWAY].account_care.actions.enable(path_id(request))
    return account_answer(request, account)


async def _disable(request: web.Request) -> web.Response:
    account_id, asked = path_id(request), await body(request, AccountDisable)
    account = await request.app[GATEWAY].account_care.actions.disable(account_id, asked)
    return account_answer(request, account)


async def _drain(request: web.Request) -> web.Response:
    account_id, asked = path_id(request), await body(request, AccountDrain)
    account = await request.app[GATEWAY].account_care.actions.drain(account_id, asked)
    return account_answer(request, account)


def _shown(found: Tested) -> AccountTestAnswer:
    error = found.error
    upstream = error if isinstance(error, UpstreamError) else None
    return AccountTestAnswer(
        ok=found.ok,
        kind=found.kind,
        model=found.model,
        exit=found.exit,
        proxy_id=found.proxy_id,
        status=found.status,
        latency_ms=round(found.latency_ms, 1),
        error=None if error is None else error.code,
        blame=None if upstream is None else upstream.blame.value,
        message=None if error is None else error.message,
        remedy=None if upstream is None else upstream.remedy,
    )
