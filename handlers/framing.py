"""How the events of a stream are put on the wire."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from dialects.base import Dialect
from dialects.sse import Parser, ServerEvent
from handlers.callers import GEMINI, family

_SSE: Final = "text/event-stream; charset=utf-8"
_JSON: Final = "application/json; charset=utf-8"


class Framing(Protocol):
    """Turns whole server-sent events into what the client reads."""

    content_type: str

    def feed(self, frames: bytes) -> bytes:
        """Return what to send for these events, possibly nothing."""
        ...

    def end(self) -> bytes:
        """Return what closes the stream, whether it was whole or broke."""
        ...


class ServerEvents:
    """The events as they are."""

    content_type = _SSE

    def feed(self, frames: bytes) -> bytes:
        return frames

    def end(self) -> bytes:
        return b""


class JsonArray:
    """One JSON array that grows, an element for each event."""

    content_type = _JSON

    def __init__(self) -> None:
        self._events = Parser()
        self._opening = b"["

    def feed(self, frames: bytes) -> bytes:
        return self._told(self._events.feed(frames))

    def end(self) -> bytes:
        rest = self._told(self._events.end())
        return rest + (b"[]" if self._opening == b"[" else b"]")

    def _told(self, events: Sequence[ServerEvent]) -> bytes:
        told = []
        for _, data in events:
            told += [self._opening, data]
            self._opening = b",\r\n"
        return b"".join(told)


def framing_of(dialect: Dialect, query: Mapping[str, str]) -> Framing:
    """Return what the client asked for: Google's clients get an array without `alt=sse`."""
    is_array = family(dialect.name) == GEMINI and query.get("alt", "").lower() != "sse"
    return JsonArray() if is_array else ServerEvents()
