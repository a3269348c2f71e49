"""Takes Code Assist's wrapper off answers: `{"response": {...}, "traceId": "..."}`.

What is inside is handed on byte for byte. An error, and an answer without the wrapper, which
occurs, are handed on as they are.
"""

from dialects.fields import parse_lenient
from dialects.raw_json import value_of
from dialects.sse import Parser, ServerEvent

_KEY = "response"


def unwrapped(body: bytes) -> bytes:
    """Return the answer inside; the very same object where there is no wrapper. Never raises."""
    payload = parse_lenient(body)
    if payload is None or not isinstance(payload.get(_KEY), dict):
        return body
    return value_of(body, _KEY)


class StreamUnwrapper:
    """Takes the wrapper off each event of a stream, however it is cut."""

    def __init__(self) -> None:
        self._events = Parser()

    @property
    def overflowed(self) -> bool:
        """Whether an event came that is too long to be held; nothing comes out any more."""
        return self._events.overflowed

    def feed(self, data: bytes) -> bytes:
        """Return the events that `data` completes, as frames. Never raises."""
        return b"".join([_frame(event) for event in self._events.feed(data)])

    def end(self) -> bytes:
        """Return the event that lacks its blank line, unless it was cut off in the middle."""
        return b"".join([_frame(event) for event in self._events.end() if parse_lenient(event[1])])


def _frame(event: ServerEvent) -> bytes:
    name, data = event
    lines = [b"data: " + line for line in unwrapped(data).split(b"\n")]
    if name:
        lines.insert(0, b"event: " + name)
    return b"\n".join(lines) + b"\n\n"
