"""Looking on while a Chat stream passes untouched."""

from typing import Final

from dialects.fields import parse_lenient
from dialects.openai_chat.errors import network_error, stream_failure
from dialects.openai_chat.finish import NETWORK_ERROR
from dialects.openai_chat.usage import read_usage
from dialects.sniff import Span, marked_frames, next_frame, read_span, without
from models.errors import UpstreamError
from models.json_types import JsonObject
from models.usage import NO_USAGE

# Inside JSON strings quotes are escaped, so text of an answer cannot look like these keys.
# `"usage"` itself stands on every chunk, as null.
_MARKERS: Final = (
    b'"prompt_tokens"',
    b'"error"',
    b"[DONE]",
    b'"finish_reason":"',
    b'"finish_reason": "',
)
_CONTENT_KEYS: Final = (
    "content",
    "function_call",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "refusal",
    "tool_calls",
)


class ChatSniffer:
    """Reads usage, end, errors and the beginning of content out of whole frames."""

    def __init__(self, *, hide_usage: bool) -> None:
        self.usage = NO_USAGE
        self.ended = False
        self.finished = False
        self.started = False
        self.error: UpstreamError | None = None
        self._hide_usage = hide_usage

    def feed(self, frames: bytes) -> bytes:
        """Take whole frames in and return those to forward. Never raises."""
        # Until content is seen every frame is read, afterwards only those with a marker.
        at = 0
        hidden: list[Span] = []
        while not self.started and at < len(frames):
            span = next_frame(frames, at)
            if self._look(frames, span):
                hidden.append(span)
            at = span[1]
        if marked := marked_frames(frames, _MARKERS, at):
            hidden += [span for span in marked if self._look(frames, span)]
        return without(frames, hidden) if hidden else frames

    def _look(self, frames: bytes, span: Span) -> bool:
        """Read one frame; return whether it is the one to hide."""
        event = read_span(frames, span)
        if event is None:
            return False
        data = event[1].strip()
        if data.startswith(b"[DONE]"):
            self.ended = True
            return False
        payload = parse_lenient(data)
        if payload is None:
            return False
        return self._read(payload, data)

    def _read(self, payload: JsonObject, data: bytes) -> bool:
        if self.error is None:
            self.error = stream_failure(payload, data)
        usage = read_usage(payload)
        self.usage = self.usage.updated(usage)
        choices = payload.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._choice(choice)
        if self._hide_usage and choices == [] and usage.is_reported:
            self._hide_usage = False
            return True
        return False

    def _choice(self, choice: JsonObject) -> None:
        reason = choice.get("finish_reason")
        if reason == NETWORK_ERROR:
            self.error = network_error()
        elif reason:
            self.finished = True
        delta = choice.get("delta")
        has_content = isinstance(delta, dict) and any(delta.get(key) for key in _CONTENT_KEYS)
        # `text` is a legacy text completion's.
        if has_content or choice.get("text"):
            self.started = True
