"""Anthropic's Messages as a provider writes it: answers, streams, counts, errors, models."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tests.fakes.scenarios import Scenario, compact

_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}

_STOPS = {
    "end": "end_turn",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tools": "tool_use",
    "refusal": "refusal",
}


def messages_json(scenario: Scenario, vendor: str = "anthropic") -> dict[str, Any]:
    """A whole answer of `POST /v1/messages`; the vendor signs the thinking."""
    content: list[dict[str, Any]] = []
    if scenario.thinking:
        content.append(
            {
                "type": "thinking",
                "thinking": scenario.whole_thinking,
                "signature": scenario.signed(vendor),
            }
        )
    if scenario.text:
        content.append({"type": "text", "text": scenario.whole_text})
    content += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)}
        for call in scenario.calls
    ]
    return {
        "id": "msg_fake01",
        "type": "message",
        "role": "assistant",
        "model": scenario.model,
        "content": content,
        "stop_reason": _STOPS[scenario.stop],
        "stop_sequence": scenario.stop_sequence,
        "usage": {**_input(scenario), "output_tokens": scenario.output_tokens},
        **scenario.extra,
    }


def messages_stream(scenario: Scenario, vendor: str = "anthropic") -> Iterator[bytes]:
    """The events of a streamed answer, one item each."""
    start = messages_json(scenario) | {"content": [], "stop_reason": None, "stop_sequence": None}
    start["usage"] = {**_input(scenario), "output_tokens": 1}
    yield _event({"type": "message_start", "message": start})
    index = 0
    if scenario.thinking:
        block: dict[str, Any] = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in scenario.thinking]
        deltas.append({"type": "signature_delta", "signature": scenario.signed(vendor)})
        yield from _block(index, block, deltas)
        index += 1
        yield _event({"type": "ping"})
    if scenario.text:
        deltas = [{"type": "text_delta", "text": piece} for piece in scenario.text]
        yield from _block(index, {"type": "text", "text": ""}, deltas)
        index += 1
    for call in scenario.calls:
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        text = compact(dict(call.arguments))
        pieces = ["", text[: len(text) // 2], text[len(text) // 2 :]]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        yield from _block(index, block, deltas)
        index += 1
    delta = {
        "stop_reason": _STOPS[scenario.stop],
        "stop_sequence": scenario.stop_sequence,
    }
    usage = {"output_tokens": scenario.output_tokens}
    yield _event({"type": "message_delta", "delta": delta, "usage": usage})
    yield _event({"type": "message_stop"})


def _input(scenario: Scenario) -> dict[str, int]:
    return {
        "input_tokens": scenario.input_tokens,
        "cache_creation_input_tokens": scenario.cache_write_tokens,
        "cache_read_input_tokens": scenario.cache_read_tokens,
    }


def _block(index: int, block: dict[str, Any], deltas: list[dict[str, Any]]) -> Iterator[bytes]:
    yield _event({"type": "content_block_start", "index": index, "content_block": block})
    for delta in deltas:
        yield _event({"type": "content_block_delta", "index": index, "delta": delta})
    yield _event({"type": "content_block_stop", "index": index})


def _event(payload: dict[str, Any]) -> bytes:
    return f"event: {payload['type']}\ndata: {compact(payload)}\n\n".encode()


def count_json(scenario: Scenario) -> dict[str, int]:
    """The answer of `POST /v1/messages/count_tokens`."""
    return {"input_tokens": scenario.prompt_tokens}


def models_json(names: Sequence[str]) -> dict[str, Any]:
    """The list of `GET /v1/models`."""
    created = "2026-01-01T00:00:00Z"
    data = [
        {"type": "model", "id": name, "display_name": name, "created_at": created} for name in names
    ]
    return {"data": data, "has_more": False}


def error(status: int, message: str) -> bytes:
    """An error's body."""
    told = {"type": _ERRORS.get(status, "api_error"), "message": message}
    return json.dumps({"type": "error", "error": told, "request_id": "req_fake"}).encode()


def stream_error(status: int, message: str) -> bytes:
    """The same as the last event of a stream."""
    return b"event: error\ndata: " + error(status, message) + b"\n\n"
