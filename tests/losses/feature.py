"""One thing that a client may ask for, in the words of every format that has words for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from models.json_types import Json, JsonObject

MESSAGES, CHAT, RESPONSES, GEMINI = "messages", "chat", "responses", "gemini"

MARK: Final = "MARK"
"""Stands in every text of a feature: where it does not arrive, something was lost."""
MARK_BASE64: Final = "TUFSS01BUktN"
PNG: Final = f"data:image/png;base64,{MARK_BASE64}"
PDF: Final = f"data:application/pdf;base64,{MARK_BASE64}"

BASE: Final[Mapping[str, JsonObject]] = {
    MESSAGES: {
        "model": "m",
        "max_tokens": 500,
        "messages": [{"role": "user", "content": "Hi"}],
    },
    CHAT: {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
    RESPONSES: {"model": "m", "store": False, "input": [{"role": "user", "content": "Hi"}]},
    GEMINI: {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
}
"""A small request in each format."""


@dataclass(frozen=True, slots=True)
class Feature:
    """What is added to a request. A format that is missing in `said` cannot say it."""

    name: str
    said: Mapping[str, JsonObject]
    """Dialect -> fields that replace those of the base."""
    beside: Mapping[str, JsonObject] = field(default_factory=dict)
    """Dialect -> fields of a request that is the same without the feature."""

    def body(self, dialect: str) -> JsonObject:
        """Return a request with the feature."""
        return {**BASE[dialect], **self.beside.get(dialect, {}), **self.said[dialect]}

    def without(self, dialect: str) -> JsonObject:
        """Return the same request without it."""
        return {**BASE[dialect], **self.beside.get(dialect, {})}


def knob(name: str, **said: JsonObject) -> Feature:
    """Return a feature that is a field of the body, or some."""
    return Feature(name, said)


def beside(other: Feature, name: str, **said: JsonObject) -> Feature:
    """Return a feature that makes sense only beside another one."""
    return Feature(name, said, other.said)


def part(name: str, **said: JsonObject) -> Feature:
    """Return a feature that is a part of what the user says."""
    return Feature(name, {dialect: _asked(dialect, [part]) for dialect, part in said.items()})


def _asked(dialect: str, parts: list[JsonObject]) -> JsonObject:
    match dialect:
        case "messages" | "chat":
            content: list[Json] = [{"type": "text", "text": "Hi"}, *parts]
            return {"messages": [{"role": "user", "content": content}]}
        case "responses":
            content = [{"type": "input_text", "text": "Hi"}, *parts]
            return {"input": [{"role": "user", "content": content}]}
        case _:
            return {"contents": [{"role": "user", "parts": [{"text": "Hi"}, *parts]}]}


def history(name: str, **said: list[JsonObject]) -> Feature:
    """Return a feature of an earlier turn: what stands between two turns of the user.

    Messages: blocks of the assistant; Chat: messages; Responses: items; Gemini: the model's parts.
    """
    return Feature(
        name,
        {dialect: _told(dialect, turns) for dialect, turns in said.items()},
        {dialect: _told(dialect, _ANSWERED[dialect]) for dialect in said},
    )


_ANSWERED: Final[Mapping[str, list[JsonObject]]] = {
    MESSAGES: [{"type": "text", "text": "Ok"}],
    CHAT: [{"role": "assistant", "content": "Ok"}],
    RESPONSES: [{"role": "assistant", "content": "Ok"}],
    GEMINI: [{"text": "Ok"}],
}


def _told(dialect: str, turns: list[JsonObject]) -> JsonObject:
    match dialect:
        case "messages":
            said: list[Json] = [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": [*turns]},
                {"role": "user", "content": "Go on"},
            ]
            return {"messages": said}
        case "chat" | "responses":
            key = "messages" if dialect == "chat" else "input"
            said = [
                {"role": "user", "content": "Hi"},
                *turns,
                {"role": "user", "content": "Go on"},
            ]
            return {key: said}
        case _:
            said = [
                {"role": "user", "parts": [{"text": "Hi"}]},
                {"role": "model", "parts": [*turns]},
                {"role": "user", "parts": [{"text": "Go on"}]},
            ]
            return {"contents": said}


def result(name: str, *, without: "Feature | None" = None, **said: JsonObject) -> Feature:
    """Return a feature of a tool's result: the entry that answers the call `call_1` of `wx`."""
    bodies = {
        dialect: {**_TOOLS[dialect], **_answered(dialect, one)} for dialect, one in said.items()
    }
    return Feature(name, bodies, {} if without is None else without.said)


_SCHEMA: Final[JsonObject] = {"type": "object", "properties": {"city": {"type": "string"}}}
_TOOLS: Final[Mapping[str, JsonObject]] = {
    MESSAGES: {"tools": [{"name": "wx", "input_schema": _SCHEMA}]},
    CHAT: {"tools": [{"type": "function", "function": {"name": "wx", "parameters": _SCHEMA}}]},
    RESPONSES: {
        "tools": [{"type": "function", "name": "wx", "parameters": _SCHEMA, "strict": False}]
    },
    GEMINI: {"tools": [{"functionDeclarations": [{"name": "wx", "parameters": _SCHEMA}]}]},
}


def _answered(dialect: str, answer: JsonObject) -> JsonObject:
    match dialect:
        case "messages":
            call: JsonObject = {"type": "tool_use", "id": "call_1", "name": "wx", "input": {}}
            said: list[Json] = [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": [call]},
                {"role": "user", "content": [answer]},
            ]
            return {"messages": said}
        case "chat":
            function: JsonObject = {"name": "wx", "arguments": "{}"}
            call = {"id": "call_1", "type": "function", "function": function}
            said = [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                answer,
            ]
            return {"messages": said}
        case "responses":
            call = {"type": "function_call", "call_id": "call_1", "name": "wx", "arguments": "{}"}
            return {"input": [{"role": "user", "content": "Hi"}, call, answer]}
        case _:
            call = {"functionCall": {"id": "call_1", "name": "wx", "args": {}}}
            said = [
                {"role": "user", "parts": [{"text": "Hi"}]},
                {"role": "model", "parts": [call]},
                {"role": "user", "parts": [answer]},
            ]
            return {"contents": said}
