"""Asks through the official SDKs and tells, in one shape, what their user saw."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anthropic
import openai

from tests.e2e.harness import Rig


@dataclass(frozen=True)
class Got:
    """An answer as the SDK's user sees it."""

    text: str
    thinking: str
    calls: tuple[tuple[str, str, Any], ...]
    """Id, name, parsed arguments."""
    finish: str | None
    stop_sequence: str | None
    prompt: int | None
    """All input tokens, cached or not."""
    cached: int | None
    written: int | None
    output: int | None


def openai_client(rig: Rig, key: str | None = None) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=rig.url + "/v1", api_key=key or rig.key, max_retries=0)


def anthropic_client(rig: Rig, key: str | None = None) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=rig.url, api_key=key or rig.key, max_retries=0)


# Roles and blocks are plain dictionaries here: the SDKs' parameter types are theirs to check.
Params = Mapping[str, Any]

HELLO: Params = {"messages": [{"role": "user", "content": "Hello"}]}


async def ask_openai(rig: Rig, model: str, params: Params = HELLO, *, stream: bool) -> Got:
    async with openai_client(rig) as client:
        create: Any = client.chat.completions.create
        if not stream:
            return from_chat(await create(model=model, **params))
        options = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = [chunk async for chunk in await create(model=model, **params, **options)]
    return from_chunks(chunks)


def from_chat(answer: Any) -> Got:  # noqa: ANN401 - SDK types read loosely
    (choice,) = answer.choices
    calls = tuple(
        (call.id, call.function.name, json.loads(call.function.arguments))
        for call in choice.message.tool_calls or ()
    )
    thinking = getattr(choice.message, "reasoning_content", None) or ""
    text = choice.message.content or ""
    return Got(text, thinking, calls, choice.finish_reason, None, *_chat_usage(answer.usage))


def from_chunks(chunks: list[Any]) -> Got:
    text, thinking, finish, usage = "", "", None, None
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            text += choice.delta.content or ""
            thinking += getattr(choice.delta, "reasoning_content", None) or ""
            for call in choice.delta.tool_calls or ():
                known = calls.setdefault(call.index, ["", "", ""])
                known[0] += call.id or ""
                known[1] += call.function.name or ""
                known[2] += call.function.arguments or ""
    found = tuple((known[0], known[1], json.loads(known[2])) for known in calls.values())
    return Got(text, thinking, found, finish, None, *_chat_usage(usage))


def _chat_usage(usage: Any) -> tuple[int | None, int | None, int | None, int | None]:  # noqa: ANN401
    if usage is None:
        return None, None, None, None
    details = usage.prompt_tokens_details
    cached = details.cached_tokens if details else None
    written = getattr(details, "cache_write_tokens", None) if details else None
    return usage.prompt_tokens, cached, written, usage.completion_tokens


async def ask_anthropic(rig: Rig, model: str, params: Params = HELLO, *, stream: bool) -> Got:
    asked = {"max_tokens": 1000, **params}
    async with anthropic_client(rig) as client:
        if not stream:
            create: Any = client.messages.create
            return from_message(await create(model=model, **asked))
        open_stream: Any = client.messages.stream
        async with open_stream(model=model, **asked) as events:
            return from_message(await events.get_final_message())


def from_message(message: Any) -> Got:  # noqa: ANN401 - SDK types read loosely
    blocks = message.content
    usage = message.usage
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    return Got(
        "".join(block.text for block in blocks if block.type == "text"),
        "".join(block.thinking for block in blocks if block.type == "thinking"),
        tuple((block.id, block.name, block.input) for block in blocks if block.type == "tool_use"),
        message.stop_reason,
        message.stop_sequence,
        usage.input_tokens + read + written,
        read,
        written,
        usage.output_tokens,
    )
