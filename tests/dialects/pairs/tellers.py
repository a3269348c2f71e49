"""How a client of each format tells a conversation."""

from collections.abc import Callable, Mapping
from typing import Final

from dialects.fields import dumps
from models.json_types import Json, JsonObject
from tests.dialects.test_conversations import Exchange, as_chat, as_messages


def as_responses(told: list[Exchange]) -> JsonObject:
    """Return the conversation as items: what is said, calls and their outputs, one by one."""
    items: list[Json] = [{"role": "user", "content": "Begin"}]
    for one in told:
        items += [{"role": "user", "content": text} for text in one.said]
        items += [
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": text}],
            }
            for text in one.answered
        ]
        items += [
            {
                "type": "function_call",
                "call_id": call.id,
                "name": call.name,
                "arguments": dumps(call.arguments).decode(),
            }
            for call in one.calls
        ]
        items += [
            {"type": "function_call_output", "call_id": call.id, "output": call.result}
            for call in (one.calls[at] for at in one.order)
        ]
    items.append({"role": "user", "content": "End"})
    tools: list[Json] = [
        {"type": "function", "name": name, "parameters": schema, "strict": False}
        for name, schema in _tools(told).items()
    ]
    return {"model": "m", "input": items, "tools": tools}


def as_gemini(told: list[Exchange]) -> JsonObject:
    """Return the conversation as contents; results stand in the order of their calls, by ids."""
    contents: list[Json] = [{"role": "user", "parts": [{"text": "Begin"}]}]
    for one in told:
        contents.append({"role": "user", "parts": [{"text": text} for text in one.said]})
        answered: list[Json] = [{"text": text} for text in one.answered]
        answered += [
            {"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}}
            for call in one.calls
        ]
        if answered:
            contents.append({"role": "model", "parts": answered})
        results: list[Json] = [
            {
                "functionResponse": {
                    "id": call.id,
                    "name": call.name,
                    "response": {"output": call.result},
                }
            }
            for call in (one.calls[at] for at in one.order)
        ]
        if results:
            contents.append({"role": "user", "parts": results})
    contents.append({"role": "user", "parts": [{"text": "End"}]})
    declared: list[Json] = [
        {"name": name, "parametersJsonSchema": schema} for name, schema in _tools(told).items()
    ]
    return {"contents": contents, "tools": [{"functionDeclarations": declared}]}


def _tools(told: list[Exchange]) -> dict[str, JsonObject]:
    tools = as_messages(told)["tools"]
    assert isinstance(tools, list)
    found: dict[str, JsonObject] = {}
    for tool in tools:
        assert isinstance(tool, dict)
        schema = tool["input_schema"]
        assert isinstance(schema, dict)
        found[str(tool["name"])] = schema
    return found


TELLERS: Final[Mapping[str, Callable[[list[Exchange]], JsonObject]]] = {
    # Responses takes no limit below 16 tokens.
    "messages": lambda told: {**as_messages(told), "max_tokens": 500},
    "chat": as_chat,
    "responses": as_responses,
    "gemini": as_gemini,
}
