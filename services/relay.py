"""Two ways to turn a provider's stream into the client's, both without IO.

`RawRelay` forwards bytes and looks on; `TranslatedRelay` decodes and encodes. Both are fed what
arrives and give what to send; both know when the answer began, ended or failed.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TypeAlias

from dialects.base import Decoder, Dialect, Encoder, Sniffer
from dialects.sse import boundary
from models.errors import GatewayError, StreamBroken
from models.events import Delta, Deltas, Event, Failed, Finish, PartEnd, PartStart, Progress, Start
from models.usage import NO_USAGE, Usage

_MAX_TAIL_BYTES: Final = 32 * 1024 * 1024

EventFilter: TypeAlias = Callable[[Iterable[Event]], Sequence[Event]]
"""Changes the events between decoder and encoder: restored tool names, emulated stops."""


class Relay(Protocol):
    """Turns what a provider sends into what a client gets."""

    ended: bool
    """The answer is complete, or its error was told; nothing more is to be read."""
    error: GatewayError | None
    """What ended the stream too soon: told by the provider inside it, or met on the way."""

    @property
    def started(self) -> bool:
        """Whether something was made that a user would miss: from here on no other account is
        tried."""
        ...

    @property
    def usage(self) -> Usage: ...

    def feed(self, data: bytes) -> bytes:
        """Take what arrived; return what to send, possibly nothing."""
        ...

    def finish(self) -> bytes:
        """The provider stopped sending: return the rest, or the error if it stopped too soon."""
        ...

    def fail(self, error: GatewayError) -> bytes:
        """Return the frame that tells the client that the stream broke."""
        ...


class RawRelay:
    """Forwards whole frames untouched, up to the last blank line, and holds the tail."""

    __slots__ = (
        "_dialect",
        "_request_id",
        "_sniffer",
        "_tail",
        "_tail_bytes",
        "ended",
        "error",
    )

    def __init__(self, dialect: Dialect, sniffer: Sniffer, request_id: str) -> None:
        self._dialect = dialect
        self._sniffer = sniffer
        self._request_id = request_id
        self._tail: list[bytes] = []  # an unfinished frame, joined only when it is complete
        self._tail_bytes = 0
        self.ended = False
        self.error: GatewayError | None = None

    @property
    def started(self) -> bool:
        return self._sniffer.started

    @property
    def usage(self) -> Usage:
        return self._sniffer.usage

    def feed(self, data: bytes) -> bytes:
        if not self._tail and data.endswith((b"\n\n", b"\r\n\r\n")):
            return self._sniffed(data)
        # Of what is held only the last byte can be a part of a blank line.
        seam = self._tail[-1][-1:] if self._tail else b""
        cut = boundary(seam + data) - len(seam)
        if cut <= 0:
            return self._hold(data)
        frames = self._taken() + data[:cut]
        return (self._hold(data[cut:]) if cut < len(data) else b"") or self._sniffed(frames)

    def finish(self) -> bytes:
        # A provider may leave out the last blank line: the tail counts if it is the end marker.
        rest = self._taken()
        held = self._sniffed(rest + b"\n\n") if rest else b""
        if self.ended or self._sniffer.finished:
            self.ended = True
            return rest if held else b""
        return self.fail(StreamBroken("the provider's stream ended before its end marker"))

    def _hold(self, data: bytes) -> bytes:
        """Keep the beginning of a frame; the answer fails when it grows too long."""
        self._tail.append(data)
        self._tail_bytes += len(data)
        if self._tail_bytes <= _MAX_TAIL_BYTES:
            return b""
        self._tail.clear()
        return self.fail(StreamBroken("the provider sent an event that is too large"))

    def _taken(self) -> bytes:
        tail = b"".join(self._tail)
        self._tail.clear()
        self._tail_bytes = 0
        return tail

    def fail(self, error: GatewayError) -> bytes:
        self.ended = True
        self.error = self.error or error
        return self._dialect.encode_stream_error(error, self._request_id)

    def _sniffed(self, frames: bytes) -> bytes:
        sniffer = self._sniffer
        forwarded = sniffer.feed(frames)
        if sniffer.ended or sniffer.error is not None:
            self.ended, self.error = True, sniffer.error
            if sniffer.ended:
                # What follows the end marker is passed on as it comes, and what is held came first.
                forwarded += self._taken()
        return forwarded


class TranslatedRelay:
    """Decodes the provider's stream, passes it through filters, encodes it for the client."""

    __slots__ = (
        "_decoder",
        "_encoder",
        "_filters",
        "_usage",
        "ended",
        "error",
        "started",
    )

    def __init__(
        self, decoder: Decoder, encoder: Encoder, filters: Sequence[EventFilter] = ()
    ) -> None:
        self._decoder = decoder
        self._encoder = encoder
        self._filters = filters
        self._usage = NO_USAGE
        self.started = False
        self.ended = False
        self.error: GatewayError | None = None

    @property
    def usage(self) -> Usage:
        return self._usage

    def feed(self, data: bytes) -> bytes:
        return self.write(self._decoder.feed(data))

    def finish(self) -> bytes:
        rest = self.write(self._decoder.end())
        if self.ended:
            return rest
        return rest + self.fail(StreamBroken("the provider's stream ended before its end marker"))

    def fail(self, error: GatewayError) -> bytes:
        self.ended = True
        self.error = self.error or error
        return self._encoder.encode(Failed(error))

    def write(self, events: Iterable[Event]) -> bytes:
        """Encode events that were decoded already."""
        for event_filter in self._filters:
            events = event_filter(events)
        encode = self._encoder.encode
        # Nearly all are deltas, which change nothing here: their part's start was told.
        told = [encode(event) if type(event) is Delta else self._told(event) for event in events]
        return b"".join(told)

    def _told(self, event: Event) -> bytes:
        if self.ended:
            return b""
        match event:
            case Delta() | Deltas() | PartStart() | PartEnd():
                self.started = True
            case Start() | Progress():
                self._usage = self._usage.updated(event.usage)
            case Finish():
                self._usage = self._usage.updated(event.usage)
                self.started = self.ended = True
            case Failed():
                return self.fail(event.error)
        return self._encoder.encode(event)
