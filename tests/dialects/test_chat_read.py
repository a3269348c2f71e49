"""Chat requests as clients send them, read into the neutral form."""

import pytest

from dialects.custom_tools import wrapped_schema
from dialects.openai_chat import CHAT
from models.chat import ChatRequest, OutputFormat, Sampling, Thinking, Tool, ToolChoice
from models.content import (
    Inline,
    Media,
    Message,
    PlainText,
    Reasoning,
    Refusal,
    Remote,
    Text,
    ToolCall,
    ToolResult,
    VendorFile,
)
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json, JsonObject

USER: JsonObject = {"role": "user", "content": "Hi"}
FUNCTION: JsonObject = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object"}},
}


def read(**body: Json) -> ChatRequest:
    return CHAT.decode_request({"model": "m", "messages": [USER], **body})


def read_turns(*messages: JsonObject) -> tuple[Message, ...]:
    return read(messages=list(messages)).messages


def call(call_id: str | None, name: str = "f", arguments: Json = "{}") -> JsonObject:
    entry: JsonObject = {"type": "function", "function": {"name": name, "arguments": arguments}}
    return entry if call_id is None else {"id": call_id, **entry}


def test_leading_system_text_is_apart_and_later_one_keeps_its_place() -> None:
    request = read(
        messages=[
            {"role": "system", "content": "S1"},
            {"role": "developer", "content": [{"type": "text", "text": "S2"}]},
            USER,
            {"role": "system", "content": "S3"},
        ]
    )
    assert request.system == (Text("S1"), Text("S2"))
    assert request.messages == (
        Message("user", (Text("Hi"),)),
        Message("system", (Text("S3"),)),
    )


def test_user_parts_of_every_kind_are_read() -> None:
    cache: JsonObject = {"type": "ephemeral"}
    (turn,) = read_turns(
        {
            "role": "user",
            "name": "bo",
            "content": [
                {"type": "text", "text": "Q", "cache_control": cache},
                {"type": "image_url", "image_url": {"url": "https://x.test/a", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "data:image/PNG;base64,QU-_"}},
                {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
                {
                    "type": "file",
                    "file": {
                        "filename": "a.pdf",
                        "file_data": "data:application/pdf;base64,QUJD",
                    },
                },
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "file", "file": {"file_data": "data:text/plain;base64,aGk="}},
                {"type": "video_url", "video_url": {"url": "https://x.test/v"}},
                {"type": "file_url", "file_url": {"url": "https://x.test/d"}},
            ],
        }
    )
    assert turn == Message(
        "user",
        (
            Text("Q", cache={"type": "ephemeral"}),
            Media("image", Remote("https://x.test/a"), detail="low"),
            Media("image", Inline("image/png", "QU+/")),
            Media("audio", Inline("audio/mpeg", "QUJD")),
            Media("document", Inline("application/pdf", "QUJD"), "a.pdf"),
            Media("document", VendorFile("chat", "file-1")),
            Media("document", PlainText("hi")),
            Media("video", Remote("https://x.test/v")),
            Media("document", Remote("https://x.test/d")),
        ),
        "bo",
    )


def test_an_assistant_turn_keeps_reasoning_refusal_and_calls() -> None:
    turns = read_turns(
        USER,
        {
            "role": "assistant",
            "reasoning_content": "hm",
            "content": [{"type": "text", "text": "A"}, {"type": "refusal", "refusal": "no"}],
            "tool_calls": [call("c1", arguments={"a": 1}), call("c2", arguments="")],
        },
        {"role": "tool", "tool_call_id": "c2", "content": "r2"},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "r1"}]},
        USER,
    )
    assert turns[1].parts == (
        Reasoning("hm"),
        Text("A"),
        Refusal("no"),
        ToolCall("c1", "f", '{"a":1}'),
        ToolCall("c2", "f", ""),
    )
    assert turns[2].parts == (ToolResult("c2", (Text("r2"),)), ToolResult("c1", (Text("r1"),)))
    assert turns[3] == Message("user", (Text("Hi"),))


@pytest.mark.parametrize(
    "history",
    [
        {"reasoning": "hm"},
        {"reasoning_content": "", "reasoning": "hm"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s"}]},
    ],
)
def test_reasoning_is_found_under_every_name(history: JsonObject) -> None:
    turns = read_turns(USER, {"role": "assistant", "content": "A", **history})
    assert turns[1].parts == (Reasoning("hm"), Text("A"))


def test_a_repeated_tool_result_wins() -> None:
    turns = read_turns(
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call("c")]},
        {"role": "tool", "tool_call_id": "c", "content": "old"},
        {"role": "tool", "tool_call_id": "c", "content": "new"},
    )
    assert turns[2].parts == (ToolResult("c", (Text("new"),)),)


def test_ids_that_a_server_counts_anew_in_every_turn_are_told_apart() -> None:
    turns = read_turns(
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call("call_0")]},
        {"role": "tool", "tool_call_id": "call_0", "content": "1"},
        {"role": "assistant", "content": None, "tool_calls": [call("call_0")]},
        {"role": "tool", "tool_call_id": "call_0", "content": "2"},
    )
    calls = [part for turn in turns for part in turn.parts if isinstance(part, ToolCall)]
    results = [part for turn in turns for part in turn.parts if isinstance(part, ToolResult)]
    assert len({one.id for one in calls}) == 2
    assert [one.call_id for one in results] == [one.id for one in calls]
    assert [one.parts for one in results] == [(Text("1"),), (Text("2"),)]


def test_calls_without_an_id_get_the_same_one_every_time() -> None:
    history: list[JsonObject] = [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call(None)]},
    ]
    assert read_turns(*history)[1].parts == (ToolCall("call_0", "f", "{}"),)
    assert read_turns(*history) == read_turns(*history)


def test_legacy_functions_are_tools_and_their_results_match_by_name() -> None:
    request = read(
        functions=[{"name": "f", "description": "d", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
        messages=[
            USER,
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "f", "arguments": "{}"},
            },
            {"role": "function", "name": "f", "content": "24C"},
        ],
    )
    assert request.legacy_functions
    assert request.parallel_tools is False
    assert request.tools == (Tool("f", "d", {"type": "object"}),)
    assert request.tool_choice == ToolChoice("one", ("f",))
    assert request.messages[1].parts == (ToolCall("call_0", "f", "{}"),)
    assert request.messages[2].parts == (ToolResult("call_0", (Text("24C"),)),)


def test_custom_calls_in_history_become_calls_with_their_text() -> None:
    entry: JsonObject = {"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    turns = read_turns(USER, {"role": "assistant", "content": None, "tool_calls": [entry]})
    assert turns[1].parts == (ToolCall("c", "sh", '{"input":"ls"}'),)


def test_custom_tools_become_functions_that_take_their_text() -> None:
    custom: JsonObject = {"type": "custom", "custom": {"name": "sh"}}
    request = read(
        tools=[FUNCTION, custom], tool_choice={"type": "custom", "custom": {"name": "sh"}}
    )
    assert request.tools[1] == Tool("sh", schema=wrapped_schema({}), custom={})
    assert request.tool_choice == ToolChoice("one", ("sh",))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("one", ("f",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
            ToolChoice("subset", ("f",), subset_required=True),
        ),
    ],
)
def test_tool_choices_are_read(choice: Json, expected: ToolChoice) -> None:
    assert read(tools=[FUNCTION], tool_choice=choice).tool_choice == expected


def test_a_choice_without_tools_is_nothing() -> None:
    assert read(tool_choice="auto").tool_choice is None
    assert read(tools=[], tool_choice="none").tool_choice is None


def test_limits_stops_and_sampling_are_read() -> None:
    request = read(
        max_tokens=5,
        max_completion_tokens=7,
        stop="END",
        temperature=0,
        top_p=0.5,
        seed=0,
        logprobs=False,
        frequency_penalty=0.1,
        presence_penalty=-1,
        logit_bias={"5": 1},
        n=1,
        stream=True,
        stream_options={"include_usage": True},
    )
    assert request.max_tokens == 7
    assert request.stop == ("END",)
    assert request.stream
    assert request.include_usage
    assert request.sampling == Sampling(
        temperature=0,
        top_p=0.5,
        seed=0,
        logprobs=False,
        frequency_penalty=0.1,
        presence_penalty=-1,
        logit_bias={"5": 1},
    )
    assert read(max_tokens=5).max_tokens == 5
    assert read(stop=["a", "", "a", "b"]).stop == ("a", "b")
    assert read(stop=[]).stop == read(stop=None).stop == ()
    assert not read(stream=True).include_usage


@pytest.mark.parametrize(
    ("body", "thinking"),
    [
        ({}, Thinking()),
        ({"reasoning_effort": "none"}, Thinking("off")),
        ({"reasoning_effort": "xhigh"}, Thinking("effort", None, "xhigh", "summarized")),
        ({"thinking": {"type": "disabled"}}, Thinking("off")),
        ({"thinking": {"type": "enabled"}}, Thinking("auto", display="summarized")),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 9}},
            Thinking("budget", 9, display="summarized"),
        ),
        ({"reasoning": {"effort": "low"}}, Thinking("effort", None, "low", "summarized")),
        ({"reasoning": {"max_tokens": 9}}, Thinking("budget", 9, display="summarized")),
        (
            {"reasoning": {"max_tokens": 9, "exclude": True}},
            Thinking("budget", 9, display="omitted"),
        ),
        ({"reasoning": {"enabled": False}}, Thinking("off")),
    ],
)
def test_wishes_to_think_are_read(body: JsonObject, thinking: Thinking) -> None:
    assert read(**body).thinking == thinking


def test_output_formats_are_read() -> None:
    schema: JsonObject = {"type": "object"}
    shape: JsonObject = {"name": "o", "strict": True, "schema": schema, "description": "d"}
    assert read(response_format={"type": "text"}).output == OutputFormat()
    assert read(response_format={"type": "json_object"}).output == OutputFormat("json_object")
    assert read(response_format={"type": "json_schema", "json_schema": shape}).output == (
        OutputFormat("json_schema", "o", "d", {"type": "object"}, strict=True)
    )


def test_what_only_this_format_knows_is_kept_apart() -> None:
    request = read(
        user="u1",
        metadata={"a": "b"},
        service_tier="flex",
        verbosity="low",
        prompt_cache_key="k",
        prediction={"type": "content", "content": "x"},
        store=None,
    )
    assert (request.user_id, request.metadata, request.service_tier) == ("u1", {"a": "b"}, "flex")
    assert (request.verbosity, request.cache_key) == ("low", "k")
    assert request.extras == {"chat": {"prediction": {"type": "content", "content": "x"}}}
    assert read(safety_identifier="s", user="u").user_id == "s"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "x"}, "messages"),
        ({"messages": [7]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "x"}]}]}, "messages[0].content[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "file:///x"}}],
                    }
                ]
            },
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": [{"role": "tool", "tool_call_id": "c", "content": "x"}]},
            "messages[0].tool_call_id",
        ),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0]"),
        ({"model": ""}, "model"),
        ({"model": 5}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_completion_tokens": "7"}, "max_completion_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop": [1]}, "stop[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        (
            {"tools": [{"type": "function", "function": {"name": ""}}]},
            "tools[0].function.name",
        ),
        ({"tools": [FUNCTION], "tool_choice": "maybe"}, "tool_choice"),
        (
            {
                "tools": [FUNCTION],
                "tool_choice": {"type": "function", "function": {"name": "g"}},
            },
            "tool_choice",
        ),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
    ],
)
def test_bad_requests_name_the_field(body: JsonObject, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**body)
    assert caught.value.path == path
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "body",
    [
        {"n": 2},
        {"modalities": ["text", "audio"]},
        {"web_search_options": {}},
        {"messages": [USER, {"role": "assistant", "audio": {"id": "a"}}]},
    ],
)
def test_what_would_change_the_meaning_is_refused(body: JsonObject) -> None:
    with pytest.raises(Unrepresentable):
        read(**body)
