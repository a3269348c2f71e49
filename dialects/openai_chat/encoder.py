"""Events, written as a Chat stream for a client."""

from collections.abc import Sequence
from typing import Final

from dialects.base import ReplyContext
from dialects.custom_tools import custom_names, unwrapped
from dialects.fields import dumps
from dialects.media_text import media_text
from dialects.openai_chat.calls import signed
from dialects.openai_chat.errors import encode_stream_error
from dialects.openai_chat.finish import write_finish
from dialects.openai_chat.response import nested_annotations
from dialects.openai_chat.usage import encode_usage
from dialects.template import filled
from models.content import Media, Part, Reasoning, Refusal, Text, ToolCall
from models.events import Delta, Deltas, Event, Failed, Finish, PartEnd, PartStart, Progress, Start
from models.json_types import Json, JsonObject
from models.usage import NO_USAGE, Usage

_END: Final = b',"logprobs":null,"finish_reason":null}]'


class ChatEncoder:
    """Writes chunks whose id, time and model are all the same.

    Clients concatenate what they get: role, call id and tool name come once, and the indexes
    of tool calls count from 0 whatever stood between the calls.

    Nearly all of a stream are pieces of the open part, which differ in their text only: what
    stands around it is written when the part opens.
    """

    def __init__(self, context: ReplyContext) -> None:
        self._context = context
        self._is_legacy = context.request.legacy_functions
        self._customs = custom_names(context.request.tools)
        self._fixed = b""  # what all chunks begin with
        self._last = b""  # and end with
        self._open: Part | None = None
        self._before = self._after = b""  # what stands around a piece of the open part
        self._shows = False  # whether pieces of the open part are written as they come
        self._held: list[str] = []  # arguments of a free-text tool, to be unwrapped
        self._size = 0  # of the open part so far
        self._calls = 0
        self._has_refusal = False
        self._length = 0  # of the text before the open part
        self._cited: list[JsonObject] = []
        self._annotations: list[Json] = []
        self._usage = NO_USAGE
        self._is_done = False

    def encode(self, event: Event) -> bytes:
        """Return the frames of one event, possibly none."""
        if self._is_done:
            return b""
        match event:
            case Delta():
                if event.citation is not None:
                    self._cited.append(event.citation)
                return self._piece(event.text) if event.text else b""
            case Deltas():
                return self._pieces(event.texts)
            case PartStart(part):
                return self._part_start(part)
            case PartEnd():
                return self._part_end()
            case Start():
                return self._start(event)
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
        self._fixed = b"data: " + dumps(fixed)[:-1]
        # Who asks for usage finds the key on every chunk, as with the original.
        self._last = b',"usage":null}\n\n' if context.request.include_usage else b"}\n\n"
        return self._delta({"role": "assistant", "content": ""})

    # --- parts --------------------------------------------------------------------------------

    def _part_start(self, part: Part) -> bytes:
        self._open, self._size, self._shows = part, 0, True
        match part:
            case ToolCall():
                return self._call_start(part)
            case Text(text):
                self._cited = [*part.citations]
                self._surround(b'{"content":', b"}")
            case Reasoning(text):
                self._surround(b'{"reasoning_content":', b"}")
            case Refusal(text):
                self._surround(b'{"refusal":', b"}")
            case Media():
                text, self._open = media_text(part), Text("")
                self._surround(b'{"content":', b"}")
            case _:
                self._shows = False
                return b""
        return self._piece(text) if text else b""

    def _call_start(self, call: ToolCall) -> bytes:
        index = self._calls
        self._calls += 1
        if self._is_legacy:
            return self._legacy_start(call, is_first=index == 0)
        is_custom = call.name in self._customs
        kind, key = ("custom", "input") if is_custom else ("function", "arguments")
        self._shows = not is_custom
        head = b'{"tool_calls":[{"index":%d,"%b":{"%b":' % (index, kind.encode(), key.encode())
        self._surround(head, b"}}]}")
        entry: JsonObject = {"index": index, "id": call.id, "type": kind}
        entry[kind] = {"name": call.name, key: ""}
        opened = self._delta({"tool_calls": [{**entry, **signed(call)}]})
        return opened + self._piece(call.arguments) if call.arguments else opened

    def _legacy_start(self, call: ToolCall, *, is_first: bool) -> bytes:
        """Open a call in the legacy field, which has room for one."""
        self._shows = is_first
        if not is_first:
            return b""
        self._surround(b'{"function_call":{"arguments":', b"}}")
        opened = self._delta({"function_call": {"name": call.name, "arguments": ""}})
        return opened + self._piece(call.arguments) if call.arguments else opened

    def _surround(self, head: bytes, tail: bytes) -> None:
        self._before = b'%b,"choices":[{"index":0,"delta":%b' % (self._fixed, head)
        self._after = tail + _END + self._last

    def _piece(self, text: str) -> bytes:
        self._size += len(text)
        if self._shows:
            return self._before + dumps(text) + self._after
        if isinstance(self._open, ToolCall):
            self._held.append(text)
        return b""

    def _pieces(self, texts: Sequence[str]) -> bytes:
        if not self._shows:
            return b"".join([self._piece(text) for text in texts])
        self._size += sum(map(len, texts))
        return filled(self._before, texts, self._after)

    def _part_end(self) -> bytes:
        match self._open:
            case ToolCall(name=name):
                return self._call_end(is_custom=name in self._customs and not self._is_legacy)
            case Text():
                end = self._length + self._size
                self._annotations += nested_annotations(self._cited, self._length, end)
                self._length = end
            case Refusal():
                self._has_refusal = self._has_refusal or self._size > 0
            case _:
                pass
        self._open = None
        return b""

    def _call_end(self, *, is_custom: bool) -> bytes:
        held, self._held, self._open = "".join(self._held), [], None
        if is_custom:
            return self._before + dumps(unwrapped(held)) + self._after
        # Clients parse the sum of the fragments, and nothing is not JSON.
        is_bare = self._shows and self._size == 0
        return self._before + b'"{}"' + self._after if is_bare else b""

    # --- the end ------------------------------------------------------------------------------

    def _finish(self, finish: Finish) -> bytes:
        self._is_done = True
        reason = write_finish(
            finish.reason,
            is_legacy=self._is_legacy,
            has_calls=self._calls > 0,
            has_refusal=self._has_refusal,
        )
        usage = self._usage.updated(finish.usage)
        # In one chunk: clients put lists together by an index, which these do not have.
        cited = self._delta({"annotations": self._annotations}) if self._annotations else b""
        ended = self._chunk({}, reason)
        return cited + ended + self._usage_chunk(usage) + b"data: [DONE]\n\n"

    def _usage_chunk(self, usage: Usage) -> bytes:
        if not self._context.request.include_usage or not usage.is_reported:
            return b""
        return b'%b,"choices":[],"usage":%b}\n\n' % (self._fixed, dumps(encode_usage(usage)))

    def _delta(self, delta: JsonObject) -> bytes:
        return self._chunk(delta, None)

    def _chunk(self, delta: JsonObject, finish: str | None) -> bytes:
        choice: dict[str, Json] = {
            "index": 0,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish,
        }
        return b'%b,"choices":[%b]%b' % (self._fixed, dumps(choice), self._last)
