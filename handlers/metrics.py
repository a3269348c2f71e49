"""`/metrics`: what Prometheus reads. It tells how the house does, so it needs an admin key."""

from typing import Final

from aiohttp import web

from handlers.endpoint import Access, Endpoint
from handlers.keys import GATEWAY
from services.exposition import CONTENT_TYPE

_HEADERS: Final = {
    "content-type": CONTENT_TYPE,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}


def endpoints() -> list[Endpoint]:
    """Return the route of metrics."""
    return [
        Endpoint(
            "GET",
            "/metrics",
            _metrics,
            Access.ADMIN,
            "Tell the metrics of all workers, in the text format of Prometheus",
            "health",
            content_type=CONTENT_TYPE,
        )
    ]


async def _metrics(request: web.Request) -> web.Response:
    text = await request.app[GATEWAY].metrics.text()
    return web.Response(body=text.encode(), headers=_HEADERS)
