"""`/openapi.json` and `/docs`: the contract for machines and for people."""

import asyncio
import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from aiohttp import web

from handlers.endpoint import Access, Endpoint

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


@dataclass(frozen=True, slots=True)
class _Views:
    json: bytes
    page: bytes


class Reference:
    """Both views of one document, made when somebody first asks for one."""

    def __init__(self, routes: Sequence[Endpoint], version: str) -> None:
        """`routes`: all other routes of the server."""
        self._routes = [*routes, *self.endpoints()]
        self._version = version
        self._making = asyncio.Lock()
        self._made: _Views | None = None

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

    async def _views(self) -> _Views:
        async with self._making:
            if self._made is None:
                self._made = await asyncio.to_thread(_make, self._routes, self._version)
        return self._made

    async def _serve_json(self, _request: web.Request) -> web.Response:
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return web.Response(
            body=(await self._views()).json, content_type="application/json", headers=headers
        )

    async def _serve_page(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=(await self._views()).page,
            content_type="text/html",
            charset="utf-8",
            headers=_PAGE_HEADERS,
        )


def _make(routes: Sequence[Endpoint], version: str) -> _Views:
    from openapi.document import build_document
    from openapi.page import render

    document = build_document(routes, version)
    return _Views(orjson.dumps(document), render(document, _STYLE).encode())
