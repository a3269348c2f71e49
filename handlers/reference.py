"""`/openapi.json` and `/docs`: the contract for machines and for people."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson
from aiohttp import web

from handlers.endpoint import Access, Endpoint
from openapi.document import build_document
from openapi.page import render

_TAG: Final = "reference"
_STYLE: Final = (Path(__file__).parent / "static" / "reference.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
# No script, no frame, no form, no foreign address; the one style sheet is in the page.
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Reference:
    """Both views of one document, made once."""

    def __init__(self, routes: Sequence[Endpoint], version: str) -> None:
        """`routes`: all other routes of the server."""
        document = build_document([*routes, *self.endpoints()], version)
        self._json = orjson.dumps(document)
        self._page = render(document, _STYLE).encode()

    def endpoints(self) -> list[Endpoint]:
        """Return the routes of the reference."""
        return [
            Endpoint(
                "GET",
                "/openapi.json",
                self._serve_json,
                Access.PUBLIC,
                "The OpenAPI document",
                _TAG,
            ),
            Endpoint("GET", "/docs", self._serve_page, Access.PUBLIC, "This reference", _TAG),
        ]

    async def _serve_json(self, _request: web.Request) -> web.Response:
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=self._json, content_type="application/json", headers=headers)

    async def _serve_page(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=self._page, content_type="text/html", charset="utf-8", headers=_PAGE_HEADERS
        )
