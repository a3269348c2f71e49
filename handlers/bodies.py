"""Bodies, query strings and answers of `/api/v1`."""

import re
from collections.abc import Callable
from typing import Final, TypeVar

from aiohttp import web

from handlers.calls import check_type, read_body
from models.errors import NotFound
from openapi.common import Listing
from openapi.fields import Answer, Body
from openapi.reading import read_json, read_query
from repositories.base import Page

T = TypeVar("T")
A = TypeVar("A", bound=Answer)
B = TypeVar("B", bound=Body)

MAX_BODY_BYTES: Final = 1024 * 1024
_ID = re.compile(r"[0-9a-f]{32}")
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


async def body(request: web.Request, model: type[B], *, max_bytes: int = MAX_BODY_BYTES) -> B:
    """Read the request's body.

    Raises 400 for malformed JSON, 408, 413, 415 for anything but JSON, 422 for wrong fields.
    """
    check_type(request.headers.get("content-type"))
    return read_json(model, await read_body(request, max_bytes=max_bytes))


def query(request: web.Request, model: type[B]) -> B:
    """Read the request's query string. Raises 422."""
    values: dict[str, str] = {}
    for name, value in request.query.items():
        # Of two values either could be meant.
        values[name] = value if name not in values else f"{values[name]},{value}"
    return read_query(model, values)


def path_id(request: web.Request) -> str:
    """Return the id in the path. Raises NotFound for what cannot be an id.

    Databases compare loosely (case, trailing spaces), so only the exact form reaches them.
    """
    return _path_part(request, _ID)


def path_slug(request: web.Request) -> str:
    """Return the provider id in the path. Raises NotFound for what cannot be one."""
    return _path_part(request, _SLUG)


def answer(shown: Answer, *, status: int = 200, location: str | None = None) -> web.Response:
    """Answer with JSON. Nothing of `/api/v1` belongs into a cache."""
    response = web.Response(
        status=status,
        body=shown.model_dump_json().encode(),
        content_type="application/json",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )
    if location is not None:
        response.headers["Location"] = location
    return response


def listing(page: Page[T], show: Callable[[T], A], shape: type[Listing[A]]) -> web.Response:
    """Answer with a page of a list."""
    return answer(
        shape(
            data=[show(entry) for entry in page.data],
            total=page.total,
            limit=page.limit,
            offset=page.offset,
        )
    )


def nothing() -> web.Response:
    """Answer that it is done and there is nothing to show."""
    return web.Response(status=204)


def _path_part(request: web.Request, shape: re.Pattern[str]) -> str:
    value = request.match_info["id"]
    if shape.fullmatch(value) is None:
        raise NotFound("there is nothing with this id")
    return value
