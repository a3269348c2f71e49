"""Free-text tools of Chat clients, at providers that know only functions."""

import json
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.anthropic import MESSAGES
from dialects.base import ReplyContext
from dialects.custom_tools import unwrapped, wrapped, wrapped_schema
from dialects.openai_chat import CHAT
from models.chat import ChatRequest, ChatResponse, FinishReason
from models.content import Text, ToolCall
from models.events import Delta, Event, Finish, PartEnd, PartStart, Start, replay
from models.json_types import Json, JsonObject
from tests.dialects.routes import GLM, GPT, HI, MANUAL, from_chat
from tests.dialects.test_rules_response import context
from tests.dialects.test_rules_signatures import calls_in
from tests.dialects.test_rules_stream import encoded, payloads

GRAMMAR: Final[JsonObject] = {
    "type": "grammar",
    "grammar": {"syntax": "lark", "definition": 'start: "a"'},
}
PATCH: Final[JsonObject] = {
    "type": "custom",
    "custom": {"name": "patch", "description": "Edits", "format": GRAMMAR},
}
CHOICE: Final[JsonObject] = {"type": "custom", "custom": {"name": "patch"}}


def asked(**fields: Json) -> ReplyContext:
    return context(CHAT, tools=[PATCH], **fields)


@given(st.text())
def test_any_text_can_be_wrapped(text: str) -> None:
    assert unwrapped(wrapped(text)) == text


@pytest.mark.parametrize("arguments", ["", "{", "[1]", '{"text":"x"}', '{"input":1}', "*** Begin"])
def test_arguments_of_another_shape_stay_as_they_are(arguments: str) -> None:
    assert unwrapped(arguments) == arguments


def test_a_grammar_is_told_to_the_model() -> None:
    properties = wrapped_schema(GRAMMAR)["properties"]
    assert isinstance(properties, dict)
    text = properties["input"]
    assert isinstance(text, dict)
    assert text["description"] == "Must match this format: " + json.dumps(
        GRAMMAR, separators=(",", ":")
    )
    assert wrapped_schema({}) == wrapped_schema({"type": "text"})


def test_anthropic_gets_a_function_that_takes_the_text() -> None:
    request = from_chat(MANUAL, tools=[PATCH], tool_choice=CHOICE)
    assert request.payload["tools"] == [
        {"name": "patch", "description": "Edits", "input_schema": wrapped_schema(GRAMMAR)}
    ]
    assert request.payload["tool_choice"] == {"type": "tool", "name": "patch"}
    assert request.dropped == ()


def test_glm_gets_one_too() -> None:
    request = from_chat(GLM, tools=[PATCH])
    function = {"name": "patch", "description": "Edits", "parameters": wrapped_schema(GRAMMAR)}
    assert request.payload["tools"] == [{"type": "function", "function": function}]


def test_openai_gets_the_clients_own_words() -> None:
    assert from_chat(GPT, tools=[PATCH]).payload["tools"] == [PATCH]


def test_a_call_in_history_goes_on_with_its_text() -> None:
    entry: JsonObject = {
        "id": "c",
        "type": "custom",
        "custom": {"name": "patch", "input": "a\n"},
    }
    turn: JsonObject = {"role": "assistant", "content": None, "tool_calls": [entry]}
    told: JsonObject = {"role": "tool", "tool_call_id": "c", "content": "done"}
    messages = from_chat(MANUAL, tools=[PATCH], messages=[HI, turn, told]).payload["messages"]
    assert isinstance(messages, list)
    assert messages[1] == {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "c", "name": "patch", "input": {"input": "a\n"}}],
    }


def test_a_whole_answer_calls_it_with_its_text() -> None:
    parts = (ToolCall("c", "patch", '{"input":"a"}'), ToolCall("d", "other", '{"input":"b"}'))
    answer = ChatResponse("u", "m", 1, parts, FinishReason.TOOL_CALLS)
    assert calls_in(CHAT.encode_response(answer, asked())) == [
        {"id": "c", "type": "custom", "custom": {"name": "patch", "input": "a"}},
        {
            "id": "d",
            "type": "function",
            "function": {"name": "other", "arguments": '{"input":"b"}'},
        },
    ]


def test_a_stream_calls_it_with_its_text() -> None:
    events: list[Event] = [
        Start("u", "m"),
        PartStart(Text("")),
        Delta("Now:"),
        PartEnd(),
        PartStart(ToolCall("c", "patch", "")),
        Delta('{"inp'),
        Delta('ut":"a\\n'),
        Delta('b"}'),
        PartEnd(),
        PartStart(ToolCall("d", "other", "")),
        Delta("{}"),
        PartEnd(),
        Finish(FinishReason.TOOL_CALLS),
    ]
    chunks = payloads(encoded(CHAT, events, asked()))
    calls = [entry for chunk in chunks for entry in calls_of(chunk)]
    assert calls == [
        {"index": 0, "id": "c", "type": "custom", "custom": {"name": "patch", "input": ""}},
        {"index": 0, "custom": {"input": "a\nb"}},
        {"index": 1, "id": "d", "type": "function", "function": {"name": "other", "arguments": ""}},
        {"index": 1, "function": {"arguments": "{}"}},
    ]  # fmt: skip


def test_a_call_of_a_provider_that_knows_such_tools_stays_what_it_is() -> None:
    entry: JsonObject = {"id": "c", "type": "custom", "custom": {"name": "patch", "input": "x"}}
    message: JsonObject = {"role": "assistant", "content": None, "tool_calls": [entry]}
    answer = CHAT.decode_response({"id": "u", "choices": [{"message": message}]})
    assert calls_in(CHAT.encode_response(answer, asked())) == [entry]


def test_a_messages_client_that_names_such_a_tool_is_none_the_wiser() -> None:
    """Only who declared free text gets free text."""
    answer = ChatResponse(
        "u", "m", 1, (ToolCall("c", "patch", '{"input":"x"}'),), FinishReason.TOOL_CALLS
    )
    whole = MESSAGES.encode_response(answer, context(MESSAGES))
    assert whole["content"] == [
        {"type": "tool_use", "id": "c", "name": "patch", "input": {"input": "x"}}
    ]


def test_the_stream_of_a_whole_answer_says_the_same() -> None:
    parts = (ToolCall("c", "patch", '{"input":"a"}'),)
    answer = ChatResponse("u", "m", 1, parts, FinishReason.TOOL_CALLS)
    chunks = payloads(encoded(CHAT, list(replay(answer)), asked()))
    texts = [entry["custom"] for chunk in chunks for entry in calls_of(chunk)]
    assert texts == [{"name": "patch", "input": ""}, {"input": "a"}]


def calls_of(chunk: JsonObject) -> list[JsonObject]:
    """Return the entries of `tool_calls` in a chunk."""
    choices = chunk["choices"]
    found: list[JsonObject] = []
    for choice in choices if isinstance(choices, list) else ():
        assert isinstance(choice, dict)
        delta = choice["delta"]
        assert isinstance(delta, dict)
        calls = delta.get("tool_calls", [])
        assert isinstance(calls, list)
        found += [call for call in calls if isinstance(call, dict)]
    return found


def test_such_a_request_reads_as_a_function() -> None:
    request: ChatRequest = asked().request
    (tool,) = request.tools
    assert (tool.name, tool.custom, tool.raw) == ("patch", GRAMMAR, None)
