"""Neutral requests, small, for the tests of what is written of them."""

from dataclasses import replace
from typing import Any

from dialects.anthropic.turns import NOT_EXECUTED
from models.chat import (
    ChatRequest,
    Tool,
)
from models.content import (
    Media,
    Message,
    Opaque,
    Part,
    Text,
    ToolCall,
    ToolResult,
)
from models.json_types import Json, JsonObject
from models.profile import Profile
from tests.dialects.anthropic.support import MANUAL, write

USER = Message("user", (Text("Hi"),))
TOOL = Tool("f", schema={"type": "object", "properties": {}})
SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"x": {"type": "string"}},
    "required": ["x"],
    "additionalProperties": False,
}


def chat(*messages: Message, **fields: Any) -> ChatRequest:  # noqa: ANN401  # any field of it
    return replace(ChatRequest("alias", False, messages or (USER,), max_tokens=100), **fields)


def turns(*messages: Message, profile: Profile = MANUAL) -> Json:
    return write(chat(*messages), profile).payload["messages"]


def assistant(*parts: Part) -> Message:
    return Message("assistant", parts)


def user(*parts: Part) -> Message:
    return Message("user", parts)


def call(name: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(f"call_{name}", name, arguments)


def result(name: str, *parts: Text | Media | Opaque) -> ToolResult:
    return ToolResult(f"call_{name}", parts)


def use(name: str, **given: Json) -> JsonObject:
    return {"type": "tool_use", "id": f"call_{name}", "name": name, "input": given}


def answer(name: str, content: Json) -> JsonObject:
    return {"type": "tool_result", "tool_use_id": f"call_{name}", "content": content}


def missing(name: str) -> JsonObject:
    return {**answer(name, NOT_EXECUTED), "is_error": True}
