"""The same format on both sides: bytes pass as they are."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Rig, open_rig
from tests.fakes.provider import Kind
from tests.fakes.scenarios import Scenario

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}
GEMINI_HELLO: dict[str, Any] = {"contents": [{"parts": [{"text": "Hello"}]}]}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        yield opened


def call(form: str, stream: bool) -> tuple[Kind, str, dict[str, Any]]:
    """Return who answers, at which path, and what is asked."""
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    usage = {"stream_options": {"include_usage": True}} if stream else {}
    unkept = {"input": "Hello", "store": False}
    calls: dict[str, tuple[Kind, str, dict[str, Any]]] = {
        "messages": ("messages", "/v1/messages", {"model": "claude-x", "max_tokens": 5, **HELLO}),
        "chat": ("chat", "/v1/chat/completions", {"model": "gpt-x", **HELLO, **usage}),
        "glm": ("glm", "/v1/chat/completions", {"model": "glm-x", **HELLO, **usage}),
        "responses": ("chat", "/v1/responses", {"model": "gpt-x", **unkept}),
        "gemini": ("gemini", f"/v1beta/models/gemini-3-pro:{method}", GEMINI_HELLO),
    }
    kind, path, body = calls[form]
    return kind, path, body if form == "gemini" else {**body, "stream": stream}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("form", ["messages", "chat", "glm", "responses", "gemini"])
async def test_an_answer_passes_byte_for_byte(rig: Rig, form: str, stream: bool) -> None:
    kind, path, body = call(form, stream)
    provider = await rig.add_provider(kind)
    extra = {"a_field_of_tomorrow": {"big": 123456789012345678901, "x": [1.0, 1e-7]}}
    provider.scenario = Scenario(thinking=("hm",), extra={} if stream else extra)
    provider.split_bytes = 7
    response = await rig.post(path, body)
    assert response.status == 200
    assert await response.read() == provider.sent[0]


async def test_a_request_passes_byte_for_byte(rig: Rig) -> None:
    provider = await rig.add_provider("messages")
    provider.refuses = False  # it knows the field of tomorrow
    body = (
        b'{ "model" : "claude-fake","max_tokens":5,\n "tomorrow":{"n":123456789012345678901,'
        b'"model":"x","f":1.10},"messages":[{"role":"user","content":"h\\u00e9llo"}]}'
    )
    assert (await rig.post("/v1/messages", body)).status == 200
    assert provider.seen[0].body == body


async def test_usage_that_only_we_asked_for_stays_ours(rig: Rig) -> None:
    provider = await rig.add_provider("chat")
    response = await rig.post(
        "/v1/chat/completions", {"model": "gpt-fake", "stream": True, **HELLO}
    )
    body = await response.read()
    assert provider.seen[0].payload["stream_options"] == {"include_usage": True}
    assert b'"choices":[]' not in body
    assert body.endswith(b"data: [DONE]\n\n")
    (row,) = await rig.logs(1)
    assert (row["input_tokens"], row["output_tokens"]) == (11, 7)


async def test_what_was_used_is_put_down_for_every_format(rig: Rig) -> None:
    forms = ("messages", "chat", "glm", "gemini")
    for form in forms:
        kind, path, body = call(form, stream=True)
        provider = await rig.add_provider(kind)
        provider.scenario = Scenario(
            input_tokens=20, cache_read_tokens=1000, output_tokens=50, reasoning_tokens=9
        )
        assert (await rig.post(path, body)).status == 200
    for row in await rig.logs(len(forms)):
        counts = (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"])
        assert counts == (20, 1000, 50)
        assert (row["status"], row["attempts"]) == (200, 1)
