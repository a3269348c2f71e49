"""A conversation, written as Responses items.

Ids of items are left out: OpenAI looks them up among what it stored. Every tool call is answered
right after its turn, in the order of the calls.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from dialects.custom_tools import unwrapped
from dialects.names import wire_id
from dialects.openai_chat.write_parts import error_text
from dialects.openai_responses.write_parts import Outgoing, opaque, written_content
from models.chat import ChatRequest
from models.content import (
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from models.json_types import Json, JsonObject

NOT_EXECUTED: Final = "Error: [tool call was not executed]"
_MAX_CALL_ID: Final = 64


def written_input(request: ChatRequest, out: Outgoing) -> list[Json]:
    """Return `input`."""
    items: list[Json] = []
    results = {
        part.call_id: part
        for message in request.messages
        for part in message.parts
        if isinstance(part, ToolResult)
    }
    for index, message in enumerate(request.messages):
        where = f"{message.path or f'messages[{index}]'}.content"
        _note_lost(message, out)
        match message.role:
            case "system":
                items += _said("developer", written_content(message.parts, where, out))
            case "user":
                rest = [part for part in message.parts if not isinstance(part, ToolResult)]
                items += _said("user", written_content(rest, where, out))
            case "assistant":
                items += _assistant(message, where, out)
                items += _outputs(message, results, out)
    if request.messages and _is_prefill(request.messages[-1]):
        out.dropped.append("prefill")
    return items


def _said(role: str, content: list[Json]) -> list[Json]:
    return [{"type": "message", "role": role, "content": content}] if content else []


def _assistant(message: Message, where: str, out: Outgoing) -> list[Json]:
    items: list[Json] = []
    texts: list[str] = []
    for index, part in enumerate(_followed(message.parts, out)):
        match part:
            case Text(text) | Refusal(text):
                texts.append(text)
                continue
            case Media():
                out.dropped.append(part.kind)
                continue
            case _:
                pass
        items += _spoken(texts)
        match part:
            case ToolCall():
                items.append(_call(part, out))
            case Reasoning():
                items += _thoughts(part, out)
            case Opaque():
                items.append(opaque(part, f"{where}[{index}]"))
            case ToolResult():
                pass
    return items + _spoken(texts)


def _spoken(texts: list[str]) -> list[Json]:
    """Return the text so far as one message, and begin anew."""
    text = "".join(texts)
    texts.clear()
    return [{"type": "message", "role": "assistant", "content": text}] if text else []


def _followed(parts: Sequence[Part], out: Outgoing) -> Sequence[Part]:
    """Leave reasoning out that nothing follows: OpenAI wants what it was thought for."""
    end = len(parts)
    while end and isinstance(parts[end - 1], Reasoning):
        end -= 1
    if end < len(parts):
        out.dropped.append("reasoning")
    return parts[:end]


def _thoughts(part: Reasoning, out: Outgoing) -> list[Json]:
    is_own = part.signature and part.origin and part.origin == out.profile.vendor
    if not is_own or part.redacted is not None or not out.profile.reasoning:
        out.dropped.append("reasoning")
        return []
    summary: list[Json] = [{"type": "summary_text", "text": part.text}] if part.text else []
    return [{"type": "reasoning", "summary": summary, "encrypted_content": part.signature}]


def _call(call: ToolCall, out: Outgoing) -> JsonObject:
    call_id, name = _wire_id(call.id), out.names.get(call.name, call.name)
    if call.name in out.custom:
        text = unwrapped(call.arguments)
        return {"type": "custom_tool_call", "call_id": call_id, "name": name, "input": text}
    return {
        "type": "function_call",
        "call_id": call_id,
        "name": name,
        "arguments": call.arguments or "{}",
    }


def _wire_id(call_id: str) -> str:
    return wire_id(call_id, limit=_MAX_CALL_ID)


# --- tool results -----------------------------------------------------------------------------


def _outputs(message: Message, results: Mapping[str, ToolResult], out: Outgoing) -> list[Json]:
    items: list[Json] = []
    for part in message.parts:
        if isinstance(part, ToolCall):
            result = results.get(part.id)
            kind = "custom_tool_call" if part.name in out.custom else "function_call"
            items.append(
                {
                    "type": f"{kind}_output",
                    "call_id": _wire_id(part.id),
                    "output": NOT_EXECUTED if result is None else _output(result, out),
                }
            )
    return items


def _output(result: ToolResult, out: Outgoing) -> Json:
    content = written_content(result.parts, f"{result.path or 'messages'}.content", out)
    if any(isinstance(part, dict) and part.get("type") != "input_text" for part in content):
        return [{"type": "input_text", "text": "Error:"}, *content] if result.is_error else content
    text = "\n".join(str(part["text"]) for part in content if isinstance(part, dict))
    return error_text(text) if result.is_error else text


# --- what is lost -----------------------------------------------------------------------------


def _note_lost(message: Message, out: Outgoing) -> None:
    if message.name:
        out.dropped.append("name")
    if any(isinstance(part, Text) and part.citations for part in message.parts):
        out.dropped.append("citations")


def _is_prefill(message: Message) -> bool:
    has_call = any(isinstance(part, ToolCall) for part in message.parts)
    return message.role == "assistant" and not has_call
