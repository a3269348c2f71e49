"""A provider's Gemini stream, read into events."""

from collections.abc import Sequence
from typing import Final

import orjson

from dialects.fields import parse_lenient
from dialects.gemini.assembly import Assembly
from dialects.sse import Parser, read_frame
from models.errors import BadRequest, StreamBroken, UpstreamError
from models.events import Event, told
from models.json_types import Json, JsonObject

_KEPT_BYTES: Final = 4096


class StreamDecoder:
    """Reads a stream, however its bytes are cut."""

    def __init__(self, origin: str = "") -> None:
        """`origin`: the vendor of its signatures (`Profile.vendor`)."""
        self._parser = Parser()
        self._assembly = Assembly(origin)

    def feed(self, data: bytes) -> Sequence[Event]:
        """Return the events that `data` completes. Never raises."""
        events: list[Event] = []
        frames = self._parser.frames(data)
        at = 0
        while at < len(frames):
            if texts := self._assembly.more(frames, at):
                events.append(told(texts))
                at += len(texts)
            else:
                events += self._frame(frames[at])
                at += 1
        if self._parser.overflowed:
            error = StreamBroken("an event of the provider's stream is too long")
            events += self._assembly.failed(error)
        return events

    def end(self) -> Sequence[Event]:
        """The stream ended: that is its only end marker."""
        events: list[Event] = []
        for _, found in self._parser.end():
            # A last event without its blank line counts only when it is whole.
            if read_chunk(found) is not None:
                events += self._take(found)
        return [*events, *self._assembly.complete()]

    def _frame(self, frame: bytes) -> list[Event]:
        event = read_frame(frame)
        return [] if event is None else self._take(event[1], frame)

    def _take(self, data: bytes, frame: bytes = b"") -> list[Event]:
        data = data.strip()
        if not data or data == b"[DONE]":
            return []
        payload = read_chunk(data)
        if payload is None:
            why = "the provider's stream holds something unreadable"
            return self._assembly.failed(UpstreamError(why, upstream_body=data[:_KEPT_BYTES]))
        try:
            return self._assembly.chunk(payload, data, frame)
        except BadRequest:  # of the writer of JSON, which knows no better
            error = StreamBroken("the provider's stream holds JSON that is nested too deeply")
            return self._assembly.failed(error)


def read_chunk(data: bytes) -> JsonObject | None:
    """Return the object of a frame, be it alone in a list, as errors sometimes are."""
    payload: Json
    try:
        payload = orjson.loads(data)
    except orjson.JSONDecodeError:
        return parse_lenient(data)
    if isinstance(payload, list) and len(payload) == 1:
        payload = payload[0]
    return payload if isinstance(payload, dict) else None
