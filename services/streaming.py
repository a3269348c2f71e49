"""Streams under way: what a provider's connection hands over is sent to the client at once.

No task wakes for it: the read itself feeds the relay and writes. The task of the call sleeps until
the stream ends, falls silent, or its client takes no more for the moment.
"""

import logging
from collections.abc import Sequence
from typing import Final

from models.errors import GatewayError, TimedOut, UpstreamError, let_go
from models.ports import Clock, Flow, Sink, UpstreamResponse
from services.relay import Relay
from services.reply import Accepted, judged, stopping
from services.veil import hidden_frames

logger = logging.getLogger(__name__)

_DRAIN_S: Final = 0.05


class Streams:
    """The streams that run, and what bounds them."""

    def __init__(self, clock: Clock, *, ping_after_s: float, idle_timeout_s: float) -> None:
        self.clock = clock
        self.ping_after_s = ping_after_s
        self.idle_timeout_s = idle_timeout_s
        self.running: set[UpstreamResponse] = set()
        self.broken_off: GatewayError | None = None
        """What the clients of streams are told that a stop breaks off."""

    def cut(self) -> None:
        """Break every running stream off; its client is told so, and nobody else is blamed."""
        self.broken_off = stopping()
        for response in list(self.running):
            response.close()


class Streaming:
    """One stream, from its first content on."""

    __slots__ = ("_given", "_held", "_is_full", "_relay", "_sink", "_streams", "_told_at")

    _sink: Sink

    def __init__(
        self, streams: Streams, given: Accepted, relay: Relay, held: Sequence[bytes]
    ) -> None:
        """`held`: what the client gets of what has come already."""
        self._streams = streams
        self._given = given
        self._relay = relay
        self._held = held
        self._is_full = False
        self._told_at = 0.0
        streams.running.add(given.response)

    async def pour(self, sink: Sink) -> None:
        """Give the client what comes until the answer ends, one way or the other."""
        self._sink, relay = sink, self._relay
        try:
            held, self._held = self._held, ()  # a stream may run for long
            self._send(b"".join(held))
            del held
            await self._until_ended()
            if relay.error is None:
                await self._read_on()
        except UpstreamError as error:
            if not relay.ended:
                self._send(relay.fail(self._streams.broken_off or error))
        except ConnectionError:
            raise  # the client has left
        except Exception:
            logger.exception("a stream failed", extra={"request_id": self._given.request.id})
            if not relay.ended:
                hidden = GatewayError("the gateway failed; the log has the cause")
                self._send(relay.fail(hidden))
        await self._drain()

    def settle(self) -> None:
        """Give back what the stream holds, and tell how it ended."""
        given, relay = self._given, self._relay
        self._streams.running.discard(given.response)
        given.response.close()
        given.usage = relay.usage
        if relay.error is not None:
            let_go(relay.error)  # the relay keeps it
            error = judged(given.plan, relay.error)
            given.error_code = error.code
            if isinstance(error, UpstreamError):
                given.ended(error)
        elif relay.ended:
            given.ended(None)

    # --- until the end --------------------------------------------------------------------------

    async def _until_ended(self) -> None:
        streams, relay, response = self._streams, self._relay, self._given.response
        silent_s = 0.0
        while not relay.ended:
            await self._drain()
            wait_s = min(streams.ping_after_s, streams.idle_timeout_s - silent_s)
            # What ends a silence is taken alone: the next one may be as long as any.
            flow = await response.flow(self._take_one if silent_s else self._take, wait_s)
            if flow is Flow.ENDED:
                self._send(relay.finish())
            if flow is not Flow.SILENT:
                silent_s = 0.0
                continue
            silent_s += wait_s
            if silent_s >= streams.idle_timeout_s:
                self._send(relay.fail(TimedOut("the provider fell silent")))
            else:
                self._ping()

    async def _read_on(self) -> None:
        """Read to the end, for a moment: the connection can be used again then."""
        clock = self._streams.clock
        flow, until = Flow.STOPPED, clock.monotonic() + _DRAIN_S
        while flow is Flow.STOPPED and (left_s := until - clock.monotonic()) > 0:
            await self._drain()
            flow = await self._given.response.flow(self._take_rest, left_s)

    # --- what comes, and what goes --------------------------------------------------------------

    def _take(self, data: bytes) -> bool:
        """Take what arrived; False when that is enough for now."""
        relay = self._relay
        out = relay.feed(data)
        if out:
            self._send(out)
        elif not relay.ended and self._is_quiet():
            self._ping()  # the provider is busy with what this client does not see
        return not (relay.ended or self._is_full)

    def _take_one(self, data: bytes) -> bool:
        """Take what arrived, and no more for now."""
        self._take(data)
        return False

    def _take_rest(self, data: bytes) -> bool:
        """Take what follows the end of the answer: raw bytes stay as they are."""
        if self._given.plan.request is None:
            self._send(data)
        return False  # there is less time for the next

    def _is_quiet(self) -> bool:
        """Whether the client has been told nothing for long."""
        streams = self._streams
        return streams.clock.monotonic() - self._told_at >= streams.ping_after_s

    def _ping(self) -> None:
        """Tell the client that we are still there."""
        self._send(self._given.plan.client.ping)

    def _send(self, out: bytes) -> None:
        """Send; an error in it does not repeat what signed the call."""
        if self._relay.error is not None:
            out = hidden_frames(out, self._given.secret)
        self._told_at = self._streams.clock.monotonic()
        if not self._sink.write(out):
            self._is_full = True

    async def _drain(self) -> None:
        """Wait until the client has room."""
        if self._is_full:
            self._is_full = False
            await self._sink.drain()
