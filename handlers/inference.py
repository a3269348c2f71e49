"""Model calls: read the request, let the executor serve it, write the answer, keep the record."""

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from aiohttp import web

from dialects.base import Dialect, Operation
from dialects.fields import parse_object
from handlers.callers import GEMINI, family
from handlers.calls import JSON_OR_CURL, check_type, read_body
from handlers.endpoint import Access, Endpoint, Handler
from handlers.framing import framing_of
from handlers.gate import HEADERS, PRINCIPAL, REQUEST_ID
from handlers.refusals import tell_attempts, when_to_come_again
from models.errors import BadRequest, ErrorKind, GatewayError
from models.exchange import ProxyRequest, RequestRecord
from models.ids import new_id
from models.ports import Clock
from models.principal import Principal
from services.answers import Reply
from services.executor import Executor

_CLIENT_LEFT: Final = 499
_STREAM_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}
_SUMMARIES: Final = {
    Operation.GENERATE: "Ask a model in the {} format, whole or streamed",
    Operation.COUNT: "Count the input tokens of a request ({})",
    Operation.EMBED: "Turn texts into vectors ({})",
}
_FALLBACK: Final = "x-aigateway-fallback"
_FALLBACK_MODE: Final = "x-aigateway-fallback-mode"
_MAX_FALLBACKS: Final = 8
_SESSION: Final = (
    "x-session-id",
    "x-claude-code-session-id",
    "session_id",
    "session-id",
    "conversation_id",
    "x-session-affinity",
)
"""Headers by which programs name a conversation, the one that counts first."""
_JSON_HEADERS: Final = {"content-type": "application/json", "cache-control": "no-store"}


NO_MEMORIES: Final[Mapping[str, "Memory"]] = MappingProxyType({})


class Memory(Protocol):
    """What the clients of a dialect may leave with us between two requests."""

    async def recall(self, request: ProxyRequest) -> ProxyRequest:
        """Return the request with everything written out that it refers to."""
        ...

    async def keep(self, asked: ProxyRequest, recalled: ProxyRequest, reply: Reply) -> Reply:
        """Return the reply, which is kept on its way if the client wants that."""
        ...


class Inference:
    """The model endpoints of every dialect."""

    def __init__(
        self,
        executor: Executor,
        record: Callable[[RequestRecord], None],
        dialects: Mapping[str, Dialect],
        clock: Clock,
        *,
        max_body_bytes: int,
        strict: bool = False,
        memories: Mapping[str, Memory] = NO_MEMORIES,
    ) -> None:
        """`strict`: refuse what would be dropped, unless the request says otherwise.

        `memories`: by dialect, where one has any.
        """
        self._executor = executor
        self._record = record
        self._dialects = dialects
        self._clock = clock
        self._max_body_bytes = max_body_bytes
        self._strict = strict
        self._memories = memories

    def endpoints(self) -> list[Endpoint]:
        """The endpoints of every dialect, at the dialect's own paths."""
        return [
            Endpoint(
                "POST",
                path,
                self._handler(dialect),
                Access.KEY,
                _SUMMARIES[dialect.operation].format(dialect.name),
                "models",
                dialect=dialect.name,
                takes_query_key=family(dialect.name) == GEMINI,
            )
            for dialect in self._dialects.values()
            for path in dialect.paths
        ]

    def _handler(self, dialect: Dialect) -> Handler:
        async def serve(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, dialect)

        return serve

    async def _serve(self, request: web.Request, dialect: Dialect) -> web.StreamResponse:
        principal, request_id = request[PRINCIPAL], request[REQUEST_ID]
        # An id that the client chose is stored, but never becomes a row's own.
        is_given = request.headers.get("x-request-id") == request_id
        record = RequestRecord(
            new_id() if is_given else request_id,
            self._clock.now(),
            principal.key_id,
            dialect.name,
            model="",
            stream=False,
            client_request_id=request_id if is_given else None,
        )
        started = self._clock.monotonic()
        try:
            call = await self._read(request, dialect, record, started)
            try:
                reply = await self._answered(call, record)
            finally:
                request[HEADERS] = _about(record, principal, request_id)
            if reply.chunks is None:
                record.status = 200
                return web.Response(body=reply.body, headers={**_JSON_HEADERS, **reply.headers})
            return await _stream(request, dialect, reply, record)
        except GatewayError as error:
            tell_attempts(error, record, is_admin=principal.is_admin)
            record.error_code = error.code
            record.status = dialect.encode_error(error, record.id).status
            told = request.get(HEADERS, {})
            request[HEADERS] = {**told, **when_to_come_again(error, record.status)}
            raise
        except (asyncio.CancelledError, ConnectionError):
            record.status, record.error_code = _CLIENT_LEFT, ErrorKind.CANCELLED.value
            raise
        except Exception:
            record.status, record.error_code = 500, ErrorKind.INTERNAL.value
            raise
        finally:
            record.latency_ms = (self._clock.monotonic() - started) * 1000.0
            self._record(record)

    async def _answered(self, call: ProxyRequest, record: RequestRecord) -> Reply:
        memory = self._memories.get(call.dialect)
        if memory is None:
            return await self._executor.open(call, record)
        recalled = await memory.recall(call)
        return await memory.keep(call, recalled, await self._executor.open(recalled, record))

    async def _read(
        self, request: web.Request, dialect: Dialect, record: RequestRecord, started: float
    ) -> ProxyRequest:
        check_type(request, JSON_OR_CURL)
        body = await read_body(request, max_bytes=self._max_body_bytes)
        payload = parse_object(body)
        asked = dialect.inspect(body, payload, request.match_info)
        record.model, record.stream = asked.model, asked.stream
        wish = request.headers.get("x-aigateway-strict")
        return ProxyRequest(
            record.id,
            record.client_request_id,
            dialect.name,
            asked.model,
            asked.stream,
            body,
            payload,
            _forwardable(request, dialect),
            record.key_id,
            record.at,
            started,
            self._strict if wish is None else wish.strip().lower() == "true",
            *_stand_ins(request),
            _session(request),
        )


def _forwardable(request: web.Request, dialect: Dialect) -> dict[str, str]:
    """Return the headers that may go on. Raises BadRequest for what could not be sent again."""
    found = {}
    for name in dialect.forwarded_headers & request.headers.keys():
        value = ",".join(request.headers.getall(name))
        if not (value.isascii() and value.isprintable()):
            raise BadRequest(f"header {name}: only printable ASCII characters are allowed")
        found[name] = value
    return found


def _stand_ins(request: web.Request) -> tuple[tuple[str, ...] | None, bool | None]:
    """Return the models that may serve in the asked one's stead, and whether all at once.

    Raises BadRequest.
    """
    named, mode = request.headers.get(_FALLBACK), request.headers.get(_FALLBACK_MODE)
    if mode not in (None, "sequential", "race"):
        raise BadRequest(f"header {_FALLBACK_MODE}: expected sequential or race")
    if named is None:
        return None, None if mode is None else mode == "race"
    models = tuple(name for part in named.split(",") if (name := part.strip()))
    if len(models) > _MAX_FALLBACKS:
        raise BadRequest(f"header {_FALLBACK}: at most {_MAX_FALLBACKS} models")
    return models, None if mode is None else mode == "race"


def _session(request: web.Request) -> str | None:
    """Return the name of the conversation, None when no header has one."""
    headers = request.headers
    for header in _SESSION:
        if header in headers and (name := headers[header].strip()):
            return name
    return None


def _about(record: RequestRecord, principal: Principal, request_id: str) -> dict[str, str]:
    """Return headers that tell who served, or tried to."""
    headers = {"request-id": request_id, "x-aigateway-attempts": str(record.attempts)}
    if record.provider_id is not None:
        headers["x-aigateway-provider"] = record.provider_id
    if principal.is_admin and record.account_id is not None:
        headers["x-aigateway-account"] = record.account_id
    return headers


async def _stream(
    request: web.Request, dialect: Dialect, reply: Reply, record: RequestRecord
) -> web.StreamResponse:
    framing = framing_of(dialect, request.query)
    named = {"content-type": framing.content_type}
    try:
        assert reply.chunks is not None  # noqa: S101 - for the type checker
        response = web.StreamResponse(headers={**_STREAM_HEADERS, **named, **reply.headers})
        await response.prepare(request)
        record.status = 200
        async for chunk in reply.chunks:
            if told := framing.feed(chunk):
                await response.write(told)
    finally:
        await reply.aclose()
    await response.write_eof(framing.end())
    return response
