"""What is left of a history when its provider refuses the signatures in it."""

from typing import Final

import pytest

from dialects.foreign import ESCAPE, IN_CHAT, IN_GEMINI, IN_MESSAGES, IN_RESPONSES, Foreign
from models.json_types import Json, JsonObject

ASK: Final[JsonObject] = {"role": "user", "content": "Hi"}
THINKING: Final[JsonObject] = {"type": "thinking", "thinking": "hm", "signature": "EqQB"}
HIDDEN: Final[JsonObject] = {"type": "redacted_thinking", "data": "EqQB"}
CALL: Final[JsonObject] = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
RESULT: Final[JsonObject] = {
    "role": "user",
    "content": [{"type": "tool_result", "tool_use_id": "t", "content": "24C"}],
}
BY_BUDGET: Final[JsonObject] = {"type": "enabled", "budget_tokens": 2000}


def turn(*blocks: Json) -> JsonObject:
    return {"role": "assistant", "content": list(blocks)}


def test_messages_keep_everything_but_thinking() -> None:
    text: JsonObject = {"type": "text", "text": "Hello"}
    payload: JsonObject = {
        "messages": [ASK, turn(THINKING, HIDDEN, text), ASK, turn(HIDDEN), ASK],
        "thinking": BY_BUDGET,
    }
    assert IN_MESSAGES.unsigned(payload) == {
        "messages": [ASK, turn(text), ASK, ASK],
        "thinking": BY_BUDGET,
    }


@pytest.mark.parametrize(
    ("thinking", "left"),
    [
        pytest.param(BY_BUDGET, {}, id="by budget"),
        pytest.param(
            {"type": "adaptive"},
            {"thinking": {"type": "adaptive"}, "context_management": {"edits": []}},
            id="adaptive",
        ),
    ],
)
@pytest.mark.parametrize("began", [(THINKING, CALL), (CALL,)], ids=["thinking", "another model"])
def test_a_running_loop_of_tools_stops_thinking_by_budget(
    thinking: JsonObject, left: JsonObject, began: tuple[JsonObject, ...]
) -> None:
    payload: JsonObject = {
        "messages": [ASK, turn(*began), RESULT],
        "thinking": thinking,
        "context_management": {"edits": []},
    }
    assert IN_MESSAGES.unsigned(payload) == {"messages": [ASK, turn(CALL), RESULT], **left}


def test_responses_lose_encrypted_reasoning_and_the_ids_that_call_for_it() -> None:
    encrypted: JsonObject = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": "gAAA",
    }
    plain: JsonObject = {"type": "reasoning", "id": "rs_2", "summary": []}
    call: JsonObject = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    output: JsonObject = {"type": "function_call_output", "call_id": "c", "output": "24C"}
    search: JsonObject = {"type": "web_search_call", "id": "ws_1"}
    payload: JsonObject = {
        "input": [ASK, encrypted, {**call, "id": "fc_1"}, output, encrypted, search, plain]
    }
    assert IN_RESPONSES.unsigned(payload) == {"input": [ASK, call, output, search, plain]}


@pytest.mark.parametrize("key", ["thoughtSignature", "thought_signature"])
def test_gemini_s_calls_say_that_nobody_signed_them(key: str) -> None:
    call: JsonObject = {"functionCall": {"name": "f", "args": {}}}
    parts: list[Json] = [
        {"text": "hm", "thought": True, key: "QUJD"},
        {"text": "Hello", key: "QUJD"},
        {**call, key: "QUJD"},
        call,
        {"text": "", key: "QUJD"},
    ]
    payload: JsonObject = {"contents": [{"role": "model", "parts": parts}]}
    kept: list[Json] = [{"text": "Hello"}, {**call, key: ESCAPE}, call]
    assert IN_GEMINI.unsigned(payload) == {"contents": [{"role": "model", "parts": kept}]}


def test_gemini_s_calls_that_another_model_made_say_that_nobody_signed_them() -> None:
    call: JsonObject = {"functionCall": {"name": "f", "args": {}}}
    excused: JsonObject = {**call, "thoughtSignature": ESCAPE}
    asked: JsonObject = {"role": "user", "parts": [{"text": "Hi"}]}
    payload: JsonObject = {"contents": [asked, {"parts": [{"text": "Hm"}, call, call]}]}
    assert IN_GEMINI.unsigned(payload) == {
        "contents": [asked, {"parts": [{"text": "Hm"}, excused, call]}]
    }


@pytest.mark.parametrize(
    ("config", "left"),
    [
        pytest.param({"thinkingBudget": 2000}, {"topP": 1}, id="by budget"),
        pytest.param(
            {"thinkingLevel": "LOW"},
            {"topP": 1, "thinkingConfig": {"thinkingLevel": "LOW"}},
            id="by level",
        ),
    ],
)
def test_a_running_loop_stops_thinking_by_budget_behind_google_s_service_too(
    config: JsonObject, left: JsonObject
) -> None:
    call: JsonObject = {"functionCall": {"name": "f", "args": {}}}
    thought: JsonObject = {"text": "hm", "thought": True, "thoughtSignature": "QUJD"}
    result: JsonObject = {
        "role": "user",
        "parts": [{"functionResponse": {"name": "f", "response": {}}}],
    }
    payload: JsonObject = {
        "contents": [{"role": "model", "parts": [thought, call]}, result],
        "generationConfig": {"topP": 1, "thinkingConfig": config},
    }
    called = {**call, "thoughtSignature": ESCAPE} if "thinkingConfig" in left else call
    assert IN_GEMINI.unsigned(payload) == {
        "contents": [{"role": "model", "parts": [called]}, result],
        "generationConfig": left,
    }


@pytest.mark.parametrize(
    ("known", "payload"),
    [
        (IN_MESSAGES, {"messages": []}),
        (IN_MESSAGES, {"messages": [None, turn(7)]}),
        (IN_RESPONSES, {"input": "Hi"}),
        (IN_RESPONSES, {"input": [{"type": "message", "id": "msg_1", "content": []}]}),
        (IN_CHAT, {"messages": [ASK]}),
        (IN_GEMINI, {"contents": [{"parts": [{"text": "Hi"}, 7]}], "generationConfig": {}}),
        (IN_GEMINI, {}),
    ],
)
def test_what_has_no_signature_is_the_same_object(known: Foreign, payload: JsonObject) -> None:
    assert known.unsigned(payload) is payload
