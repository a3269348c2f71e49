"""The one loop of a model call: route, account, token, send, relay.

Until the first content is there, another account may serve; after it nothing is retried.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from dialects.base import Dialect
from dialects.fields import dumps, parse_object
from models.account import AuthType, Credentials
from models.errors import (
    BadRequest,
    Blame,
    ConnectionLost,
    GatewayError,
    NoCapacity,
    NoRoute,
    TimedOut,
    UpstreamError,
)
from models.events import collect, replay
from models.exchange import ProxyRequest, RequestRecord
from models.json_types import JsonObject
from models.ports import Clock, Transport, UpstreamResponse
from providers.base import build_request
from providers.failures import stream_error
from services.cooldown import Cooldowns, Rest
from services.plan import (
    Plan,
    filtered,
    make_plan,
    open_relay,
    reply_context,
    translated_relay,
)
from services.pool import Lease, Pool, Turn
from services.relay import Relay
from services.snapshot import Snapshot
from services.tokens import Tokens

logger = logging.getLogger(__name__)

_HOLD_BYTES: Final = 65_536
_HOLD_S: Final = 10.0
_DRAIN_S: Final = 0.05
_ERROR_BODY_BYTES: Final = 1 << 20
_UNAUTHORIZED: Final = 401


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one call."""

    max_attempts: int = 4
    first_byte_timeout_s: float = 600.0
    idle_timeout_s: float = 300.0
    """Longest silence inside a stream."""
    ping_after_s: float = 15.0
    max_response_bytes: int = 64 * 1024 * 1024


@dataclass(slots=True)
class Reply:
    """An answer in the client's dialect: either a whole body or a stream that must be closed."""

    body: bytes = b""
    chunks: AsyncGenerator[bytes, None] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    finish: Callable[[], None] = lambda: None
    """Gives back what the stream held. A generator's own `finally` would not do: one that was
    never begun has none."""

    async def aclose(self) -> None:
        """Close the stream, however far it was read."""
        if self.chunks is not None:
            await self.chunks.aclose()
        self.finish()


class Executor:
    """Serves model calls."""

    def __init__(
        self,
        *,
        snapshot: Callable[[], Snapshot],
        pool: Pool,
        tokens: Tokens,
        transport: Transport,
        dialects: Mapping[str, Dialect],
        clock: Clock,
        limits: Limits,
        user_agent: str,
        asks_stream_usage: bool = True,
        tell: Callable[[Rest], None] = lambda _rest: None,
    ) -> None:
        """`tell` lets the other replicas know that somebody rests."""
        self._snapshot = snapshot
        self._pool = pool
        self._cooldowns: Cooldowns = pool.cooldowns
        self._tokens = tokens
        self._transport = transport
        self._dialects = dialects
        self._clock = clock
        self._limits = limits
        self._user_agent = user_agent
        self._asks_stream_usage = asks_stream_usage
        self._tell = tell
        self._running = 0
        self._streams: set[UpstreamResponse] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a call is being served."""
        return self._running > 0 or bool(self._streams)

    def cut(self) -> None:
        """Break every running stream off; its client is told so."""
        for response in list(self._streams):
            response.close()

    async def open(self, request: ProxyRequest, record: RequestRecord) -> Reply:
        """Return the answer once its first content is there; raises GatewayError before that.

        Fills `record` on the way. The caller must close `Reply.chunks`.
        """
        self._running += 1
        try:
            return await self._served(request, record)
        finally:
            self._running -= 1

    async def _served(self, request: ProxyRequest, record: RequestRecord) -> Reply:
        client = self._dialects[request.dialect]
        failure: GatewayError | None = None
        for route in self._snapshot().router.resolve(request.model):
            turn = await self._pool.turn(route)
            if turn is None:
                failure = _worse(failure, self._pool.refusal(route))
                continue
            try:
                plan = make_plan(request, client, route, wants_usage=self._asks_stream_usage)
                return await self._walk(request, record, plan, turn)
            except (UpstreamError, NoCapacity, BadRequest) as error:
                failure = _worse(failure, error)
                if isinstance(error, UpstreamError) and not error.retryable:
                    break
            if record.attempts >= self._limits.max_attempts:
                break
        if failure is None:
            raise NoRoute(f"model {request.model!r} is not served here")
        raise failure

    async def _walk(
        self, request: ProxyRequest, record: RequestRecord, plan: Plan, turn: Turn
    ) -> Reply:
        """Try the accounts of one route in turn."""
        failure: GatewayError | None = None
        lost_once = False
        while record.attempts < self._limits.max_attempts:
            lease = turn.next()
            if lease is None:
                break
            turn.tried.add(lease.account.id)
            try:
                return await self._attempt(request, record, plan, lease)
            except UpstreamError as error:
                self._blame(record, plan, lease, error)
                if not error.retryable:
                    raise
                if isinstance(error, ConnectionLost) and not lost_once:
                    # An idle connection that the provider closed says nothing about the account.
                    lost_once = True
                    turn.tried.discard(lease.account.id)
                failure = _worse(failure, error)
        raise failure or self._pool.refusal(plan.route)

    async def _attempt(
        self, request: ProxyRequest, record: RequestRecord, plan: Plan, lease: Lease
    ) -> Reply:
        _note(record, plan, lease)
        credentials = await self._tokens.get(lease.stored)
        response = await self._send(request, plan, lease, credentials)
        if response.status == _UNAUTHORIZED and lease.account.auth_type is AuthType.OAUTH:
            response, credentials = await self._once_more(
                request, plan, lease, credentials, response
            )
        try:
            if not 200 <= response.status < 300:
                raise await self._diagnosed(plan, response)
            answer = self._stream if request.stream else self._whole
            reply = await answer(request, record, plan, lease, response)
        except BaseException:
            response.close()
            raise
        self._cooldowns.succeeded(lease.account.id, plan.route.model)
        record.first_byte_ms = (self._clock.monotonic() - request.started) * 1000.0
        if plan.dropped:
            reply.headers["x-aigateway-dropped"] = ", ".join(plan.dropped)
        return reply

    async def _send(
        self, request: ProxyRequest, plan: Plan, lease: Lease, credentials: Credentials
    ) -> UpstreamResponse:
        forwarded = plan.client.forwarded_headers if plan.upstream is plan.client else frozenset()
        upstream_request = build_request(
            plan.route.provider,
            plan.upstream,
            plan.body,
            stream=request.stream,
            account=lease.account,
            credentials=credentials,
            client_headers={
                name: value for name, value in request.headers.items() if name in forwarded
            },
            user_agent=self._user_agent,
        )
        return await self._transport.send(
            upstream_request, lease.egress, first_byte_timeout_s=self._limits.first_byte_timeout_s
        )

    async def _once_more(
        self,
        request: ProxyRequest,
        plan: Plan,
        lease: Lease,
        credentials: Credentials,
        response: UpstreamResponse,
    ) -> tuple[UpstreamResponse, Credentials]:
        """An unexpired token was refused: refresh it once and send again with the new one."""
        fresh = await self._tokens.rejected(lease.stored, credentials.access)
        if fresh is None:
            return response, credentials
        response.close()
        return await self._send(request, plan, lease, fresh), fresh

    async def _diagnosed(self, plan: Plan, response: UpstreamResponse) -> UpstreamError:
        try:
            body = await response.read(_ERROR_BODY_BYTES)
        except UpstreamError:
            body = b""
        provider = plan.route.provider
        error = provider.diagnose(plan.upstream, response.status, response.headers, body)
        is_json = "json" in response.headers.get("content-type", "")
        same_dialect = plan.upstream is plan.client
        error.is_verbatim = error.blame is Blame.REQUEST and same_dialect and is_json
        return error

    # --- whole answers ---

    async def _whole(
        self,
        request: ProxyRequest,
        record: RequestRecord,
        plan: Plan,
        lease: Lease,
        response: UpstreamResponse,
    ) -> Reply:
        body = await response.read(self._limits.max_response_bytes)
        if _is_event_stream(response):
            return self._collected(request, record, plan, body)
        payload = self._checked(plan, response, body)
        if plan.request is None:
            record.usage = plan.upstream.read_usage(payload)
            response.close()
            return Reply(body)
        answer = plan.upstream.decode_response(payload)
        record.usage = answer.usage
        answer = collect(filtered(plan, list(replay(answer))))
        context = reply_context(request, plan.request)
        response.close()
        return Reply(dumps(plan.client.encode_response(answer, context)))

    def _checked(self, plan: Plan, response: UpstreamResponse, body: bytes) -> JsonObject:
        """Return the parsed body; an error inside an HTTP 200 is an error."""
        try:
            payload = parse_object(body)
        except BadRequest as error:
            raise UpstreamError("the provider's answer is not a JSON object") from error
        if plan.upstream.read_error(payload) is not None:
            provider = plan.route.provider
            raise provider.diagnose(plan.upstream, response.status, response.headers, body)
        return payload

    def _collected(
        self, request: ProxyRequest, record: RequestRecord, plan: Plan, body: bytes
    ) -> Reply:
        """The provider streamed although nobody asked: give the client the whole."""
        chat = plan.request or plan.client.decode_request(request.payload)
        decoder = plan.upstream.decoder(plan.profile)
        events = [*decoder.feed(body), *decoder.end()]
        answer = collect(filtered(plan, events))
        record.usage = answer.usage
        return Reply(dumps(plan.client.encode_response(answer, reply_context(request, chat))))

    # --- streams ---

    async def _stream(
        self,
        request: ProxyRequest,
        record: RequestRecord,
        plan: Plan,
        lease: Lease,
        response: UpstreamResponse,
    ) -> Reply:
        if not _is_event_stream(response):
            return await self._replayed(request, record, plan, response)
        relay = open_relay(plan, request)
        held = await self._prime(response, relay)
        if relay.error is not None and not relay.started:
            raise _judged(plan, relay.error)
        self._streams.add(response)
        return Reply(
            chunks=self._pump(plan, response, relay, held),
            finish=lambda: self._settle(record, plan, lease, response, relay),
        )

    async def _prime(self, response: UpstreamResponse, relay: Relay) -> bytes:
        """Read until the answer has content, so that a stream which opens with an error may
        still be served by another account. Slow starts are let through after a while."""
        held: list[bytes] = []
        size = 0
        until = self._clock.monotonic() + _HOLD_S
        while not (relay.started or relay.ended) and size < _HOLD_BYTES:
            data = await response.read_some(max(until - self._clock.monotonic(), 0.001))
            if data is None:
                break
            held.append(relay.feed(data) if data else relay.finish())
            size += len(data)
        return b"".join(held)

    async def _pump(
        self, plan: Plan, response: UpstreamResponse, relay: Relay, held: bytes
    ) -> AsyncGenerator[bytes, None]:
        """Yield what the client gets until the answer ends, one way or the other."""
        limits, silent_s = self._limits, 0.0
        try:
            if held:
                yield held
            while not relay.ended:
                data = await response.read_some(limits.ping_after_s)
                if data:
                    silent_s = 0.0
                    if out := relay.feed(data):
                        yield out
                elif data is None:
                    silent_s += limits.ping_after_s
                    if silent_s >= limits.idle_timeout_s:
                        yield relay.fail(TimedOut("the provider fell silent"))
                    else:
                        yield plan.client.ping
                elif out := relay.finish():
                    yield out
            if relay.error is None and plan.request is None:
                while data := await response.read_some(_DRAIN_S):
                    yield data
        except UpstreamError as error:
            if not relay.ended:
                yield relay.fail(error)

    def _settle(
        self,
        record: RequestRecord,
        plan: Plan,
        lease: Lease,
        response: UpstreamResponse,
        relay: Relay,
    ) -> None:
        self._streams.discard(response)
        response.close()
        record.usage = relay.usage
        if relay.error is not None:
            error = _judged(plan, relay.error)
            record.error_code = error.code
            self._blame(record, plan, lease, error)

    async def _replayed(
        self, request: ProxyRequest, record: RequestRecord, plan: Plan, response: UpstreamResponse
    ) -> Reply:
        """The provider answered a stream request with a whole body: tell it as a stream."""
        body = await response.read(self._limits.max_response_bytes)
        answer = plan.upstream.decode_response(self._checked(plan, response, body))
        chat = plan.request or plan.client.decode_request(request.payload)
        relay = translated_relay(plan, request, chat)
        told = relay.write(list(replay(answer)))
        record.usage = relay.usage
        response.close()

        async def chunks() -> AsyncGenerator[bytes, None]:
            yield told

        return Reply(chunks=chunks())

    def _blame(self, record: RequestRecord, plan: Plan, lease: Lease, error: UpstreamError) -> None:
        if error.blame is Blame.EGRESS and lease.egress is not None:
            record.egress_errors += (lease.egress.id,)
        rest = self._pool.report(lease, plan.route.model, error, plan.route)
        if rest is not None:
            logger.info(
                "cooling down",
                extra={
                    "subject": rest.subject,
                    "model": rest.model,
                    "reason": rest.reason.value,
                    "seconds": round(rest.until - rest.began_at, 1),
                },
            )
            self._tell(rest)


def _note(record: RequestRecord, plan: Plan, lease: Lease) -> None:
    record.attempts += 1
    record.provider_id = plan.route.provider.id
    record.upstream_model = plan.route.model
    record.account_id = lease.account.id
    record.proxy_id = lease.egress.id if lease.egress is not None else None
    record.mode = plan.mode


def _judged(plan: Plan, error: UpstreamError) -> UpstreamError:
    """Let the provider say what an error inside its stream means: it knows its own codes."""
    return stream_error(plan.route.provider.diagnose, plan.upstream, error)


def _is_event_stream(response: UpstreamResponse) -> bool:
    return "text/event-stream" in response.headers.get("content-type", "")


def _worse(known: GatewayError | None, new: GatewayError) -> GatewayError:
    """Keep the error that tells the client most, the later one of equals."""
    return known if known is not None and _weight(known) > _weight(new) else new


def _weight(error: GatewayError) -> int:
    """What a provider said beats a way to it that failed, and that beats having nobody to ask."""
    if isinstance(error, UpstreamError):
        return 2 if error.upstream_status is not None else 1
    return 0
