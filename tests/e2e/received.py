"""What a pretend provider received, read from its own format."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.fakes.formats.base import Seen
from tests.fakes.formats.gemini_rules import camel


@dataclass(frozen=True)
class Received:
    """A request in the words of any of the formats."""

    system: str
    tools: dict[str, Any]
    """Schemas by the names of tools."""
    results: tuple[str, ...]
    """Texts of tool results, in order."""
    stops: tuple[str, ...]
    max_tokens: int | None
    texts: tuple[str, ...]
    """Every string anywhere in the request."""
    thinks: bool
    """Thinking was asked for."""
    must_call: bool
    """The model may not do without a tool."""
    path: str

    @property
    def is_chat(self) -> bool:
        return self.path.endswith("/chat/completions")


def received(seen: Seen) -> Received:
    """Read a request by the path it came to."""
    payload = seen.payload
    if "/messages" in seen.path:
        read = _messages(payload)
    elif seen.path.endswith("/chat/completions"):
        read = _chat(payload)
    elif "/responses" in seen.path:
        read = _responses(payload)
    else:
        read = _gemini(camel(payload.get("request", payload)))
    return Received(**read, texts=tuple(strings(payload)), path=seen.path)


def strings(value: object) -> Iterator[str]:
    """Every string inside a payload."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def _text(content: Any) -> str:  # noqa: ANN401 - JSON
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or ())


def _messages(payload: dict[str, Any]) -> dict[str, Any]:
    blocks = [
        block
        for message in payload["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
    ]
    return {
        "system": _text(payload.get("system")),
        "tools": {tool["name"]: tool["input_schema"] for tool in payload.get("tools") or ()},
        "results": tuple(_text(b["content"]) for b in blocks if b["type"] == "tool_result"),
        "stops": tuple(payload.get("stop_sequences") or ()),
        "max_tokens": payload.get("max_tokens"),
        "thinks": payload.get("thinking", {}).get("type") in ("enabled", "adaptive"),
        "must_call": payload.get("tool_choice", {}).get("type") in ("any", "tool"),
    }


def _chat(payload: dict[str, Any]) -> dict[str, Any]:
    messages = payload["messages"]
    functions = [tool["function"] for tool in payload.get("tools") or ()]
    stops = payload.get("stop") or ()
    limit = payload.get("max_completion_tokens") or payload.get("max_tokens")
    system = [_text(m["content"]) for m in messages if m["role"] in ("system", "developer")]
    thinking = payload.get("thinking", {}).get("type") == "enabled"
    return {
        "system": "".join(system),
        "tools": {function["name"]: function.get("parameters") for function in functions},
        "results": tuple(_text(m["content"]) for m in messages if m["role"] == "tool"),
        "stops": (stops,) if isinstance(stops, str) else tuple(stops),
        "max_tokens": limit,
        "thinks": thinking or payload.get("reasoning_effort") is not None,
        "must_call": payload.get("tool_choice") not in (None, "auto", "none"),
    }


def _responses(payload: dict[str, Any]) -> dict[str, Any]:
    items = payload["input"] if isinstance(payload["input"], list) else []
    system = [_text(i["content"]) for i in items if i.get("role") in ("system", "developer")]
    return {
        "system": "".join([payload.get("instructions") or "", *system]),
        "tools": {tool["name"]: tool["parameters"] for tool in payload.get("tools") or ()},
        "results": tuple(_text(i["output"]) for i in items if "output" in i),
        "stops": (),
        "max_tokens": payload.get("max_output_tokens"),
        "thinks": (payload.get("reasoning") or {}).get("effort") is not None,
        "must_call": payload.get("tool_choice") not in (None, "auto", "none"),
    }


def _gemini(payload: dict[str, Any]) -> dict[str, Any]:
    config = payload.get("generationConfig") or {}
    parts = [part for content in payload["contents"] for part in content["parts"]]
    declared = [
        one for tool in payload.get("tools") or () for one in tool.get("functionDeclarations", ())
    ]
    choice = (payload.get("toolConfig") or {}).get("functionCallingConfig") or {}
    answers = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
    return {
        "system": _text((payload.get("systemInstruction") or {}).get("parts")),
        "tools": {
            d["name"]: d.get("parameters") or d.get("parametersJsonSchema") for d in declared
        },
        "results": tuple(str(next(iter(answer.values()), "")) for answer in answers),
        "stops": tuple(config.get("stopSequences") or ()),
        "max_tokens": config.get("maxOutputTokens"),
        "thinks": bool((config.get("thinkingConfig") or {}).get("includeThoughts")),
        "must_call": choice.get("mode") in ("ANY", "VALIDATED"),
    }
