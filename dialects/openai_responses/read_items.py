"""The items of a Responses conversation, read into system text and turns.

Items come one by one; what the assistant said, thought and called without interruption is one
turn of it. What holds afterwards: every tool call has an id that occurs once, every result
belongs to an earlier call and stands in the turn right after it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from dialects import fields
from dialects.arguments import arguments_text
from dialects.call_ids import CallIds
from dialects.custom_tools import wrapped
from dialects.openai_responses.read_parts import (
    DIALECT,
    assistant_parts,
    has_annotations,
    texts,
    user_parts,
)
from dialects.openai_responses.read_tools import Tools
from dialects.openai_responses.reasoning import read_reasoning
from models.content import Media, Message, Opaque, Part, Role, Text, ToolCall, ToolResult
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json, JsonObject
from models.record import record, replace

_SPENT: Final = frozenset(
    {
        "code_interpreter_call",
        "configuration_update",
        "file_search_call",
        "image_generation_call",
        "mcp_call",
        "mcp_list_tools",
        "web_search_call",
    }
)
"""What the vendor ran itself: its outcome is in what the assistant said next."""


@record(frozen=True, slots=True)
class Conversation:
    """What the items of a request say."""

    system: tuple[Text, ...]
    messages: tuple[Message, ...]
    left_out: tuple[str, ...]
    """Types of items without which the conversation goes on."""


def read_input(payload: JsonObject, tools: Tools) -> Conversation:
    """Read `input`, a string or a list of items. Raises BadRequest or Unrepresentable."""
    reader = _Reader(tools)
    value = payload.get("input")
    if isinstance(value, str):
        reader.read({"role": "user", "content": value}, "input")
    elif not isinstance(value, list):
        raise fields.wrong("input", "a string or a list of items")
    else:
        for index, item in enumerate(fields.objects(payload, "input")):
            reader.read(item, f"input[{index}]")
    return reader.conversation()


@dataclass(slots=True, eq=False)
class _Turn:
    role: Role
    path: str
    parts: list[Part] = field(default_factory=list)

    def message(self) -> Message:
        return Message(self.role, tuple(self.parts), path=self.path)


class _Reader:
    """Reads one item after the other; knows the calls that came before."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._system: list[Text] = []
        self._turns: list[_Turn] = []
        self._left_out: list[str] = []
        self._ids = CallIds()
        self._callers: dict[str, _Turn] = {}
        self._signature: ToolCall | None = None  # of the call that comes next

    def conversation(self) -> Conversation:
        messages = tuple(turn.message() for turn in self._turns)
        return Conversation(tuple(self._system), messages, tuple(dict.fromkeys(self._left_out)))

    def read(self, item: JsonObject, where: str) -> None:
        kind = _kind(item, where)
        reader = _READERS.get(kind)
        if reader is not None:
            reader(self, item, where)
        elif kind in _SPENT:
            self._left_out.append(kind)
        elif kind != "additional_tools":
            self._opaque(item, where)
        if kind != "reasoning":
            self._signature = None

    # --- messages -----------------------------------------------------------------------------

    def message(self, item: JsonObject, where: str) -> None:
        match fields.text(item, "role", where):
            case "user":
                parts = user_parts(item, "content", where)
                self._turns.append(_Turn("user", where, [*parts]))
            case "assistant":
                self._assistant(where).parts += assistant_parts(item, where)
                if has_annotations(item):
                    self._left_out.append("annotations")
            case "system" | "developer":
                self._instruct(texts(item, "content", where), where)
            case _:
                expected = "one of system, developer, user, assistant"
                raise fields.wrong(f"{where}.role", expected)

    def _instruct(self, told: tuple[Text, ...], where: str) -> None:
        if self._turns:
            self._turns.append(_Turn("system", where, [*told]))
        else:
            self._system += told

    def _assistant(self, where: str) -> _Turn:
        if not self._turns or self._turns[-1].role != "assistant":
            self._turns.append(_Turn("assistant", where))
            self._ids.begin_turn()
        return self._turns[-1]

    def reasoning(self, item: JsonObject, where: str) -> None:
        self._signature = None
        match read_reasoning(item):
            case ToolCall() as signature:
                self._signature = signature
            case None:
                pass
            case thoughts:
                self._assistant(where).parts.append(thoughts)

    # --- tools --------------------------------------------------------------------------------

    def function_call(self, item: JsonObject, where: str) -> None:
        self._call(item, where, _arguments(item.get("arguments")))

    def custom_call(self, item: JsonObject, where: str) -> None:
        self._call(item, where, wrapped(fields.text(item, "input", where)))

    def _call(self, item: JsonObject, where: str, arguments: str) -> None:
        name = self._tools.name_of(item, where)
        turn = self._assistant(where)
        call_id = self._ids.call(_text(item, "call_id", where) or _text(item, "id", where))
        call = ToolCall(call_id, name, arguments)
        if self._signature is not None:
            signed = self._signature
            call = replace(call, signature=signed.signature, origin=signed.origin)
        turn.parts.append(call)
        self._callers[call_id] = turn

    def output(self, item: JsonObject, where: str) -> None:
        given = fields.text(item, "call_id", where)
        call_id = self._ids.result(given)
        if call_id is None:
            path = f"{where}.call_id"
            raise BadRequest(
                f"{path}: No tool call found for function call output with call_id {given}.",
                path=path,
            )
        result = ToolResult(call_id, _output_parts(item, where), path=where)
        self._answers(self._callers[call_id], where).parts.append(result)

    def _answers(self, caller: _Turn, where: str) -> _Turn:
        """Return the turn for the answers to a turn's calls: the one right after it."""
        at = len(self._turns) - 1
        while self._turns[at] is not caller:
            at -= 1
        at += 1
        if at == len(self._turns) or self._turns[at].role != "user":
            self._turns.insert(at, _Turn("user", where))
        return self._turns[at]

    # --- the rest -----------------------------------------------------------------------------

    def reference(self, _item: JsonObject, where: str) -> None:
        raise Unrepresentable(
            f"{where}: items that OpenAI stored are unknown to the provider of this model",
            path=where,
        )

    def _opaque(self, item: JsonObject, where: str) -> None:
        """Keep what only OpenAI understands; encoders refuse it by its place."""
        self._turns.append(_Turn("assistant", where, [Opaque(DIALECT, item)]))


def _kind(item: JsonObject, where: str) -> str:
    kind = fields.optional_text(item, "type", where)
    if kind is None:
        return "item_reference" if "role" not in item and "id" in item else "message"
    return kind


def _text(item: JsonObject, key: str, where: str) -> str:
    return fields.optional_text(item, key, where) or ""


def _arguments(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else arguments_text(value)


def _output_parts(item: JsonObject, where: str) -> tuple[Text | Media, ...]:
    output = item.get("output")
    if output is None:
        return ()
    if isinstance(output, dict):
        return (Text(arguments_text(output)),)
    return user_parts(item, "output", where)


_Read = Callable[[_Reader, JsonObject, str], None]

_READERS: Final[Mapping[str, _Read]] = {
    "message": _Reader.message,
    "reasoning": _Reader.reasoning,
    "function_call": _Reader.function_call,
    "custom_tool_call": _Reader.custom_call,
    "function_call_output": _Reader.output,
    "custom_tool_call_output": _Reader.output,
    "item_reference": _Reader.reference,
}
