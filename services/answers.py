"""From a provider's answer to the client's: whole or streamed, raw or translated.

A stream is held back until it has content, so that one which opens with an error may still be
served by another account. After that nothing is retried: what breaks is told inside the stream.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from dialects.base import Operation
from dialects.fields import dumps, parse_lenient, parse_object
from models.errors import BadRequest, UpstreamError
from models.events import collect, replay
from models.json_types import JsonObject
from models.ports import Clock, Sink, UpstreamResponse
from models.usage import NO_USAGE, Usage
from services.plan import Plan, decoded, filtered, open_relay, reply_context, translated_relay
from services.relay import Relay
from services.reply import Accepted, Reply, judged
from services.streaming import Streaming, Streams

_HOLD_BYTES: Final = 65_536
_HOLD_S: Final = 10.0


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


class Answers:
    """Makes the client's answers, and knows which streams run."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._streams = Streams(
            clock, ping_after_s=limits.ping_after_s, idle_timeout_s=limits.idle_timeout_s
        )
        self.streams: Collection[UpstreamResponse] = self._streams.running
        """Those that run."""

    def cut(self) -> None:
        """Break every running stream off; its client is told so, and nobody else is blamed."""
        self._streams.cut()

    # Where they raise GatewayError, the caller closes the response.

    # --- whole answers ---

    async def whole(self, given: Accepted) -> Reply:
        """Return a whole answer."""
        plan, response = given.plan, given.response
        body = await response.read(self._limits.max_response_bytes)
        response.close()
        if not body.startswith(b"{") and _is_event_stream(response):
            return self._collected(given, body)
        payload = _checked(plan, response, body)
        if plan.request is None:
            given.usage = _used(plan, plan.offer.dialect.read_usage(payload))
            return Reply(body)
        answer = filtered(plan, decoded(plan, payload))
        given.usage = _used(plan, answer.usage)
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
            raise judged(plan, error) from error
        given.usage = answer.usage
        return Reply(dumps(plan.client.encode_response(answer, reply_context(request, chat))))

    # --- streams ---

    async def stream(self, given: Accepted) -> Reply:
        """Return a streamed answer once its first content is there."""
        response = given.response
        if not _is_event_stream(response):
            return await self._replayed(given)
        relay = open_relay(given.plan, given.request)
        held = await self._prime(response, relay)
        if relay.error is not None and not relay.started:
            raise judged(given.plan, relay.error)
        streaming = Streaming(self._streams, given, relay, held)
        return Reply(stream=streaming.pour, finish=streaming.settle)

    async def _replayed(self, given: Accepted) -> Reply:
        """The provider answered a stream request with a whole body: tell it as a stream."""
        plan, request, response = given.plan, given.request, given.response
        body = await response.read(self._limits.max_response_bytes)
        response.close()
        answer = decoded(plan, _checked(plan, response, body))
        chat = plan.request or plan.client.decode_request(request.payload)
        relay = translated_relay(plan, request, chat)
        told = relay.write(list(replay(answer)))
        given.usage = relay.usage

        async def stream(sink: Sink) -> None:
            if not sink.write(told):
                await sink.drain()

        return Reply(stream=stream)

    async def _prime(self, response: UpstreamResponse, relay: Relay) -> list[bytes]:
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
        return held


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
    upstream = plan.offer.dialect
    is_answer = not upstream.answer_fields.isdisjoint(payload)
    if not is_answer or upstream.read_error(payload) is not None:
        provider = plan.route.provider
        raise provider.diagnose(upstream, response.status, response.headers, body)
    return payload


def _used(plan: Plan, usage: Usage) -> Usage:
    """Return what an answer has cost; a count tells tokens, and nothing was used up."""
    return NO_USAGE if plan.client.operation is Operation.COUNT else usage


def _is_event_stream(response: UpstreamResponse) -> bool:
    return "text/event-stream" in response.headers.get("content-type", "").lower()
