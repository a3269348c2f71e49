"""`/`: some programs look whether anybody is there before they ask for a model."""

from aiohttp import web

from handlers.bodies import answer
from handlers.endpoint import Access, Endpoint
from openapi.common import NameAnswer


def endpoints() -> list[Endpoint]:
    """Return the route of the root."""
    return [
        Endpoint(
            "GET",
            "/",
            _name,
            Access.PUBLIC,
            "Tell what answers here",
            "health",
            response=NameAnswer,
        )
    ]


async def _name(_request: web.Request) -> web.Response:
    return answer(NameAnswer(name="aigateway"))
