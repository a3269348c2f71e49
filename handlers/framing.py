"""How the events of a stream are put on the wire."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from dialects.base import Dialect
from dialects.gemini.array import ArrayWriter
from handlers.callers import GEMINI, family
from models.ports import Sink

_SSE: Final = "text/event-stream; charset=utf-8"
_JSON: Final = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Framing:
    """Between whole server-sent events and what the client reads."""

    content_type: str
    sink: Sink
    """Takes the events."""
    close: Callable[[], object]
    """Writes what closes the stream, whether it was whole or broke."""


class JsonArray:
    """One JSON array that grows, an element for each event."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._array = ArrayWriter()

    def write(self, data: bytes) -> bool:
        return self._sink.write(self._array.feed(data))

    async def drain(self) -> None:
        await self._sink.drain()

    def close(self) -> None:
        """End the array."""
        self._sink.write(self._array.end())


def framed(sink: Sink, dialect: Dialect, query: Mapping[str, str]) -> Framing:
    """Return what the client asked for: Google's clients get an array without `alt=sse`."""
    if family(dialect.name) == GEMINI and query.get("alt", "").lower() != "sse":
        array = JsonArray(sink)
        return Framing(_JSON, array, array.close)
    return Framing(_SSE, sink, _nothing)


def _nothing() -> None:
    """Events end by themselves."""
