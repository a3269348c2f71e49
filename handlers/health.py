"""`/health`, `/health/live`, `/health/ready`: public, so they tell nothing but how we are."""

from typing import Literal

from aiohttp import web

from handlers.bodies import answer
from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from openapi.common import HealthAnswer, LiveAnswer

_TAG = "health"


def endpoints() -> list[Endpoint]:
    """Return the routes of health."""
    return [
        Endpoint(
            "GET",
            "/health",
            _overall,
            Access.PUBLIC,
            "Tell whether the gateway serves, and how its stores are",
            _TAG,
            response=HealthAnswer,
        ),
        Endpoint(
            "GET",
            "/health/live",
            _live,
            Access.PUBLIC,
            "Tell that the process is alive",
            _TAG,
            response=LiveAnswer,
        ),
        Endpoint(
            "GET",
            "/health/ready",
            _ready,
            Access.PUBLIC,
            "Tell whether requests should be sent here: 200, or 503 while starting or stopping",
            _TAG,
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
