"""Neutral requests written as Chat requests."""

from dataclasses import replace

import pytest

from dialects.base import Encoded
from dialects.openai_chat import CHAT
from models.chat import (
    ChatRequest,
    OutputFormat,
    Sampling,
    Thinking,
    Tool,
    ToolChoice,
)
from models.content import (
    Inline,
    Media,
    Message,
    Opaque,
    Part,
    PlainText,
    Reasoning,
    Refusal,
    Remote,
    Text,
    ToolCall,
    ToolResult,
    VendorFile,
)
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject
from models.profile import Profile
from providers.openai import profile as openai_profile

PLAIN = Profile("m")
USER = Message("user", (Text("Hi"),))
TOOL = Tool("f", schema={"type": "object", "properties": {}})


def write(profile: Profile = PLAIN, *turns: Message, **rest: object) -> Encoded:
    request = ChatRequest(model="m", stream=False, messages=turns or (USER,))
    changed = replace(request, **rest)  # type: ignore[arg-type]  # fields by name, checked at run
    return CHAT.encode_request(changed, profile)


def messages(encoded: Encoded) -> list[Json]:
    value = encoded.payload["messages"]
    assert isinstance(value, list)
    return value


def user_content(*parts: Part, profile: Profile = PLAIN) -> Json:
    message = messages(write(profile, Message("user", parts)))[0]
    assert isinstance(message, dict)
    return message["content"]


def test_a_chat_request_survives_the_way_there_and_back() -> None:
    source: JsonObject = {
        "model": "m",
        "messages": [
            {"role": "system", "content": "S"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "Q"}, {"type": "text", "text": "R"}],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{bad"}}
                ],
            },
            {"role": "tool", "tool_call_id": "c", "content": "r"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "f",
                    "parameters": {"type": "object", "properties": {}},
                    "strict": False,
                },
            }
        ],
        "tool_choice": "auto",
        "max_completion_tokens": 5,
        "temperature": 0,
        "stop": ["a"],
        "seed": 3,
        "prediction": {"type": "content", "content": "x"},
    }
    encoded = CHAT.encode_request(CHAT.decode_request(source), PLAIN)
    assert encoded.payload == source
    assert encoded.dropped == ()


def test_streams_always_ask_for_usage() -> None:
    payload = write(stream=True).payload
    assert payload["stream"] is True
    assert payload["stream_options"] == {"include_usage": True}
    assert "stream" not in write().payload


def test_calls_without_an_answer_get_one_and_answers_follow_their_calls() -> None:
    calls = Message("assistant", (ToolCall("a", "f", "{}"), ToolCall("b", "f", "")))
    late = Message("user", (Text("wait"), ToolResult("b", (Text("r"),))))
    encoded = write(PLAIN, USER, calls, late, tools=(TOOL,))
    assert messages(encoded)[2:] == [
        {
            "role": "tool",
            "tool_call_id": "a",
            "content": "Error: [tool call was not executed]",
        },
        {"role": "tool", "tool_call_id": "b", "content": "r"},
        {"role": "user", "content": "wait"},
    ]


def test_long_call_ids_are_shortened_alike_in_call_and_answer() -> None:
    call_id = "toolu_" + "x" * 60
    turns = (
        USER,
        Message("assistant", (ToolCall(call_id, "f", "{}"),)),
        Message("user", (ToolResult(call_id, (Text("r"),)),)),
    )
    written = messages(write(PLAIN, *turns))
    assert isinstance(written[1], dict)
    assert isinstance(written[2], dict)
    calls = written[1]["tool_calls"]
    assert isinstance(calls, list)
    assert isinstance(calls[0], dict)
    assert calls[0]["id"] == written[2]["tool_call_id"]
    assert len(str(calls[0]["id"])) <= 40


@pytest.mark.parametrize(
    ("result", "content"),
    [
        (ToolResult("c", ()), ""),
        (ToolResult("c", (Text("a"), Text("b"))), "a\nb"),
        (ToolResult("c", (Text("x"),), is_error=True), "Error: x"),
        (ToolResult("c", (Text("Error: x"),), is_error=True), "Error: x"),
        (ToolResult("c", (), is_error=True), "Error: the tool failed"),
        (ToolResult("c", (Media("document", PlainText("t"), title="T"),)), "T\n\nt"),
    ],
)
def test_tool_results_are_text(result: ToolResult, content: str) -> None:
    turns = (USER, Message("assistant", (ToolCall("c", "f", "{}"),)), Message("user", (result,)))
    answer = messages(write(PLAIN, *turns))[2]
    assert answer == {"role": "tool", "tool_call_id": "c", "content": content}


def test_content_is_a_string_where_it_can_be() -> None:
    assert user_content(Text("a")) == "a"
    assert user_content(Text("")) == ""
    assert user_content(Text("a"), Text(""), Text("b")) == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]


def test_media_of_every_kind_are_written() -> None:
    glm = Profile("glm-4.6v", vendor="glm")
    assert user_content(
        Media("image", Remote("https://x.test/a"), detail="low"),
        Media("audio", Inline("audio/wav", "QUJD")),
        Media("document", Inline("application/pdf", "QUJD"), "a.pdf"),
        Media("document", VendorFile("chat", "file-1")),
        Media("document", PlainText("t"), title="T", context="Source: s"),
    ) == [
        {"type": "image_url", "image_url": {"url": "https://x.test/a", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"},
        },
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "text", "text": "T\nSource: s\n\nt"},
    ]
    assert user_content(
        Media("video", Remote("https://x.test/v")),
        Media("document", Remote("https://x.test/d")),
        profile=glm,
    ) == [
        {"type": "video_url", "video_url": {"url": "https://x.test/v"}},
        {"type": "file_url", "file_url": {"url": "https://x.test/d"}},
    ]


@pytest.mark.parametrize(
    "part",
    [
        Media("video", Remote("https://x.test/v")),
        Media("document", Remote("https://x.test/d")),
        Media("image", VendorFile("messages", "f")),
        Media("image", VendorFile("chat", "f")),
        Media("audio", Inline("audio/flac", "QUJD")),
        Opaque("messages", {"type": "container_upload"}),
    ],
)
def test_content_that_cannot_be_carried_is_refused(part: Part) -> None:
    with pytest.raises(Unrepresentable) as caught:
        user_content(Text("a"), part)
    assert caught.value.path == "messages[0].content[1]"


def test_an_assistant_turn_is_written_field_by_field() -> None:
    turn = Message(
        "assistant",
        (Reasoning("hm"), Text("A"), Text("B"), Refusal("no"), ToolCall("c", "f", "")),
    )
    keeps = replace(PLAIN, reasoning_content=True)
    assert messages(write(keeps, USER, turn))[1] == {
        "role": "assistant",
        "content": "AB",
        "refusal": "no",
        "reasoning_content": "hm",
        "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ],
    }


def test_reasoning_goes_only_to_servers_that_want_it_and_never_to_strangers() -> None:
    keeps = Profile("m", vendor="glm", reasoning_content=True)
    for part, expected in (
        (Reasoning("t"), "t"),
        (Reasoning("t", "s", "glm"), "t"),
        (Reasoning("t", "s", "anthropic"), None),
    ):
        encoded = write(keeps, USER, Message("assistant", (part, Text("A"))), USER)
        message = messages(encoded)[1]
        assert isinstance(message, dict)
        assert message.get("reasoning_content") == expected
        assert ("reasoning" in encoded.dropped) is (expected is None)


def test_names_that_the_format_refuses_are_changed_everywhere() -> None:
    encoded = write(
        PLAIN,
        USER,
        Message("assistant", (ToolCall("c", "a.b", "{}"),)),
        tools=(Tool("a.b"), Tool("a_b")),
        tool_choice=ToolChoice("one", ("a.b",)),
    )
    assert encoded.tool_names == {"a_b_2": "a.b"}
    assert encoded.payload["tool_choice"] == {"type": "function", "function": {"name": "a_b_2"}}
    assert encoded.payload["tools"] == [
        {"type": "function", "function": {"name": "a_b_2"}},
        {"type": "function", "function": {"name": "a_b"}},
    ]
    assert '"name": "a_b_2"' in str(messages(encoded)).replace("'", '"')


def test_nothing_about_tools_is_said_without_tools() -> None:
    payload = write(tool_choice=ToolChoice("none"), parallel_tools=False).payload
    assert set(payload) == {"model", "messages"}


def test_tools_of_other_vendors_are_refused() -> None:
    raw: JsonObject = {"type": "web_search_20250305", "name": "web_search"}
    with pytest.raises(Unrepresentable, match="web_search"):
        write(tools=(Tool("web_search", raw=raw, dialect="messages"),))


def test_a_subset_is_said_to_openai_and_done_for_others() -> None:
    choice = ToolChoice("subset", ("g",), subset_required=True)
    tools = (TOOL, Tool("g"))
    ours = write(Profile("m", vendor="openai"), tools=tools, tool_choice=choice).payload
    assert ours["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "required",
            "tools": [{"type": "function", "function": {"name": "g"}}],
        },
    }
    others = write(tools=tools, tool_choice=choice).payload
    assert others["tools"] == [{"type": "function", "function": {"name": "g"}}]
    assert others["tool_choice"] == "required"


def test_strictness_that_openai_would_refuse_is_dropped() -> None:
    loose: JsonObject = {"type": "object", "properties": {"a": {"type": "string"}}}
    encoded = write(tools=(Tool("f", schema=loose, strict=True),))
    assert encoded.payload["tools"] == [
        {"type": "function", "function": {"name": "f", "parameters": loose}}
    ]
    assert encoded.dropped == ("strict",)


def test_limits_fit_the_model() -> None:
    assert write(max_tokens=9).payload["max_completion_tokens"] == 9
    legacy = write(Profile("m", legacy_max_tokens=True), max_tokens=9).payload
    assert legacy["max_tokens"] == 9
    assert "max_completion_tokens" not in legacy
    capped = write(Profile("m", max_output_tokens=5), max_tokens=9)
    assert capped.payload["max_completion_tokens"] == 5
    assert capped.dropped == ("max_tokens",)


def test_stops_beyond_what_the_model_takes_are_left_to_the_gateway() -> None:
    encoded = write(Profile("m", max_stops=2), stop=("a", "b", "a", "c"))
    assert encoded.payload["stop"] == ["a", "b"]
    assert encoded.stops == ("c",)
    none = write(Profile("m", max_stops=0), stop=("a",))
    assert "stop" not in none.payload
    assert none.stops == ("a",)


def test_what_answers_do_not_tell_is_not_asked_for() -> None:
    encoded = write(sampling=Sampling(logprobs=True, top_logprobs=2))
    assert encoded.payload.keys() & {"logprobs", "top_logprobs"} == set()
    assert encoded.dropped == ("logprobs", "top_logprobs")
    assert write(sampling=Sampling(logprobs=False)).dropped == ()


def test_reasoning_models_get_no_sampling() -> None:
    sampling = Sampling(temperature=0, top_p=1.0, top_k=5, seed=3, frequency_penalty=1)
    encoded = write(openai_profile("gpt-5"), sampling=sampling)
    assert encoded.payload["seed"] == 3
    assert set(encoded.dropped) == {"temperature", "top_p", "top_k", "frequency_penalty"}
    assert "temperature" not in encoded.payload
    assert write(sampling=sampling).payload["temperature"] == 0


@pytest.mark.parametrize(
    ("model", "thinking", "effort", "dropped"),
    [
        ("gpt-5", Thinking(), None, ()),
        ("gpt-5", Thinking("auto"), None, ()),
        ("gpt-5", Thinking("budget", 2000), "medium", ()),
        ("gpt-5", Thinking("effort", effort="max"), "high", ()),
        ("gpt-5", Thinking("off"), "minimal", ()),
        ("gpt-5.2", Thinking("off"), "none", ()),
        ("gpt-5", Thinking(effort="low"), "low", ()),
        ("gpt-5", Thinking("between_tools"), None, ("thinking",)),
        ("gpt-4o", Thinking("budget", 2000), None, ("thinking",)),
        ("gpt-4o", Thinking("off"), None, ()),
    ],
)
def test_thinking_is_said_in_efforts(
    model: str, thinking: Thinking, effort: str | None, dropped: tuple[str, ...]
) -> None:
    encoded = write(openai_profile(model), thinking=thinking)
    assert encoded.payload.get("reasoning_effort") == effort
    assert encoded.dropped == dropped


def test_output_formats_are_written() -> None:
    closed: JsonObject = {"type": "object", "properties": {}, "additionalProperties": False}
    shaped = write(output=OutputFormat("json_schema", schema=closed)).payload
    assert shaped["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "response", "schema": closed, "strict": True},
    }
    loose = write(output=OutputFormat("json_schema", "my name", schema={"type": "object"}))
    assert loose.payload["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "my_name", "schema": {"type": "object"}},
    }
    plain = write(output=OutputFormat("json_object")).payload
    assert plain["response_format"] == {"type": "json_object"}


def test_who_asks_is_told_in_the_words_of_the_server() -> None:
    ours = write(
        Profile("m", vendor="openai"),
        user_id="u" * 200,
        service_tier="standard_only",
        verbosity="low",
        cache_key="k",
        metadata={"a": "b"},
    )
    assert len(str(ours.payload["safety_identifier"])) == 64
    assert ours.payload["service_tier"] == "default"
    assert ours.payload["verbosity"] == "low"
    assert ours.payload["prompt_cache_key"] == "k"
    assert ours.dropped == ("metadata",)
    others = write(user_id="u", verbosity="low")
    assert others.payload["user"] == "u"
    assert others.dropped == ("verbosity",)


def test_fields_of_other_formats_are_named_as_dropped() -> None:
    encoded = write(extras={"messages": {"context_management": {}}})
    assert encoded.dropped == ("context_management",)


def test_prefill_is_kept_and_reported() -> None:
    encoded = write(PLAIN, USER, Message("assistant", (Text("{"),)))
    assert messages(encoded)[-1] == {"role": "assistant", "content": "{"}
    assert encoded.dropped == ("prefill",)
