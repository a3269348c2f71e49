"""Model calls: read the request, let the executor serve it, write the answer, keep the record."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from aiohttp import web

from dialects.base import Dialect, Operation
from dialects.fields import parse_object
from handlers.callers import GEMINI, family
from handlers.calls import JSON_OR_CURL, check_type
from handlers.endpoint import Access, Endpoint, Handler
from handlers.exchange import Exchange
from handlers.framing import framed
from handlers.refusals import tell_attempts, when_to_come_again
from handlers.web_exchange import WebExchange
from models.errors import BadRequest, ErrorKind, GatewayError
from models.exchange import ProxyRequest, RequestRecord
from models.ids import new_id
from models.ports import Clock
from services.admission import overloaded
from services.executor import Executor
from services.reply import Reply, Stream

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
_STRICT: Final = "x-aigateway-strict"
_WISHES: Final = frozenset({_STRICT, _FALLBACK, _FALLBACK_MODE, *_SESSION})
"""Headers by which a client tells how it wants to be served; most have none of them."""
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
        admits: Callable[[], bool],
        strict: bool = False,
        memories: Mapping[str, Memory] = NO_MEMORIES,
    ) -> None:
        """`admits`: whether one more call may begin now.

        `strict`: refuse what would be dropped, unless the request says otherwise.

        `memories`: by dialect, where one has any.
        """
        self._executor = executor
        self._record = record
        self._dialects = dialects
        self._clock = clock
        self._max_body_bytes = max_body_bytes
        self._admits = admits
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
            if not self._admits():
                raise overloaded()
            exchange = WebExchange(request)
            await self.serve(exchange, dialect)
            return exchange.response

        return serve

    async def serve(self, exchange: Exchange, dialect: Dialect) -> None:
        """Answer one call. Raises GatewayError as long as there is no answer."""
        record = self._begun(exchange, dialect)
        started = self._clock.monotonic()
        try:
            call = await self._read(exchange, dialect, record, started)
            try:
                reply = await self._answered(call, record)
            finally:
                _tell_who(exchange, record)
            if reply.stream is None:
                record.status = 200
                exchange.whole(reply.body, {**_JSON_HEADERS, **reply.headers})
            else:
                call.forget_content()
                await _stream(exchange, dialect, reply, reply.stream, record)
        except GatewayError as error:
            tell_attempts(error, record, is_admin=exchange.principal.is_admin)
            record.error_code = error.code
            record.status = dialect.encode_error(error, record.id).status
            exchange.about.update(when_to_come_again(error, record.status))
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

    def _begun(self, exchange: Exchange, dialect: Dialect) -> RequestRecord:
        request_id = exchange.request_id
        # An id that the client chose is stored, but never becomes a row's own.
        is_given = exchange.headers.get("x-request-id") == request_id
        return RequestRecord(
            new_id() if is_given else request_id,
            self._clock.now(),
            exchange.principal.key_id,
            dialect.name,
            model="",
            stream=False,
            client_request_id=request_id if is_given else None,
        )

    def _answered(
        self, call: ProxyRequest, record: RequestRecord
    ) -> Coroutine[object, object, Reply]:
        memory = self._memories.get(call.dialect)
        if memory is None:
            return self._executor.open(call, record)
        return self._remembered(memory, call, record)

    async def _remembered(self, memory: Memory, call: ProxyRequest, record: RequestRecord) -> Reply:
        recalled = await memory.recall(call)
        return await memory.keep(call, recalled, await self._executor.open(recalled, record))

    async def _read(
        self, exchange: Exchange, dialect: Dialect, record: RequestRecord, started: float
    ) -> ProxyRequest:
        headers = exchange.headers
        check_type(headers.get("content-type"), JSON_OR_CURL)
        body = await exchange.read(self._max_body_bytes)
        payload = parse_object(body)
        asked = dialect.inspect(body, payload, exchange.parameters)
        record.model, record.stream = asked.model, asked.stream
        request = ProxyRequest(
            record.id,
            record.client_request_id,
            dialect.name,
            asked.model,
            asked.stream,
            body,
            payload,
            _forwardable(headers, dialect),
            record.key_id,
            record.at,
            started,
            self._strict,
        )
        if not _WISHES.isdisjoint(headers):
            _take_wishes(request, headers)
        return request


def _forwardable(headers: Mapping[str, str], dialect: Dialect) -> dict[str, str]:
    """Return the headers that may go on. Raises BadRequest for what could not be sent again."""
    found: dict[str, str] = {}
    if dialect.forwarded_headers.isdisjoint(headers):
        return found
    for name in dialect.forwarded_headers & headers.keys():
        value = headers[name]
        if not (value.isascii() and value.isprintable()):
            raise BadRequest(f"header {name}: only printable ASCII characters are allowed")
        found[name] = value
    return found


def _take_wishes(request: ProxyRequest, headers: Mapping[str, str]) -> None:
    """Note how the client wants to be served. Raises BadRequest."""
    if (wish := headers.get(_STRICT)) is not None:
        request.strict = wish.strip().lower() == "true"
    request.fallbacks, request.is_race = _stand_ins(headers)
    request.session = _session(headers)


def _stand_ins(headers: Mapping[str, str]) -> tuple[tuple[str, ...] | None, bool | None]:
    """Return the models that may serve in the asked one's stead, and whether all at once.

    Raises BadRequest.
    """
    named, mode = headers.get(_FALLBACK), headers.get(_FALLBACK_MODE)
    if mode not in (None, "sequential", "race"):
        raise BadRequest(f"header {_FALLBACK_MODE}: expected sequential or race")
    if named is None:
        return None, None if mode is None else mode == "race"
    models = tuple(name for part in named.split(",") if (name := part.strip()))
    if len(models) > _MAX_FALLBACKS:
        raise BadRequest(f"header {_FALLBACK}: at most {_MAX_FALLBACKS} models")
    return models, None if mode is None else mode == "race"


def _session(headers: Mapping[str, str]) -> str | None:
    """Return the name of the conversation, None when no header has one."""
    for header in _SESSION:
        if header in headers and (name := headers[header].strip()):
            return name
    return None


def _tell_who(exchange: Exchange, record: RequestRecord) -> None:
    """Let the answer's headers tell who served, or tried to."""
    about = exchange.about
    about["request-id"] = exchange.request_id
    about["x-aigateway-attempts"] = str(record.attempts)
    if record.provider_id is not None:
        about["x-aigateway-provider"] = record.provider_id
    if exchange.principal.is_admin and record.account_id is not None:
        about["x-aigateway-account"] = record.account_id


async def _stream(
    exchange: Exchange, dialect: Dialect, reply: Reply, stream: Stream, record: RequestRecord
) -> None:
    """Give the client its answer as it comes."""
    framing = framed(exchange, dialect, exchange.query)
    named = {"content-type": framing.content_type}
    try:
        await exchange.begin({**_STREAM_HEADERS, **named, **reply.headers})
        record.status = 200
        await stream(framing.sink)
        framing.close()
    finally:
        reply.drop()
    await exchange.end()
