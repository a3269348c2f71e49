"""Events, written as a Messages stream."""

from collections.abc import Sequence
from typing import Final

from dialects.anthropic.errors import encode_stream_error
from dialects.anthropic.finish import write_finish
from dialects.anthropic.read_content import DIALECT
from dialects.anthropic.response import (
    carrier,
    message_id,
    shows_thinking,
    written_signature,
)
from dialects.anthropic.usage import write_usage
from dialects.anthropic.write_content import wire_call_id
from dialects.base import ReplyContext
from dialects.citations import of_anthropic
from dialects.fields import dumps
from dialects.media_text import media_text
from dialects.sse import frame
from dialects.template import filled
from models.content import Media, Opaque, Reasoning, Refusal, Text, ToolCall
from models.events import Delta, Deltas, Event, Failed, Finish, PartEnd, PartStart, Progress, Start
from models.json_types import Json, JsonObject
from models.usage import NO_USAGE

_DELTA: Final = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
)
_DELTA_END: Final = b"}}\n\n"
_STOP: Final = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_MESSAGE_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class StreamEncoder:
    """Writes a Messages stream: blocks one after the other, opened when they have content."""

    def __init__(self, context: ReplyContext) -> None:
        self._context = context
        self._shows_thinking = shows_thinking(context.request)
        self._usage = NO_USAGE
        self._index = -1
        self._is_open = False
        self._head = b""  # of a delta of the open block
        self._part: Text | Reasoning | Refusal | None = None  # opened by its first content
        self._held = ""  # thinking that is shown only when a signature follows
        self._refusal = ""
        self._has_calls = False
        self._done = False

    def encode(self, event: Event) -> bytes:
        """Return the frames of one event, possibly none."""
        if self._done:
            return b""
        match event:
            case Delta():
                return self._delta(event)
            case Deltas():
                return self._deltas(event.texts)
            case PartStart():
                return self._part_start(event)
            case PartEnd():
                self._held, self._part = "", None
                return self._close()
            case Progress():
                self._usage = self._usage.updated(event.usage)
                return b""
            case Start():
                return self._start(event)
            case Finish():
                return self._finish(event)
            case Failed():
                self._done = True
                return encode_stream_error(event.error, self._context.reply_id)

    def _start(self, event: Start) -> bytes:
        self._usage = self._usage.updated(event.usage)
        message: JsonObject = {
            "id": message_id(event.id, self._context),
            "type": "message",
            "role": "assistant",
            "model": event.model or self._context.request.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(self._usage),
        }
        return _frame("message_start", {"message": message})

    def _finish(self, event: Finish) -> bytes:
        self._done = True
        usage = self._usage.updated(event.usage)
        delta = write_finish(
            event.reason, event.stop_sequence, self._refusal or None, has_calls=self._has_calls
        )
        ended = _frame("message_delta", {"delta": delta, "usage": write_usage(usage)})
        return self._close() + ended + _MESSAGE_STOP

    # --- parts --------------------------------------------------------------------------------

    def _part_start(self, event: PartStart) -> bytes:
        match event.part:
            case Reasoning(redacted=str(data)):
                return self._open({"type": "redacted_thinking", "data": data})
            case Text() | Reasoning() | Refusal() as part:
                self._part = part
                given = Delta(part.text, part.signature if isinstance(part, Reasoning) else None)
                return self._delta(given) if given.text or given.signature else b""
            case ToolCall() as call:
                return self._call(call)
            case Media() as media:
                self._part = Text("")
                return self._delta(Delta(media_text(media)))
            case Opaque(dialect=name, payload=payload) if name == DIALECT:
                return self._open(payload)
            case _:
                return b""

    def _call(self, call: ToolCall) -> bytes:
        self._has_calls = True
        carried = self._carrier(call)
        block: JsonObject = {
            "type": "tool_use",
            "id": wire_call_id(call.id),
            "name": call.name,
            "input": {},
        }
        opened = carried + self._open(block, b"input_json_delta", b"partial_json")
        return opened + self._delta(Delta(call.arguments)) if call.arguments else opened

    def _carrier(self, call: ToolCall) -> bytes:
        block = carrier(call)
        if block is None:
            return b""
        opened = self._open({**block, "signature": ""})
        return opened + self._signature(block["signature"])

    def _delta(self, delta: Delta) -> bytes:
        if not self._is_open:
            return self._first_delta(delta)
        written = b""
        if delta.text:
            written = self._head + dumps(delta.text) + _DELTA_END
        if isinstance(self._part, Refusal):
            self._refusal += delta.text
        if delta.signature is not None or delta.citation is not None:
            written += self._extra(delta)
        return written

    def _deltas(self, texts: Sequence[str]) -> bytes:
        if not self._is_open or isinstance(self._part, Refusal):
            return b"".join([self._delta(Delta(text)) for text in texts])
        return filled(self._head, texts, _DELTA_END)

    def _first_delta(self, delta: Delta) -> bytes:
        match self._part:
            case Reasoning():
                self._held += delta.text
                is_hidden = not (self._shows_thinking and self._held) and not delta.signature
                if is_hidden:
                    return b""
                held, self._held = self._held, ""
                block: JsonObject = {"type": "thinking", "thinking": "", "signature": ""}
                opened = self._open(block, b"thinking_delta", b"thinking")
                return opened + self._delta(Delta(held, delta.signature))
            case Text() | Refusal() as part if delta.text or delta.citation:
                opened = self._open({"type": "text", "text": ""}, b"text_delta", b"text")
                if isinstance(part, Text):
                    for citation in of_anthropic(part.citations):
                        opened += self._extra(Delta(citation=citation))
                return opened + self._delta(delta)
            case _:
                return b""

    def _extra(self, delta: Delta) -> bytes:
        if delta.signature is not None and isinstance(self._part, Reasoning):
            signed = Reasoning("", delta.signature, self._part.origin)
            return self._signature(written_signature(signed))
        if delta.citation is not None and isinstance(self._part, Text):
            head = self._named(b"citations_delta", b"citation")
            own = of_anthropic([delta.citation])
            return b"".join([head + dumps(citation) + _DELTA_END for citation in own])
        return b""

    def _signature(self, signature: Json) -> bytes:
        return self._named(b"signature_delta", b"signature") + dumps(signature) + _DELTA_END

    def _named(self, kind: bytes, key: bytes) -> bytes:
        return _DELTA % (self._index, kind, key)

    def _open(self, block: JsonObject, kind: bytes = b"", key: bytes = b"") -> bytes:
        closed = self._close()
        self._index += 1
        self._is_open = True
        self._head = self._named(kind, key)
        started: JsonObject = {"index": self._index, "content_block": block}
        return closed + _frame("content_block_start", started)

    def _close(self) -> bytes:
        if not self._is_open:
            return b""
        self._is_open = False
        return _STOP % self._index


def _frame(kind: str, payload: JsonObject) -> bytes:
    return frame(dumps({"type": kind, **payload}), kind.encode())
