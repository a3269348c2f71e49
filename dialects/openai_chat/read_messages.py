"""A Chat conversation, read into system text and turns.

What holds afterwards: every tool call has an id that occurs once, every result belongs to
an earlier call.
"""

from dialects import fields
from dialects.openai_chat.read_parts import assistant_parts, plain_json, texts, user_parts
from models.content import Media, Message, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json, JsonObject


def read_messages(payload: JsonObject) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """Return the leading system text and the turns that follow it."""
    messages = fields.objects(payload, "messages")
    if not messages:
        raise BadRequest("messages: must hold at least one message", path="messages")
    reader = _Reader()
    for index, message in enumerate(messages):
        reader.read(message, f"messages[{index}]")
    return tuple(reader.system), tuple(reader.turns)


class _Reader:
    """Reads one message after the other; knows the calls that came before."""

    def __init__(self) -> None:
        self.system: list[Text] = []
        self.turns: list[Message] = []
        self._calls: dict[str, str] = {}
        """The client's id of a call -> the id that occurs only once."""
        self._used: set[str] = set()
        self._unanswered: list[tuple[str, str]] = []
        """(name, our id) of calls that legacy `function` messages may answer."""
        self._count = 0

    def read(self, message: JsonObject, where: str) -> None:
        role = fields.text(message, "role", where)
        match role:
            case "system" | "developer":
                self._system(texts(message, where))
            case "user":
                self.turns.append(_user(message, where))
            case "assistant":
                self.turns.append(self._assistant(message, where))
            case "tool":
                call_id = self._known_id(fields.text(message, "tool_call_id", where), where)
                self._result(ToolResult(call_id, user_parts(message, where)))
            case "function":
                self._result(self._function_result(message, where))
            case _:
                expected = "one of system, developer, user, assistant, tool"
                raise fields.wrong(f"{where}.role", expected)

    def _system(self, parts: tuple[Text, ...]) -> None:
        if self.turns:
            self.turns.append(Message("system", parts))
        else:
            self.system.extend(parts)

    def _assistant(self, message: JsonObject, where: str) -> Message:
        if message.get("audio") is not None:
            raise Unrepresentable(
                f"{where}.audio: spoken answers cannot be translated", path=f"{where}.audio"
            )
        parts: list[Part] = [*read_reasoning(message), *assistant_parts(message, where)]
        if refusal := fields.optional_text(message, "refusal", where):
            parts.append(Refusal(refusal))
        calls = fields.optional_objects(message, "tool_calls", where)
        for index, call in enumerate(calls):
            parts.append(self._call(call, f"{where}.tool_calls[{index}]"))
        legacy = fields.optional_mapping(message, "function_call", where)
        if legacy is not None:
            parts.append(self._legacy_call(legacy, f"{where}.function_call"))
        return Message("assistant", tuple(parts), fields.optional_text(message, "name", where))

    def _call(self, call: JsonObject, where: str) -> ToolCall:
        call_id = self._new_id(fields.optional_text(call, "id", where) or "")
        if call.get("type") == "custom":
            custom = fields.mapping(call, "custom", where)
            name = fields.text(custom, "name", f"{where}.custom")
            text = fields.text(custom, "input", f"{where}.custom")
            return ToolCall(call_id, name, plain_json({"input": text}))
        function = fields.mapping(call, "function", where)
        here = f"{where}.function"
        name = fields.text(function, "name", here)
        self._unanswered.append((name, call_id))
        return ToolCall(call_id, name, _arguments(function.get("arguments")))

    def _legacy_call(self, call: JsonObject, where: str) -> ToolCall:
        name = fields.text(call, "name", where)
        call_id = self._new_id("")
        self._unanswered.append((name, call_id))
        return ToolCall(call_id, name, _arguments(call.get("arguments")))

    def _function_result(self, message: JsonObject, where: str) -> ToolResult:
        name = fields.text(message, "name", where)
        found = next((call for call in self._unanswered if call[0] == name), None)
        if found is None:
            raise BadRequest(
                f"{where}: answers the function {name}, which was not called before it", path=where
            )
        self._unanswered.remove(found)
        parts = () if message.get("content") is None else texts(message, where)
        return ToolResult(found[1], parts)

    def _result(self, result: ToolResult) -> None:
        """Add a result; results in a row make one turn, and a repeated one wins."""
        last = self.turns[-1] if self.turns else None
        results = [part for part in last.parts if isinstance(part, ToolResult)] if last else []
        if last is None or not results or len(results) < len(last.parts):
            self.turns.append(Message("user", (result,)))
            return
        kept = (known for known in results if known.call_id != result.call_id)
        self.turns[-1] = Message("user", (*kept, result))

    def _known_id(self, call_id: str, where: str) -> str:
        if call_id not in self._calls:
            raise BadRequest(
                f"{where}.tool_call_id: no call before it has this id", path=f"{where}.tool_call_id"
            )
        known = self._calls[call_id]
        self._unanswered = [call for call in self._unanswered if call[1] != known]
        return known

    def _new_id(self, call_id: str) -> str:
        """Return an id that occurs once. Some servers count from `call_0` in every answer."""
        unique = call_id or f"call_{self._count}"
        number = 1
        while unique in self._used:
            number += 1
            unique = f"{call_id or 'call'}_{self._count}_{number}"
        self._count += 1
        self._used.add(unique)
        if call_id:
            self._calls[call_id] = unique
        else:
            self._calls.setdefault(unique, unique)
        return unique


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
    return Message("user", parts, fields.optional_text(message, "name", where))


def _arguments(value: Json) -> str:
    return "" if value is None else plain_json(value)
