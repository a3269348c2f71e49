"""`/api/v1/requests`."""

import re
from functools import partial
from typing import Final

from aiohttp import web

from handlers.bodies import answer
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from models.errors import NotFound
from openapi.stats import LogAnswer
from openapi.traces import TraceAnswer

_ONE: Final = "/api/v1/requests/{id}"
_route = partial(Endpoint, access=Access.ADMIN, tag="requests")

# Our own ids, and those that clients may give: `handlers/gate.py`.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)


def endpoints() -> list[Endpoint]:
    """Return the routes that explain requests."""
    return [
        _route(
            "GET", _ONE, _get, summary="Show what was recorded of a request", response=LogAnswer
        ),
        _route(
            "GET",
            f"{_ONE}/trace",
            _trace,
            summary="Explain a request: each attempt, and why each account was taken or not",
            response=TraceAnswer,
        ),
    ]


async def _get(request: web.Request) -> web.Response:
    return answer(LogAnswer.of(await request.app[GATEWAY].traces.request(_name(request))))


async def _trace(request: web.Request) -> web.Response:
    found = await request.app[GATEWAY].traces.trace(_name(request))
    return answer(
        TraceAnswer.of(
            found.record,
            found.attempts,
            is_complete=found.is_complete,
            account_labels=found.account_labels,
            proxy_labels=found.proxy_labels,
        )
    )


def _name(request: web.Request) -> str:
    """Return the id in the path: ours, or the one that the client gave."""
    name = request.match_info["id"]
    if not _NAME.fullmatch(name):
        raise NotFound("there is no such request")
    return name
