"""How the events of a stream are put on the wire."""

from collections.abc import Mapping
from typing import Final, Protocol

from dialects.base import Dialect
from dialects.gemini.array import ArrayWriter
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


class JsonArray(ArrayWriter):
    """One JSON array that grows, an element for each event."""

    content_type = _JSON


def framing_of(dialect: Dialect, query: Mapping[str, str]) -> Framing:
    """Return what the client asked for: Google's clients get an array without `alt=sse`."""
    is_array = family(dialect.name) == GEMINI and query.get("alt", "").lower() != "sse"
    return JsonArray() if is_array else ServerEvents()
