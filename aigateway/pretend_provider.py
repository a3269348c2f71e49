"""The pretend provider of `serve --demo`: speaks the Chat format and answers with what it saw.

It is a real HTTP server on loopback, so that pool, egress, translation and statistics have
something to work on. Nothing of it is a language model, and its answers say so.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

MODEL: Final = "demo-chat"
PROXY_HEADER: Final = "x-demo-proxy"

_PAUSE_S: Final = 0.04


@asynccontextmanager
async def open_pretend_provider() -> AsyncGenerator[str, None]:
    """Yield the base URL, in the form that OpenAI's SDK takes."""
    app = web.Application(client_max_size=32 * 1024 * 1024)
    app.router.add_post("/v1/chat/completions", _answer)
    app.router.add_get("/v1/models", _models)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def _answer(request: web.Request) -> web.StreamResponse:
    asked = await request.json()
    words = _words(request, asked)
    if not asked.get("stream"):
        return web.json_response(_whole(asked, words))
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for chunk in _chunks(asked, words):
        await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await asyncio.sleep(_PAUSE_S)
    await response.write(b"data: [DONE]\n\n")
    return response


async def _models(_request: web.Request) -> web.Response:
    entry = {"id": MODEL, "object": "model", "created": 1_760_000_000, "owned_by": "demo"}
    return web.json_response({"object": "list", "data": [entry]})


def _words(request: web.Request, asked: dict[str, Any]) -> list[str]:
    account = request.headers.get("authorization", "").removeprefix("Bearer ")
    proxy = request.headers.get(PROXY_HEADER, "no proxy")
    text = (
        f"[demo] This is a pretend answer, no model was asked. It was signed by {account} and "
        f"came through {proxy}. You said: {_said(asked)}"
    )
    return [word + " " for word in text.split()]


def _said(asked: dict[str, Any]) -> str:
    content = asked["messages"][-1].get("content") if asked.get("messages") else ""
    if isinstance(content, list):
        content = " ".join(str(part.get("text", part.get("type"))) for part in content)
    return str(content)[:200]


def _usage(asked: dict[str, Any], words: list[str]) -> dict[str, int]:
    prompt = len(json.dumps(asked.get("messages", ""))) // 4
    total = prompt + len(words)
    return {"prompt_tokens": prompt, "completion_tokens": len(words), "total_tokens": total}


def _whole(asked: dict[str, Any], words: list[str]) -> dict[str, Any]:
    message = {"role": "assistant", "content": "".join(words).strip()}
    return {
        "id": "chatcmpl-demo",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked.get("model", MODEL),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _usage(asked, words),
    }


def _chunks(asked: dict[str, Any], words: list[str]) -> Iterator[dict[str, Any]]:
    head = {
        "id": "chatcmpl-demo",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": asked.get("model", MODEL),
    }
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in words]
    for delta in deltas:
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        yield {**head, "choices": [choice]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield {**head, "choices": [], "usage": _usage(asked, words)}
