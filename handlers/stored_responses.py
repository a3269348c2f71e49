"""`/v1/responses/{id}`: answers that were stored, and what is honest to say of the rest."""

from functools import partial
from typing import Final

from aiohttp import web

from dialects.fields import dumps
from handlers.callers import RESPONSES
from handlers.endpoint import Access, Endpoint
from handlers.gate import HEADERS, PRINCIPAL
from models.errors import BadRequest, ErrorKind, GatewayError
from models.json_types import Json, JsonObject
from services.stored_responses import StoredResponses

_ALL: Final = "/v1/responses"
_ONE: Final = "/v1/responses/{id}"
_DEFAULT_PAGE: Final = 20
_MAX_PAGE: Final = 100

_route = partial(Endpoint, access=Access.KEY, tag="models", dialect=RESPONSES)


class StoredResponseRoutes:
    """What the clients of the Responses format do besides asking."""

    def __init__(self, stored: StoredResponses) -> None:
        self._stored = stored

    def endpoints(self) -> list[Endpoint]:
        """Return the routes below `/v1/responses`."""
        return [
            _route("GET", _ALL, _no_socket, summary="Refuse a WebSocket; POST instead", status=426),
            _route("GET", _ONE, self._get, summary="Show a stored response"),
            _route("DELETE", _ONE, self._delete, summary="Forget a stored response"),
            _route("POST", f"{_ONE}/cancel", self._cancel, summary="Refuse: nothing runs unasked"),
            _route(
                "GET", f"{_ONE}/input_items", self._items, summary="List what led to a response"
            ),
        ]

    async def _get(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("stream", "false").lower() == "true":
            raise BadRequest("stream: a stored response is given whole only", path="stream")
        stored = await self._stored.get(request[PRINCIPAL].key_id, request.match_info["id"])
        return _json(stored.response)

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        response_id = request.match_info["id"]
        await self._stored.delete(request[PRINCIPAL].key_id, response_id)
        return _json({"id": response_id, "object": "response.deleted", "deleted": True})

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        await self._stored.get(request[PRINCIPAL].key_id, request.match_info["id"])
        raise BadRequest("only a response in the background can be cancelled", path="id")

    async def _items(self, request: web.Request) -> web.StreamResponse:
        response_id = request.match_info["id"]
        stored = await self._stored.get(request[PRINCIPAL].key_id, response_id)
        items = [_shown(item, response_id, at) for at, item in enumerate(stored.input)]
        return _json(_page(items, request))


async def _no_socket(request: web.Request) -> web.StreamResponse:
    """Codex asks for a WebSocket first. After 426 it posts at once, else it insists or gives up."""
    if "upgrade" in request.headers:
        request[HEADERS] = {"Upgrade": "HTTP/1.1"}
        raise GatewayError(
            "there are no WebSockets here; POST the request",
            kind=ErrorKind.INVALID_REQUEST,
            status=426,
        )
    request[HEADERS] = {"Allow": "POST"}
    raise GatewayError(
        "this method is not allowed here; allowed: POST",
        kind=ErrorKind.INVALID_REQUEST,
        status=405,
    )


def _page(items: list[JsonObject], request: web.Request) -> JsonObject:
    """Return the part of a list that the query asks for, newest first unless it says otherwise."""
    order = request.query.get("order", "desc")
    if order not in {"asc", "desc"}:
        raise BadRequest("order: expected asc or desc", path="order")
    ordered = items if order == "asc" else items[::-1]
    start = _start(ordered, request.query.get("after"))
    page = ordered[start : start + _limit(request.query.get("limit"))]
    data: list[Json] = [*page]
    return {
        "object": "list",
        "data": data,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": start + len(page) < len(ordered),
    }


def _start(items: list[JsonObject], after: str | None) -> int:
    if after is None:
        return 0
    for at, item in enumerate(items):
        if item["id"] == after:
            return at + 1
    raise BadRequest("after: there is no such item", path="after")


def _limit(text: str | None) -> int:
    if text is None:
        return _DEFAULT_PAGE
    if (
        not (text.isascii() and text.isdecimal() and len(text) < 9)
        or not 1 <= int(text) <= _MAX_PAGE
    ):
        raise BadRequest(f"limit: expected a number from 1 to {_MAX_PAGE}", path="limit")
    return int(text)


def _shown(item: Json, response_id: str, at: int) -> JsonObject:
    """Return an input item in the long form, with an id to page by."""
    shown: JsonObject = dict(item) if isinstance(item, dict) else {}
    shown.setdefault("type", "message")
    content = shown.get("content")
    if shown["type"] == "message":
        if isinstance(content, str):
            is_theirs = shown.get("role") == "assistant"
            part: JsonObject = {"type": "output_text" if is_theirs else "input_text"}
            part |= {"text": content, **({"annotations": []} if is_theirs else {})}
            shown["content"] = [part]
        shown.setdefault("status", "completed")
    if not isinstance(shown.get("id"), str):
        shown["id"] = f"item_{response_id.rpartition('_')[2]}_{at}"
    return shown


def _json(payload: JsonObject) -> web.Response:
    headers = {"X-Content-Type-Options": "nosniff"}
    return web.Response(body=dumps(payload), content_type="application/json", headers=headers)
