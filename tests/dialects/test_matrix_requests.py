"""What a provider gets of a request in the other format, both ways."""

from dataclasses import replace

import pytest

from dialects.anthropic import MESSAGES
from dialects.openai_chat import CHAT
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json, JsonObject
from tests.dialects.answers import Answer, messages_whole
from tests.dialects.test_matrix import CHAT_CONTEXT, CLAUDE, GPT, OSLO


def to_chat(**fields: Json) -> JsonObject:
    messages: list[Json] = [{"role": "user", "content": "Hi"}]
    body: JsonObject = {"model": "m", "max_tokens": 500, "messages": messages, **fields}
    return CHAT.encode_request(MESSAGES.decode_request(body), GPT).payload


def to_messages(**fields: Json) -> JsonObject:
    messages: list[Json] = [{"role": "user", "content": "Hi"}]
    body: JsonObject = {"model": "m", "messages": messages, **fields}
    return MESSAGES.encode_request(CHAT.decode_request(body), CLAUDE).payload


MESSAGES_TOOL: JsonObject = {
    "name": "wx",
    "description": "d",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CHAT_TOOL: JsonObject = {
    "type": "function",
    "function": {
        "name": "wx",
        "description": "d",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"x": {"type": "string"}},
    "required": ["x"],
    "additionalProperties": False,
}

BOTH_WAYS = [
    pytest.param({"system": "Be terse."}, {}, "system", id="system"),
    pytest.param({"stop_sequences": ["A", "B"]}, {"stop": ["A", "B"]}, None, id="stop"),
    pytest.param({"temperature": 0.5}, {"temperature": 0.5}, None, id="temperature"),
    pytest.param({"max_tokens": 7}, {"max_completion_tokens": 7}, None, id="limit"),
    pytest.param({"stream": True}, {"stream": True}, None, id="stream"),
    pytest.param({"tools": [MESSAGES_TOOL]}, {"tools": [CHAT_TOOL]}, None, id="tool"),
    *(
        pytest.param(
            {"tools": [MESSAGES_TOOL], "tool_choice": mine},
            {"tools": [CHAT_TOOL], "tool_choice": theirs},
            None,
            id=f"tool choice {name}",
        )
        for name, mine, theirs in (
            ("auto", {"type": "auto"}, "auto"),
            ("none", {"type": "none"}, "none"),
            ("required", {"type": "any"}, "required"),
            (
                "one",
                {"type": "tool", "name": "wx"},
                {"type": "function", "function": {"name": "wx"}},
            ),
        )
    ),
    pytest.param(
        {
            "tools": [MESSAGES_TOOL],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        },
        {"tools": [CHAT_TOOL], "tool_choice": "auto", "parallel_tool_calls": False},
        None,
        id="one tool at a time",
    ),
    pytest.param(
        {
            "thinking": {"type": "adaptive", "display": "summarized"},
            "output_config": {"effort": "high"},
        },
        {"reasoning_effort": "high"},
        None,
        id="thinking",
    ),
]


@pytest.mark.parametrize(("mine", "theirs", "special"), BOTH_WAYS)
def test_fields_that_both_formats_have(
    mine: JsonObject, theirs: JsonObject, special: str | None
) -> None:
    if special == "system":
        told: Json = [{"role": "system", "content": "Be terse."}, {"role": "user", "content": "Hi"}]
        theirs = {"messages": told}
        mine = {**mine, "messages": [{"role": "user", "content": "Hi"}]}
    there, back = to_chat(**mine), to_messages(**theirs)
    assert {key: there.get(key) for key in theirs} == theirs
    assert {key: back.get(key) for key in mine} == mine


USER_PARTS = [
    pytest.param({"type": "text", "text": "Grüße"}, {"type": "text", "text": "Grüße"}, id="text"),
    pytest.param(
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
        id="image",
    ),
    pytest.param(
        {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        id="image address",
    ),
    pytest.param(
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "QUJD"},
            "title": "a.pdf",
        },
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"},
        },
        id="document",
    ),
]


@pytest.mark.parametrize(("block", "part"), USER_PARTS)
def test_parts_that_both_formats_have(block: JsonObject, part: JsonObject) -> None:
    ask: JsonObject = {"type": "text", "text": "What is this?"}
    mine: Json = [{"role": "user", "content": [ask, block]}]
    theirs: Json = [{"role": "user", "content": [ask, part]}]
    assert to_chat(messages=mine)["messages"] == theirs
    assert to_messages(messages=theirs)["messages"] == mine


def test_a_text_document_reaches_a_chat_provider_with_its_title() -> None:
    block: JsonObject = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "words"},
        "title": "T",
    }
    sent = to_chat(messages=[{"role": "user", "content": [block]}])["messages"]
    assert sent == [{"role": "user", "content": "T\n\nwords"}]


def test_a_tool_round_trip_with_an_error() -> None:
    mine: Json = [
        {"role": "user", "content": "Go"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Ok"},
                {"type": "tool_use", "id": "call_1", "name": "wx", "input": {"city": "Roma"}},
                {"type": "tool_use", "id": "call_2", "name": "wx", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "24C"},
                {
                    "type": "tool_result",
                    "tool_use_id": "call_2",
                    "content": "timeout",
                    "is_error": True,
                },
            ],
        },
    ]
    functions = [("call_1", '{"city":"Roma"}'), ("call_2", "{}")]
    theirs: Json = [
        {"role": "user", "content": "Go"},
        {
            "role": "assistant",
            "content": "Ok",
            "tool_calls": [
                {"id": name, "type": "function", "function": {"name": "wx", "arguments": given}}
                for name, given in functions
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "24C"},
        {"role": "tool", "tool_call_id": "call_2", "content": "Error: timeout"},
    ]
    assert to_chat(messages=mine)["messages"] == theirs
    back = to_messages(messages=theirs)["messages"]
    assert isinstance(back, list)
    assert isinstance(mine, list)
    assert back[:2] == mine[:2]
    # The Chat format has no flag for an error: the text alone tells it.
    assert back[2] == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "call_1", "content": "24C"},
            {"type": "tool_result", "tool_use_id": "call_2", "content": "Error: timeout"},
        ],
    }


def test_a_schema_for_the_answer() -> None:
    mine: JsonObject = {"format": {"type": "json_schema", "schema": SCHEMA}}
    there = to_chat(output_config=mine)["response_format"]
    assert there == {
        "type": "json_schema",
        "json_schema": {"name": "response", "schema": SCHEMA, "strict": True},
    }
    assert to_messages(response_format=there)["output_config"] == mine


def test_a_system_message_in_the_middle_keeps_its_place_in_chat() -> None:
    conversation: Json = [
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "Be kind"},
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": "B"},
    ]
    assert to_chat(messages=conversation)["messages"] == conversation
    native = replace(CLAUDE, system_in_messages=True)
    wanted = CHAT.decode_request({"model": "m", "messages": conversation})
    assert MESSAGES.encode_request(wanted, native).payload["messages"] == conversation


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file_1"}},
    ],
)
def test_what_claude_cannot_take_is_refused_with_its_place(part: JsonObject) -> None:
    with pytest.raises(Unrepresentable) as caught:
        to_messages(messages=[{"role": "user", "content": [part]}])
    assert caught.value.path == "messages[0].content[0]"


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "container_upload", "file_id": "file_1"},
        {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}},
    ],
)
def test_what_chat_cannot_take_is_refused_with_its_place(block: JsonObject) -> None:
    ask: JsonObject = {"type": "text", "text": "What is this?"}
    with pytest.raises(BadRequest) as caught:
        to_chat(messages=[{"role": "user", "content": [ask, block]}])
    assert caught.value.path == "messages[0].content[1]"


def test_thinking_of_a_messages_provider_returns_only_with_its_signature() -> None:
    """A Chat client cannot carry signatures, so its reasoning is left out on the way back."""
    whole = MESSAGES.decode_response(
        messages_whole(Answer(("Ok",), ("hm",), (OSLO,), stop="tool_use"))
    )
    completion = CHAT.encode_response(whole, CHAT_CONTEXT)
    choices = completion["choices"]
    assert isinstance(choices, list)
    assert isinstance(choices[0], dict)
    told: Json = [
        {"role": "user", "content": "Go"},
        choices[0]["message"],
        {"role": "tool", "tool_call_id": "call_2", "content": "r"},
    ]
    wanted = CHAT.decode_request({"model": "m", "messages": told})
    written = MESSAGES.encode_request(wanted, CLAUDE)
    kinds = [
        block["type"]
        for message in _objects(written.payload["messages"])
        if message["role"] == "assistant"
        for block in _objects(message["content"])
    ]
    assert kinds == ["text", "tool_use"]
    assert "reasoning" in written.dropped


def _objects(value: Json) -> list[JsonObject]:
    assert isinstance(value, list)
    return [item for item in value if isinstance(item, dict)]
