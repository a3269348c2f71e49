"""Looking on while a Responses stream passes untouched."""

import re
from typing import Final

from dialects.openai_responses.errors import stream_failure
from dialects.openai_responses.usage import read_usage
from dialects.sniff import marked_payloads
from models.errors import UpstreamError
from models.json_types import JsonObject
from models.usage import NO_USAGE

# Inside JSON strings quotes are escaped, so text of an answer cannot look like these.
_MARKERS: Final = (
    b'"response.completed"',
    b'"response.incomplete"',
    b'"response.failed"',
    b'"type":"error"',
    b'"type": "error"',
    b'"error":{',
    b'"error": {',
)
_CONTENT: Final = re.compile(
    rb'"type": ?"response\.(?:output_|reasoning_|refusal|function_call|custom_tool_call)'
)
# No set: what a provider sends as a type may not even be hashable.
_ENDS: Final = ("response.completed", "response.incomplete")


class ResponsesSniffer:
    """Reads usage, end, errors and the beginning of content out of whole frames."""

    def __init__(self) -> None:
        self.usage = NO_USAGE
        self.ended = False
        self.finished = False
        self.started = False
        self.error: UpstreamError | None = None

    def feed(self, frames: bytes) -> bytes:
        """Take whole frames in and return them, the very same object. Never raises."""
        if not self.started and _CONTENT.search(frames):
            self.started = True
        for payload, data in marked_payloads(frames, _MARKERS):
            self._look(payload, data)
        return frames

    def _look(self, payload: JsonObject, data: bytes) -> None:
        kind, response = payload.get("type"), payload.get("response")
        if isinstance(response, dict):
            self.usage = self.usage.updated(read_usage(response))
        if kind in ("error", "response.failed") or isinstance(payload.get("error"), dict):
            self.error = self.error or stream_failure(payload, data)
        elif kind in _ENDS:
            self.ended = self.finished = True
