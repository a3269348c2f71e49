"""The one middleware: request id, who calls, and errors in the caller's own format."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from dialects.base import Dialect
from handlers.callers import caller_dialect
from handlers.endpoint import Access, Endpoint, Handler
from handlers.told import JSON_TYPE, SERVER, hidden, told
from models.errors import BadRequest, ErrorKind, Forbidden, GatewayError, NotFound
from models.ids import new_id
from models.principal import Principal
from services.authenticator import Authenticator

logger = logging.getLogger(__name__)

PRINCIPAL: Final = web.RequestKey("principal", Principal)
REQUEST_ID: Final = web.RequestKey("request_id", str)
HEADERS: Final = web.RequestKey("headers", dict[str, str])
"""Headers that the answer carries even if it is an error."""

_SANE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)


class Gate:
    """Lets requests in to the endpoints that were declared, and to nothing else."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        authenticator: Authenticator,
        dialects: Mapping[str, Dialect],
    ) -> None:
        self._endpoints = {endpoint.handler: endpoint for endpoint in endpoints}
        if len(self._endpoints) != len(endpoints):
            raise ValueError("two endpoints share a handler: who may call it is not clear")
        self._authenticator = authenticator
        self._dialects = dialects

    def middleware(self) -> Middleware:
        """Return what aiohttp calls for every request."""

        @web.middleware
        async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            # The decision rests on the matched route alone, never on a rebuilt URL or Host.
            endpoint = self._endpoints.get(request.match_info.handler)
            request_id = request_id_of(request.headers)
            request[REQUEST_ID] = request_id
            try:
                _check_framing(request)
                if endpoint is not None:
                    await self._admit(request, endpoint)
                return await handler(request)
            except GatewayError as error:
                return self._told(error, endpoint, request, request_id)
            except web.HTTPException as error:
                refusal = self._told(_from_http(error), endpoint, request, request_id)
                if "allow" in error.headers:  # RFC 9110 section 15.5.6: a 405 must have it
                    refusal.headers["allow"] = error.headers["allow"]
                return refusal
            except Exception as error:
                if request.writer.output_size > 0 or _is_gone(request):
                    raise  # only the end of the connection can still tell
                logger.exception("a handler failed", extra={"request_id": request_id})
                return self._told(hidden(error), endpoint, request, request_id)

        return gate

    async def readmit(self, request: web.Request) -> None:
        """Raise GatewayError when the caller may not do this any more: an answer that goes on for
        hours can outlive its key."""
        await self._admit(request, self._endpoints[request.match_info.handler])

    async def check(self, app: web.Application) -> None:
        """Raise ValueError at the start of an application with a route that nobody declared."""
        undeclared = [
            route for route in app.router.routes() if route.handler not in self._endpoints
        ]
        if undeclared:
            raise ValueError(f"routes that say not who may call them: {undeclared}")

    @staticmethod
    async def complete(request: web.Request, response: web.StreamResponse) -> None:
        """Add what every answer carries. What belongs to one caller belongs into no cache."""
        response.headers["Server"] = SERVER
        response.headers.setdefault("Cache-Control", "no-store")
        if "Upgrade" in request.headers:
            # We stay with HTTP/1.1, but aiohttp reads no further request here.
            response.force_close()
            response.headers["Connection"] = "close"
        if REQUEST_ID in request:
            response.headers["x-request-id"] = request[REQUEST_ID]
        response.headers.update(request.get(HEADERS, {}))

    async def _admit(self, request: web.Request, endpoint: Endpoint) -> None:
        if endpoint.access is Access.PUBLIC:
            return
        query_key = request.query.get("key", "") if endpoint.takes_query_key else ""
        principal = await self._authenticator.authenticate(request.headers, query_key)
        if endpoint.access is Access.ADMIN and not principal.is_admin:
            raise Forbidden("this needs an admin key")
        request[PRINCIPAL] = principal

    def _told(
        self,
        error: GatewayError,
        endpoint: Endpoint | None,
        request: web.Request,
        request_id: str,
    ) -> web.Response:
        answer = told(error, self._dialect_of(endpoint, request), request_id)
        return web.Response(
            body=answer.body,
            status=answer.status,
            headers=answer.headers,
            content_type=JSON_TYPE,
        )

    def _dialect_of(self, endpoint: Endpoint | None, request: web.Request) -> Dialect | None:
        if endpoint is not None:
            if endpoint.dialect is None:
                return None
            if endpoint.dialect in self._dialects:
                return self._dialects[endpoint.dialect]
        elif not request.path.startswith("/v1"):
            return None
        return self._dialects[caller_dialect(request)]


GATE: Final = web.AppKey("gate", Gate)


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _check_framing(request: web.Request) -> None:
    """Refuse an encoding that whoever stands before us may have read in another way.

    aiohttp takes every list that ends with `chunked`. What follows on the connection goes unread.
    """
    if request.headers.get("transfer-encoding", "chunked").lower() != "chunked":
        request.protocol.close()
        raise BadRequest("transfer-encoding: only chunked is supported")


def request_id_of(headers: Mapping[str, str]) -> str:
    """Return the caller's id of a request, if it has a sane one, else a new one."""
    given = headers.get("x-request-id")
    return given if given is not None and _SANE_ID.fullmatch(given) else new_id()


def _from_http(error: web.HTTPException) -> GatewayError:
    if error.status == 404:
        return NotFound("there is nothing at this path; /docs lists what there is")
    if error.status == 405:
        allowed = error.headers.get("allow", "")
        return GatewayError(
            f"this method is not allowed here; allowed: {allowed}",
            kind=ErrorKind.INVALID_REQUEST,
            status=405,
        )
    kind = ErrorKind.TOO_LARGE if error.status == 413 else ErrorKind.INVALID_REQUEST
    return GatewayError(error.reason or "bad request", kind=kind, status=error.status)
