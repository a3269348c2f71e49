"""Events, written as a Chat stream for a client."""

from dialects.base import ReplyContext
from dialects.fields import dumps
from dialects.openai_chat.errors import encode_stream_error
from dialects.openai_chat.finish import write_finish
from dialects.openai_chat.response import annotations
from dialects.openai_chat.usage import encode_usage
from models.content import Part, Reasoning, Refusal, Text, ToolCall
from models.events import Delta, Event, Failed, Finish, PartEnd, PartStart, Progress, Start
from models.json_types import Json, JsonObject
from models.usage import NO_USAGE, Usage


class ChatEncoder:
    """Writes chunks whose id, time and model are all the same.

    Clients concatenate what they get: role, call id and tool name come once, and the indexes
    of tool calls count from 0 whatever stood between the calls.
    """

    def __init__(self, context: ReplyContext) -> None:
        self._context = context
        self._head = b""
        self._tail = b""
        self._open: Part | None = None
        self._calls = 0
        self._has_arguments = False
        self._has_refusal = False
        self._length = self._began = 0  # of the text so far, and before the open part
        self._cited: list[JsonObject] = []
        self._annotations: list[Json] = []
        self._usage = NO_USAGE
        self._is_done = False

    def encode(self, event: Event) -> bytes:
        """Return the frames of one event, possibly none."""
        if self._is_done:
            return b""
        match event:
            case Start():
                return self._start(event)
            case PartStart(part):
                return self._part_start(part)
            case Delta():
                self._cited += [event.citation] if event.citation else []
                return self._text(event.text) if event.text else b""
            case PartEnd():
                return self._part_end()
            case Progress(usage):
                self._usage = self._usage.updated(usage)
                return b""
            case Finish():
                return self._finish(event)
            case Failed(error):
                self._is_done = True
                return encode_stream_error(error)

    def _start(self, start: Start) -> bytes:
        context = self._context
        self._usage = start.usage
        fixed: JsonObject = {
            "id": f"chatcmpl-{context.reply_id}",
            "object": "chat.completion.chunk",
            "created": start.created or context.created,
            "model": start.model or context.request.model,
        }
        self._head = b"data: " + dumps(fixed)[:-1]
        # Who asks for usage finds the key on every chunk, as with the original.
        self._tail = b',"usage":null}\n\n' if context.request.include_usage else b"}\n\n"
        return self._delta({"role": "assistant", "content": ""})

    def _part_start(self, part: Part) -> bytes:
        self._open = part
        self._cited = [*part.citations] if isinstance(part, Text) else []
        self._began = self._length
        match part:
            case ToolCall():
                return self._call_start(part)
            case Text(text) | Reasoning(text) | Refusal(text) if text:
                return self._text(text)
            case _:
                return b""

    def _call_start(self, call: ToolCall) -> bytes:
        index = self._calls
        self._calls += 1
        self._has_arguments = bool(call.arguments)
        function: JsonObject = {"name": call.name, "arguments": call.arguments}
        if self._context.request.legacy_functions:
            # The legacy field has room for one call.
            return self._delta({"function_call": function}) if index == 0 else b""
        return self._delta(
            {
                "tool_calls": [
                    {"index": index, "id": call.id, "type": "function", "function": function}
                ]
            }
        )

    def _text(self, text: str) -> bytes:
        match self._open:
            case Text():
                self._length += len(text)
                return self._delta({"content": text})
            case Reasoning():
                return self._delta({"reasoning_content": text})
            case Refusal():
                self._has_refusal = True
                return self._delta({"refusal": text})
            case ToolCall():
                self._has_arguments = True
                return self._arguments(text)
            case _:
                return b""

    def _arguments(self, text: str) -> bytes:
        index = self._calls - 1
        function: JsonObject = {"arguments": text}
        if self._context.request.legacy_functions:
            return self._delta({"function_call": function}) if index == 0 else b""
        return self._delta({"tool_calls": [{"index": index, "function": function}]})

    def _part_end(self) -> bytes:
        # Clients parse the sum of the fragments, and nothing is not JSON.
        is_bare = isinstance(self._open, ToolCall) and not self._has_arguments
        frames = self._arguments("{}") if is_bare else b""
        self._annotations += annotations(self._cited, self._began, self._length)
        self._open = None
        return frames

    def _finish(self, finish: Finish) -> bytes:
        self._is_done = True
        reason = write_finish(
            finish.reason,
            is_legacy=self._context.request.legacy_functions,
            has_refusal=self._has_refusal,
        )
        usage = self._usage.updated(finish.usage)
        # In one chunk: clients put lists together by an index, which these do not have.
        cited = self._delta({"annotations": self._annotations}) if self._annotations else b""
        return cited + self._chunk({}, reason) + self._usage_chunk(usage) + b"data: [DONE]\n\n"

    def _usage_chunk(self, usage: Usage) -> bytes:
        if not self._context.request.include_usage or not usage.is_reported:
            return b""
        return b'%b,"choices":[],"usage":%b}\n\n' % (self._head, dumps(encode_usage(usage)))

    def _delta(self, delta: JsonObject) -> bytes:
        return self._chunk(delta, None)

    def _chunk(self, delta: JsonObject, finish: str | None) -> bytes:
        choice: dict[str, Json] = {
            "index": 0,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish,
        }
        return b'%b,"choices":[%b]%b' % (self._head, dumps(choice), self._tail)
