"""A Chat conversation, read into system text and turns.

What holds afterwards: every tool call has an id that occurs once, every result belongs to
an earlier call.
"""

from collections import deque

from dialects import fields
from dialects.call_ids import CallIds
from dialects.custom_tools import wrapped
from dialects.openai_chat.calls import read_signature
from dialects.openai_chat.read_parts import assistant_parts, plain_json, texts, user_parts
from models.content import Media, Message, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json, JsonObject
from models.record import replace


def read_messages(payload: JsonObject) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """Return the leading system text and the turns that follow it."""
    messages = fields.objects(payload, "messages")
    if not messages:
        raise BadRequest("messages: must hold at least one message", path="messages")
    reader = _Reader()
    for index, message in enumerate(messages):
        reader.read(message, f"messages[{index}]")
    reader.end_results()
    return tuple(reader.system), tuple(reader.turns)


class _Reader:
    """Reads one message after the other; knows the calls that came before."""

    def __init__(self) -> None:
        self.system: list[Text] = []
        self.turns: list[Message] = []
        self._ids = CallIds()
        self._by_name: dict[str, deque[str]] = {}
        """Ids of the calls of each function, for legacy `function` messages."""
        self._answered: set[str] = set()
        self._results: dict[str, ToolResult] = {}
        """Results in a row, which make one turn; a repeated one wins."""

    def read(self, message: JsonObject, where: str) -> None:
        role = fields.text(message, "role", where)
        if role not in ("tool", "function"):
            self.end_results()
        match role:
            case "system" | "developer":
                self._system(texts(message, where), where)
            case "user":
                self.turns.append(_user(message, where))
            case "assistant":
                self.turns.append(self._assistant(message, where))
            case "tool":
                call_id = self._known_id(fields.text(message, "tool_call_id", where), where)
                self._result(ToolResult(call_id, user_parts(message, where), path=where))
            case "function":
                self._result(self._function_result(message, where))
            case _:
                expected = "one of system, developer, user, assistant, tool"
                raise fields.wrong(f"{where}.role", expected)

    def _system(self, parts: tuple[Text, ...], where: str) -> None:
        if self.turns:
            self.turns.append(Message("system", parts, path=where))
        else:
            self.system.extend(parts)

    def _assistant(self, message: JsonObject, where: str) -> Message:
        if message.get("audio") is not None:
            raise Unrepresentable(
                f"{where}.audio: spoken answers cannot be translated", path=f"{where}.audio"
            )
        self._ids.begin_turn()
        parts: list[Part] = [*read_reasoning(message), *assistant_parts(message, where)]
        if refusal := fields.optional_text(message, "refusal", where):
            parts.append(Refusal(refusal))
        calls = fields.optional_objects(message, "tool_calls", where)
        for index, call in enumerate(calls):
            parts.append(self._call(call, f"{where}.tool_calls[{index}]"))
        legacy = fields.optional_mapping(message, "function_call", where)
        if legacy is not None:
            parts.append(self._legacy_call(legacy, f"{where}.function_call"))
        name = fields.optional_text(message, "name", where)
        return Message("assistant", tuple(parts), name, where)

    def _call(self, call: JsonObject, where: str) -> ToolCall:
        call_id = self._ids.call(fields.optional_text(call, "id", where) or "")
        if call.get("type") == "custom":
            custom = fields.mapping(call, "custom", where)
            name = fields.text(custom, "name", f"{where}.custom")
            text = fields.text(custom, "input", f"{where}.custom")
            return _signed(ToolCall(call_id, name, wrapped(text)), call)
        function = fields.mapping(call, "function", where)
        here = f"{where}.function"
        name = fields.text(function, "name", here)
        return _signed(self._function_call(call_id, name, function), call)

    def _legacy_call(self, call: JsonObject, where: str) -> ToolCall:
        name = fields.text(call, "name", where)
        return self._function_call(self._ids.call(""), name, call)

    def _function_call(self, call_id: str, name: str, function: JsonObject) -> ToolCall:
        self._by_name.setdefault(name, deque()).append(call_id)
        return ToolCall(call_id, name, _arguments(function.get("arguments")))

    def _function_result(self, message: JsonObject, where: str) -> ToolResult:
        name = fields.text(message, "name", where)
        waiting = self._by_name.get(name, deque())
        while waiting and waiting[0] in self._answered:
            waiting.popleft()
        if not waiting:
            raise BadRequest(
                f"{where}: answers the function {name}, which was not called before it", path=where
            )
        parts = () if message.get("content") is None else texts(message, where)
        return ToolResult(waiting[0], parts)

    def _result(self, result: ToolResult) -> None:
        self._answered.add(result.call_id)
        self._results[result.call_id] = result

    def end_results(self) -> None:
        """Make a turn of the results so far."""
        if self._results:
            self.turns.append(Message("user", tuple(self._results.values())))
            self._results.clear()

    def _known_id(self, given: str, where: str) -> str:
        call_id = self._ids.result(given)
        if call_id is None:
            raise BadRequest(
                f"{where}.tool_call_id: no call before it has this id", path=f"{where}.tool_call_id"
            )
        return call_id


def _signed(call: ToolCall, entry: JsonObject) -> ToolCall:
    signature, origin = read_signature(entry)
    return replace(call, signature=signature, origin=origin) if signature else call


def read_reasoning(message: JsonObject) -> tuple[Reasoning, ...]:
    """Return what the model thought, in any of the spellings that servers use.

    No field of the standard, so nothing is refused: what does not fit is not there.
    """
    for key in ("reasoning_content", "reasoning"):
        text = message.get(key)
        if isinstance(text, str) and text:
            return (Reasoning(text),)
    return tuple(_reasoning_details(message.get("reasoning_details")))


def _reasoning_details(details: Json) -> list[Reasoning]:
    found = []
    for entry in details if isinstance(details, list) else ():
        if isinstance(entry, dict):
            text = entry.get("text")
            if isinstance(text, str) and text:
                found.append(Reasoning(text))
    return found


def _user(message: JsonObject, where: str) -> Message:
    parts: tuple[Text | Media, ...] = user_parts(message, where)
    return Message("user", parts, fields.optional_text(message, "name", where), where)


def _arguments(value: Json) -> str:
    return "" if value is None else plain_json(value)
