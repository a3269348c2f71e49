"""The model list, in the shape of the caller's own API."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from dialects.base import Dialect
from dialects.fields import dumps
from handlers.callers import caller_dialect
from handlers.endpoint import Access, Endpoint, Handler
from handlers.model_pages import page_of
from services.catalog import Catalog

CALLER: Final = "caller"
"""Stands for a dialect in an `Endpoint` where the caller's headers decide."""

_LISTS: Final = ("/v1/models", "/v1beta/models")
_PREFIX: Final = "models/"


class ModelList:
    """`GET /v1/models` and `/v1beta/models`, and `/{id}` below each."""

    def __init__(self, catalog: Catalog, dialects: Mapping[str, Dialect]) -> None:
        self._catalog = catalog
        self._dialects = dialects

    def endpoints(self) -> list[Endpoint]:
        return [
            endpoint
            for path in _LISTS
            for endpoint in (
                _endpoint(path, self._all(), "List the models that can be asked for"),
                _endpoint(path + "/{id:.+}", self._one(), "Tell about one model"),
            )
        ]

    def _all(self) -> Handler:
        async def serve(request: web.Request) -> web.StreamResponse:
            caller = caller_dialect(request)
            page = page_of(caller, self._catalog.models(), request.query)
            listed = self._dialects[caller].encode_models(page.models)
            return _json(dumps({**listed, **page.marks}))

        return serve

    def _one(self) -> Handler:
        async def serve(request: web.Request) -> web.StreamResponse:
            dialect = self._dialects[caller_dialect(request)]
            # Google's clients may write a model's name as the whole resource.
            model_id = request.match_info["id"].removeprefix(_PREFIX)
            return _json(dumps(dialect.encode_model(self._catalog.model(model_id))))

        return serve


def _endpoint(path: str, handler: Handler, summary: str) -> Endpoint:
    return Endpoint(
        "GET",
        path,
        handler,
        Access.KEY,
        summary,
        "models",
        dialect=CALLER,
        takes_query_key=True,
    )


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
