"""Events, written as a Responses stream for a client."""

from collections.abc import Callable

from dialects.base import ReplyContext
from dialects.media_text import media_text
from dialects.openai_responses.errors import encode_stream_error, response_error
from dialects.openai_responses.read_parts import DIALECT
from dialects.openai_responses.reasoning import call_carrier, encrypted_content
from dialects.openai_responses.snapshot import Snapshot, incomplete_reason, malformed
from dialects.openai_responses.wire import Wire
from dialects.openai_responses.written_items import (
    COMPLETED,
    INCOMPLETE,
    CallWriter,
    MessageWriter,
    ReasoningWriter,
    WholeItem,
    WrittenItem,
)
from models.content import Inline, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from models.errors import GatewayError
from models.events import Delta, Deltas, Event, Failed, Finish, PartEnd, PartStart, Progress, Start
from models.json_types import Json, JsonObject
from models.usage import NO_USAGE


class ResponsesEncoder:
    """Writes items one after the other, each opened when it has content.

    An item stays open until something else comes: only then is it known whether it is complete.
    """

    def __init__(self, context: ReplyContext, wire: Wire | None = None) -> None:
        self.response: JsonObject = {}
        """The whole answer, once it ended."""
        self._context = context
        self._tools = {tool.name: tool for tool in context.request.tools if tool.raw is None}
        self._wire = wire or Wire()
        self._snapshot: Snapshot | None = None
        self._output: list[Json] = []
        self._item: WrittenItem | None = None
        self._part: Part | None = None
        self._tell: Callable[[str], bytes] | None = None
        """Writes more of the open part's text, once its first was written."""
        self._signature: str | None = None
        self._cited: list[JsonObject] = []
        self._has_refusal = False
        self._usage = NO_USAGE
        self._is_done = False

    def encode(self, event: Event) -> bytes:
        """Return the frames of one event, possibly none."""
        if self._is_done:
            return b""
        match event:
            case Delta(text, None, None) if text and self._tell is not None:
                return self._tell(text)
            case Delta():
                return self._delta(event)
            case Deltas():
                return b"".join(map(self._tell or self._text, event.texts))
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
                return self._fail(error)

    # --- the answer ---------------------------------------------------------------------------

    def _start(self, start: Start) -> bytes:
        self._usage = start.usage
        self._snapshot = Snapshot(self._context, start)
        begun: JsonObject = {"response": self._snapshot.begun()}
        created = self._wire.event("response.created", begun)
        return created + self._wire.event("response.in_progress", begun)

    def _finish(self, finish: Finish) -> bytes:
        error = malformed(finish.reason)
        if error is not None or self._snapshot is None:
            return self._fail(error or GatewayError("the answer ended before it began"))
        why = incomplete_reason(finish.reason, has_refusal=self._has_refusal)
        closed = self._close(COMPLETED if why is None else INCOMPLETE)
        usage = self._usage.updated(finish.usage)
        self.response = self._snapshot.finished(
            finish.reason, self._output, usage, has_refusal=self._has_refusal
        )
        return closed + self._end()

    def _fail(self, error: GatewayError) -> bytes:
        if self._snapshot is None:
            self._is_done = True
            return encode_stream_error(error)
        self.response = self._snapshot.failed(response_error(error), self._output, self._usage)
        return self._end()

    def _end(self) -> bytes:
        self._is_done = True
        kind = f"response.{self.response['status']}"
        return self._wire.event(kind, {"response": self.response})

    # --- parts --------------------------------------------------------------------------------

    def _part_start(self, part: Part) -> bytes:
        self._part, self._tell = part, None
        match part:
            case Text(text) | Refusal(text):
                closed = b"" if isinstance(self._item, MessageWriter) else self._close()
                self._cited = [*part.citations] if isinstance(part, Text) else []
                return closed + self._text(text)
            case Reasoning(text):
                self._signature = part.signature
                return self._close() + self._text(text)
            case ToolCall():
                return self._call(part)
            case Media():
                return self._media(part)
            case Opaque(dialect=name, payload=payload) if name == DIALECT:
                return self._whole("item", payload)
            case _:
                return b""

    def _delta(self, delta: Delta) -> bytes:
        if delta.signature is not None:
            self._signature = delta.signature
        if delta.citation is not None:
            self._cited.append(delta.citation)
        return self._text(delta.text)

    def _text(self, text: str) -> bytes:
        if not text:
            return b""
        opened = b""
        if self._tell is None:
            match self._part:
                case Text() | Refusal() as part:
                    opened = self._first_words(part)
                case Reasoning():
                    opened = self._first_thought()
                case _:
                    return b""
        return opened + (self._tell(text) if self._tell is not None else b"")

    def _first_thought(self) -> bytes:
        item = self._reasoning()
        self._tell = item.text
        return self._open(item)

    def _first_words(self, part: Text | Refusal) -> bytes:
        opened, item = b"", self._item
        if not isinstance(item, MessageWriter):
            item = MessageWriter(self._wire, len(self._output), self._id("msg"))
            opened = self._open(item)
        self._has_refusal |= isinstance(part, Refusal)
        self._tell = item.text
        return opened + item.begin(part)

    def _part_end(self) -> bytes:
        part, self._part = self._part, None
        self._tell = None
        match part, self._item:
            case Text() | Refusal(), MessageWriter(is_telling=True) as message:
                return message.end(self._cited)
            case Reasoning(), item:
                return self._thought(part, item if isinstance(item, ReasoningWriter) else None)
            case ToolCall(), CallWriter() as call:
                return call.end()
            case _:
                return b""

    def _thought(self, part: Reasoning, item: ReasoningWriter | None) -> bytes:
        """Add what brings the thoughts back to their vendor; hidden ones have nothing else."""
        signed = Reasoning(
            item.told if item else "", self._signature, part.origin, redacted=part.redacted
        )
        self._signature = None
        opened = b""
        if item is None:
            if not signed.signature and signed.redacted is None:
                return b""
            item = self._reasoning()
            opened = self._open(item)
        item.encrypted_content = encrypted_content(signed)
        return opened

    def _call(self, call: ToolCall) -> bytes:
        written = self._close()
        carried = call_carrier(call)
        if carried is not None:
            carrier = self._reasoning()
            carrier.encrypted_content = carried
            written += self._open(carrier) + self._close()
        item = self._call_item(call)
        self._tell = item.text
        return written + self._open(item) + self._text(call.arguments)

    def _call_item(self, call: ToolCall) -> CallWriter:
        tool = self._tools.get(call.name)
        prefix = "fc" if tool is None or tool.custom is None else "ctc"
        return CallWriter(self._wire, len(self._output), self._id(prefix), call, tool)

    def _media(self, media: Media) -> bytes:
        if media.kind == "image" and isinstance(media.source, Inline):
            return self._whole("ig", _picture(media.source))
        self._part = Text("")
        closed = b"" if isinstance(self._item, MessageWriter) else self._close()
        return closed + self._text(media_text(media))

    # --- items --------------------------------------------------------------------------------

    def _reasoning(self) -> ReasoningWriter:
        return ReasoningWriter(self._wire, len(self._output), self._id("rs"))

    def _whole(self, prefix: str, payload: JsonObject) -> bytes:
        closed = self._close()
        payload = {"id": self._id(prefix), **payload}
        return closed + self._open(WholeItem(self._wire, len(self._output), payload))

    def _open(self, item: WrittenItem) -> bytes:
        self._item = item
        return item.open()

    def _close(self, status: str = COMPLETED) -> bytes:
        item, self._item = self._item, None
        if item is None:
            return b""
        written = item.close(status)
        self._output.append(item.payload)
        return written

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{self._context.reply_id}_{len(self._output)}"


def _picture(source: Inline) -> JsonObject:
    return {"type": "image_generation_call", "status": COMPLETED, "result": source.data}
