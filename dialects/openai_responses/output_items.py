"""Items of a provider's output, each turned into the events of its parts.

An item is told in deltas, in whole texts that repeat them, and once more when it is done. Some
servers leave any of the three out: what was not told yet is told by the next that comes.
"""

from typing import Final, Protocol, TypeAlias

from dialects.arguments import arguments_text
from dialects.citations import read_annotations
from dialects.fields import Mender, dumps, mended
from dialects.openai_responses.read_parts import DIALECT, VENDOR
from models.content import Opaque, Part, Reasoning, Refusal, Text, ToolCall
from models.events import Delta, Event, PartEnd, PartStart, told
from models.json_types import Json, JsonObject

TEXT: Final = "output_text"
REFUSAL: Final = "refusal"
SUMMARY: Final = "summary"
RAW: Final = "content"
ARGUMENTS: Final = "arguments"
INPUT: Final = "input"

_THOUGHT: Final = Reasoning("", origin=VENDOR)

Slot: TypeAlias = tuple[str, int]
"""Which text of an item: its kind, and its place among those of the item."""


class Item(Protocol):
    """An item whose events go to `sink`."""

    sink: list[Event]
    slot: Slot | None
    """The text that is being told."""
    is_done: bool

    def mend(self) -> None:
        """From now on text may hold halves of surrogate pairs."""
        ...

    def more(self, text: str) -> None:
        """Tell more of the text that is being told."""
        ...

    def tell(self, texts: list[str]) -> None:
        """Tell more of it, in pieces that are whole characters and came together."""
        ...

    def text(self, slot: Slot, text: str) -> None:
        """Tell more of a text, which may be a new one."""
        ...

    def whole(self, slot: Slot, text: str) -> None:
        """Tell what a text is as a whole."""
        ...

    def added(self, item: JsonObject) -> None:
        """The item begins."""
        ...

    def done(self, item: JsonObject) -> None:
        """The item is complete; `item` is empty where nobody said what it came to."""
        ...


class _Telling:
    """What items that consist of texts have in common."""

    def __init__(self, sink: list[Event]) -> None:
        self.sink = sink
        self.slot: Slot | None = None
        self.is_done = False
        self._sent: dict[Slot, list[str]] = {}
        self._is_open = False
        self._pieces: list[str] = []
        self._mender: Mender | None = None

    def mend(self) -> None:
        self._mender = self._mender or Mender()

    def more(self, text: str) -> None:
        if self._mender is not None:
            text = self._mender.push(text)
        if text:
            self._pieces.append(text)
            self.sink.append(Delta(text))

    def tell(self, texts: list[str]) -> None:
        for text in texts:
            self.more(text)

    def text(self, slot: Slot, text: str) -> None:
        if not text or self.is_done:
            return
        if slot != self.slot:
            if not self._enter(slot):
                return
            self.slot = slot
            self._pieces = self._sent.setdefault(slot, [])
        self.more(text)

    def whole(self, slot: Slot, text: str) -> None:
        sent = "".join(self._sent.get(slot, ()))
        if len(text) > len(sent) and text.startswith(sent):
            if self._mender is not None:
                self._mender.flush()  # what waits for its other half is in the rest
            self.text(slot, text[len(sent) :])

    def added(self, item: JsonObject) -> None:
        pass

    def _enter(self, slot: Slot) -> bool:
        """Begin a text; return False for one that is not to be told."""
        raise NotImplementedError

    def _open(self, part: Part) -> None:
        self._is_open = True
        self.sink.append(PartStart(part))

    def _close(self) -> None:
        if not self._is_open:
            return
        if self._mender is not None and (rest := self._mender.flush()):
            self.sink.append(Delta(rest))
        self.sink.append(PartEnd())
        self._is_open = False
        self.slot = None


class MessageItem(_Telling):
    """What the model says; each content part is a part."""

    has_refusal = False
    _cited = 0  # of the open text

    def tell(self, texts: list[str]) -> None:
        if self._mender is not None:
            texts[0] = self._mender.push(texts[0])  # only what came before is cut in a character
        self._pieces += texts
        self.sink.append(told(texts))

    def done(self, item: JsonObject) -> None:
        for index, part in enumerate(_objects(item.get("content"))):
            if part.get("type") == REFUSAL:
                self.whole((REFUSAL, index), _text(part, "refusal"))
            else:
                self.whole((TEXT, index), _text(part, "text"))
                self.cite(index, read_annotations(part.get("annotations"))[self._cited :])
        self._close()
        self.is_done = True

    def cite(self, index: int, pages: list[JsonObject]) -> None:
        """Tell what the open text cites more."""
        if self.slot == (TEXT, index) and not self.is_done:
            self._cited += len(pages)
            self.sink += [Delta(citation=page) for page in pages]

    def _enter(self, slot: Slot) -> bool:
        self._close()
        self._cited = 0
        if slot[0] == REFUSAL:
            self.has_refusal = True
            self._open(Refusal(""))
        else:
            self._open(Text(""))
        return True


class ReasoningItem(_Telling):
    """What the model thinks: summaries as paragraphs, or the thoughts themselves, never both."""

    def __init__(self, sink: list[Event]) -> None:
        super().__init__(sink)
        self._channel: str | None = None

    def done(self, item: JsonObject) -> None:
        for channel in (SUMMARY, RAW):
            for index, part in enumerate(_objects(item.get(channel))):
                self.whole((channel, index), _text(part, "text"))
        signature = _text(item, "encrypted_content")
        if signature:
            if not self._is_open:
                self._open(_THOUGHT)
            self.sink.append(Delta(signature=signature))
        self._close()
        self.is_done = True

    def _enter(self, slot: Slot) -> bool:
        if self._channel is None:
            self._channel = slot[0]
            self._open(_THOUGHT)
            return True
        if slot[0] != self._channel:
            return False
        if slot[0] == SUMMARY:
            self.sink.append(Delta("\n\n"))
        return True


class CallItem(_Telling):
    """A call of a function, or of a tool that takes free text."""

    def __init__(self, sink: list[Event], number: int, *, is_custom: bool) -> None:
        super().__init__(sink)
        self._number = number
        self._is_custom = is_custom
        self._slot: Slot = (INPUT if is_custom else ARGUMENTS, 0)
        self._sent[self._slot] = self._pieces

    def more(self, text: str) -> None:
        if self._mender is not None:
            text = self._mender.push(text)
        self._pieces.append(text)
        if self._is_open and text:
            self._show(text)

    def added(self, item: JsonObject) -> None:
        call_id = _text(item, "call_id") or _text(item, "id")
        name = _text(item, "name")
        if call_id and name and not self._is_open:
            self._begin(call_id, name)

    def done(self, item: JsonObject) -> None:
        self.added(item)
        value = item.get(self._slot[0])
        self.whole(self._slot, value if isinstance(value, str) else _arguments(value))
        if not self._is_open:
            self._begin(
                _text(item, "call_id") or _text(item, "id") or f"call_{self._number}",
                _text(item, "name") or f"tool_{self._number}",
            )
        if self._mender is not None and (rest := self._mender.flush()):
            self._show(rest)
        if self._is_custom:
            self.sink.append(Delta('"}'))
        self._close()
        self.is_done = True

    def _enter(self, slot: Slot) -> bool:
        return slot == self._slot

    def _begin(self, call_id: str, name: str) -> None:
        self._open(ToolCall(call_id, name, ""))
        if self._is_custom:
            self.sink.append(Delta('{"input":"'))
        if self._pieces:
            self._show("".join(self._pieces))

    def _show(self, text: str) -> None:
        shown = dumps(text)[1:-1].decode() if self._is_custom else text
        self.sink.append(Delta(shown))


class OtherItem:
    """What only this format knows; it is told when it is complete."""

    def __init__(self, sink: list[Event]) -> None:
        self.sink = sink
        self.slot: Slot | None = None
        self.is_done = False

    def mend(self) -> None:
        pass

    def more(self, text: str) -> None:
        pass

    def tell(self, texts: list[str]) -> None:
        pass

    def text(self, slot: Slot, text: str) -> None:
        pass

    def whole(self, slot: Slot, text: str) -> None:
        pass

    def added(self, item: JsonObject) -> None:
        pass

    def done(self, item: JsonObject) -> None:
        if item:
            self.sink += [PartStart(Opaque(DIALECT, item)), PartEnd()]
        self.is_done = True


def _objects(value: Json) -> list[JsonObject]:
    listed = value if isinstance(value, list) else []
    return [part if isinstance(part, dict) else {} for part in listed]


def _text(holder: JsonObject, key: str) -> str:
    value = holder.get(key)
    return mended(value) if isinstance(value, str) else ""


def _arguments(value: Json) -> str:
    return arguments_text(value) if isinstance(value, dict) else ""
