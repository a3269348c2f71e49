"""Gives tool calls of an answer the names back that the client knows."""

from collections.abc import Mapping
from dataclasses import replace

from models.chat import ChatResponse
from models.content import Part, ToolCall
from models.events import Event, PartStart


def restored_event(event: Event, names: Mapping[str, str]) -> Event:
    """Return the event with the client's tool name; `names` is `Encoded.tool_names`."""
    match event:
        case PartStart(part=ToolCall() as call) if call.name in names:
            return PartStart(_restored(call, names))
        case _:
            return event


def restored_response(response: ChatResponse, names: Mapping[str, str]) -> ChatResponse:
    """Return the answer with the client's tool names."""
    if not names:
        return response
    return replace(response, parts=tuple(_restored(part, names) for part in response.parts))


def _restored(part: Part, names: Mapping[str, str]) -> Part:
    if isinstance(part, ToolCall) and part.name in names:
        return replace(part, name=names[part.name])
    return part
