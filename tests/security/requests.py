"""Valid requests that use every field which the translated paths read."""

from collections.abc import Iterator
from typing import Any

PATHS = {"messages": "/v1/messages", "chat": "/v1/chat/completions"}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}

MESSAGES: dict[str, Any] = {
    "model": "claude-fake",
    "max_tokens": 100,
    "stream": False,
    "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"},
                },
                {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
                {
                    "type": "document",
                    "title": "T",
                    "context": "C",
                    "source": {"type": "text", "media_type": "text/plain", "data": "words"},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                {"type": "tool_use", "id": "toolu_1", "name": "wx", "input": {"city": "Roma"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "is_error": False,
                    "content": [{"type": "text", "text": "sun"}],
                }
            ],
        },
    ],
    "tools": [{"name": "wx", "description": "Weather", "input_schema": SCHEMA, "strict": False}],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "stop_sequences": ["END"],
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 5,
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "metadata": {"user_id": "u"},
    "service_tier": "auto",
}

CHAT: dict[str, Any] = {
    "model": "gpt-fake",
    "max_completion_tokens": 100,
    "stream": False,
    "messages": [
        {"role": "system", "content": "Be kind.", "name": "s"},
        {
            "role": "user",
            "name": "n",
            "content": [
                {"type": "text", "text": "Look"},
                {
                    "type": "image_url",
                    "image_url": {"url": "data:image/png;base64,QUJD", "detail": "low"},
                },
                {
                    "type": "file",
                    "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"},
                },
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "wx", "arguments": '{"city":"Roma"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
        {"role": "user", "content": "And?"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "wx",
                "description": "Weather",
                "parameters": SCHEMA,
                "strict": False,
            },
        }
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "stop": ["END"],
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 5,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "seed": 7,
    "logit_bias": {"5": 1},
    "logprobs": False,
    "top_logprobs": 0,
    "n": 1,
    "reasoning_effort": "low",
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "description": "d", "schema": SCHEMA, "strict": True},
    },
    "user": "u",
    "safety_identifier": "s",
    "metadata": {"a": "b"},
    "service_tier": "auto",
    "verbosity": "low",
    "prompt_cache_key": "k",
    "modalities": ["text"],
}

PLAIN: dict[str, dict[str, Any]] = {
    "messages": {
        "model": "claude-fake",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hello"}],
    },
    "chat": {"model": "gpt-fake", "messages": [{"role": "user", "content": "Hello"}]},
}
RICH = {"messages": MESSAGES, "chat": CHAT}

Place = tuple[str | int, ...]


def places(value: object, at: Place = ()) -> Iterator[Place]:
    """Return where every value inside a request stands."""
    if at:
        yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*at, index))


def replaced(value: Any, at: Place, new: object) -> Any:  # noqa: ANN401 - JSON
    """Return the request with one value replaced; the given one stays as it is."""
    if not at:
        return new
    first, rest = at[0], at[1:]
    if isinstance(value, dict):
        return {**value, str(first): replaced(value[first], rest, new)}
    assert isinstance(first, int)
    return [*value[:first], replaced(value[first], rest, new), *value[first + 1 :]]


def value_at(value: Any, at: Place) -> Any:  # noqa: ANN401 - JSON
    """Return what stands at a place."""
    for step in at:
        value = value[step]
    return value


def named(at: Place) -> str:
    """Return a place as people write it, indices left out: `messages.content.text`."""
    return ".".join(str(step) for step in at if not isinstance(step, int))
