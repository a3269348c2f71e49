"""The events of a Responses stream, put together into parts that never overlap.

Items form a queue. The first one is told as it comes; what comes for later ones waits until
those before are complete.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from dialects.citations import read_annotations
from dialects.fields import mended
from dialects.finish import agreed
from dialects.openai_responses.errors import stream_failure
from dialects.openai_responses.output_items import (
    ARGUMENTS,
    INPUT,
    RAW,
    REFUSAL,
    SUMMARY,
    TEXT,
    CallItem,
    Item,
    MessageItem,
    OtherItem,
    ReasoningItem,
    Slot,
)
from dialects.openai_responses.usage import read_usage
from dialects.template import Template
from models.chat import FinishReason
from models.errors import BadRequest, StreamBroken, UpstreamError
from models.events import Event, Failed, Finish, Start
from models.json_types import Json, JsonObject

Key: TypeAlias = tuple[int | None, str]
"""Place of an item, where that is known, and its id."""

_FIRST_TEXT: Final[Slot] = (TEXT, 0)
_TEXT_DELTA: Final = "response.output_text.delta"
_ENDS: Final = frozenset({"response.completed", "response.incomplete"})
_FAILURES: Final = frozenset({"response.failed", "response.cancelled", "error"})
_DELTAS: Final[Mapping[str, str]] = {
    _TEXT_DELTA: TEXT,
    "response.refusal.delta": REFUSAL,
    "response.reasoning_text.delta": RAW,
    "response.reasoning_summary_text.delta": SUMMARY,
    "response.function_call_arguments.delta": ARGUMENTS,
    "response.custom_tool_call_input.delta": INPUT,
}
_WHOLES: Final[Mapping[str, tuple[str, str]]] = {
    "response.output_text.done": (TEXT, "text"),
    "response.refusal.done": (REFUSAL, "refusal"),
    "response.reasoning_text.done": (RAW, "text"),
    "response.reasoning_summary_text.done": (SUMMARY, "text"),
    "response.function_call_arguments.done": (ARGUMENTS, "arguments"),
    "response.custom_tool_call_input.done": (INPUT, "input"),
}
_ITEM_OF: Final[Mapping[str, str]] = {
    TEXT: "message",
    REFUSAL: "message",
    RAW: "reasoning",
    SUMMARY: "reasoning",
    ARGUMENTS: "function_call",
    INPUT: "custom_tool_call",
}


class Assembly:
    """Turns parsed events into neutral ones. After `is_done` nothing more comes out."""

    def __init__(self) -> None:
        self.is_done = False
        self._out: list[Event] = []
        self._is_started = False
        self._is_mending = False
        self._items: list[Item] = []
        self._known: dict[Key, Item] = {}
        self._at: dict[int, Item] = {}
        self._queue: deque[Item] = deque()
        self._told: Item | None = None  # what the last delta of a text belongs to
        self._template = Template()  # of the deltas of its first text

    def flush(self) -> list[Event]:
        """Return what came together since the last call."""
        out = self._out.copy()
        self._out.clear()
        return out

    def mend(self) -> None:
        """From now on text may hold halves of surrogate pairs, which are to be joined."""
        self._is_mending = True
        for item in self._items:
            item.mend()

    def more(self, frames: Sequence[bytes], at: int) -> int:
        """Tell what the frames from `at` on that are like the one before bring; return how many
        these are."""
        item = self._told
        if item is None or item.slot != _FIRST_TEXT or self.is_done:
            return 0
        texts = self._template.texts(frames, at)
        if texts:
            item.tell(texts)
        return len(texts)

    def take(self, kind: str, payload: JsonObject, data: bytes, frame: bytes = b"") -> None:
        """Read one event. `data` are its bytes, kept with an error; `frame` is what it came in."""
        if self.is_done:
            return
        if kind == _TEXT_DELTA and self._more(payload, frame):
            return
        try:
            self._take(kind, payload, data)
        except BadRequest:  # of the writer of JSON, which knows no better
            self.fail(StreamBroken("the provider's answer is nested too deeply"))

    def whole(self, response: JsonObject) -> None:
        """Read a whole answer, or what one came to in the end."""
        self._start(response)
        self._rest(response.get("output"))
        has_calls = any(isinstance(item, CallItem) for item in self._items)
        has_refusal = any(
            isinstance(item, MessageItem) and item.has_refusal for item in self._items
        )
        reason = agreed(_reason(response), has_calls=has_calls)
        if reason is FinishReason.STOP and has_refusal:
            reason = FinishReason.REFUSAL
        self.is_done = True
        self._out.append(Finish(reason, usage=read_usage(response)))

    def fail(self, error: UpstreamError) -> None:
        """The answer broke off."""
        if not self.is_done:
            self.is_done = True
            self._out.append(Failed(error))

    # --- events -------------------------------------------------------------------------------

    def _more(self, payload: JsonObject, frame: bytes) -> bool:
        """Tell more of a message's first text, which most events are; say whether it was that."""
        index, text = payload.get("output_index"), payload.get("delta")
        item = self._at.get(index) if isinstance(index, int) else None
        if item is None or item.slot != _FIRST_TEXT or payload.get("content_index") != 0:
            return False
        if isinstance(text, str) and text:
            item.more(text)
            self._learn(item, frame, text)
        return True

    def _learn(self, item: Item, frame: bytes, text: str) -> None:
        if item is not self._told:
            self._told = item
            self._template.forget()
        self._template.learn(frame, text, _lone_text)

    def _take(self, kind: str, payload: JsonObject, data: bytes) -> None:
        if kind in _DELTAS:
            self._text(_DELTAS[kind], payload)
        elif kind in _WHOLES:
            self._whole_text(*_WHOLES[kind], payload)
        elif kind == "response.output_text.annotation.added":
            self._annotation(payload)
        elif kind == "response.output_item.added":
            item = _object(payload, "item")
            kind, item_id = _text(item, "type"), _text(item, "id")
            self._item(payload, kind, item_id, is_new=True).added(item)
        elif kind == "response.output_item.done":
            item = _object(payload, "item")
            self._done(self._item(payload, _text(item, "type"), _text(item, "id")), item)
        else:
            self._response(kind, payload, data)

    def _response(self, kind: str, payload: JsonObject, data: bytes) -> None:
        response = _object(payload, "response")
        is_failed = response.get("status") in ("failed", "cancelled")
        if kind in _FAILURES or payload.get("error") or is_failed:
            self.fail(stream_failure(payload, data))
        elif kind in _ENDS:
            self.whole(response)
        elif kind in ("response.created", "response.queued", "response.in_progress"):
            self._start(response)

    def _start(self, response: JsonObject) -> None:
        if self._is_started:
            return
        self._is_started = True
        created = response.get("created_at")
        is_time = isinstance(created, int | float) and not isinstance(created, bool)
        at = int(created) if is_time and isinstance(created, int | float) and created > 0 else 0
        self._out.append(Start(_text(response, "id"), _text(response, "model"), at))

    def _text(self, channel: str, payload: JsonObject) -> None:
        text = payload.get("delta")
        item = self._item(payload, _ITEM_OF[channel], _text(payload, "item_id"))
        if isinstance(text, str):
            item.text((channel, _place(channel, payload)), text)

    def _whole_text(self, channel: str, key: str, payload: JsonObject) -> None:
        item = self._item(payload, _ITEM_OF[channel], _text(payload, "item_id"))
        item.whole((channel, _place(channel, payload)), _text(payload, key))

    def _annotation(self, payload: JsonObject) -> None:
        item = self._item(payload, "message", _text(payload, "item_id"))
        if isinstance(item, MessageItem):
            pages = read_annotations([payload.get("annotation")])
            item.cite(_place(TEXT, payload), pages)

    # --- items --------------------------------------------------------------------------------

    def _item(self, payload: JsonObject, kind: str, item_id: str, *, is_new: bool = False) -> Item:
        """Find an item by its place, for ids may change on the way; some servers have one place
        or one id for all items."""
        index = payload.get("output_index")
        place = index if isinstance(index, int) else None
        known = self._known.get((place, item_id))
        if known is None:
            known = self._known.get((None, item_id)) if place is None else self._at.get(place)
        if known is None or (is_new and known.is_done):
            return self._made(place, kind, item_id)
        return known

    def _made(self, place: int | None, kind: str, item_id: str) -> Item:
        self._start({})
        item = self._new(kind, len(self._items))
        if self._is_mending:
            item.mend()
        self._items.append(item)
        self._queue.append(item)
        if place is not None:
            self._at[place] = item
        if item_id:
            self._known[(place, item_id)] = self._known[(None, item_id)] = item
        return item

    def _new(self, kind: str, number: int) -> Item:
        sink: list[Event] = [] if self._queue else self._out
        match kind:
            case "message":
                return MessageItem(sink)
            case "reasoning":
                return ReasoningItem(sink)
            case "function_call" | "custom_tool_call":
                return CallItem(sink, number, is_custom=kind == "custom_tool_call")
            case _:
                return OtherItem(sink)

    def _advance(self) -> None:
        while self._queue and self._queue[0].is_done:
            self._queue.popleft()
            if self._queue:
                head = self._queue[0]
                self._out += head.sink
                head.sink = self._out

    def _rest(self, output: Json) -> None:
        """Tell what the end of a stream knows more than its events did."""
        for index, item in enumerate(output if isinstance(output, list) else ()):
            if not isinstance(item, dict):
                continue
            item_id = _text(item, "id")
            known = self._known.get((index, item_id)) or self._known.get((None, item_id))
            told = known or self._at.get(index) or self._made(index, _text(item, "type"), item_id)
            self._done(told, item)
        for waiting in [*self._queue]:
            self._done(waiting, {})

    def _done(self, item: Item, told: JsonObject) -> None:
        """Complete an item, once: some servers say twice what it came to."""
        if not item.is_done:
            item.done(told)
            self._advance()


def _lone_text(payload: JsonObject) -> str:
    """Return the text of a delta whose type stands in it."""
    return _text(payload, "delta") if payload.get("type") == _TEXT_DELTA else ""


def _place(channel: str, payload: JsonObject) -> int:
    if channel in (ARGUMENTS, INPUT):
        return 0
    index = payload.get("summary_index" if channel == SUMMARY else "content_index")
    return index if isinstance(index, int) else 0


def _reason(response: JsonObject) -> FinishReason:
    if response.get("status") != "incomplete":
        return FinishReason.STOP
    match _object(response, "incomplete_details").get("reason"):
        case "max_output_tokens" | "max_tokens":
            return FinishReason.LENGTH
        case "content_filter":
            return FinishReason.CONTENT_FILTER
        case _:
            return FinishReason.OTHER


def _object(payload: JsonObject, key: str) -> JsonObject:
    value = payload.get(key)
    return value if isinstance(value, dict) else {}


def _text(payload: JsonObject, key: str) -> str:
    value = payload.get(key)
    return mended(value) if isinstance(value, str) else ""
