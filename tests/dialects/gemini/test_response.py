"""Whole answers, read from Google and written for its clients; the same answer in all formats."""

from collections.abc import Iterator

import pytest
from google.genai import types

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.gemini import GEMINI
from dialects.openai_chat import CHAT
from dialects.spelling import spelled
from models.chat import ChatResponse, FinishReason
from models.content import Inline, Media, Reasoning, Text, ToolCall
from models.errors import ErrorKind, UpstreamError
from models.events import collect, replay
from models.json_types import Json, JsonObject
from models.profile import Profile
from models.usage import Usage
from tests.dialects.gemini.support import (
    answer,
    context,
    decode,
    dig,
    encode,
    frames,
    read_parts,
    shown_parts,
    stream,
    usage,
)

COUNTS: JsonObject = {
    "promptTokenCount": 70,
    "cachedContentTokenCount": 40,
    "candidatesTokenCount": 12,
    "thoughtsTokenCount": 3,
    "totalTokenCount": 85,
}
WHOLE = answer(
    {"text": "a plan", "thought": True},
    {"text": "Gladly."},
    {
        "functionCall": {"id": "fc7", "name": "wx", "args": {"city": "Oslo"}},
        "thoughtSignature": "REVG",
    },
    finishReason="STOP",
    usageMetadata=COUNTS,
)
READ = ChatResponse(
    "r1",
    "gm",
    0,
    (
        Reasoning("a plan", None, "gemini"),
        Text("Gladly."),
        ToolCall("fc7", "wx", '{"city":"Oslo"}', signature="REVG", origin="gemini"),
    ),
    FinishReason.TOOL_CALLS,
    usage=Usage(30, 15, 40, None, 3),
)


def test_an_answer_is_read() -> None:
    assert GEMINI.decode_response(WHOLE) == READ


def test_an_answer_is_written() -> None:
    written = GEMINI.encode_response(READ, context())
    types.GenerateContentResponse.model_validate(written)
    assert _unordered(written) == _unordered(WHOLE)


def _unordered(payload: JsonObject) -> JsonObject:
    return dict(sorted(payload.items()))


def test_whole_and_streamed_answers_say_the_same() -> None:
    assert collect(decode([stream(WHOLE)])) == READ
    parts = shown_parts(frames(encode(replay(READ), context())))
    assert [one for one in parts if one != {"text": ""}] == dig(
        WHOLE, "candidates", 0, "content", "parts"
    )


@pytest.mark.parametrize("model", ["claude-opus-4-6-thinking", "gemini-3-pro", ""])
def test_whose_signatures_it_holds_is_read_from_the_model(model: str) -> None:
    thought: JsonObject = {"text": "hm", "thought": True, "thoughtSignature": "QUJD"}
    told = GEMINI.decode_response(answer(thought, finishReason="STOP", modelVersion=model))
    assert told.parts == (
        Reasoning("hm", "QUJD", "claude-ca" if model.startswith("claude") else "gemini"),
    )


@pytest.mark.parametrize(
    ("payload", "finish"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, FinishReason.CONTENT_FILTER),
        ({"candidates": [{"finishReason": "SAFETY"}]}, FinishReason.CONTENT_FILTER),
        ({"candidates": [{"content": {}}]}, FinishReason.STOP),
        (
            {"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}]},
            FinishReason.STOP,
        ),
        ({"candidates": []}, FinishReason.OTHER),
    ],
)
def test_an_answer_without_content(payload: JsonObject, finish: FinishReason) -> None:
    told = GEMINI.decode_response(payload)
    assert (told.parts, told.finish) == ((), finish)
    written = GEMINI.encode_response(told, context())
    assert dig(written, "candidates", 0, "content") == {"role": "model"}
    types.GenerateContentResponse.model_validate(written)


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({}, ErrorKind.UPSTREAM),
        ({"candidates": "x"}, ErrorKind.UPSTREAM),
        ({"choices": []}, ErrorKind.UPSTREAM),
        ({"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}, ErrorKind.OVERLOADED),
        ({"candidates": [{"finishReason": "MISSING_THOUGHT_SIGNATURE"}]}, ErrorKind.UPSTREAM),
    ],
)
def test_what_is_no_answer(payload: JsonObject, kind: ErrorKind) -> None:
    with pytest.raises(UpstreamError) as caught:
        GEMINI.decode_response(payload)
    assert caught.value.kind is kind


# --- usage ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (COUNTS, Usage(30, 15, 40, None, 3)),
        ({"promptTokenCount": 8, "totalTokenCount": 8}, Usage(8, 0)),
        (
            {"promptTokenCount": 8, "totalTokenCount": 30, "thoughtsTokenCount": 20},
            Usage(8, 22, None, None, 20),
        ),
        (
            {"promptTokenCount": 8, "toolUsePromptTokenCount": 4, "totalTokenCount": 15},
            Usage(12, 3),
        ),
        ({"promptTokenCount": "8", "candidatesTokenCount": "2"}, Usage(8, 2)),
        ({"promptTokenCount": -1, "candidatesTokenCount": True, "totalTokenCount": 1.5}, Usage()),
        ({}, Usage()),
    ],
)
def test_usage_is_read(counts: JsonObject, expected: Usage) -> None:
    assert GEMINI.read_usage({"usageMetadata": counts}) == expected


@pytest.mark.parametrize("payload", [{}, {"usageMetadata": None}, {"usageMetadata": [1]}])
def test_no_usage(payload: JsonObject) -> None:
    assert GEMINI.read_usage(payload) == Usage()


# --- the same answer in all formats -----------------------------------------------------------

OF_CLAUDE: JsonObject = {
    "id": "msg_9",
    "type": "message",
    "role": "assistant",
    "model": "cl",
    "content": [
        {"type": "thinking", "thinking": "well", "signature": "RXFR"},
        {"type": "text", "text": "Os"},
    ],
    "stop_reason": "max_tokens",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 15,
        "cache_creation_input_tokens": 100,
        "cache_read_input_tokens": 500,
        "output_tokens": 60,
        "output_tokens_details": {"thinking_tokens": 45},
    },
}


def test_claudes_answer_for_a_gemini_client() -> None:
    written = GEMINI.encode_response(MESSAGES.decode_response(OF_CLAUDE), context())
    thought, text = _parts(written)
    signature = thought.pop("thoughtSignature")
    assert [thought, text] == [{"text": "well", "thought": True}, {"text": "Os"}]
    assert dig(written, "candidates", 0, "finishReason") == "MAX_TOKENS"
    assert (written["responseId"], written["modelVersion"]) == ("msg_9", "cl")
    assert written["usageMetadata"] == {
        "promptTokenCount": 615,
        "cachedContentTokenCount": 500,
        "candidatesTokenCount": 15,
        "thoughtsTokenCount": 45,
        "totalTokenCount": 675,
    }
    # What Google's SDK makes of it, URL-safe base64, comes back as Anthropic's own.
    seen = types.GenerateContentResponse.model_validate(written)
    assert seen.candidates is not None
    assert seen.candidates[0].content is not None
    sent = seen.candidates[0].content.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert isinstance(signature, str)
    assert read_parts(*sent["parts"]) == (Reasoning("well", "RXFR", "anthropic"), Text("Os"))


def _parts(payload: JsonObject) -> list[dict[str, Json]]:
    parts = dig(payload, "candidates", 0, "content", "parts")
    assert isinstance(parts, list)
    return [dict(one) for one in parts if isinstance(one, dict)]


def test_geminis_answer_for_a_messages_client() -> None:
    written = MESSAGES.encode_response(READ, context())
    content = written["content"]
    assert isinstance(content, list)
    assert content[-1] == {"type": "tool_use", "id": "fc7", "name": "wx", "input": {"city": "Oslo"}}
    assert {"type": "text", "text": "Gladly."} in content
    assert written["stop_reason"] == "tool_use"
    assert dig(written, "usage", "input_tokens") == 30
    assert dig(written, "usage", "output_tokens") == 15


def test_geminis_answer_for_a_chat_client() -> None:
    written = CHAT.encode_response(READ, context())
    message = dig(written, "choices", 0, "message")
    assert isinstance(message, dict)
    assert (message["content"], message["reasoning_content"]) == ("Gladly.", "a plan")
    assert dig(message, "tool_calls", 0, "function", "arguments") == '{"city":"Oslo"}'
    assert dig(written, "usage", "prompt_tokens") == 70
    assert dig(written, "usage", "completion_tokens") == 15


ASKED: JsonObject = {
    "system_instruction": {"parts": [{"text": "Be brief"}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "Look"},
                {"inline_data": {"mime_type": "image/png", "data": "REVG"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "ls", "args": {"dir": "a"}}},
                {"functionCall": {"name": "ls", "args": {"dir": "b"}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "ls", "response": {"files": 3}}},
                {"functionResponse": {"name": "ls", "response": {"error": "gone"}}},
            ],
        },
    ],
    "tools": [
        {
            "functionDeclarations": [
                {
                    "name": "ls",
                    "parameters": {
                        "type": "OBJECT",
                        "properties": {"dir": {"type": "STRING", "nullable": True}},
                    },
                }
            ]
        }
    ],
    "generationConfig": {"maxOutputTokens": 70, "stopSequences": ["END"], "topK": 9},
}


def test_a_gemini_clients_request_for_a_chat_provider() -> None:
    request = GEMINI.decode_request(ASKED)
    encoded = CHAT.encode_request(request, Profile("m", vendor="openai"))
    assert encoded.payload["messages"] == [
        {"role": "system", "content": "Be brief"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,REVG"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [*_calls()]},
        {"role": "tool", "tool_call_id": "call_0", "content": '{"files":3}'},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"error":"gone"}'},
    ]
    assert encoded.payload["max_completion_tokens"] == 70
    assert encoded.payload["stop"] == ["END"]
    assert dig(encoded.payload, "tools", 0, "function", "parameters") == {
        "type": "object",
        "properties": {"dir": {"type": ["string", "null"]}},
    }
    assert spelled(encoded.dropped, ASKED, GEMINI.spellings) == ("generationConfig.topK",)


def _calls() -> Iterator[JsonObject]:
    for number, name in enumerate("ab"):
        function: JsonObject = {"name": "ls", "arguments": f'{{"dir":"{name}"}}'}
        yield {"id": f"call_{number}", "type": "function", "function": function}


def test_a_failed_tool_is_one_for_a_messages_provider() -> None:
    encoded = MESSAGES.encode_request(GEMINI.decode_request(ASKED), Profile("m"))
    results = dig(encoded.payload, "messages", 2, "content")
    assert isinstance(results, list)
    assert [one.get("is_error") for one in results if isinstance(one, dict)] == [None, True]


@pytest.mark.parametrize("dialect", [MESSAGES, CHAT, GEMINI], ids=lambda dialect: dialect.name)
def test_a_picture_reaches_every_client(dialect: Dialect) -> None:
    image: JsonObject = {"inlineData": {"mimeType": "image/png", "data": "REVG"}}
    told = GEMINI.decode_response(answer(image, finishReason="STOP", **usage(promptTokenCount=1)))
    assert told.parts == (Media("image", Inline("image/png", "REVG")),)
    assert "REVG" in str(dialect.encode_response(told, context()))
