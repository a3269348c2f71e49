"""A provider's Responses stream, read into events."""

from collections.abc import Sequence

import orjson

from dialects.fields import parse_lenient
from dialects.openai_responses.assembly import Assembly
from dialects.sse import Parser, ServerEvent, read_frame
from models.errors import StreamBroken, UpstreamError
from models.events import Event
from models.json_types import Json


class ResponsesDecoder:
    """Reads a stream, however its bytes are cut."""

    def __init__(self) -> None:
        self._parser = Parser()
        self._assembly = Assembly()

    def feed(self, data: bytes) -> Sequence[Event]:
        """Return the events that `data` completes. Never raises."""
        frames = self._parser.frames(data)
        at = 0
        while at < len(frames):
            if told := self._assembly.more(frames, at):
                at += told
                continue
            if (event := read_frame(frames[at])) is not None:
                self._event(event, frames[at])
            at += 1
        if self._parser.overflowed:
            self._assembly.fail(StreamBroken("an event of the provider's stream is too long"))
        return self._assembly.flush()

    def end(self) -> Sequence[Event]:
        """The stream ended; only its last event says that the answer did too."""
        for event in self._parser.end():
            # A last event without its blank line counts only when it is whole.
            if parse_lenient(event[1]) is not None:
                self._event(event)
        self._assembly.fail(
            StreamBroken("the provider's stream ended before its answer was complete")
        )
        return self._assembly.flush()

    def _event(self, event: ServerEvent, frame: bytes = b"") -> None:
        name, data = event
        payload: Json
        try:
            payload = orjson.loads(data)
        except orjson.JSONDecodeError:
            payload = parse_lenient(data)
            self._assembly.mend()
        if isinstance(payload, dict):
            kind = payload.get("type")
            known = kind if isinstance(kind, str) else name.decode("latin-1")
            self._assembly.take(known, payload, data, frame)
        elif data.strip() and not data.startswith(b"[DONE]"):
            self._assembly.fail(
                UpstreamError(
                    "the provider's stream holds something unreadable", upstream_body=data[:4096]
                )
            )
