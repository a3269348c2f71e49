"""`/health`, `/health/live`, `/health/ready`: public, so they tell nothing but how we are."""

from functools import partial
from typing import Literal

from aiohttp import web

from handlers.bodies import answer
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from openapi.common import HealthAnswer, LiveAnswer

_route = partial(Endpoint, access=Access.PUBLIC, tag="health")


def endpoints() -> list[Endpoint]:
    """Return the routes of health."""
    return [
        _route(
            "GET",
            "/health",
            _overall,
            summary="Tell whether the gateway serves, and how its stores are",
            response=HealthAnswer,
        ),
        _route(
            "GET",
            "/health/live",
            _live,
            summary="Tell that the process is alive",
            response=LiveAnswer,
        ),
        _route(
            "GET",
            "/health/ready",
            _ready,
            summary="Tell whether to send requests here; 503 while starting or stopping",
            response=HealthAnswer,
        ),
    ]


async def _live(_request: web.Request) -> web.Response:
    return answer(LiveAnswer(status="ok"))


async def _overall(request: web.Request) -> web.Response:
    return _told(request)


async def _ready(request: web.Request) -> web.Response:
    return _told(request)


def _told(request: web.Request) -> web.Response:
    health = request.app[GATEWAY].health
    status: Literal["ok", "not ready"] = "ok" if health.is_ready else "not ready"
    shown = HealthAnswer(
        status=status,
        components={name: _state(is_well) for name, is_well in health.states().items()},
    )
    return answer(shown, status=200 if health.is_ready else 503)


def _state(is_well: bool) -> Literal["ok", "degraded"]:
    return "ok" if is_well else "degraded"
