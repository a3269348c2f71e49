"""Answers of the legacy text format, whole and streamed."""

from typing import Final

from dialects.base import ReplyContext
from dialects.fields import dumps
from dialects.media_text import media_text
from dialects.openai_chat.errors import encode_stream_error
from dialects.openai_chat.finish import write_finish
from dialects.openai_chat.usage import encode_usage
from dialects.template import filled
from models.chat import ChatResponse, FinishReason
from models.content import Media, Part, Refusal, Text
from models.events import Delta, Deltas, Event, Failed, Finish, PartEnd, PartStart, Progress, Start
from models.json_types import Json, JsonObject
from models.usage import NO_USAGE, Usage

_END: Final = b',"index":0,"logprobs":null,"finish_reason":null}]'


def write_completion(response: ChatResponse, context: ReplyContext) -> JsonObject:
    """Write an answer; the format holds nothing but text."""
    text = "".join(_text(part) for part in response.parts)
    choice: JsonObject = {
        "text": text,
        "index": 0,
        "logprobs": None,
        "finish_reason": _finish(response.finish),
    }
    written = _head(context, response.created, response.model)
    written["choices"] = [choice]
    if response.usage.is_reported:
        written["usage"] = encode_usage(response.usage)
    return written


class CompletionEncoder:
    """Writes chunks of text; id, time and model are the same in all of them."""

    def __init__(self, context: ReplyContext) -> None:
        self._context = context
        self._fixed = self._before = self._after = b""
        self._last = b',"usage":null}\n\n' if context.request.include_usage else b"}\n\n"
        self._is_shown = False
        self._usage = NO_USAGE
        self._is_done = False

    def encode(self, event: Event) -> bytes:
        """Return the frames of one event, possibly none."""
        if self._is_done:
            return b""
        match event:
            case Delta(text):
                return self._piece(text) if self._is_shown else b""
            case Deltas(texts):
                return filled(self._before, texts, self._after) if self._is_shown else b""
            case PartStart(part):
                self._is_shown = isinstance(part, Text | Refusal | Media)
                return self._piece(_text(part))
            case PartEnd():
                return b""
            case Start():
                self._start(event)
                return b""
            case Progress(usage):
                self._usage = self._usage.updated(usage)
                return b""
            case Finish():
                return self._finish(event)
            case Failed(error):
                self._is_done = True
                return encode_stream_error(error)

    def _start(self, start: Start) -> None:
        self._usage = start.usage
        self._fixed = b"data: " + dumps(_head(self._context, start.created, start.model))[:-1]
        self._before = self._fixed + b',"choices":[{"text":'
        self._after = _END + self._last

    def _piece(self, text: str) -> bytes:
        return self._before + dumps(text) + self._after if text else b""

    def _finish(self, finish: Finish) -> bytes:
        self._is_done = True
        choice: dict[str, Json] = {"text": "", "index": 0, "logprobs": None}
        choice["finish_reason"] = _finish(finish.reason)
        ended = b'%b,"choices":[%b]%b' % (self._fixed, dumps(choice), self._last)
        return ended + self._usage_chunk(self._usage.updated(finish.usage)) + b"data: [DONE]\n\n"

    def _usage_chunk(self, usage: Usage) -> bytes:
        if not self._context.request.include_usage or not usage.is_reported:
            return b""
        return b'%b,"choices":[],"usage":%b}\n\n' % (self._fixed, dumps(encode_usage(usage)))


def _head(context: ReplyContext, created: int, model: str) -> JsonObject:
    return {
        "id": f"cmpl-{context.reply_id}",
        "object": "text_completion",
        "created": created or context.created,
        "model": model or context.request.model,
    }


def _text(part: Part) -> str:
    match part:
        case Text(text) | Refusal(text):
            return text
        case Media():
            return media_text(part)
        case _:
            return ""


def _finish(reason: FinishReason) -> str:
    # A refusal is plain text here, so it is the reason that tells of it.
    return write_finish(reason, is_legacy=False, has_calls=False, has_refusal=False)
