"""Events of a Responses stream as bytes, numbered without a gap."""

from typing import Final

from dialects.fields import dumps
from models.json_types import JsonObject

_EVENT: Final = b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b\n\n'
_DELTA: Final = b'event: %b\ndata: {"type":"%b",%b,"sequence_number":%%d,"delta":%%b}\n\n'


class Wire:
    """Writes the events of one stream."""

    def __init__(self) -> None:
        self.number = 0
        """Of the next event."""

    def event(self, kind: str, fields: JsonObject) -> bytes:
        """Return one event with at least one field."""
        name = kind.encode()
        written = _EVENT % (name, name, self.number, dumps(fields)[1:])
        self.number += 1
        return written

    def delta(self, template: bytes, text: str) -> bytes:
        """Return one event of a `template`: streams consist of these."""
        written = template % (self.number, dumps(text))
        self.number += 1
        return written


class NoWire(Wire):
    """Writes nothing: for an answer that is given whole, as its events would have told it."""

    def event(self, kind: str, fields: JsonObject) -> bytes:
        return b""

    def delta(self, template: bytes, text: str) -> bytes:
        return b""


def delta_template(kind: str, fields: JsonObject) -> bytes:
    """Return all of a delta event but its number and its text."""
    name = kind.encode()
    return _DELTA % (name, name, dumps(fields)[1:-1].replace(b"%", b"%%"))
