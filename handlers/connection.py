"""A connection that a slow, silent or garbled client cannot hold open or make us log much.

aiohttp limits neither the time for a request's head nor for its body, nor how long a client may
leave an answer unread, and logs a traceback for each malformed request. The head and the reading
are timed and malformed requests are answered here; the body is timed where it is read
(`handlers/calls.py`).
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from handlers.double_names import forgiving_parser
from handlers.plain_connection import Lane, PlainConnection
from handlers.stalls import StallWatch
from handlers.told import SERVER

logger = logging.getLogger(__name__)

_SHAPES: Final = (
    # Both dialects' clients find their fields: the path, and so the dialect, may be unreadable.
    '{"type":"error","error":{"type":"invalid_request_error","code":"invalid_request",'
    '"param":null,"message":"%s"}}'
)


class TimedConnection(RequestHandler):
    """Closes a connection whose next request's head is not complete in time, or whose client
    takes nothing of an answer for too long.

    The clock runs from the opening of the connection, and from the first byte of each further
    request; between requests aiohttp's keep-alive limit rules.
    """

    __slots__ = ("_head_timeout_s", "_head_timer", "_stall")

    def __init__(self, manager: "TimedServer", **kwargs: Any) -> None:  # noqa: ANN401 - aiohttp's own
        super().__init__(manager, **kwargs)
        self._parser = forgiving_parser(self)
        self._head_timeout_s = manager.head_timeout_s
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall = StallWatch(self._loop, manager.stall_timeout_s)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages or self._current_request is not None:
            self._stop_timer()
        elif self._head_timer is None:
            self._start_timer()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_timer()
        self._stall.end()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.transport is not None:
            self._stall.begin(self.transport)

    def resume_writing(self) -> None:
        self._stall.end()
        super().resume_writing()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP, or what slipped past every handler, in one line."""
        if isinstance(exc, ConnectionError):
            raise exc  # the client has left
        if status >= 500:
            logger.error("a request failed", exc_info=exc)
        else:
            logger.warning("malformed request", extra={"status": status})
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        text = HTTPStatus(status).phrase.lower()
        body = _SHAPES % (text if status >= 500 else f"malformed HTTP request: {text}")
        headers = {"Server": SERVER, "Cache-Control": "no-store"}
        response = web.Response(
            status=status, text=body, content_type="application/json", headers=headers
        )
        response.force_close()
        return response

    def _start_timer(self) -> None:
        self._head_timer = self._loop.call_later(self._head_timeout_s, self._head_is_late)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._current_request is None and not self._messages:
            self.force_close()


class TimedServer(web.Server):
    """Makes timed connections, and plain ones, which become timed ones where that is needed."""

    def __init__(
        self,
        server: web.Server,
        *,
        head_timeout_s: float,
        stall_timeout_s: float,
        lane: Lane | None,
    ) -> None:
        super().__init__(
            server.request_handler,
            request_factory=server.request_factory,
            handler_cancellation=server.handler_cancellation,
            loop=server._loop,
            **server._kwargs,
        )
        self.head_timeout_s = head_timeout_s
        self.stall_timeout_s = stall_timeout_s
        self._lane = lane
        self._make_timed = self._timed  # made once, not for each connection

    def __call__(self) -> asyncio.Protocol:  # type: ignore[override] # aiohttp only listens with it
        if self._lane is None:
            return self._timed()
        return PlainConnection(self._lane, self._loop, self._make_timed)

    def pre_shutdown(self) -> None:
        super().pre_shutdown()
        for connection in self._plain():
            connection.close()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp calls it
        limit_s = timeout or 0.0
        closing = [connection.shutdown(limit_s) for connection in self._plain()]
        await asyncio.gather(super().shutdown(timeout), *closing)

    def _timed(self) -> RequestHandler:
        return TimedConnection(self, loop=self._loop, **self._kwargs)

    def _plain(self) -> list[PlainConnection]:
        return [] if self._lane is None else list(self._lane.connections)


class TimedRunner(web.AppRunner):
    """Runs an application over timed connections; a client that leaves cancels its handler."""

    def __init__(
        self,
        app: web.Application,
        *,
        head_timeout_s: float,
        stall_timeout_s: float = 300.0,
        keepalive_timeout_s: float = 75.0,
        shutdown_timeout_s: float = 60.0,
        lane: Lane | None = None,
    ) -> None:
        """`lane`: serves plain model calls; without one aiohttp serves them all."""
        super().__init__(
            app,
            handler_cancellation=True,
            access_log=None,
            # Inflated where it is wanted, by `handlers/inflate.py`; never for a stranger.
            auto_decompress=False,
            keepalive_timeout=keepalive_timeout_s,
            shutdown_timeout=shutdown_timeout_s,
        )
        self._head_timeout_s = head_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._lane = lane

    def end_connections(self) -> None:
        """Close the connections that serve nothing now, and the others after their answer.

        Clients that keep theirs would bring new requests for as long as we wait for the last one.
        """
        if isinstance(self.server, web.Server):
            self.server.pre_shutdown()

    async def _make_server(self) -> web.Server:
        return TimedServer(
            await super()._make_server(),
            head_timeout_s=self._head_timeout_s,
            stall_timeout_s=self._stall_timeout_s,
            lane=self._lane,
        )
