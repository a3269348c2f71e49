"""The model list, in the shape of the caller's own API."""

from collections.abc import Mapping

from aiohttp import web

from dialects.base import Dialect
from dialects.fields import dumps
from handlers.endpoint import Access, Endpoint
from handlers.gate import caller_dialect
from services.catalog import Catalog

CALLER = "caller"
"""Stands for a dialect in an `Endpoint` where the caller's headers decide."""


class ModelList:
    """`GET /v1/models` and `GET /v1/models/{id}`."""

    def __init__(self, catalog: Catalog, dialects: Mapping[str, Dialect]) -> None:
        self._catalog = catalog
        self._dialects = dialects

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "GET",
                "/v1/models",
                self._all,
                Access.KEY,
                "List the models that can be asked for",
                "models",
                dialect=CALLER,
            ),
            Endpoint(
                "GET",
                "/v1/models/{id:.+}",
                self._one,
                Access.KEY,
                "Tell about one model",
                "models",
                dialect=CALLER,
            ),
        ]

    async def _all(self, request: web.Request) -> web.StreamResponse:
        dialect = self._dialects[caller_dialect(request)]
        return _json(dumps(dialect.encode_models(self._catalog.models())))

    async def _one(self, request: web.Request) -> web.StreamResponse:
        dialect = self._dialects[caller_dialect(request)]
        return _json(dumps(dialect.encode_model(self._catalog.model(request.match_info["id"]))))


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
