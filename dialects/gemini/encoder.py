"""Events, written as a Gemini stream: each frame is an answer that continues the one before."""

from collections.abc import Sequence
from typing import Final

from dialects.base import ReplyContext
from dialects.fields import dumps
from dialects.gemini.errors import encode_stream_error
from dialects.gemini.finish import write_finish
from dialects.gemini.lines import END, frame, one_line
from dialects.gemini.parts import PartWriter, shows_thoughts
from dialects.gemini.usage import write_usage
from dialects.template import filled
from models.content import Part, Reasoning, Refusal, Text, ToolCall
from models.events import Delta, Deltas, Event, Failed, Finish, PartEnd, PartStart, Progress, Start
from models.json_types import JsonObject
from models.record import replace
from models.usage import NO_USAGE

_TEXT: Final = b'data: {"candidates":[{"content":{"parts":[{"text":'
_PLAIN: Final = b"}"
_THOUGHT: Final = b',"thought":true}'


class StreamEncoder:
    """Writes a stream. Text goes out as it comes; calls only when their arguments are whole."""

    def __init__(self, context: ReplyContext) -> None:
        self._context = context
        self._shows = shows_thoughts(context.request)
        self._parts = PartWriter(shows=self._shows)
        self._tail = b""  # of a frame of text
        self._end = b""  # what stands behind a piece of the open part's text; empty: none is shown
        self._names: JsonObject = {}
        self._part: Part | None = None
        self._arguments: list[str] = []
        self._hidden: list[str] = []  # of the open thought, which travels in its signature's tag
        self._usage = NO_USAGE
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
            case PartStart(part):
                return self._part_start(part)
            case PartEnd():
                return self._part_end()
            case Progress(usage):
                self._usage = self._usage.updated(usage)
                return b""
            case Start():
                return self._start(event)
            case Finish():
                return self._finish(event)
            case Failed(error):
                self._done = True
                return encode_stream_error(error, self._context.reply_id)

    def _start(self, start: Start) -> bytes:
        self._usage = start.usage
        self._names = answer_names(start.id, start.model, self._context)
        self._tail = b'],"role":"model"},"index":0}],%b%b' % (one_line(dumps(self._names)[1:]), END)
        return b""

    def _finish(self, finish: Finish) -> bytes:
        self._done = True
        usage = self._usage.updated(finish.usage)
        reason = write_finish(
            finish.reason,
            has_calls=self._parts.has_calls,
            is_malformed=self._parts.is_malformed,
        )
        parts = self._parts.rest() or [{"text": ""}]
        payload = self._answer(parts, reason)
        if usage.is_reported:
            payload["usageMetadata"] = write_usage(usage)
        return frame(dumps({**payload, **self._names}))

    # --- parts --------------------------------------------------------------------------------

    def _part_start(self, part: Part) -> bytes:
        self._part = part
        match part:
            case Reasoning(text, signature, redacted=None):
                self._end = _THOUGHT + self._tail if self._shows else b""
                self._hidden = []
                return self._delta(Delta(text, signature)) if text or signature else b""
            case Text(text) | Refusal(text):
                self._end = _PLAIN + self._tail
                return self._delta(Delta(text)) if text else b""
            case ToolCall(arguments=arguments):
                self._end = b""
                self._arguments = [arguments]
                return b""
            case _:
                self._end = b""
                return self._written(part)

    def _delta(self, delta: Delta) -> bytes:
        if not self._end or delta.signature is not None or self._parts.held is not None:
            return self._rare_delta(delta)
        if not delta.text:
            return b""
        written = dumps(delta.text)
        return _TEXT + (written if written.isascii() else one_line(written)) + self._end

    def _deltas(self, texts: Sequence[str]) -> bytes:
        if not self._end or self._parts.held is not None:
            return b"".join([self._rare_delta(Delta(text)) for text in texts])
        return one_line(filled(_TEXT, texts, self._end))

    def _rare_delta(self, delta: Delta) -> bytes:
        match self._part:
            case Text() | Refusal():
                return self._written(Text(delta.text))
            case Reasoning() as thought:
                return self._rare_thought(thought, delta)
            case ToolCall():
                self._arguments.append(delta.text)
                return b""
            case _:
                return b""

    def _rare_thought(self, thought: Reasoning, delta: Delta) -> bytes:
        shown = b""
        if self._shows:
            shown = self._written(replace(thought, text=delta.text, signature=None))
        else:
            self._hidden.append(delta.text)
        if delta.signature is None:
            return shown
        text = "".join(self._hidden)
        return shown + self._written(replace(thought, text=text, signature=delta.signature))

    def _part_end(self) -> bytes:
        part, self._part = self._part, None
        if not isinstance(part, ToolCall):
            return b""
        return self._written(replace(part, arguments="".join(self._arguments)))

    def _written(self, part: Part) -> bytes:
        parts = self._parts.write(part)
        if not parts:
            return b""
        return frame(dumps({**self._answer(parts), **self._names}))

    def _answer(self, parts: list[JsonObject], reason: str | None = None) -> JsonObject:
        candidate: JsonObject = {"content": {"parts": [*parts], "role": "model"}}
        if reason is not None:
            candidate["finishReason"] = reason
        candidate["index"] = 0
        return {"candidates": [candidate]}


def answer_names(upstream_id: str, model: str, context: ReplyContext) -> JsonObject:
    """Return what every frame of an answer says of itself."""
    return {
        "modelVersion": model or context.request.model,
        "responseId": upstream_id or context.reply_id[:24],
    }
