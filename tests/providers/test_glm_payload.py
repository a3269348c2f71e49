"""GLM: what its requests need."""

import json

import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Encoded
from dialects.openai_chat import CHAT
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject
from providers.glm import PROVIDER, profile

USER: JsonObject = {"role": "user", "content": "Hi"}
TOOL: JsonObject = {"type": "function", "function": {"name": "f"}}


def adapt(model: str = "glm-4.6", **body: Json) -> Encoded:
    assert PROVIDER.main.adapt is not None
    payload: JsonObject = {"model": model, "messages": [USER], **body}
    before = json.dumps(payload)
    encoded = PROVIDER.main.adapt(payload, profile(model))
    assert json.dumps(payload) == before
    return encoded


def messages(*turns: Json, model: str = "glm-4.6", **body: Json) -> Json:
    return adapt(model, messages=list(turns), **body).payload["messages"]


def test_a_plain_request_passes_as_it_is() -> None:
    encoded = adapt(temperature=0.5, do_sample=True, meta={"a": 1}, request_id="r-123456", seed=1)
    assert encoded == Encoded(
        {
            "model": "glm-4.6",
            "messages": [USER],
            "temperature": 0.5,
            "do_sample": True,
            "meta": {"a": 1},
            "request_id": "r-123456",
            "seed": 1,
        }
    )


def test_roles_names_and_empty_content_are_glms() -> None:
    call: JsonObject = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert messages(
        {"role": "developer", "content": "D", "name": "x"},
        {"role": "user", "name": "bo", "content": [{"type": "text", "text": t} for t in "ab"]},
        {"role": "assistant", "content": None, "reasoning_content": "r", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "24"}]},
        {"role": "assistant", "content": None, "refusal": "no"},
        {"role": "assistant", "content": "", "refusal": "never"},
    ) == [
        {"role": "system", "content": "D"},
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": "", "reasoning_content": "r", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "24"},
        {"role": "assistant", "content": "no"},
        {"role": "assistant", "content": "never"},
    ]


def test_a_conversation_without_a_user_gets_one() -> None:
    assert messages({"role": "system", "content": "S"}) == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "Continue."},
    ]
    assert messages({"role": "system", "content": "S"}, {"role": "assistant", "content": "A"}) == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "Continue."},
        {"role": "assistant", "content": "A"},
    ]


def test_vision_models_get_bare_base64() -> None:
    image: JsonObject = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    turn: JsonObject = {"role": "user", "content": [{"type": "text", "text": "Q"}, image]}
    bare: JsonObject = {"type": "image_url", "image_url": {"url": "QUJD"}}
    assert messages(turn, model="glm-4.6v") == [
        {"role": "user", "content": [{"type": "text", "text": "Q"}, bare]}
    ]
    assert messages(turn) == [turn]


def test_files_have_glms_name_and_ids_of_others_are_refused() -> None:
    data = "data:application/pdf;base64,QUJD"
    ask: JsonObject = {"type": "text", "text": "Q"}
    file: JsonObject = {"type": "file", "file": {"filename": "a.pdf", "file_data": data}}
    told: JsonObject = {"type": "file_url", "file_url": {"url": data}}
    for model in ("glm-4.6v", "glm-4.6"):
        assert messages({"role": "user", "content": [ask, file]}, model=model) == [
            {"role": "user", "content": [ask, told]}
        ]
    foreign: JsonObject = {"type": "file", "file": {"file_id": "file-1"}}
    with pytest.raises(Unrepresentable) as caught:
        messages(USER, {"role": "user", "content": [ask, foreign]})
    assert caught.value.path == "messages[1].content[1]"


def test_a_file_of_text_comes_as_text() -> None:
    file: JsonObject = {"filename": "a.txt", "file_data": "data:text/plain;base64,QUJD"}
    ask: JsonObject = {"type": "text", "text": "Read"}
    part: JsonObject = {"type": "file", "file": file}
    told = messages({"role": "user", "content": [ask, part]})
    assert told == [{"role": "user", "content": "Read\na.txt\n\nABC"}]


def test_the_name_of_a_speaker_is_left_out_and_told() -> None:
    encoded = adapt(messages=[{**USER, "name": "ada"}])
    assert encoded.payload["messages"] == [USER]
    assert encoded.dropped == ("name",)
    # The name of a function whose result this is says nothing new.
    assert adapt(messages=[USER, {"role": "tool", "name": "f", "content": "r"}]).dropped == ()


def test_limits_have_glms_name_and_cap() -> None:
    assert adapt(max_completion_tokens=5, max_tokens=7).payload["max_tokens"] == 5
    capped = adapt(max_completion_tokens=999_999)
    assert capped.payload["max_tokens"] == 131_072
    assert capped.dropped == ("max_tokens",)
    assert "max_completion_tokens" not in capped.payload


@pytest.mark.parametrize(
    ("body", "expected", "dropped"),
    [
        ({"temperature": 0}, {"temperature": 0.01, "do_sample": False}, ()),
        ({"temperature": 1.5}, {"temperature": 1.0}, ("temperature",)),
        ({"temperature": 1}, {"temperature": 1}, ()),
        ({"top_p": 0}, {"top_p": 0.01}, ()),
        ({"user": "u-1234"}, {"user_id": "u-1234"}, ()),
        ({"user": "u"}, {}, ("user",)),
        ({"safety_identifier": "s-1234", "user": "u-1234"}, {"user_id": "s-1234"}, ()),
        ({"n": 1, "logprobs": False, "store": False, "parallel_tool_calls": True}, {}, ()),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}, ()),
        ({"frequency_penalty": 1, "logit_bias": {}}, {}, ("frequency_penalty", "logit_bias")),
        (
            {"response_format": {"type": "json_object"}},
            {"response_format": {"type": "json_object"}},
            (),
        ),
        ({"tools": [], "tool_choice": "auto"}, {}, ()),
        ({"tools": [TOOL], "tool_choice": "none"}, {}, ()),
        ({"tools": [TOOL]}, {"tools": [TOOL], "tool_choice": "auto"}, ()),
        (
            {"tools": [TOOL], "tool_choice": "required"},
            {"tools": [TOOL], "tool_choice": "auto"},
            ("tool_choice",),
        ),
        (
            {"tools": [TOOL], "stream": True},
            {"tools": [TOOL], "tool_choice": "auto", "stream": True, "tool_stream": True},
            (),
        ),
        (
            {"tools": [TOOL], "stream": True, "tool_stream": False},
            {"tools": [TOOL], "tool_choice": "auto", "stream": True, "tool_stream": False},
            (),
        ),
    ],
)
def test_fields_are_edited_as_glm_needs(
    body: JsonObject, expected: JsonObject, dropped: tuple[str, ...]
) -> None:
    encoded = adapt("glm-4.6", **body)
    assert encoded.payload == {"model": "glm-4.6", "messages": [USER], **expected}
    assert encoded.dropped == dropped


def test_one_named_tool_is_the_only_one_left() -> None:
    other: JsonObject = {
        "type": "function",
        "function": {
            "name": "g",
            "strict": True,
            "parameters": {"$schema": "x", "type": "object", "properties": {"$schema": {}}},
        },
    }
    plain: JsonObject = {
        "type": "function",
        "function": {
            "name": "g",
            "parameters": {"type": "object", "properties": {"$schema": {}}},
        },
    }
    choice: JsonObject = {"type": "function", "function": {"name": "g"}}
    encoded = adapt(tools=[TOOL, other], tool_choice=choice)
    assert encoded.payload["tools"] == [plain]
    assert encoded.dropped == ("tool_choice", "strict")
    allowed: JsonObject = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [choice]},
    }
    subset = adapt(tools=[TOOL, other], tool_choice=allowed)
    assert subset.payload["tools"] == [plain]
    assert subset.dropped == ("strict",)


def test_one_stop_goes_to_glm_and_the_others_stay_with_the_gateway() -> None:
    encoded = adapt(stop=["a", "b", "c"])
    assert encoded.payload["stop"] == ["a"]
    assert encoded.stops == ("b", "c")
    assert adapt(stop="a").payload["stop"] == ["a"]
    assert "stop" not in adapt(stop=[]).payload


def test_a_schema_for_the_answer_is_told_in_words() -> None:
    shape: JsonObject = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
    encoded = adapt(response_format=shape, messages=[{"role": "system", "content": "S"}, USER])
    assert encoded.payload["response_format"] == {"type": "json_object"}
    assert encoded.dropped == ("response_format",)
    told = encoded.payload["messages"]
    assert isinstance(told, list)
    assert isinstance(told[0], dict)
    assert str(told[0]["content"]).startswith("S\n\n")
    assert '{"type":"object"}' in str(told[0]["content"])
    alone = messages(USER, response_format=shape)
    assert isinstance(alone, list)
    assert isinstance(alone[0], dict)
    assert alone[0]["role"] == "system"


@pytest.mark.parametrize(
    ("model", "body", "thinking", "effort", "dropped"),
    [
        ("glm-4.6", {"reasoning_effort": "none"}, {"type": "disabled"}, None, ()),
        ("glm-4.6", {"reasoning_effort": "low"}, {"type": "enabled"}, None, ()),
        ("glm-5.2", {"reasoning_effort": "none"}, None, "none", ()),
        ("glm-5.2", {"reasoning_effort": "medium"}, None, "medium", ()),
        ("glm-5.3", {"reasoning_effort": "none"}, None, "low", ("reasoning_effort",)),
        ("glm-5.3", {"reasoning_effort": "xhigh"}, None, "max", ()),
        ("glm-5.3", {"thinking": {"type": "disabled"}}, None, "low", ("thinking",)),
        (
            "glm-5",
            {"thinking": {"type": "enabled", "clear_thinking": False}},
            {"type": "enabled", "clear_thinking": False},
            None,
            (),
        ),
        (
            "glm-5.2",
            {"thinking": {"type": "enabled", "budget_tokens": 9000}},
            {"type": "enabled"},
            "high",
            (),
        ),
        ("glm-5", {"thinking": {"type": "adaptive"}}, {"type": "enabled"}, None, ()),
        ("glm-4-plus", {"reasoning_effort": "low"}, None, None, ("reasoning_effort",)),
    ],
)
def test_thinking_is_said_in_the_words_of_the_model(
    model: str, body: JsonObject, thinking: Json, effort: Json, dropped: tuple[str, ...]
) -> None:
    encoded = adapt(model, **body)
    assert encoded.payload.get("thinking") == thinking
    assert encoded.payload.get("reasoning_effort") == effort
    assert encoded.dropped == dropped


@pytest.mark.parametrize(
    "body",
    [
        {"n": 2},
        {"functions": [{"name": "f"}]},
        {"modalities": ["audio"]},
        {"web_search_options": {}},
        {"tools": [{"type": "custom", "custom": {"name": "sh"}}]},
    ],
)
def test_what_would_change_the_meaning_is_refused(body: JsonObject) -> None:
    with pytest.raises(Unrepresentable):
        adapt("glm-4.6", **body)


def test_a_messages_request_arrives_as_glm_needs_it() -> None:
    source: JsonObject = {
        "model": "glm-5.2",
        "max_tokens": 500,
        "stream": True,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "system": "S",
        "stop_sequences": ["a", "b"],
        "messages": [
            {"role": "user", "content": "Go"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "mine", "signature": ""},
                    {"type": "tool_use", "id": "c", "name": "f", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c", "content": "24"}],
            },
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any"},
        "metadata": {"user_id": "user-1"},
    }
    assert PROVIDER.main.adapt is not None
    facts = profile("glm-5.2")
    encoded = CHAT.encode_request(MESSAGES.decode_request(source), facts)
    adapted = PROVIDER.main.adapt(encoded.payload, facts)
    assert encoded.stops == ("b",)
    assert adapted.payload == {
        "model": "glm-5.2",
        "messages": [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "Go"},
            {
                "role": "assistant",
                "content": "",
                "reasoning_content": "mine",
                "tool_calls": [
                    {
                        "id": "c",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": "24"},
        ],
        "max_tokens": 500,
        "stop": ["a"],
        "thinking": {"type": "enabled"},
        "reasoning_effort": "medium",
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
            }
        ],
        "tool_choice": "auto",
        "stream": True,
        "tool_stream": True,
        "user_id": "user-1",
    }
    assert adapted.dropped == ("tool_choice",)
