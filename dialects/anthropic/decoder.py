"""Streams of the Messages format, read as events."""

from collections.abc import Sequence
from typing import Final

import orjson

from dialects.anthropic.errors import upstream_error
from dialects.anthropic.finish import read_finish
from dialects.anthropic.read_content import DIALECT, VENDOR, reasoning
from dialects.anthropic.usage import read_usage
from dialects.arguments import arguments_text
from dialects.fields import Mender, parse_lenient
from dialects.sse import MAX_EVENT_BYTES, Parser, ServerEvent, read_frame
from dialects.template import Template
from models.content import Opaque, Part, Reasoning, Text, ToolCall
from models.errors import BadRequest, StreamBroken, UpstreamError
from models.events import (
    Delta,
    Event,
    Failed,
    Finish,
    PartEnd,
    PartStart,
    Progress,
    Start,
    told,
)
from models.json_types import Json, JsonObject
from models.usage import NO_USAGE

_PING: Final = Progress()


class StreamDecoder:
    """Reads a Messages stream. Servers that only resemble Anthropic's are read as meant."""

    def __init__(self) -> None:
        self._parser = Parser()
        self._out: list[Event] = []
        self._started = False
        self._done = False
        self._open: Part | None = None
        self._opaque: JsonObject | None = None  # a block that is passed on when it is complete
        self._opaque_input = ""
        self._whole_input = ""  # arguments that came with the start of a tool call
        self._calls = 0
        self._usage = NO_USAGE
        self._stop_reason: Json = None
        self._stop_sequence: str | None = None
        self._template = Template()  # of the deltas of the open part
        self._mender: Mender | None = None  # made when half a surrogate pair was seen

    def feed(self, data: bytes) -> Sequence[Event]:
        """Return the events that `data` completes; garbage becomes Failed."""
        self._read(self._parser.frames(data))
        if self._parser.overflowed:
            limit = MAX_EVENT_BYTES // 2**20
            self._fail(StreamBroken(f"the provider sent an event of more than {limit} MiB"))
        return self._flush()

    def end(self) -> Sequence[Event]:
        """The stream ended: finish when a stop reason was told, else report the break."""
        for event in self._parser.end():
            self._take(event, is_last=True)
        if self._stop_reason is not None:
            self._finish()
        self._fail(StreamBroken("the provider's stream ended before its answer was complete"))
        return self._flush()

    def _flush(self) -> Sequence[Event]:
        out, self._out = self._out, []
        return out

    def _read(self, frames: Sequence[bytes]) -> None:
        at = 0
        while at < len(frames) and not self._done:
            if texts := self._template.texts(frames, at):
                self._more(texts)
                at += len(texts)
            else:
                if (event := read_frame(frames[at])) is not None:
                    self._take(event, frames[at])
                at += 1

    def _take(self, event: ServerEvent, frame: bytes = b"", *, is_last: bool = False) -> None:
        name, data = event
        payload: Json
        try:
            payload = orjson.loads(data)
        except orjson.JSONDecodeError:
            payload = parse_lenient(data)
            if payload is not None and self._mender is None:
                self._mender = Mender()
        if isinstance(payload, dict):
            kind = payload.get("type")
            self._known(kind if isinstance(kind, str) else name.decode("latin-1"), payload, data)
            if text := _lone_text(payload):
                self._template.learn(frame, text, _lone_text)
        elif data and not is_last and name != b"ping" and data != b"[DONE]":
            self._fail(StreamBroken("the provider's stream holds data that is not JSON"))

    def _known(self, kind: str, payload: JsonObject, data: bytes) -> None:
        try:
            self._dispatch(kind, payload, data)
        except BadRequest:  # of the writer of JSON, which knows no better
            self._fail(StreamBroken("the provider's stream holds JSON that is nested too deeply"))

    def _dispatch(self, kind: str, payload: JsonObject, data: bytes) -> None:
        match kind:
            case "content_block_delta":
                self._delta(_object(payload, "delta"))
            case "content_block_start":
                self._block_start(_object(payload, "content_block"))
            case "content_block_stop":
                self._close()
            case "ping":
                self._start({})
                self._out.append(_PING)
            case "message_start":
                self._start(_object(payload, "message"))
            case "message_delta":
                self._message_delta(payload)
            case "message_stop":
                self._finish()
            case "error":
                self._fail(upstream_error(payload, data))
            case _:
                if "error" in payload:
                    self._fail(upstream_error(payload, data))

    # --- the message --------------------------------------------------------------------------

    def _start(self, message: JsonObject) -> None:
        if self._started:
            return
        self._started = True
        self._usage = read_usage(message.get("usage"))
        self._out.append(Start(_text(message, "id"), _text(message, "model"), usage=self._usage))

    def _message_delta(self, payload: JsonObject) -> None:
        self._start({})
        usage = read_usage(payload.get("usage"))
        self._usage = self._usage.updated(usage)
        delta = _object(payload, "delta")
        if delta.get("stop_reason") is not None:
            self._stop_reason = delta["stop_reason"]
        sequence = delta.get("stop_sequence")
        if isinstance(sequence, str):
            self._stop_sequence = sequence
        self._out.append(Progress(usage))

    def _finish(self) -> None:
        if self._done:
            return
        self._start({})
        self._close()
        self._done = True
        reason = read_finish(self._stop_reason, has_calls=self._calls > 0)
        self._out.append(Finish(reason, self._stop_sequence, self._usage))

    def _fail(self, error: UpstreamError) -> None:
        if not self._done:
            self._done = True
            self._out.append(Failed(error))

    # --- blocks -------------------------------------------------------------------------------

    def _block_start(self, block: JsonObject) -> None:
        self._start({})
        self._close()
        match block.get("type"):
            case "text":
                self._begin(Text(""))
                self._text_delta(_text(block, "text"))
            case "thinking":
                signature = _text(block, "signature")
                self._begin(Reasoning("", origin=reasoning("", signature).origin or VENDOR))
                self._text_delta(_text(block, "thinking"))
                if signature:
                    self._signature(signature)
            case "redacted_thinking":
                self._begin(Reasoning("", origin=VENDOR, redacted=_text(block, "data")))
            case "tool_use":
                self._tool_start(block)
            case _:
                self._opaque = block

    def _tool_start(self, block: JsonObject) -> None:
        number = self._calls
        self._calls += 1
        call_id = _text(block, "id") or f"toolu_{number}"
        # Some servers put the whole input here; it counts when no fragment follows.
        whole = block.get("input")
        self._begin(ToolCall(call_id, _text(block, "name") or f"tool_{number}", ""))
        self._whole_input = arguments_text(whole) if whole else ""

    def _delta(self, delta: JsonObject) -> None:
        match delta.get("type"):
            case "text_delta":
                if not isinstance(self._open, Text):
                    self._block_start({"type": "text"})
                self._text_delta(_text(delta, "text"))
            case "input_json_delta":
                self._arguments(_text(delta, "partial_json"))
            case "thinking_delta":
                if not isinstance(self._open, Reasoning):
                    self._block_start({"type": "thinking"})
                self._text_delta(_text(delta, "thinking"))
            case "signature_delta" if isinstance(self._open, Reasoning):
                self._signature(_text(delta, "signature"))
            case "citations_delta" if isinstance(self._open, Text):
                citation = delta.get("citation")
                if isinstance(citation, dict):
                    self._out.append(Delta(citation=citation))

    def _arguments(self, fragment: str) -> None:
        if self._opaque is not None:
            self._opaque_input += fragment
        elif isinstance(self._open, ToolCall) and fragment:
            self._whole_input = ""
            self._text_delta(fragment)

    def _signature(self, signature: str) -> None:
        found = reasoning("", signature)
        if found.signature:
            self._out.append(Delta(signature=found.signature))

    def _more(self, texts: list[str]) -> None:
        if self._mender is not None:
            texts[0] = self._mender.push(texts[0])  # only what came before is cut in a character
        self._out.append(told(texts))

    def _text_delta(self, text: str) -> None:
        if self._mender is not None:
            text = self._mender.push(text)
        if text:
            self._out.append(Delta(text))

    def _begin(self, part: Part) -> None:
        self._open = part
        self._out.append(PartStart(part))

    def _close(self) -> None:
        if self._opaque is not None:
            self._close_opaque(self._opaque)
        if self._open is None:
            return
        if self._whole_input:
            self._out.append(Delta(self._whole_input))
            self._whole_input = ""
        if self._mender is not None and (rest := self._mender.flush()):
            self._out.append(Delta(rest))
        self._open = None
        self._template.forget()
        self._out.append(PartEnd())

    def _close_opaque(self, block: JsonObject) -> None:
        if self._opaque_input:
            given = parse_lenient(self._opaque_input.encode("utf-8", "replace"))
            block = {**block, "input": given if given is not None else {}}
        self._opaque, self._opaque_input = None, ""
        self._out += [PartStart(Opaque(DIALECT, block)), PartEnd()]


def _lone_text(payload: JsonObject) -> str:
    """Return the text that a delta brings for those to read, or of a thought; else nothing."""
    if payload.get("type") != "content_block_delta":  # said by the event's name alone
        return ""
    delta = _object(payload, "delta")
    match delta.get("type"):
        case "text_delta":
            return _text(delta, "text")
        case "thinking_delta":
            return _text(delta, "thinking")
        case _:
            return ""


def _object(payload: JsonObject, key: str) -> JsonObject:
    value = payload.get(key)
    return value if isinstance(value, dict) else {}


def _text(payload: JsonObject, key: str) -> str:
    value = payload.get(key)
    return value if isinstance(value, str) else ""
