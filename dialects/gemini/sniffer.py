"""Looks into a raw Gemini stream for what is billed, and for how it ends."""

from typing import Final

from dialects.gemini.decoder import read_chunk
from dialects.gemini.errors import upstream_error
from dialects.gemini.usage import read_usage
from dialects.sniff import Span, marked_frames, read_span
from models.errors import UpstreamError
from models.json_types import JsonObject
from models.usage import NO_USAGE, Usage

# Inside JSON strings quotes are escaped, so text of an answer cannot look like these keys.
_RARE: Final = (b'"finishReason"', b'"blockReason"', b'"error"')
_USAGE: Final = b'"usageMetadata"'
_CONTENT: Final = b'"parts"'
_WHOLE: Final = (b'"promptTokenCount"', b'"candidatesTokenCount"')
_NUMBERS: Final = b"0123456789"


class StreamSniffer:
    """Reads the frames that hold the end or an error, and the last with usage."""

    def __init__(self) -> None:
        self._usage = NO_USAGE
        self._shape = b""
        """How frames ended whose last one told all of its usage, without the numbers."""
        self._unread = b""
        """The last frames of that shape: their usage replaces all that was told before."""
        self.ended = False
        """Never: this format's end marker is the end of the stream."""
        self.finished = False
        self.started = False
        self.error: UpstreamError | None = None

    def feed(self, frames: bytes) -> bytes:
        """Take whole frames and return them, the very same object."""
        if not self.started and _CONTENT in frames:
            self.started = True
        for span in marked_frames(frames, _RARE):
            self._look(frames, span)
        if (at := frames.rfind(_USAGE)) >= 0:
            self._count(frames, frames[at:].translate(None, _NUMBERS))
        return frames

    @property
    def usage(self) -> Usage:
        if self._unread:
            self._usage = self._usage.updated(_last_usage(self._unread))
            self._unread = b""
        return self._usage

    def _count(self, frames: bytes, shape: bytes) -> None:
        """Take in frames that tell usage; nearly each does, so most are read when asked for."""
        if shape == self._shape:
            self._unread = frames
            return
        self._usage = self.usage.updated(_last_usage(frames))
        self._shape = shape if all(name in shape for name in _WHOLE) else b""

    def _look(self, frames: bytes, span: Span) -> None:
        event = read_span(frames, span)
        payload = read_chunk(event[1]) if event else None
        if event is None or payload is None:
            return
        if "error" in payload and self.error is None:
            self.error = upstream_error(payload, event[1])
        self.finished = self.finished or _tells_end(payload)


def _last_usage(frames: bytes) -> Usage:
    """Return the last usage told: it is cumulative, and stands in nearly every frame."""
    usage, end = NO_USAGE, len(frames)
    # Mostly one look: an earlier frame counts only for what a later one leaves out.
    while usage.input_tokens is None or usage.output_tokens is None:
        at = frames.rfind(_USAGE, 0, end)
        if at < 0:
            break
        span = marked_frames(frames, (_USAGE,), at)[0]
        event = read_span(frames, span)
        usage = read_usage((read_chunk(event[1]) if event else None) or {}).updated(usage)
        end = min(span[0], at)
    return usage


def _tells_end(payload: JsonObject) -> bool:
    feedback, candidates = payload.get("promptFeedback"), payload.get("candidates")
    if isinstance(feedback, dict) and feedback.get("blockReason") and not candidates:
        return True
    return any(
        isinstance(one, dict) and bool(one.get("finishReason"))
        for one in (candidates if isinstance(candidates, list) else ())
    )
