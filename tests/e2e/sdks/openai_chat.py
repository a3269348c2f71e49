"""`openai`: Chat Completions."""

import json
from collections.abc import Mapping
from typing import Any

import openai
from openai.lib.streaming.chat import ChatCompletionStreamState

from tests.e2e.harness import Rig
from tests.e2e.sdks.asking import SCHEMA, Ask, Got
from tests.e2e.sdks.http import http_client

ERRORS: Mapping[int, type[Exception]] = {
    400: openai.BadRequestError,
    401: openai.InternalServerError,
    403: openai.InternalServerError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
}


def openai_client(rig: Rig, key: str | None = None) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        base_url=rig.url + "/v1", api_key=key or rig.key, max_retries=0, http_client=http_client()
    )


class OpenAIChat:
    """Chat Completions, streams put together by the SDK's own helper."""

    finishes: Mapping[str, str] = {
        "end": "stop",
        "stop_sequence": "stop",
        "length": "length",
        "tools": "tool_calls",
        "refusal": "content_filter",
    }
    errors = ERRORS
    stream_errors: tuple[type[Exception], ...] = (openai.APIError,)

    async def ask(self, rig: Rig, model: str, ask: Ask, *, stream: bool) -> Got:
        async with openai_client(rig) as client:
            create: Any = client.chat.completions.create
            if not stream:
                return _got(await create(model=model, **_params(ask)))
            options = {"stream": True, "stream_options": {"include_usage": True}}
            state: Any = ChatCompletionStreamState()
            async for chunk in await create(model=model, **_params(ask), **options):
                state.handle_chunk(chunk)
            return _got(state.current_completion_snapshot)

    async def count(self, rig: Rig, model: str, ask: Ask) -> int:
        raise NotImplementedError("Chat has no counting")

    async def models(self, rig: Rig) -> set[str]:
        async with openai_client(rig) as client:
            return {model.id async for model in client.models.list()}


def _params(ask: Ask) -> dict[str, Any]:
    params: dict[str, Any] = {"messages": _messages(ask)}
    if ask.tools:
        params["tools"] = [
            {"type": "function", "function": {"name": name, "parameters": SCHEMA}}
            for name in ask.tools
        ]
    if ask.must_call:
        params["tool_choice"] = "required"
    if ask.schema:
        form = {"name": "place", "schema": SCHEMA, "strict": True}
        params["response_format"] = {"type": "json_schema", "json_schema": form}
    if ask.thinks:
        params["reasoning_effort"] = "medium"
    if ask.stop:
        params["stop"] = list(ask.stop)
    if ask.max_tokens is not None:
        params["max_completion_tokens"] = ask.max_tokens
    return params


def _messages(ask: Ask) -> list[Any]:
    messages: list[Any] = []
    if ask.system is not None:
        messages.append({"role": "system", "content": ask.system})
    content: Any = ask.text
    if ask.image is not None:
        image = {"url": f"data:image/png;base64,{ask.image}"}
        content = [{"type": "text", "text": ask.text}, {"type": "image_url", "image_url": image}]
    messages.append({"role": "user", "content": content})
    if ask.after is not None:
        messages.append(ask.after.turn)
        for index, (call_id, _, _) in enumerate(ask.after.calls):
            result = ask.results[str(index)]
            messages.append({"role": "tool", "tool_call_id": call_id, "content": result})
    if ask.then is not None:
        messages.append({"role": "user", "content": ask.then})
    return messages


def _got(answer: Any) -> Got:  # noqa: ANN401 - SDK types read loosely
    (choice,) = answer.choices
    message, usage = choice.message, answer.usage
    calls = tuple(
        (call.id, call.function.name, json.loads(call.function.arguments))
        for call in message.tool_calls or ()
    )
    details = usage.prompt_tokens_details
    # The turn as a user appends it: the fields that requests have, extras of the SDK's left out.
    turn = message.model_dump(exclude_none=True, exclude={"parsed", "annotations"})
    for call in turn.get("tool_calls") or ():
        call.pop("index", None)
        call["function"].pop("parsed_arguments", None)
    return Got(
        text=message.content or "",
        thinking=getattr(message, "reasoning_content", None) or "",
        refusal=message.refusal or "",
        calls=calls,
        finish=choice.finish_reason,
        prompt=usage.prompt_tokens,
        cached=details.cached_tokens if details else None,
        output=usage.completion_tokens,
        turn=turn,
    )
