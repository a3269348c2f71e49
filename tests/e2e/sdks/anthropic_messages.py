"""`anthropic`: Messages."""

from collections.abc import Mapping
from typing import Any

import anthropic

from tests.e2e.harness import Rig
from tests.e2e.sdks.asking import SCHEMA, Ask, Got
from tests.e2e.sdks.http import http_client


def anthropic_client(rig: Rig, key: str | None = None) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        base_url=rig.url, api_key=key or rig.key, max_retries=0, http_client=http_client()
    )


class AnthropicMessages:
    """Messages, streams put together by the SDK's own helper."""

    finishes: Mapping[str, str] = {
        "end": "end_turn",
        "stop_sequence": "stop_sequence",
        "length": "max_tokens",
        "tools": "tool_use",
        "refusal": "refusal",
    }
    errors: Mapping[int, type[Exception]] = {
        400: anthropic.BadRequestError,
        401: anthropic.InternalServerError,
        403: anthropic.InternalServerError,
        404: anthropic.NotFoundError,
        429: anthropic.RateLimitError,
        500: anthropic.InternalServerError,
        503: anthropic.OverloadedError,
    }
    stream_errors: tuple[type[Exception], ...] = (anthropic.APIError,)

    async def ask(self, rig: Rig, model: str, ask: Ask, *, stream: bool) -> Got:
        async with anthropic_client(rig) as client:
            if not stream:
                create: Any = client.messages.create
                return _got(await create(model=model, **_params(ask)))
            open_stream: Any = client.messages.stream
            async with open_stream(model=model, **_params(ask)) as events:
                return _got(await events.get_final_message())

    async def count(self, rig: Rig, model: str, ask: Ask) -> int:
        params = {name: value for name, value in _params(ask).items() if name != "max_tokens"}
        async with anthropic_client(rig) as client:
            count: Any = client.messages.count_tokens
            found: int = (await count(model=model, **params)).input_tokens
            return found

    async def models(self, rig: Rig) -> set[str]:
        async with anthropic_client(rig) as client:
            return {model.id async for model in client.models.list()}


def _params(ask: Ask) -> dict[str, Any]:
    params: dict[str, Any] = {"messages": _messages(ask), "max_tokens": ask.max_tokens or 9000}
    if ask.system is not None:
        params["system"] = ask.system
    if ask.tools:
        params["tools"] = [{"name": name, "input_schema": SCHEMA} for name in ask.tools]
    if ask.must_call:
        params["tool_choice"] = {"type": "any"}
    if ask.schema:
        params["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
    if ask.thinks:
        params["thinking"] = {"type": "enabled", "budget_tokens": 2048}
    if ask.stop:
        params["stop_sequences"] = list(ask.stop)
    return params


def _messages(ask: Ask) -> list[Any]:
    content: list[Any] = [{"type": "text", "text": ask.text}]
    if ask.image is not None:
        source = {"type": "base64", "media_type": "image/png", "data": ask.image}
        content.append({"type": "image", "source": source})
    messages: list[Any] = [{"role": "user", "content": content}]
    if ask.after is not None:
        messages.append({"role": "assistant", "content": ask.after.turn})
        results: list[Any] = [
            {"type": "tool_result", "tool_use_id": call_id, "content": ask.results[str(index)]}
            for index, (call_id, _, _) in enumerate(ask.after.calls)
        ]
        if ask.then is not None:
            results.append({"type": "text", "text": ask.then})
        messages.append({"role": "user", "content": results})
    return messages


def _got(message: Any) -> Got:  # noqa: ANN401 - SDK types read loosely
    blocks, usage = message.content, message.usage
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    return Got(
        text="".join(block.text for block in blocks if block.type == "text"),
        thinking="".join(block.thinking for block in blocks if block.type == "thinking"),
        calls=tuple((b.id, b.name, b.input) for b in blocks if b.type == "tool_use"),
        finish=message.stop_reason,
        stop_sequence=message.stop_sequence,
        prompt=usage.input_tokens + read + written,
        cached=read,
        output=usage.output_tokens,
        turn=blocks,
    )
