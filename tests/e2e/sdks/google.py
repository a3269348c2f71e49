"""`google-genai`: generateContent."""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
from google import genai
from google.genai import types
from google.genai.errors import APIError, ClientError, ServerError

from tests.e2e.harness import Rig
from tests.e2e.sdks.asking import SCHEMA, Ask, Got
from tests.e2e.sdks.http import http_client

_UNUSED: Final = httpx2.Client()
"""Each client of the SDK makes one for calls that wait, unless it has one."""


@asynccontextmanager
async def google_client(rig: Rig, key: str | None = None) -> AsyncIterator[Any]:
    async with http_client() as http:
        options = types.HttpOptions(
            base_url=rig.url,
            retry_options=types.HttpRetryOptions(attempts=1),
            httpx_async_client=http,
            httpx_client=_UNUSED,
        )
        yield genai.Client(api_key=key or rig.key, http_options=options).aio


class Google:
    """generateContent; a streamed answer goes back chunk by chunk, as the SDK's chats do it."""

    finishes: Mapping[str, str] = {
        "end": "STOP",
        "stop_sequence": "STOP",
        "length": "MAX_TOKENS",
        "tools": "STOP",
        "refusal": "SAFETY",
    }
    errors: Mapping[int, type[Exception]] = {
        400: ClientError,
        401: ServerError,
        403: ServerError,
        404: ClientError,
        429: ClientError,
        500: ServerError,
        503: ServerError,
    }
    stream_errors: tuple[type[Exception], ...] = (APIError,)

    async def ask(self, rig: Rig, model: str, ask: Ask, *, stream: bool) -> Got:
        params = {"model": model, "contents": _contents(ask), "config": _config(ask)}
        async with google_client(rig) as client:
            if not stream:
                return _got([await client.models.generate_content(**params)])
            chunks = await client.models.generate_content_stream(**params)
            return _got([chunk async for chunk in chunks])

    async def count(self, rig: Rig, model: str, ask: Ask) -> int:
        async with google_client(rig) as client:
            counted = await client.models.count_tokens(model=model, contents=_contents(ask))
            found: int = counted.total_tokens
            return found

    async def models(self, rig: Rig) -> set[str]:
        async with google_client(rig) as client:
            listed = await client.models.list(config={"query_base": True})
            return {model.name.removeprefix("models/") async for model in listed}


def _config(ask: Ask) -> types.GenerateContentConfig:
    config: dict[str, Any] = {"automatic_function_calling": {"disable": True}}
    if ask.system is not None:
        config["system_instruction"] = ask.system
    if ask.tools:
        declared = [{"name": name, "parameters_json_schema": SCHEMA} for name in ask.tools]
        config["tools"] = [{"function_declarations": declared}]
    if ask.must_call:
        config["tool_config"] = {"function_calling_config": {"mode": "ANY"}}
    if ask.schema:
        config["response_mime_type"] = "application/json"
        config["response_json_schema"] = SCHEMA
    if ask.thinks:
        config["thinking_config"] = {"include_thoughts": True}
    if ask.stop:
        config["stop_sequences"] = list(ask.stop)
    if ask.max_tokens is not None:
        config["max_output_tokens"] = ask.max_tokens
    return types.GenerateContentConfig(**config)


def _contents(ask: Ask) -> list[types.Content]:
    parts = [types.Part(text=ask.text)]
    if ask.image is not None:
        data = base64.b64decode(ask.image)
        parts.append(types.Part.from_bytes(data=data, mime_type="image/png"))
    contents = [types.Content(role="user", parts=parts)]
    if ask.after is not None:
        contents.append(types.Content(role="model", parts=ask.after.turn))
        results = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call_id or None, name=name, response={"output": ask.results[str(index)]}
                )
            )
            for index, (call_id, name, _) in enumerate(ask.after.calls)
        ]
        contents.append(types.Content(role="user", parts=results))
    if ask.then is not None:
        contents[-1].parts = [*(contents[-1].parts or ()), types.Part(text=ask.then)]
    return contents


def _got(chunks: list[Any]) -> Got:
    candidates = [candidate for chunk in chunks for candidate in chunk.candidates or ()]
    contents = [candidate.content for candidate in candidates if candidate.content]
    parts = [part for content in contents for part in content.parts or ()]
    texts = [part for part in parts if part.text is not None]
    calls = [part.function_call for part in parts if part.function_call]
    finishes = [c.finish_reason.name for c in candidates if c.finish_reason is not None]
    usage = next(chunk.usage_metadata for chunk in reversed(chunks) if chunk.usage_metadata)
    return Got(
        text="".join(part.text for part in texts if not part.thought),
        thinking="".join(part.text for part in texts if part.thought),
        calls=tuple((call.id or "", call.name, call.args) for call in calls),
        finish=finishes[-1] if finishes else None,
        prompt=usage.prompt_token_count or 0,
        cached=usage.cached_content_token_count or 0,
        output=(usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
        # A part must hold something: the SDK's chats leave the empty ones out.
        turn=[p for p in parts if p.text != "" or p.thought_signature],
    )
