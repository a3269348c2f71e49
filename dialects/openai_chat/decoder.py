"""A provider's Chat stream, read into events."""

from collections.abc import Sequence

from dialects.fields import parse_lenient
from dialects.openai_chat.assembly import Assembly
from dialects.sse import Parser, read_frame
from models.events import Event, told


class ChatDecoder:
    """Reads a stream, however its bytes are cut."""

    def __init__(self, vendor: str = "") -> None:
        self._parser = Parser()
        self._assembly = Assembly(vendor)

    def feed(self, data: bytes) -> Sequence[Event]:
        """Return the events that `data` completes. Never raises."""
        events: list[Event] = []
        frames = self._parser.frames(data)
        at = 0
        while at < len(frames):
            if texts := self._assembly.more(frames, at):
                events.append(told(texts))
                at += len(texts)
                continue
            if (event := read_frame(frames[at])) is not None:
                events += self._data(event[1].strip(), frames[at])
            at += 1
        if self._parser.overflowed:
            events += self._assembly.overflowed()
        return events

    def end(self) -> Sequence[Event]:
        """The stream ended."""
        events: list[Event] = []
        for _, found in self._parser.end():
            data = found.strip()
            # A last event without its blank line counts only when it is whole.
            if data.startswith(b"[DONE]") or parse_lenient(data) is not None:
                events += self._data(data)
        return [*events, *self._assembly.broken_off()]

    def _data(self, data: bytes, frame: bytes = b"") -> list[Event]:
        if not data:
            return []
        if data.startswith(b"[DONE]"):
            return self._assembly.finish()
        payload = parse_lenient(data)
        if payload is None:
            return self._assembly.garbage(data)
        return self._assembly.chunk(payload, data, frame)
