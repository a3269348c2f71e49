"""Output items, written event by event for a client."""

from typing import Final, Protocol

from dialects.citations import annotations
from dialects.custom_tools import unwrapped
from dialects.openai_responses.wire import Wire, delta_template
from models.chat import Tool
from models.content import Refusal, Text, ToolCall
from models.json_types import Json, JsonObject

COMPLETED: Final = "completed"
INCOMPLETE: Final = "incomplete"
_IN_PROGRESS: Final = "in_progress"


class WrittenItem(Protocol):
    """An item of the answer that is open. Its `close` returns its last events, and then
    `payload` is the whole item."""

    payload: JsonObject

    def open(self) -> bytes: ...

    def text(self, text: str) -> bytes: ...

    def close(self, status: str) -> bytes: ...


class _Writer:
    """What all items have in common."""

    def __init__(self, wire: Wire, index: int, payload: JsonObject) -> None:
        self.payload = payload
        self._wire = wire
        self._place: JsonObject = {"item_id": payload["id"], "output_index": index}
        self._index = index

    def open(self) -> bytes:
        return self._item("response.output_item.added")

    def text(self, text: str) -> bytes:
        return b""

    def close(self, status: str) -> bytes:
        return self._item("response.output_item.done")

    def _item(self, kind: str) -> bytes:
        return self._wire.event(kind, {"output_index": self._index, "item": self.payload})

    def _event(self, kind: str, fields: JsonObject) -> bytes:
        return self._wire.event(kind, {**self._place, **fields})


class WholeItem(_Writer):
    """An item that has no parts to be told one by one."""


class MessageWriter(_Writer):
    """What the model says; one content part for each text without interruption."""

    def __init__(self, wire: Wire, index: int, item_id: str) -> None:
        self._content: list[Json] = []
        message: JsonObject = {
            "id": item_id,
            "type": "message",
            "status": _IN_PROGRESS,
            "role": "assistant",
            "content": [],
        }
        super().__init__(wire, index, message)
        self._kind = ""
        self._pieces: list[str] = []
        self._template = b""

    @property
    def is_telling(self) -> bool:
        """Whether a content part is open."""
        return bool(self._kind)

    def begin(self, part: Text | Refusal) -> bytes:
        """Open a content part."""
        self._kind = "refusal" if isinstance(part, Refusal) else "output_text"
        place = {**self._place, "content_index": len(self._content)}
        extra: JsonObject = {"logprobs": []} if isinstance(part, Text) else {}
        self._template = delta_template(f"response.{self._kind}.delta", {**place, **extra})
        self._pieces = []
        return self._part_event("response.content_part.added", {"part": self._part("", [])})

    def text(self, text: str) -> bytes:
        self._pieces.append(text)
        return self._wire.delta(self._template, text)

    def end(self, cited: list[JsonObject]) -> bytes:
        """Close the content part."""
        text = "".join(self._pieces)
        notes: list[Json] = [*annotations(cited, 0, len(text))]
        written = b"".join(
            self._part_event(
                "response.output_text.annotation.added",
                {"annotation_index": at, "annotation": note},
            )
            for at, note in enumerate(notes)
        )
        part = self._part(text, notes)
        if self._kind == "refusal":
            told: JsonObject = {"refusal": text}
        else:
            told = {"text": text, "logprobs": []}
        written += self._part_event(f"response.{self._kind}.done", told)
        written += self._part_event("response.content_part.done", {"part": part})
        self._content.append(part)
        self._kind = ""
        return written

    def close(self, status: str) -> bytes:
        written = self.end([]) if self.is_telling else b""
        self.payload = {**self.payload, "status": status, "content": self._content}
        return written + super().close(status)

    def _part(self, text: str, notes: list[Json]) -> JsonObject:
        if self._kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": notes, "logprobs": []}

    def _part_event(self, kind: str, fields: JsonObject) -> bytes:
        return self._event(kind, {"content_index": len(self._content), **fields})


class ReasoningWriter(_Writer):
    """What the model thinks: one summary that holds the whole text, if there is any."""

    def __init__(self, wire: Wire, index: int, item_id: str) -> None:
        super().__init__(wire, index, {"id": item_id, "type": "reasoning", "summary": []})
        self._pieces: list[str] = []
        self._template = b""
        self.encrypted_content: str | None = None

    @property
    def told(self) -> str:
        """The text so far."""
        return "".join(self._pieces)

    def text(self, text: str) -> bytes:
        opened = b"" if self._pieces else self._begin()
        self._pieces.append(text)
        return opened + self._wire.delta(self._template, text)

    def close(self, status: str) -> bytes:
        written = b""
        if self._pieces:
            text = self.told
            part: JsonObject = {"type": "summary_text", "text": text}
            written = self._summary("response.reasoning_summary_text.done", {"text": text})
            written += self._summary("response.reasoning_summary_part.done", {"part": part})
            self.payload = {**self.payload, "summary": [part]}
        if self.encrypted_content is not None:
            self.payload = {**self.payload, "encrypted_content": self.encrypted_content}
        return written + super().close(status)

    def _begin(self) -> bytes:
        self._template = delta_template(
            "response.reasoning_summary_text.delta", {**self._place, "summary_index": 0}
        )
        part: JsonObject = {"type": "summary_text", "text": ""}
        return self._summary("response.reasoning_summary_part.added", {"part": part})

    def _summary(self, kind: str, fields: JsonObject) -> bytes:
        return self._event(kind, {"summary_index": 0, **fields})


class CallWriter(_Writer):
    """A call of a function or of a tool that takes free text, under the client's names."""

    def __init__(
        self, wire: Wire, index: int, item_id: str, call: ToolCall, tool: Tool | None
    ) -> None:
        self._is_custom = tool is not None and tool.custom is not None
        self._key = "input" if self._is_custom else "arguments"
        name = call.name if tool is None else tool.local_name or tool.name
        payload: JsonObject = {
            "id": item_id,
            "type": "custom_tool_call" if self._is_custom else "function_call",
            "status": _IN_PROGRESS,
            "call_id": call.id,
            "name": name,
            self._key: "",
        }
        if tool is not None and tool.namespace is not None:
            payload["namespace"] = tool.namespace
        super().__init__(wire, index, payload)
        self._pieces: list[str] = []
        self._event_name = (
            "response.custom_tool_call_input"
            if self._is_custom
            else "response.function_call_arguments"
        )
        self._template = delta_template(f"{self._event_name}.delta", self._place)

    def text(self, text: str) -> bytes:
        self._pieces.append(text)
        # Free text comes wrapped in JSON, and is unwrapped when that is complete.
        return b"" if self._is_custom else self._wire.delta(self._template, text)

    def end(self) -> bytes:
        """All arguments came; none at all are the empty object."""
        return self.text("{}") if not self._pieces and not self._is_custom else b""

    def close(self, status: str) -> bytes:
        text = "".join(self._pieces)
        written = b""
        if self._is_custom:
            text = unwrapped(text)
            written = self._wire.delta(self._template, text) if text else b""
        told: JsonObject = {self._key: text}
        if not self._is_custom:
            told["name"] = self.payload["name"]
        written += self._event(f"{self._event_name}.done", told)
        self.payload = {**self.payload, "status": status, self._key: text}
        return written + super().close(status)
