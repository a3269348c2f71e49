"""Signatures travel through formats that know nothing of them, and go back to who made them."""

import pytest

from dialects.anthropic import MESSAGES
from dialects.openai_chat import CHAT
from dialects.signatures import tagged
from models.chat import ChatResponse, FinishReason
from models.content import Part, Reasoning, ToolCall
from models.events import Event, replay
from models.json_types import Json, JsonObject
from models.profile import Profile
from tests.dialects.anthropic.support import block
from tests.dialects.routes import GPT, HI, MANUAL, from_chat, from_messages
from tests.dialects.test_rules_response import context
from tests.dialects.test_rules_stream import encoded, payloads

CALL = ToolCall("c", "wx", '{"city":"Roma"}', signature="AbC=", origin="gemini")
OTHERS = ToolCall("c", "wx", "{}", signature="zz", origin="claude-ca")
CARRIER: JsonObject = {
    "type": "thinking",
    "thinking": "",
    "signature": tagged("gemini", "AbC=", of="call"),
}
USE: JsonObject = {"type": "tool_use", "id": "c", "name": "wx", "input": {"city": "Roma"}}


def answer(*parts: Part) -> ChatResponse:
    return ChatResponse("u", "m", 1, parts, FinishReason.TOOL_CALLS)


def events(*parts: Part) -> list[Event]:
    return list(replay(answer(*parts)))


# --- through Messages ---


def test_a_signed_call_is_led_by_a_block_that_carries_its_signature() -> None:
    whole = MESSAGES.encode_response(answer(CALL), context(MESSAGES))
    assert whole["content"] == [CARRIER, USE]
    streamed = payloads(encoded(MESSAGES, events(CALL), context(MESSAGES)))
    fragment: JsonObject = {"type": "input_json_delta", "partial_json": CALL.arguments}
    assert streamed[1:-2] == [
        *block(
            0,
            {**CARRIER, "signature": ""},
            {"type": "signature_delta", "signature": CARRIER["signature"]},
        ),
        *block(1, {**USE, "input": {}}, fragment),
    ]


def test_the_block_comes_back_as_the_signature_of_its_call() -> None:
    second: JsonObject = {**USE, "id": "d"}
    thinking: JsonObject = {"type": "thinking", "thinking": "t", "signature": "EqQB"}
    parts = read_messages(thinking, CARRIER, USE, second)
    assert parts == (
        Reasoning("t", "EqQB", "anthropic"),
        ToolCall("c", "wx", '{"city":"Roma"}', signature="AbC=", origin="gemini"),
        ToolCall("d", "wx", '{"city":"Roma"}'),
    )


def test_a_carrier_without_a_call_is_nothing() -> None:
    assert read_messages({"type": "text", "text": "x"}, CARRIER) == read_messages(
        {"type": "text", "text": "x"}
    )


@pytest.mark.parametrize("vendor", ["openai", "gemini", "claude-ca"])
def test_anothers_reasoning_keeps_its_maker_through_messages(vendor: str) -> None:
    """Claude behind Code Assist signs as Anthropic does, but not for Anthropic."""
    made = Reasoning("t", "EqQB", vendor)
    whole = MESSAGES.encode_response(answer(made), context(MESSAGES))
    content = whole["content"]
    assert isinstance(content, list)
    assert content[0] == {
        "type": "thinking",
        "thinking": "t",
        "signature": tagged(vendor, "EqQB"),
    }
    assert read_messages(content[0]) == (made,)


def test_anthropic_sees_neither_carriers_nor_anothers_reasoning() -> None:
    foreign: JsonObject = {
        "type": "thinking",
        "thinking": "t",
        "signature": tagged("claude-ca", "x"),
    }
    turn: JsonObject = {"role": "assistant", "content": [foreign, CARRIER, USE]}
    history = MESSAGES.decode_request(
        {"model": "m", "max_tokens": 9, "messages": [HI, turn, RESULT]}
    )
    written = MESSAGES.encode_request(history, Profile("m", vendor="anthropic"))
    messages = written.payload["messages"]
    assert isinstance(messages, list)
    assert messages[1] == {"role": "assistant", "content": [USE]}
    assert "reasoning" in written.dropped


RESULT: JsonObject = {
    "role": "user",
    "content": [{"type": "tool_result", "tool_use_id": "c", "content": "24C"}],
}


def test_openai_sees_no_signature_of_a_call() -> None:
    turn: JsonObject = {"role": "assistant", "content": [CARRIER, USE]}
    request = from_messages(GPT, messages=[HI, turn, RESULT])
    assert "AbC=" not in str(request.payload)
    assert "extra_content" not in str(request.payload)


# --- through Chat ---


@pytest.mark.parametrize(
    ("call", "carried"),
    [
        pytest.param(CALL, "AbC=", id="gemini: as google has it"),
        pytest.param(OTHERS, tagged("claude-ca", "zz", of="call"), id="another: tagged"),
    ],
)
def test_a_signed_call_of_a_chat_client_has_googles_field(call: ToolCall, carried: str) -> None:
    extra = {"google": {"thought_signature": carried}}
    whole = CHAT.encode_response(answer(call), context(CHAT))
    assert calls_in(whole)[0]["extra_content"] == extra
    chunks = payloads(encoded(CHAT, events(call), context(CHAT)))
    opened = chunks[1]["choices"]
    assert isinstance(opened, list)
    assert isinstance(opened[0], dict)
    assert opened[0]["delta"] == {
        "tool_calls": [
            {
                "index": 0,
                "id": "c",
                "type": "function",
                "function": {"name": "wx", "arguments": ""},
                "extra_content": extra,
            }
        ]
    }
    # As the client sends it back.
    entry = calls_in(whole)[0]
    assert read_chat(entry) == call


@pytest.mark.parametrize(
    ("fields", "signature", "origin"),
    [
        ({"thought_signature": "AbC="}, "AbC=", "gemini"),
        ({"extra_content": {"google": {"thought_signature": "AbC="}}}, "AbC=", "gemini"),
        ({"extra_content": {"google": {}}}, None, None),
        ({"extra_content": {"google": 1}, "thought_signature": "x"}, "x", "gemini"),
        ({"extra_content": None}, None, None),
        ({"thought_signature": "gw1.broken"}, None, None),
        ({"thought_signature": 1}, None, None),
    ],
)
def test_a_signature_is_found_where_clients_put_it(
    fields: JsonObject, signature: str | None, origin: str | None
) -> None:
    entry: JsonObject = {"id": "c", "type": "function", "function": {"name": "wx"}, **fields}
    assert read_chat(entry) == ToolCall("c", "wx", "", signature=signature, origin=origin)


def test_a_chat_provider_of_gemini_gets_its_own_signature_back() -> None:
    """Google's server of this format signs as the native one does."""
    entry: JsonObject = {
        "id": "c",
        "type": "function",
        "function": {"name": "wx", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "AbC="}},
    }
    message: JsonObject = {"role": "assistant", "content": None, "tool_calls": [entry]}
    whole: JsonObject = {"id": "u", "choices": [{"message": message}]}
    (made,) = CHAT.decode_response(whole).parts
    assert made == ToolCall("c", "wx", "{}", signature="AbC=", origin="gemini")
    history = CHAT.decode_request({"model": "m", "messages": [HI, message]})
    for vendor, kept in (("gemini", entry), ("openai", None), ("", None)):
        written = CHAT.encode_request(history, Profile("m", vendor=vendor)).payload["messages"]
        assert isinstance(written, list)
        assert isinstance(written[1], dict)
        plain = {key: value for key, value in entry.items() if key != "extra_content"}
        assert written[1]["tool_calls"] == [kept or plain]


def test_anthropic_gets_a_signed_call_of_a_chat_client_without_its_signature() -> None:
    entry: JsonObject = {
        "id": "c",
        "type": "function",
        "function": {"name": "wx", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "AbC="}},
    }
    turn: JsonObject = {"role": "assistant", "content": None, "tool_calls": [entry]}
    told: JsonObject = {"role": "tool", "tool_call_id": "c", "content": "24C"}
    request = from_chat(MANUAL, messages=[HI, turn, told])
    assert "AbC=" not in str(request.payload)


def read_messages(*blocks: Json) -> tuple[Part, ...]:
    """Return what a Messages client's assistant turn is read as."""
    turn: JsonObject = {"role": "assistant", "content": [*blocks]}
    request = MESSAGES.decode_request({"model": "m", "max_tokens": 9, "messages": [HI, turn]})
    return request.messages[1].parts


def read_chat(entry: JsonObject) -> Part:
    """Return what an entry of a Chat client's `tool_calls` is read as."""
    turn: JsonObject = {"role": "assistant", "content": None, "tool_calls": [entry]}
    request = CHAT.decode_request({"model": "m", "messages": [HI, turn]})
    (part,) = request.messages[1].parts
    return part


def calls_in(whole: JsonObject) -> list[JsonObject]:
    """Return `tool_calls` of a whole Chat answer."""
    choices = whole["choices"]
    assert isinstance(choices, list)
    assert isinstance(choices[0], dict)
    message = choices[0]["message"]
    assert isinstance(message, dict)
    calls = message["tool_calls"]
    assert isinstance(calls, list)
    return [call for call in calls if isinstance(call, dict)]
