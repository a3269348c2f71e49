"""The official SDKs against every provider: what their user sees, what the provider received."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.e2e.harness import MODELS, PROVIDER_IDS, Rig, open_rig
from tests.e2e.sdk_calls import (
    HELLO,
    Got,
    Params,
    anthropic_client,
    ask_anthropic,
    ask_openai,
    openai_client,
)
from tests.fakes.formats.chat import chat_stream
from tests.fakes.formats.messages import messages_stream
from tests.fakes.provider import Failure, Kind
from tests.fakes.scenarios import Call, Scenario
from tests.waiting import until

KINDS: list[Kind] = ["messages", "chat", "glm"]
SDKS = ["openai", "anthropic"]
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256))).decode()
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}

every_pair = pytest.mark.parametrize(
    ("sdk", "kind", "stream"),
    [
        pytest.param(sdk, kind, stream, id=f"{sdk}-{kind}-{'sse' if stream else 'json'}")
        for sdk in SDKS
        for kind in KINDS
        for stream in (False, True)
    ],
)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        yield opened


async def ask(
    rig: Rig,
    sdk: str,
    kind: Kind,
    stream: bool,
    *,
    chat: Params = HELLO,
    messages: Params = HELLO,
    model: str | None = None,
) -> Got:
    """Ask through one SDK: `chat` are the parameters for OpenAI's, `messages` for Anthropic's."""
    name = model or MODELS[kind]
    if sdk == "openai":
        return await ask_openai(rig, name, chat, stream=stream)
    return await ask_anthropic(rig, name, messages, stream=stream)


def texts(value: object) -> list[str]:
    """Every string inside a payload."""
    if isinstance(value, dict):
        return [text for inner in value.values() for text in texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


@every_pair
async def test_text_comes_through_with_its_usage(
    rig: Rig, sdk: str, kind: Kind, stream: bool
) -> None:
    provider = await rig.add_provider(kind)
    provider.scenario = Scenario(
        text=("Grüße, ", "世界 ", '🌍 \u2028 \\ " end'),
        input_tokens=20,
        cache_read_tokens=1000,
        cache_write_tokens=200,
        output_tokens=50,
        reasoning_tokens=9,
    )
    got = await ask(rig, sdk, kind, stream)
    assert got.text == provider.scenario.whole_text
    assert got.finish == ("stop" if sdk == "openai" else "end_turn")
    assert (got.prompt, got.cached, got.output) == (1220, 1000, 50)
    if sdk == "anthropic":
        assert got.written == 200
    (row,) = await rig.logs(1)
    assert (row["input_tokens"], row["cache_read_tokens"], row["cache_write_tokens"]) == (
        20,
        1000,
        200,
    )
    assert (row["output_tokens"], row["status"], row["attempts"]) == (50, 200, 1)
    assert row["provider_id"] == PROVIDER_IDS[kind]
    assert provider.seen[0].key == "key-0"
    assert provider.seen[0].headers["user-agent"].startswith("aigateway/")


@every_pair
async def test_system_text_arrives_where_the_provider_wants_it(
    rig: Rig, sdk: str, kind: Kind, stream: bool
) -> None:
    provider = await rig.add_provider(kind)
    chat = {
        "messages": [
            {"role": "system", "content": "Be terse."},
            {"role": "developer", "content": "In French."},
            {"role": "user", "content": "Hello"},
        ]
    }
    messages = {**HELLO, "system": [
        {"type": "text", "text": "Be terse.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "In French."},
    ]}  # fmt: skip
    await ask(rig, sdk, kind, stream, chat=chat, messages=messages)
    payload = provider.seen[0].payload
    place = payload["system"] if kind == "messages" else [
        message for message in payload["messages"] if message["role"] in ("system", "developer")
    ]  # fmt: skip
    joined = "\n".join(texts(place))
    assert "Be terse." in joined
    assert "In French." in joined
    assert payload["messages"][-1]["role"] == "user"


@every_pair
async def test_an_image_arrives_whole(rig: Rig, sdk: str, kind: Kind, stream: bool) -> None:
    provider = await rig.add_provider(kind)
    image_url = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    question = {"type": "text", "text": "What is this?"}
    chat = {"messages": [{"role": "user", "content": [question, image_url]}]}
    image = {"type": "image", "source": source}
    messages = {"messages": [{"role": "user", "content": [question, image]}]}
    model = {"glm": "glm-4.6v"}.get(kind, MODELS[kind])
    await ask(rig, sdk, kind, stream, chat=chat, messages=messages, model=model)
    content = provider.seen[0].payload["messages"][-1]["content"]
    assert any(text.endswith(PNG) for text in texts(content))
    assert "What is this?" in texts(content)


def chat_tool(name: str) -> dict[str, Any]:
    function = {"name": name, "description": "weather", "parameters": SCHEMA}
    return {"type": "function", "function": function}


def messages_tool(name: str) -> dict[str, Any]:
    return {"name": name, "description": "weather", "input_schema": SCHEMA}


@every_pair
@pytest.mark.parametrize("count", [1, 2])
async def test_tool_calls_come_back_with_ids_names_and_arguments(
    rig: Rig, sdk: str, kind: Kind, stream: bool, count: int
) -> None:
    provider = await rig.add_provider(kind)
    calls = (Call("call_a", "wx", {"city": "Zürich"}), Call("call_b", "wx", {"city": "Oslo"}))
    provider.scenario = Scenario(text=("Let me look. ",), calls=calls[:count], stop="tools")
    got = await ask(
        rig, sdk, kind, stream,
        chat={**HELLO, "tools": [chat_tool("wx")]},
        messages={**HELLO, "tools": [messages_tool("wx")]},
    )  # fmt: skip
    assert got.text == "Let me look. "
    assert got.calls == tuple((call.id, call.name, call.arguments) for call in calls[:count])
    assert got.finish == ("tool_calls" if sdk == "openai" else "tool_use")
    tool = provider.seen[0].payload["tools"][0]
    schema = tool["input_schema"] if kind == "messages" else tool["function"]["parameters"]
    assert schema["properties"] == SCHEMA["properties"]


@every_pair
async def test_a_tool_round_trip_is_accepted_by_the_provider(
    rig: Rig, sdk: str, kind: Kind, stream: bool
) -> None:
    provider = await rig.add_provider(kind)
    chat = {
        "messages": [
            {"role": "user", "content": "Weather?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    _chat_call("call_a", '{"city":"Rome"}'),
                    _chat_call("call_b", '{"city":"Oslo"}'),
                ],
            },
            {"role": "tool", "tool_call_id": "call_b", "content": "snow"},
            {"role": "tool", "tool_call_id": "call_a", "content": "sun"},
            {"role": "user", "content": "And?"},
        ],
        "tools": [chat_tool("wx")],
    }
    messages = {
        "messages": [
            {"role": "user", "content": "Weather?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "call_a", "name": "wx", "input": {"city": "Rome"}},
                    {"type": "tool_use", "id": "call_b", "name": "wx", "input": {"city": "Oslo"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_a", "content": "sun"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "call_b",
                        "content": [{"type": "text", "text": "snow"}],
                        "is_error": True,
                    },
                    {"type": "text", "text": "And?"},
                ],
            },
        ],
        "tools": [messages_tool("wx")],
    }
    got = await ask(rig, sdk, kind, stream, chat=chat, messages=messages)
    assert got.text == provider.scenario.whole_text
    assert len(provider.seen) == 1
    found = texts(provider.seen[0].payload["messages"])
    assert {"sun", "And?", "call_a", "call_b"} <= set(found)
    assert any(text.endswith("snow") for text in found)


def _chat_call(call_id: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "wx", "arguments": arguments}}


@every_pair
async def test_a_stop_sequence_reaches_the_provider_and_its_end_the_client(
    rig: Rig, sdk: str, kind: Kind, stream: bool
) -> None:
    provider = await rig.add_provider(kind)
    provider.scenario = Scenario(stop="stop_sequence", stop_sequence="END")
    got = await ask(
        rig, sdk, kind, stream,
        chat={**HELLO, "stop": ["END"]},
        messages={**HELLO, "stop_sequences": ["END"]},
    )  # fmt: skip
    field = "stop_sequences" if kind == "messages" else "stop"
    assert provider.seen[0].payload[field] in ("END", ["END"])
    if sdk == "openai":
        assert got.finish == "stop"
    elif kind == "messages":
        assert (got.finish, got.stop_sequence) == ("stop_sequence", "END")
    else:
        assert got.finish == "end_turn"


@every_pair
async def test_a_length_stop_is_told(rig: Rig, sdk: str, kind: Kind, stream: bool) -> None:
    provider = await rig.add_provider(kind)
    provider.scenario = Scenario(stop="length")
    got = await ask(
        rig, sdk, kind, stream,
        chat={**HELLO, "max_tokens": 77},
        messages={**HELLO, "max_tokens": 77},
    )  # fmt: skip
    assert got.finish == ("length" if sdk == "openai" else "max_tokens")
    payload = provider.seen[0].payload
    assert 77 in (payload.get("max_tokens"), payload.get("max_completion_tokens"))


@every_pair
async def test_a_schema_for_the_answer_reaches_the_model(
    rig: Rig, sdk: str, kind: Kind, stream: bool
) -> None:
    provider = await rig.add_provider(kind)
    provider.scenario = Scenario(text=('{"city":', '"Rome"}'))
    json_schema = {"name": "place", "schema": SCHEMA, "strict": True}
    chat = {**HELLO, "response_format": {"type": "json_schema", "json_schema": json_schema}}
    output = {"format": {"type": "json_schema", "schema": SCHEMA}}
    got = await ask(rig, sdk, kind, stream, chat=chat, messages={**HELLO, "output_config": output})
    assert got.text == '{"city":"Rome"}'
    payload = provider.seen[0].payload
    if kind == "messages":
        asked = payload.get("output_config", {}).get("format", {}).get("schema")
        assert asked == SCHEMA or "city" in str(payload.get("system"))
    elif kind == "chat":
        assert payload["response_format"]["json_schema"]["schema"] == SCHEMA
    else:
        assert payload["response_format"] == {"type": "json_object"}
        assert "city" in str(payload["messages"][0])


@every_pair
async def test_thinking_is_asked_for_and_shown(
    rig: Rig, sdk: str, kind: Kind, stream: bool
) -> None:
    provider = await rig.add_provider(kind)
    provider.scenario = Scenario(thinking=("Let me ", "think."))
    model = {"messages": "claude-haiku-4-5", "chat": "gpt-5", "glm": "glm-4.6"}[kind]
    thinking = {"type": "enabled", "budget_tokens": 2048}
    chat = {**HELLO, "reasoning_effort": "medium"}
    messages = {**HELLO, "max_tokens": 9000, "thinking": thinking}
    got = await ask(rig, sdk, kind, stream, chat=chat, messages=messages, model=model)
    assert got.text == provider.scenario.whole_text
    assert got.thinking == "Let me think."
    payload = provider.seen[0].payload
    asked = {name for name in ("thinking", "reasoning_effort", "output_config") if name in payload}
    assert asked


# --- errors -------------------------------------------------------------------------------------

OPENAI_ERRORS = {
    400: (openai.BadRequestError, 400),
    401: (openai.InternalServerError, 502),
    404: (openai.NotFoundError, 404),
    429: (openai.RateLimitError, 429),
    500: (openai.InternalServerError, 502),
    529: (openai.InternalServerError, 503),
}
ANTHROPIC_ERRORS = {
    400: (anthropic.BadRequestError, 400),
    401: (anthropic.InternalServerError, 502),
    404: (anthropic.NotFoundError, 404),
    429: (anthropic.RateLimitError, 429),
    500: (anthropic.InternalServerError, 502),
    529: (anthropic.OverloadedError, 529),
}


@every_pair
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 529])
async def test_a_providers_error_raises_the_sdks_own_exception(
    rig: Rig, sdk: str, kind: Kind, stream: bool, status: int
) -> None:
    provider = await rig.add_provider(kind)
    headers = {"retry-after": "17"} if status == 429 else {}
    provider.failures_by_key["key-0"] = Failure(status, headers=headers)
    expected = (OPENAI_ERRORS if sdk == "openai" else ANTHROPIC_ERRORS)[status]
    with pytest.raises(expected[0]) as caught:
        await ask(rig, sdk, kind, stream)
    error: Any = caught.value
    assert error.status_code == expected[1]
    if status in (400, 404):
        assert "the provider's own words" in str(error)
    if status == 429:
        assert error.response.headers["retry-after"] == "17"
    assert "key-0" not in str(error)


@pytest.mark.parametrize("sdk", SDKS)
async def test_a_wrong_client_key_is_an_authentication_error(rig: Rig, sdk: str) -> None:
    if sdk == "openai":
        async with openai_client(rig, "ak_wrong") as client:
            with pytest.raises(openai.AuthenticationError):
                await client.chat.completions.create(
                    model="gpt-fake", messages=[{"role": "user", "content": "x"}]
                )
    else:
        async with anthropic_client(rig, "ak_wrong") as other:
            with pytest.raises(anthropic.AuthenticationError):
                await other.messages.create(
                    model="claude-fake", max_tokens=9, messages=[{"role": "user", "content": "x"}]
                )


@pytest.mark.parametrize("sdk", SDKS)
async def test_an_unknown_model_is_not_found_and_names_what_is_known(rig: Rig, sdk: str) -> None:
    path = "/v1/chat/completions" if sdk == "openai" else "/v1/messages"
    body = {"model": "llama", "max_tokens": 9, **HELLO}
    response = await rig.post(path, body)
    assert response.status == 404
    assert "claude-" in await response.text()


# --- streams ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
async def test_a_stream_cut_at_every_byte_reads_the_same(
    rig: Rig, sdk: str, kind: Kind, ending: bytes
) -> None:
    provider = await rig.add_provider(kind)
    provider.scenario = Scenario(
        text=("é世", "🌍 \u2028x"), calls=(Call("c", "wx", {"a": "ß"}),), stop="tools"
    )
    frames = (
        messages_stream(provider.scenario)
        if kind == "messages"
        else chat_stream(provider.scenario, include_usage=True, usage_with_finish=kind == "glm")
    )
    data = b"".join(frames).replace(b"\n", ending)
    provider.raw_stream = [data[at : at + 1] for at in range(len(data))]
    got = await ask(
        rig, sdk, kind, True,
        chat={**HELLO, "tools": [chat_tool("wx")]},
        messages={**HELLO, "tools": [messages_tool("wx")]},
    )  # fmt: skip
    assert got.text == "é世🌍 \u2028x"
    assert got.calls == (("c", "wx", {"a": "ß"}),)


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["connection", "end"])
async def test_a_stream_that_breaks_raises_in_the_sdk(
    rig: Rig, sdk: str, kind: Kind, how: str
) -> None:
    provider = await rig.add_provider(kind)
    scenario = Scenario(text=tuple(f"word {n} " for n in range(20)))
    frames = list(
        messages_stream(scenario)
        if kind == "messages"
        else chat_stream(scenario, include_usage=True)
    )
    provider.raw_stream = frames[:10]
    if how == "connection":
        provider.raw_stream, provider.cut_after = frames, 10
    sdk_error = openai.APIError if sdk == "openai" else anthropic.APIError
    with pytest.raises(sdk_error):
        await ask(rig, sdk, kind, True)
    (row,) = await rig.logs(1)
    assert row["error_code"] == "upstream_truncated"


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_closes_the_providers_connection(
    rig: Rig, sdk: str, kind: Kind, stream: bool
) -> None:
    provider = await rig.add_provider(kind)
    if stream:
        provider.scenario = Scenario(text=tuple("abcdefgh" * 20))
        provider.pause_s = 0.05
    else:
        provider.delay_s = 60
    task = asyncio.create_task(ask(rig, sdk, kind, stream))
    await until(lambda: len(provider.seen) == 1)
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: provider.closed_by_client == 1, limit_s=1)
    (row,) = await rig.logs(1)
    assert (row["status"], row["error_code"]) == (499, "cancelled")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_the_same_format_on_both_sides_passes_byte_for_byte(
    rig: Rig, kind: Kind, stream: bool
) -> None:
    provider = await rig.add_provider(kind)
    extra = {"a_field_of_tomorrow": {"big": 123456789012345678901, "x": [1.0, 1e-7]}}
    provider.scenario = Scenario(thinking=("hm",), extra={} if stream else extra)
    provider.split_bytes = 7
    path = "/v1/messages" if kind == "messages" else "/v1/chat/completions"
    body: dict[str, Any] = {"model": MODELS[kind], "max_tokens": 5, "stream": stream, **HELLO}
    if stream and kind != "messages":
        body["stream_options"] = {"include_usage": True}
    response = await rig.post(path, body)
    assert response.status == 200
    assert await response.read() == provider.sent[0]


async def test_the_same_format_reaches_the_provider_byte_for_byte(rig: Rig) -> None:
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
