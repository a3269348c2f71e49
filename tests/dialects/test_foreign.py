"""A client that changes the model in mid-conversation is not refused because of the old one's."""

import base64
from typing import Final

import orjson
import pytest

from dialects.foreign import (
    ESCAPE,
    IN_CHAT,
    IN_GEMINI,
    IN_MESSAGES,
    IN_RESPONSES,
    Foreign,
    without_foreign,
)
from dialects.signatures import tagged
from models.json_types import Json, JsonObject

TAG: Final = tagged("gemini", "sig")
CALL_TAG: Final = tagged("gemini", "sig", of="call")
PACKED: Final = base64.b64encode(tagged("anthropic", "sig").encode()).decode()

ASK: Final[JsonObject] = {"role": "user", "content": "Hi"}


def cleaned(known: Foreign, payload: JsonObject, *, spaced: bool = False) -> JsonObject | None:
    """Return what is sent instead; None when the very body passes."""
    body = orjson.dumps(payload, option=orjson.OPT_INDENT_2 if spaced else None)
    sent = without_foreign(body, payload, known)
    return None if sent is body else orjson.loads(sent)


def thinking(signature: Json) -> JsonObject:
    return {"type": "thinking", "thinking": "hm", "signature": signature}


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("signature", [TAG, CALL_TAG, ""])
def test_anthropic_gets_no_thinking_that_others_made(signature: str, spaced: bool) -> None:
    text: JsonObject = {"type": "text", "text": "Hello"}
    own = thinking("EqQB")
    turn: JsonObject = {"role": "assistant", "content": [thinking(signature), own, text]}
    bare: JsonObject = {"role": "assistant", "content": [thinking(signature)]}
    payload: JsonObject = {"model": "claude-x", "messages": [ASK, turn, ASK, bare, ASK]}
    sent = cleaned(IN_MESSAGES, payload, spaced=spaced)
    kept = {"role": "assistant", "content": [own, text]}
    assert sent == {"model": "claude-x", "messages": [ASK, kept, ASK, ASK]}


def test_openai_gets_no_reasoning_that_others_made() -> None:
    own: JsonObject = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
    payload: JsonObject = {
        "model": "gpt-x",
        "input": [{"type": "reasoning", "summary": [], "encrypted_content": TAG}, own, ASK],
    }
    assert cleaned(IN_RESPONSES, payload) == {"model": "gpt-x", "input": [own, ASK]}


@pytest.mark.parametrize(
    "extra", [{"extra_content": {"google": {"thought_signature": "x"}}}, {"thought_signature": "x"}]
)
def test_openai_gets_no_signatures_of_calls(extra: dict[str, Json]) -> None:
    call: JsonObject = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    turn: JsonObject = {"role": "assistant", "content": None, "tool_calls": [{**call, **extra}]}
    sent = cleaned(IN_CHAT, {"messages": [ASK, turn]})
    assert sent == {"messages": [ASK, {**turn, "tool_calls": [call]}]}


def test_openai_gets_no_thoughts_in_a_field_that_it_does_not_know() -> None:
    said: JsonObject = {"role": "assistant", "content": "Hello"}
    sent = cleaned(IN_CHAT, {"messages": [ASK, {**said, "reasoning_content": "hm"}, ASK]})
    assert sent == {"messages": [ASK, said, ASK]}


@pytest.mark.parametrize("spaced", [False, True])
def test_gemini_gets_no_empty_texts_of_the_model(spaced: bool) -> None:
    """A stream may end with one, and its chunks come back as they were."""
    signed: JsonObject = {"role": "model", "parts": [{"text": "", "thoughtSignature": "QUJD"}]}
    hello: JsonObject = {"role": "model", "parts": [{"text": "Hello"}]}
    void: JsonObject = {"role": "model", "parts": [{"text": ""}]}
    asked: JsonObject = {"role": "user", "parts": [{"text": ""}]}
    sent = cleaned(IN_GEMINI, {"contents": [asked, hello, void, signed, asked]}, spaced=spaced)
    assert sent == {"contents": [asked, hello, signed, asked]}


@pytest.mark.parametrize("key", ["thoughtSignature", "thought_signature"])
def test_gemini_gets_no_signatures_that_others_made(key: str) -> None:
    call: JsonObject = {"functionCall": {"name": "f", "args": {}}}
    own: JsonObject = {"text": "kept", key: "QUJD"}
    parts: list[Json] = [
        {"text": "hm", "thought": True, key: PACKED},
        {"text": "Hello", key: PACKED},
        {**call, key: PACKED},
        own,
    ]
    payload: JsonObject = {
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": parts},
            {"role": "model", "parts": parts[:1]},
        ]
    }
    sent = cleaned(IN_GEMINI, payload)
    kept: list[Json] = [{"text": "Hello"}, {**call, key: ESCAPE}, own]
    assert sent == {
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": kept},
        ]
    }


@pytest.mark.parametrize(
    ("known", "payload"),
    [
        pytest.param(
            IN_MESSAGES,
            {"messages": [{"role": "assistant", "content": [thinking("EqQB")]}]},
            id="signed by Anthropic",
        ),
        pytest.param(
            IN_MESSAGES,
            {"messages": [{"role": "user", "content": f"what is {TAG}?"}]},
            id="a tag that is talked about",
        ),
        pytest.param(IN_RESPONSES, {"input": f"say {TAG}"}, id="input is a string"),
        pytest.param(
            IN_CHAT._replace(marks=(b"",)), {"messages": [7, None, {"tool_calls": 7}]}, id="odd"
        ),
        pytest.param(
            IN_GEMINI._replace(marks=(b"",)), {"contents": [None, {"parts": [1]}]}, id="odder"
        ),
    ],
)
def test_everything_else_passes_byte_for_byte(known: Foreign, payload: JsonObject) -> None:
    assert cleaned(known, payload) is None
