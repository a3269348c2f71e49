"""What a fake provider answers, told once and written in each provider's own format.

The writers here know nothing of our codecs, so that a test does not agree with itself.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """A tool call of the model."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Scenario:
    """One answer. Token counts are disjoint, as Anthropic counts them."""

    text: tuple[str, ...] = ("Hel", "lo ", "wörld ✓")
    """Deltas of the text."""
    thinking: tuple[str, ...] = ()
    signature: str = "c2lnbmF0dXJl"
    calls: tuple[Call, ...] = ()
    stop: str = "end"
    """`end`, `length`, `stop_sequence`, `tools`, `refusal`."""
    stop_sequence: str | None = None
    input_tokens: int = 11
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 7
    reasoning_tokens: int = 0
    model: str = "fake-model"
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields that only the provider knows, put into a whole answer."""

    @property
    def whole_text(self) -> str:
        return "".join(self.text)

    @property
    def prompt_tokens(self) -> int:
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# --- Anthropic Messages -----------------------------------------------------------------------

_MESSAGES_STOPS = {
    "end": "end_turn",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tools": "tool_use",
    "refusal": "refusal",
}


def messages_json(scenario: Scenario) -> dict[str, Any]:
    """A whole answer of `POST /v1/messages`."""
    content: list[dict[str, Any]] = []
    if scenario.thinking:
        content.append(
            {
                "type": "thinking",
                "thinking": "".join(scenario.thinking),
                "signature": scenario.signature,
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
        "stop_reason": _MESSAGES_STOPS[scenario.stop],
        "stop_sequence": scenario.stop_sequence,
        "usage": {**_messages_input(scenario), "output_tokens": scenario.output_tokens},
        **scenario.extra,
    }


def messages_stream(scenario: Scenario) -> Iterator[bytes]:
    """The events of a streamed answer, one item each."""
    start = messages_json(scenario) | {"content": [], "stop_reason": None, "stop_sequence": None}
    start["usage"] = {**_messages_input(scenario), "output_tokens": 1}
    yield _event({"type": "message_start", "message": start})
    index = 0
    if scenario.thinking:
        block: dict[str, Any] = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in scenario.thinking]
        deltas.append({"type": "signature_delta", "signature": scenario.signature})
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
        "stop_reason": _MESSAGES_STOPS[scenario.stop],
        "stop_sequence": scenario.stop_sequence,
    }
    usage = {"output_tokens": scenario.output_tokens}
    yield _event({"type": "message_delta", "delta": delta, "usage": usage})
    yield _event({"type": "message_stop"})


def _messages_input(scenario: Scenario) -> dict[str, int]:
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


# --- OpenAI Chat Completions, and GLM's variant -------------------------------------------------

_CHAT_STOPS = {
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
        "refusal": None,
    }
    if scenario.thinking:
        message["reasoning_content"] = "".join(scenario.thinking)
    if scenario.calls:
        message["tool_calls"] = [_chat_call(call) for call in scenario.calls]
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
                "finish_reason": _CHAT_STOPS[scenario.stop],
            }
        ],
        "usage": _chat_usage(scenario),
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
    for index, call in enumerate(scenario.calls):
        text = compact(dict(call.arguments))
        head = {**_chat_call(call), "index": index}
        head["function"] = {"name": call.name, "arguments": ""}
        yield _chunk(scenario, {"tool_calls": [head]}, shows_null=shows_null)
        for piece in (text[: len(text) // 2], text[len(text) // 2 :]):
            more = {"index": index, "function": {"arguments": piece}}
            yield _chunk(scenario, {"tool_calls": [more]}, shows_null=shows_null)
    usage = _chat_usage(scenario) if usage_with_finish else None
    finish = _CHAT_STOPS[scenario.stop]
    yield _chunk(scenario, {}, finish=finish, usage=usage, shows_null=shows_null)
    if include_usage and not usage_with_finish:
        head = _chunk_head(scenario) | {"choices": [], "usage": _chat_usage(scenario)}
        yield f"data: {compact(head)}\n\n".encode()
    yield b"data: [DONE]\n\n"


def _chat_call(call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": compact(dict(call.arguments))}
    return {"id": call.id, "type": "function", "function": function}


def _chat_usage(scenario: Scenario) -> dict[str, Any]:
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
