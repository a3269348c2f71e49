"""OpenAI's Chat Completions as a provider writes it, with what differs at GLM."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tests.fakes.scenarios import Call, Scenario, compact

_ERRORS: dict[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", "invalid_value"),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
    503: ("service_unavailable_error", "server_is_overloaded"),
}
_GLM_ERRORS = {400: "1214", 401: "1000", 404: "1211", 429: "1302", 503: "1305", 529: "1305"}

_STOPS = {
    "end": "stop",
    "length": "length",
    "stop_sequence": "stop",
    "tools": "tool_calls",
    "refusal": "content_filter",
}


def chat_json(scenario: Scenario) -> dict[str, Any]:
    """A whole answer of `POST /chat/completions`."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": scenario.whole_text if scenario.text else None,
        "refusal": "".join(scenario.refusal) or None,
    }
    if scenario.thinking:
        message["reasoning_content"] = scenario.whole_thinking
    if scenario.calls:
        message["tool_calls"] = [_call(call) for call in scenario.calls]
    return {
        "id": "chatcmpl-fake01",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": scenario.model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": _STOPS[scenario.stop],
            }
        ],
        "usage": _usage(scenario),
        **scenario.extra,
    }


def chat_stream(
    scenario: Scenario, *, include_usage: bool, usage_with_finish: bool = False
) -> Iterator[bytes]:
    """The chunks of a streamed answer. `usage_with_finish`: as GLM sends it."""
    shows_null = include_usage and not usage_with_finish
    yield _chunk(scenario, {"role": "assistant", "content": ""}, shows_null=shows_null)
    for piece in scenario.thinking:
        yield _chunk(scenario, {"reasoning_content": piece}, shows_null=shows_null)
    for piece in scenario.text:
        yield _chunk(scenario, {"content": piece}, shows_null=shows_null)
    for piece in scenario.refusal:
        yield _chunk(scenario, {"refusal": piece}, shows_null=shows_null)
    for index, call in enumerate(scenario.calls):
        text = compact(dict(call.arguments))
        head = {**_call(call), "index": index}
        head["function"] = {"name": call.name, "arguments": ""}
        yield _chunk(scenario, {"tool_calls": [head]}, shows_null=shows_null)
        for piece in (text[: len(text) // 2], text[len(text) // 2 :]):
            more = {"index": index, "function": {"arguments": piece}}
            yield _chunk(scenario, {"tool_calls": [more]}, shows_null=shows_null)
    usage = _usage(scenario) if usage_with_finish else None
    finish = _STOPS[scenario.stop]
    yield _chunk(scenario, {}, finish=finish, usage=usage, shows_null=shows_null)
    if include_usage and not usage_with_finish:
        head = _chunk_head(scenario) | {"choices": [], "usage": _usage(scenario)}
        yield f"data: {compact(head)}\n\n".encode()
    yield b"data: [DONE]\n\n"


def _call(call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": compact(dict(call.arguments))}
    return {"id": call.id, "type": "function", "function": function}


def _usage(scenario: Scenario) -> dict[str, Any]:
    return {
        "prompt_tokens": scenario.prompt_tokens,
        "completion_tokens": scenario.output_tokens,
        "total_tokens": scenario.prompt_tokens + scenario.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": scenario.cache_read_tokens,
            "cache_write_tokens": scenario.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": scenario.reasoning_tokens},
    }


def _chunk_head(scenario: Scenario) -> dict[str, Any]:
    return {
        "id": "chatcmpl-fake01",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": scenario.model,
    }


def _chunk(
    scenario: Scenario,
    delta: dict[str, Any],
    *,
    finish: str | None = None,
    usage: dict[str, Any] | None = None,
    shows_null: bool,
) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    chunk: dict[str, Any] = _chunk_head(scenario) | {"choices": [choice]}
    if usage is not None or shows_null:
        chunk["usage"] = usage
    return f"data: {compact(chunk)}\n\n".encode()


def models_json(names: Sequence[str]) -> dict[str, Any]:
    """The list of `GET /models`."""
    data = [
        {"id": name, "object": "model", "created": 1_760_000_000, "owned_by": "fake"}
        for name in names
    ]
    return {"object": "list", "data": data}


def error(status: int, message: str) -> bytes:
    """An error's body."""
    name, code = _ERRORS.get(status, ("server_error", None))
    told = {"message": message, "type": name, "param": None, "code": code}
    return json.dumps({"error": told}).encode()


def glm_error(status: int, message: str) -> bytes:
    """An error's body at GLM."""
    code = _GLM_ERRORS.get(status, "500")
    return json.dumps({"error": {"code": code, "message": message}}).encode()


def stream_error(status: int, message: str) -> bytes:
    """An error as the last chunk of a stream."""
    return b"data: " + error(status, message) + b"\n\n"


def glm_stream_error(status: int, message: str) -> bytes:
    """The same at GLM."""
    return b"data: " + glm_error(status, message) + b"\n\n"
