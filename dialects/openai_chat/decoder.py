"""A provider's Chat stream, read into events."""

from collections.abc import Sequence

from dialects.fields import parse_lenient
from dialects.openai_chat.assembly import Assembly
from dialects.sse import Parser, ServerEvent
from models.errors import StreamBroken
from models.events import Event, Failed


class ChatDecoder:
    """Reads a stream, however its bytes are cut."""

    def __init__(self, vendor: str = "") -> None:
        self._parser = Parser()
        self._assembly = Assembly(vendor)

    def feed(self, data: bytes) -> Sequence[Event]:
        """Return the events that `data` completes. Never raises."""
        events: list[Event] = []
        for event in self._parser.feed(data):
            events += self._event(event)
        if self._parser.overflowed and not self._assembly.is_done:
            self._assembly.is_done = True
            events.append(Failed(StreamBroken("an event of the provider's stream is too long")))
        return events

    def end(self) -> Sequence[Event]:
        """The stream ended."""
        events: list[Event] = []
        for event in self._parser.end():
            data = event[1].strip()
            # A last event without its blank line counts only when it is whole.
            if data.startswith(b"[DONE]") or parse_lenient(data) is not None:
                events.extend(self._event(event))
        return [*events, *self._assembly.broken_off()]

    def _event(self, event: ServerEvent) -> list[Event]:
        data = event[1].strip()
        if not data:
            return []
        if data.startswith(b"[DONE]"):
            return self._assembly.finish()
        payload = parse_lenient(data)
        if payload is None:
            return self._assembly.garbage(data)
        return self._assembly.chunk(payload, data)
