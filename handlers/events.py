"""`/api/v1/events`: a list, and a stream of server-sent events."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from aiohttp import web

from handlers.bodies import listing, query
from handlers.endpoint import Access, Endpoint
from handlers.gate import GATE, REQUEST_ID
from handlers.keys import GATEWAY
from models.errors import BadRequest, Forbidden, StorageUnavailable, Unauthorized
from models.event import Event
from openapi.events import EventAnswer, EventList, EventQuery, EventStreamQuery
from services.event_feed import EventFeed

logger = logging.getLogger(__name__)

_route = partial(Endpoint, access=Access.ADMIN, tag="events")

_EVENT_STREAM: Final = "text/event-stream"
_HEADERS: Final = {
    "content-type": _EVENT_STREAM,
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
}
_KEEP_ALIVE_S: Final = 15.0
_WRITE_LIMIT_S: Final = 30.0
# A client that was cut off comes again after so many milliseconds.
_BEGIN: Final = b"retry: 2000\n\n"
_COMMENT: Final = b": still here\n\n"
_MAX_DIGITS: Final = 18


def endpoints() -> list[Endpoint]:
    """Return the routes of events."""
    return [
        _route(
            "GET",
            "/api/v1/events",
            _list,
            summary="List what happened, newest first",
            query=EventQuery,
            response=EventList,
        ),
        _route(
            "GET",
            "/api/v1/events/stream",
            _stream,
            summary="Listen to what happens, as server-sent events",
            query=EventStreamQuery,
            content_type=_EVENT_STREAM,
        ),
    ]


async def _list(request: web.Request) -> web.Response:
    asked = query(request, EventQuery)
    page = await request.app[GATEWAY].events.page(
        limit=asked.limit,
        offset=asked.offset,
        kind=asked.kind,
        account_id=asked.account_id,
        proxy_id=asked.proxy_id,
        since=asked.since,
    )
    return listing(page, EventAnswer.of, EventList)


async def _stream(request: web.Request) -> web.StreamResponse:
    feed = request.app[GATEWAY].event_feed
    with feed.listening():
        position = await _first_position(request, feed)
        response = web.StreamResponse(headers=_HEADERS)
        await response.prepare(request)
        try:
            if request.method != "HEAD":
                await _follow(feed, position, request, response)
            await response.write_eof()
        except (Unauthorized, Forbidden):
            await response.write_eof()
        except TimeoutError:
            logger.info("a listener was too slow", extra={"request_id": request[REQUEST_ID]})
            if request.transport is not None:
                request.transport.abort()  # closing would wait for the client once more
        return response


async def _first_position(request: web.Request, feed: EventFeed) -> int:
    """Return where the listener left off; nothing can lie beyond the last event."""
    asked = query(request, EventStreamQuery).after
    last = await feed.last_position()
    given = request.headers.get("last-event-id", "").strip()
    if given:
        if not (given.isascii() and given.isdecimal() and len(given) <= _MAX_DIGITS):
            raise BadRequest("header Last-Event-ID: expected the id of an event of this stream")
        asked = int(given)
    return last if asked is None else min(asked, last)


async def _follow(
    feed: EventFeed, position: int, request: web.Request, response: web.StreamResponse
) -> None:
    """Tell of events until the client leaves or we stop.

    Raises TimeoutError for one that takes nothing any more: it is cut off, and may resume; and
    Unauthorized or Forbidden for one whose key is not good any more.
    """
    await _write(response, _BEGIN)
    while not feed.is_over:
        try:
            found = await feed.after(position, _KEEP_ALIVE_S)
        except StorageUnavailable:
            await asyncio.sleep(1.0)
            continue
        await request.app[GATE].readmit(request)
        await _write(response, _frames(found) if found else _COMMENT)
        position = found[-1].position if found else position


async def _write(response: web.StreamResponse, data: bytes) -> None:
    """Send; raises TimeoutError when the client does not take it."""
    async with asyncio.timeout(_WRITE_LIMIT_S):
        await response.write(data)


def _frames(events: Sequence[Event]) -> bytes:
    return b"".join(
        b"id: %d\ndata: %s\n\n" % (event.position, EventAnswer.of(event).model_dump_json().encode())
        for event in events
    )
