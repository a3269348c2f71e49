"""From a provider's answer to the client's: whole or streamed, raw or translated.

A stream is held back until it has content, so that one which opens with an error may still be
served by another account. After that nothing is retried: what breaks is told inside the stream.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Final

from dialects.base import Operation
from dialects.fields import dumps, parse_lenient, parse_object
from models.errors import BadRequest, ErrorKind, GatewayError, TimedOut, UpstreamError
from models.events import collect, replay
from models.exchange import ProxyRequest
from models.json_types import JsonObject
from models.ports import Clock, UpstreamResponse
from models.usage import NO_USAGE, Usage
from providers.failures import stream_error
from services.plan import Plan, decoded, filtered, open_relay, reply_context, translated_relay
from services.relay import Relay
from services.veil import hidden_frames

logger = logging.getLogger(__name__)

_HOLD_BYTES: Final = 65_536
_HOLD_S: Final = 10.0
_DRAIN_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one call."""

    max_attempts: int = 4
    """Calls of a provider that may have cost something."""
    max_refusals: int = 16
    """Refusals besides, at no cost."""
    first_byte_timeout_s: float = 600.0
    """For all attempts together."""
    attempt_timeout_s: float = 300.0
    """For the head of one answer that is not streamed."""
    stream_attempt_timeout_s: float = 60.0
    """For the head of one stream."""
    max_wait_s: float = 0.0
    """For an account that is well again, when all rest."""
    home_wait_s: float = 2.0
    """For the account of a conversation, when that serves as many as it may."""
    hedge_after_s: float = 0.0
    """A stream without content is asked of a second account then; 0 means never."""
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
        try:
            if self.chunks is not None:
                await self.chunks.aclose()
        finally:
            self.drop()

    def drop(self) -> None:
        """Give back what the stream holds; enough for one that nobody has begun to read."""
        finish, self.finish = self.finish, lambda: None
        finish()


@dataclass(slots=True)
class Outcome:
    """What an answer says of itself, once it is known."""

    usage: Usage = NO_USAGE
    error_code: str | None = None
    """Of what broke the stream."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A provider's answer of status 2xx, and what must be known to pass it on."""

    request: ProxyRequest
    outcome: Outcome
    """Filled on the way."""
    plan: Plan
    response: UpstreamResponse
    ended: Callable[[UpstreamError | None], None]
    """Told how a stream ended that ran to its end: well, or with whose error."""
    secret: str = field(default="", repr=False)
    """What signed the call; an error inside the stream may repeat it."""


class Answers:
    """Makes the client's answers, and knows which streams run."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._streams: set[UpstreamResponse] = set()
        self._cut: GatewayError | None = None

    @property
    def are_streaming(self) -> bool:
        """Whether a stream runs."""
        return bool(self._streams)

    def cut(self) -> None:
        """Break every running stream off; its client is told so, and nobody else is blamed."""
        self._cut = stopping()
        for response in list(self._streams):
            response.close()

    def reply(self, given: Accepted) -> Coroutine[object, object, Reply]:
        """Return the answer once its first content is there.

        Raises GatewayError before that; the caller closes the response then.
        """
        return self._stream(given) if given.request.stream else self._whole(given)

    # --- whole answers ---

    async def _whole(self, given: Accepted) -> Reply:
        plan, response = given.plan, given.response
        body = await response.read(self._limits.max_response_bytes)
        response.close()
        if _is_event_stream(response):
            return self._collected(given, body)
        payload = _checked(plan, response, body)
        if plan.request is None:
            given.outcome.usage = _used(plan, plan.upstream.read_usage(payload))
            return Reply(body)
        answer = filtered(plan, decoded(plan, payload))
        given.outcome.usage = _used(plan, answer.usage)
        context = reply_context(given.request, plan.request)
        return Reply(dumps(plan.client.encode_response(answer, context)))

    def _collected(self, given: Accepted, body: bytes) -> Reply:
        """The provider streamed although nobody asked: give the client the whole."""
        plan, request = given.plan, given.request
        chat = plan.request or plan.client.decode_request(request.payload)
        decoder = plan.upstream.decoder(plan.profile)
        try:
            answer = filtered(plan, collect([*decoder.feed(body), *decoder.end()]))
        except UpstreamError as error:
            raise _judged(plan, error) from error
        given.outcome.usage = answer.usage
        return Reply(dumps(plan.client.encode_response(answer, reply_context(request, chat))))

    # --- streams ---

    async def _stream(self, given: Accepted) -> Reply:
        response = given.response
        if not _is_event_stream(response):
            return await self._replayed(given)
        relay = open_relay(given.plan, given.request)
        held = await self._prime(response, relay)
        if relay.error is not None and not relay.started:
            raise _judged(given.plan, relay.error)
        self._streams.add(response)
        return Reply(
            chunks=self._pump(given, relay, held), finish=lambda: self._settle(given, relay)
        )

    async def _replayed(self, given: Accepted) -> Reply:
        """The provider answered a stream request with a whole body: tell it as a stream."""
        plan, request, response = given.plan, given.request, given.response
        body = await response.read(self._limits.max_response_bytes)
        response.close()
        answer = decoded(plan, _checked(plan, response, body))
        chat = plan.request or plan.client.decode_request(request.payload)
        relay = translated_relay(plan, request, chat)
        told = relay.write(list(replay(answer)))
        given.outcome.usage = relay.usage

        async def chunks() -> AsyncGenerator[bytes, None]:
            yield told

        return Reply(chunks=chunks())

    async def _prime(self, response: UpstreamResponse, relay: Relay) -> bytes:
        """Read until the answer has content. Slow starts are let through after a while."""
        held: list[bytes] = []
        size = 0
        until = self._clock.monotonic() + min(_HOLD_S, self._limits.idle_timeout_s)
        while not (relay.started or relay.ended) and size < _HOLD_BYTES:
            data = await response.read_some(until - self._clock.monotonic())
            if data is None:
                break
            held.append(relay.feed(data) if data else relay.finish())
            size += len(data)
        return b"".join(held)

    async def _pump(
        self, given: Accepted, relay: Relay, held: bytes
    ) -> AsyncGenerator[bytes, None]:
        """Yield what the client gets until the answer ends, one way or the other."""
        limits, response, silent_s = self._limits, given.response, 0.0
        try:
            if held:
                yield _veiled(given, relay, held)
            held = b""  # a stream may run for long
            told_at = self._clock.monotonic()
            while not relay.ended:
                wait_s = min(limits.ping_after_s, limits.idle_timeout_s - silent_s)
                data = await response.read_some(wait_s)
                silent_s = silent_s + wait_s if data is None else 0.0
                if silent_s >= limits.idle_timeout_s:
                    out = relay.fail(TimedOut("the provider fell silent"))
                else:
                    out = _told(given.plan, relay, data)
                quiet_s = self._clock.monotonic() - told_at
                if not (out or relay.ended) and quiet_s >= limits.ping_after_s:
                    # The provider is busy with what this client does not see.
                    out = given.plan.client.ping
                if out:
                    told_at = self._clock.monotonic()
                    yield _veiled(given, relay, out)
            # A connection that was read to its end can be used again; that is worth a moment.
            until = self._clock.monotonic() + _DRAIN_S
            while relay.error is None and (
                data := await response.read_some(until - self._clock.monotonic())
            ):
                if given.plan.request is None:
                    yield data
        except UpstreamError as error:
            if not relay.ended:
                yield relay.fail(self._cut or error)
        except Exception:
            logger.exception("a stream failed", extra={"request_id": given.request.id})
            if not relay.ended:
                yield relay.fail(GatewayError("the gateway failed; the log has the cause"))

    def _settle(self, given: Accepted, relay: Relay) -> None:
        self._streams.discard(given.response)
        given.response.close()
        given.outcome.usage = relay.usage
        if relay.error is not None:
            error = _judged(given.plan, relay.error)
            given.outcome.error_code = error.code
            if isinstance(error, UpstreamError):
                given.ended(error)
        elif relay.ended:
            given.ended(None)


def stopping() -> GatewayError:
    """Return what the client of a call is told that our stop breaks off."""
    return GatewayError(
        "the gateway is shutting down", kind=ErrorKind.UNAVAILABLE, status=503, retry_after_s=1
    )


def _told(plan: Plan, relay: Relay, data: bytes | None) -> bytes:
    """Return what to send for what arrived: None is silence, b"" the end."""
    if data is None:
        return plan.client.ping
    return relay.feed(data) if data else relay.finish()


def _veiled(given: Accepted, relay: Relay, out: bytes) -> bytes:
    """Return what to send; an error in it does not repeat what signed the call."""
    return out if relay.error is None else hidden_frames(out, given.secret)


def _checked(plan: Plan, response: UpstreamResponse, body: bytes) -> JsonObject:
    """Return the parsed body; an error inside an HTTP 200 is an error, and so is what is no
    answer at all: it may say anything, such as the key that it did not like."""
    try:
        payload = parse_object(body)
    except BadRequest as error:
        # Half a surrogate pair, where the provider cut its text, is replaced when written.
        lenient = parse_lenient(body)
        if lenient is None:
            raise UpstreamError("the provider's answer is not a JSON object") from error
        payload = lenient
    is_answer = not plan.upstream.answer_fields.isdisjoint(payload)
    if not is_answer or plan.upstream.read_error(payload) is not None:
        provider = plan.route.provider
        raise provider.diagnose(plan.upstream, response.status, response.headers, body)
    return payload


def _used(plan: Plan, usage: Usage) -> Usage:
    """Return what an answer has cost; a count tells tokens, and nothing was used up."""
    return NO_USAGE if plan.client.operation is Operation.COUNT else usage


def _judged(plan: Plan, error: GatewayError) -> GatewayError:
    """Let the provider say what an error inside its stream means: it knows its own codes."""
    if not isinstance(error, UpstreamError):
        return error
    return stream_error(plan.route.provider.diagnose, plan.upstream, error)


def _is_event_stream(response: UpstreamResponse) -> bool:
    return "text/event-stream" in response.headers.get("content-type", "").lower()
