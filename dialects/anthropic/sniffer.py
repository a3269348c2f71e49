"""Looks into a raw Messages stream for what is billed, and for how it ends."""

from typing import Final

from dialects.anthropic.errors import upstream_error
from dialects.anthropic.usage import read_usage
from dialects.sniff import marked_payloads
from models.errors import UpstreamError
from models.json_types import JsonObject
from models.usage import NO_USAGE, Usage

_MARKERS: Final = (b"message_start", b"message_delta", b"message_stop", b'"error"')
_CONTENT: Final = b"content_block_"


class StreamSniffer:
    """Reads the frames that hold usage, the end or an error; forwards everything."""

    def __init__(self) -> None:
        self.usage: Usage = NO_USAGE
        self.ended = False
        self.finished = False
        self.started = False
        self.error: UpstreamError | None = None

    def feed(self, frames: bytes) -> bytes:
        """Take whole frames and return them, the very same object."""
        if not self.started and _CONTENT in frames:
            self.started = True
        for payload, data in marked_payloads(frames, _MARKERS):
            self._look(payload, data)
        return frames

    def _look(self, payload: JsonObject, data: bytes) -> None:
        match payload.get("type"):
            case "message_start":
                message = payload.get("message")
                if isinstance(message, dict):
                    self.usage = self.usage.updated(read_usage(message.get("usage")))
            case "message_delta":
                self.usage = self.usage.updated(read_usage(payload.get("usage")))
                delta = payload.get("delta")
                if isinstance(delta, dict) and delta.get("stop_reason"):
                    self.finished = True
            case "message_stop":
                self.ended = True
            case "error":
                self.error = upstream_error(payload, data)
            case _:
                pass
