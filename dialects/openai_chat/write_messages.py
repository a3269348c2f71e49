"""A conversation, written as Chat messages.

Every tool call is answered right after its turn, in the order of the calls; what a tool
message cannot hold (images, documents) follows in user messages after all of them.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from dialects.names import wire_id
from dialects.openai_chat.write_parts import (
    Outgoing,
    document_text,
    error_text,
    written_call,
    written_content,
    written_media,
)
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
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject

NOT_EXECUTED: Final = "Error: [tool call was not executed]"


def written_messages(request: ChatRequest, out: Outgoing) -> list[Json]:
    """Return `messages`."""
    messages: list[Json] = []
    system = "\n\n".join(text.text for text in request.system if text.text)
    if system:
        messages.append({"role": "system", "content": system})
    results = _results(request)
    for index, message in enumerate(request.messages):
        where = message.path or f"messages[{index}]"
        _note_lost(message.parts, out)
        match message.role:
            case "system":
                text = "\n\n".join(part.text for part in message.parts if isinstance(part, Text))
                messages.append({"role": "system", "content": text})
            case "user":
                messages.extend(_user(message, where, out))
            case "assistant":
                messages.append(_assistant(message, where, out))
                messages.extend(_answers(message, results, out))
    if request.messages and request.messages[-1].role == "assistant":
        _note_prefill(request.messages[-1], out)
    return messages


def _results(request: ChatRequest) -> dict[str, ToolResult]:
    """Return all results by their call; of two for one call the later one counts."""
    return {
        part.call_id: part
        for message in request.messages
        for part in message.parts
        if isinstance(part, ToolResult)
    }


def _user(message: Message, where: str, out: Outgoing) -> list[Json]:
    rest = [part for part in message.parts if not isinstance(part, ToolResult)]
    content = written_content(rest, where, out)
    if content is None:
        if len(rest) < len(message.parts):
            return []
        content = ""
    written: JsonObject = {"role": "user", "content": content}
    if message.name:
        written["name"] = message.name
    return [written]


def _assistant(message: Message, where: str, out: Outgoing) -> JsonObject:
    calls: list[Json] = []
    texts: list[str] = []
    refusals: list[str] = []
    thoughts: list[str] = []
    for index, part in enumerate(message.parts):
        match part:
            case Text():
                texts.append(part.text)
            case Refusal():
                refusals.append(part.text)
            case ToolCall():
                calls.append(written_call(part, out))
            case Reasoning():
                thoughts.extend(_thought(part, out))
            case Media():
                out.dropped.append(part.kind)
            case Opaque():
                raise Unrepresentable(
                    f"{where}.content[{index}]: a block of type "
                    f"{str(part.payload.get('type'))[:64]} cannot be sent to a provider of the "
                    "Chat format",
                    path=f"{where}.content[{index}]",
                )
            case ToolResult():
                pass
    text = "".join(texts)
    written: JsonObject = {"role": "assistant", "content": text}
    if not text and (calls or refusals):
        written["content"] = None
    if message.name:
        written["name"] = message.name
    if refusals:
        written["refusal"] = "".join(refusals)
    if thoughts:
        written["reasoning_content"] = "".join(thoughts)
    if calls:
        written["tool_calls"] = calls
    return written


def _thought(part: Reasoning, out: Outgoing) -> list[str]:
    """Return reasoning for servers that want it back, if it is their own or nobody's."""
    is_known = part.origin is None or part.origin == out.profile.vendor
    if out.profile.reasoning_content and is_known and part.text:
        return [part.text]
    out.dropped.append("reasoning")
    return []


def _note_lost(parts: Sequence[Part], out: Outgoing) -> None:
    """Name what parts of Anthropic's have beyond their content."""
    for part in parts:
        match part:
            case Text():
                if part.citations:
                    out.dropped.append("citations")
            case Media():
                out.dropped.extend(part.own or ())
            case ToolResult():
                _note_lost(part.parts, out)
            case _:
                pass


def _note_prefill(message: Message, out: Outgoing) -> None:
    if not any(isinstance(part, ToolCall) for part in message.parts):
        out.dropped.append("prefill")


# --- tool results -----------------------------------------------------------------------------


def _answers(message: Message, results: Mapping[str, ToolResult], out: Outgoing) -> list[Json]:
    answers: list[Json] = []
    attached: list[Json] = []
    for part in message.parts:
        if isinstance(part, ToolCall):
            result = results.get(part.id)
            content = NOT_EXECUTED if result is None else _result_text(result)
            call_id = wire_id(part.id)
            answers.append({"role": "tool", "tool_call_id": call_id, "content": content})
            if result is not None:
                attached.extend(_attachments(result, call_id, out))
    return answers + attached


def _result_text(result: ToolResult) -> str:
    lines: list[str] = []
    for index, part in enumerate(result.parts):
        match part:
            case Text():
                lines.append(part.text)
            case Media():
                text = document_text(part) if part.kind == "document" else None
                lines.append(text if text is not None else f"[{part.kind} attached below]")
            case Opaque():
                kind = str(part.payload.get("type"))[:64]
                where = _path(result, index)
                raise Unrepresentable(
                    f"{where}: a tool result of type {kind} cannot be sent to a provider of the "
                    "Chat format",
                    path=where,
                )
    text = "\n".join(line for line in lines if line)
    return error_text(text) if result.is_error else text


def _attachments(result: ToolResult, call_id: str, out: Outgoing) -> list[JsonObject]:
    media = [
        (part, _path(result, index))
        for index, part in enumerate(result.parts)
        if isinstance(part, Media) and not _is_text(part)
    ]
    if not media:
        return []
    kinds = {part.kind for part, _ in media}
    kind = media[0][0].kind.capitalize() if len(kinds) == 1 else "Content"
    content: list[Json] = [
        {"type": "text", "text": f"{kind} returned by tool call {call_id}:"},
        *(written_media(part, where, out) for part, where in media),
    ]
    return [{"role": "user", "content": content}]


def _path(result: ToolResult, index: int) -> str:
    return f"{result.path or 'messages'}.content[{index}]"


def _is_text(part: Part) -> bool:
    return isinstance(part, Media) and part.kind == "document" and document_text(part) is not None
