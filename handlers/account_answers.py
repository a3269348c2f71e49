"""Accounts as answers show them."""

from collections.abc import Callable

from aiohttp import web

from handlers.bodies import answer
from handlers.keys import GATEWAY
from models.account import Account
from openapi.accounts import AccountAnswer


def shows_accounts(request: web.Request) -> Callable[[Account], AccountAnswer]:
    """Return what shows accounts, each with its state as of now."""
    state_of = request.app[GATEWAY].account_care.quotas.states()
    return lambda account: AccountAnswer.of(account, state_of(account))


def account_answer(
    request: web.Request, account: Account, *, status: int = 200, location: str | None = None
) -> web.Response:
    """Answer with one account."""
    return answer(shows_accounts(request)(account), status=status, location=location)
