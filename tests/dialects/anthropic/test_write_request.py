from dataclasses import replace
from typing import Any

import pytest

from dialects.anthropic import MESSAGES
from dialects.anthropic.turns import NOT_EXECUTED, PLACEHOLDER
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
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json, JsonObject
from models.profile import Profile
from tests.dialects.anthropic.support import ADAPTIVE, MANUAL, PLAIN, dig, read, request, write

USER = Message("user", (Text("Hi"),))
TOOL = Tool("f", schema={"type": "object", "properties": {}})
SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"x": {"type": "string"}},
    "required": ["x"],
    "additionalProperties": False,
}


def chat(*messages: Message, **fields: Any) -> ChatRequest:  # noqa: ANN401  # any field of it
    return replace(ChatRequest("alias", False, messages or (USER,), max_tokens=100), **fields)


def turns(*messages: Message, profile: Profile = MANUAL) -> Json:
    return write(chat(*messages), profile).payload["messages"]


def assistant(*parts: Part) -> Message:
    return Message("assistant", parts)


def user(*parts: Part) -> Message:
    return Message("user", parts)


def call(name: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(f"call_{name}", name, arguments)


def result(name: str, *parts: Text | Media | Opaque) -> ToolResult:
    return ToolResult(f"call_{name}", parts)


def use(name: str, **given: Json) -> JsonObject:
    return {"type": "tool_use", "id": f"call_{name}", "name": name, "input": given}


def answer(name: str, content: Json) -> JsonObject:
    return {"type": "tool_result", "tool_use_id": f"call_{name}", "content": content}


def missing(name: str) -> JsonObject:
    return {**answer(name, NOT_EXECUTED), "is_error": True}


# --- the same dialect keeps the meaning -------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(request(), id="small"),
        pytest.param(
            request(
                stream=True,
                system=[
                    {"type": "text", "text": "S1", "cache_control": {"type": "ephemeral"}},
                    {"type": "text", "text": "S2"},
                ],
                stop_sequences=["END"],
                temperature=0.5,
                top_k=4,
                metadata={"user_id": "u"},
                service_tier="auto",
                tools=[
                    {
                        "name": "f",
                        "description": "d",
                        "input_schema": {"type": "object", "properties": {}},
                        "strict": True,
                        "cache_control": {"type": "ephemeral"},
                        "defer_loading": True,
                    },
                    {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
                ],
                tool_choice={"type": "any", "disable_parallel_tool_use": True},
                output_config={
                    "task_budget": 3,
                    "format": {"type": "json_schema", "schema": SCHEMA},
                },
            ),
            id="knobs",
        ),
        pytest.param(
            request(
                max_tokens=9000,
                thinking={"type": "enabled", "budget_tokens": 2000, "display": "omitted"},
                messages=[
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "Look"},
                            {"type": "image", "source": {"type": "url", "url": "https://x.test/"}},
                            {
                                "type": "document",
                                "source": {
                                    "type": "base64",
                                    "media_type": "application/pdf",
                                    "data": "QUJD",
                                },
                                "title": "T",
                                "context": "C",
                                "cache_control": {"type": "ephemeral"},
                            },
                            {"type": "container_upload", "file_id": "f_1"},
                        ],
                    },
                    {
                        "role": "assistant",
                        "content": [
                            {"type": "thinking", "thinking": "t", "signature": "sig"},
                            {"type": "redacted_thinking", "data": "d"},
                            {"type": "text", "text": "Ok", "citations": [{"type": "x"}]},
                            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
                            {"type": "tool_use", "id": "toolu_2", "name": "f", "input": {}},
                        ],
                    },
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "tool_result",
                                "tool_use_id": "toolu_1",
                                "content": [
                                    {"type": "text", "text": "map"},
                                    {
                                        "type": "image",
                                        "source": {
                                            "type": "base64",
                                            "media_type": "image/png",
                                            "data": "QUJD",
                                        },
                                    },
                                ],
                            },
                            {
                                "type": "tool_result",
                                "tool_use_id": "toolu_2",
                                "content": "timeout",
                                "is_error": True,
                            },
                            {"type": "text", "text": "Go on"},
                        ],
                    },
                ],
            ),
            id="tool loop with thinking",
        ),
    ],
)
def test_reading_and_writing_again_changes_nothing(body: JsonObject) -> None:
    written = write(MESSAGES.decode_request(body), replace(MANUAL, model="m"))
    assert written.payload == body
    assert (written.dropped, written.stops, written.tool_names) == ((), (), {})


# --- system -----------------------------------------------------------------------------------


def test_several_system_entries_are_blocks_and_a_lone_one_is_a_string() -> None:
    assert write(chat(system=(Text("S"),))).payload["system"] == "S"
    assert write(chat(system=(Text("S1"), Text(" \n"), Text("S2")))).payload["system"] == [
        {"type": "text", "text": "S1"},
        {"type": "text", "text": "S2"},
    ]
    assert "system" not in write(chat(system=(Text(""),))).payload


MIDDLE = Message("system", (Text("Be kind"),))
REMINDER = "<system-reminder>\nBe kind\n</system-reminder>"


def test_a_system_message_in_the_middle_is_native_after_a_user_turn() -> None:
    assert turns(USER, MIDDLE, assistant(Text("A")), USER, profile=ADAPTIVE) == [
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "Be kind"},
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": "Hi"},
    ]


@pytest.mark.parametrize("profile", [MANUAL, ADAPTIVE])
def test_elsewhere_a_system_message_is_folded_into_the_user_turn(profile: Profile) -> None:
    assert turns(USER, assistant(Text("A")), MIDDLE, USER, profile=profile) == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "A"},
        {
            "role": "user",
            "content": [{"type": "text", "text": REMINDER}, {"type": "text", "text": "Hi"}],
        },
    ]


def test_a_system_message_between_call_and_result_comes_after_the_result() -> None:
    found = turns(USER, assistant(call("f")), MIDDLE, user(result("f", Text("r"))))
    assert found == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [use("f")]},
        {"role": "user", "content": [answer("f", "r"), {"type": "text", "text": REMINDER}]},
    ]


def test_only_system_gets_a_placeholder_turn() -> None:
    written = write(ChatRequest("m", False, (), (Text("S"),)))
    assert written.payload["messages"] == [{"role": "user", "content": PLACEHOLDER}]


# --- turns ------------------------------------------------------------------------------------


def test_turns_of_one_role_are_one_message_and_blank_text_is_left_out() -> None:
    assert turns(user(Text("a"), Text("")), user(Text("  ")), user(Text("b"))) == [
        {
            "role": "user",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        }
    ]


def test_a_conversation_that_begins_with_the_assistant_gets_a_user_turn() -> None:
    assert turns(assistant(Text("Hello")), USER) == [
        {"role": "user", "content": PLACEHOLDER},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Hi"},
    ]


def test_results_come_first_and_in_the_order_of_the_calls() -> None:
    found = turns(
        USER,
        assistant(call("f", '{"a":1}'), call("g", "")),
        user(Text("Next")),
        user(result("g", Text("r2"))),
        user(result("f", Text("r1"))),
    )
    assert found == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [use("f", a=1), use("g")]},
        {
            "role": "user",
            "content": [answer("f", "r1"), answer("g", "r2"), {"type": "text", "text": "Next"}],
        },
    ]


def test_of_two_results_for_one_call_the_later_counts() -> None:
    found = turns(USER, assistant(call("f")), user(result("f", Text("1")), result("f", Text("2"))))
    assert dig(found, 2) == {"role": "user", "content": [answer("f", "2")]}


@pytest.mark.parametrize(
    ("rest", "last"),
    [
        pytest.param((), [missing("f"), missing("g")], id="nothing follows"),
        pytest.param((user(result("g", Text("r"))),), [missing("f"), answer("g", "r")], id="one"),
        pytest.param(
            (user(Text("stop")),),
            [missing("f"), missing("g"), {"type": "text", "text": "stop"}],
            id="only text follows",
        ),
    ],
)
def test_missing_results_are_filled_in_as_errors(rest: tuple[Message, ...], last: Json) -> None:
    found = turns(USER, assistant(call("f"), call("g")), *rest)
    assert isinstance(found, list)
    assert found[2:] == [{"role": "user", "content": last}]


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param((user(result("f")),), id="no call at all"),
        pytest.param((USER, assistant(call("g")), user(result("f"))), id="another call"),
        pytest.param(
            (USER, assistant(call("f")), USER, assistant(Text("x")), user(result("f"))),
            id="too late",
        ),
    ],
)
def test_a_result_without_its_call_is_refused(messages: tuple[Message, ...]) -> None:
    with pytest.raises(BadRequest, match="'call_f' answers no tool call"):
        turns(*messages)


def test_calls_stand_behind_text_but_server_blocks_keep_their_order() -> None:
    thought = Reasoning("t", "s", "anthropic")
    found = turns(USER, assistant(thought, call("f"), Text("x")), user(result("f")))
    kinds = [dig(found, 1, "content", at, "type") for at in range(3)]
    assert kinds == ["thinking", "text", "tool_use"]
    server = Opaque("messages", {"type": "server_tool_use", "id": "s"})
    found = turns(USER, assistant(call("f"), server, Text("x")), user(result("f")))
    assert dig(found, 1) == {
        "role": "assistant",
        "content": [use("f"), server.payload, {"type": "text", "text": "x"}],
    }


def test_an_answer_to_continue_is_native_where_the_model_can() -> None:
    assert turns(USER, assistant(Text("Once upon \n"))) == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Once upon"},
    ]
    with pytest.raises(BadRequest, match="does not support assistant message prefill"):
        turns(USER, assistant(Text("Once")), profile=ADAPTIVE)


# --- parts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            Media("image", Inline("image/webp", "QUJD"), detail="low"),
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/webp", "data": "QUJD"},
            },
        ),
        (
            Media("document", Inline("application/pdf", "QUJD"), filename="a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "QUJD"},
                "title": "a.pdf",
            },
        ),
        (
            Media("document", Inline("text/csv", "w6k=")),
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "é"},
            },
        ),
        (
            Media("document", PlainText("words"), title="T", context="C"),
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "words"},
                "title": "T",
                "context": "C",
            },
        ),
        (
            Media("document", Remote("https://x.test/a.pdf")),
            {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}},
        ),
        (
            Media("image", VendorFile("messages", "file_1")),
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        ),
    ],
)
def test_media_of_a_user(part: Part, block: JsonObject) -> None:
    assert turns(user(part)) == [{"role": "user", "content": [block]}]


@pytest.mark.parametrize(
    "part",
    [
        Media("audio", Inline("audio/wav", "QUJD")),
        Media("video", Remote("https://x.test/a.mp4")),
        Media("image", Inline("image/bmp", "QUJD")),
        Media("image", VendorFile("chat", "file_1")),
        Media("document", Inline("application/zip", "QUJD")),
        Opaque("chat", {"type": "input_strange"}),
    ],
)
def test_what_cannot_be_sent_is_refused_by_its_place(part: Part) -> None:
    with pytest.raises(Unrepresentable) as caught:
        turns(USER, assistant(Text("a")), user(Text("look"), part))
    assert caught.value.path == "messages[2].content[1]"


def test_citations_belong_to_the_assistant() -> None:
    cited = Text("x", citations=({"type": "char_location"},))
    assert turns(user(cited)) == [{"role": "user", "content": "x"}]


def test_a_function_never_takes_the_name_of_a_vendors_tool() -> None:
    bash: JsonObject = {"type": "bash_20250124", "name": "my_tool"}
    tools = (Tool("my.tool"), Tool("my_tool", raw=bash, dialect="messages"))
    written = write(chat(tools=tools))
    assert written.tool_names == {"my_tool_2": "my.tool"}
    assert dig(written.payload, "tools", 1) == bash


def test_what_cannot_be_in_a_result_is_refused_by_its_place() -> None:
    sound = Media("audio", Inline("audio/wav", "QUJD"))
    with pytest.raises(Unrepresentable) as caught:
        turns(USER, assistant(call("f")), user(result("f", Text("x"), sound)))
    assert caught.value.path == "messages[2].content[0].content[1]"


def test_broken_base64_of_a_text_file_is_refused() -> None:
    with pytest.raises(BadRequest, match="base64"):
        turns(user(Media("document", Inline("text/plain", "?"))))


def test_only_thinking_that_anthropic_signed_goes_back() -> None:
    written = write(
        chat(
            USER,
            assistant(
                Reasoning("own", "sig", "anthropic"),
                Reasoning("foreign", "sig", "openai"),
                Reasoning("unsigned"),
                Reasoning("", origin="anthropic", redacted="data"),
                Refusal("No."),
            ),
            USER,
        )
    )
    sent = written.payload["messages"]
    assert isinstance(sent, list)
    assert sent[1] == {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "own", "signature": "sig"},
            {"type": "redacted_thinking", "data": "data"},
            {"type": "text", "text": "No."},
        ],
    }
    assert written.dropped == ("reasoning",)


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("", {}),
        ("{}", {}),
        ('{"a":[1,"é"]}', {"a": [1, "é"]}),
        ('{"n":123456789012345678901234567890}', {"n": 123456789012345678901234567890}),
        ('{"a":', {"_raw": '{"a":'}),
        ("[1]", {"_raw": "[1]"}),
    ],
)
def test_arguments_become_an_object(arguments: str, given: JsonObject) -> None:
    found = turns(USER, assistant(call("f", arguments)), user(result("f")))
    assert dig(found, 1) == {"role": "assistant", "content": [use("f", **given)]}


def test_an_empty_result_has_no_content_and_errors_are_marked() -> None:
    failed = ToolResult("call_f", (Text("timeout"),), is_error=True)
    found = turns(
        USER, assistant(call("f"), call("g")), user(failed, ToolResult("call_g", (Text(" "),)))
    )
    assert dig(found, 2) == {
        "role": "user",
        "content": [
            {**answer("f", "timeout"), "is_error": True},
            {"type": "tool_result", "tool_use_id": "call_g"},
        ],
    }


def test_foreign_call_ids_get_the_same_valid_form_in_call_and_result() -> None:
    strange = ToolCall("fc:ä/1", "f", "{}")
    found = turns(USER, assistant(strange), user(ToolResult("fc:ä/1", (Text("r"),))))
    sent = dig(found, 1, "content", 0, "id")
    assert str(sent).startswith("toolu_")
    assert dig(found, 2, "content", 0, "tool_use_id") == sent


# --- tools ------------------------------------------------------------------------------------


def test_tool_names_are_made_valid_everywhere_and_can_be_found_again() -> None:
    written = write(
        chat(
            USER,
            assistant(ToolCall("c1", "my.tool", "{}")),
            user(ToolResult("c1", ())),
            tools=(Tool("my.tool"), Tool("my_tool")),
            tool_choice=ToolChoice("one", ("my.tool",)),
        )
    )
    assert written.tool_names == {"my_tool_2": "my.tool"}
    assert dig(written.payload, "tools", 0, "name") == "my_tool_2"
    assert dig(written.payload, "tools", 1, "name") == "my_tool"
    assert written.payload["tool_choice"] == {"type": "tool", "name": "my_tool_2"}
    assert "my.tool" not in str(written.payload)


def test_a_schema_gets_a_plain_object_at_its_root() -> None:
    union: JsonObject = {"anyOf": [{"properties": {"a": {"type": "string"}}}]}
    written = write(chat(tools=(Tool("f"), Tool("g", schema=union, strict=True))))
    assert written.payload["tools"] == [
        {"name": "f", "input_schema": {"type": "object", "properties": {}}},
        {
            "name": "g",
            "input_schema": {"properties": {"a": {"type": "string"}}, "type": "object"},
        },
    ]
    assert written.dropped == ("strict",)


@pytest.mark.parametrize(
    ("choice", "parallel", "said"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("auto"), None, {"type": "auto"}),
        (ToolChoice("none"), False, {"type": "none"}),
        (ToolChoice("required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("one", ("f",)), None, {"type": "tool", "name": "f"}),
    ],
)
def test_tool_choice(choice: ToolChoice | None, parallel: bool | None, said: Json) -> None:
    written = write(chat(tools=(TOOL,), tool_choice=choice, parallel_tools=parallel))
    assert written.payload.get("tool_choice") == said


def test_a_subset_is_what_is_offered() -> None:
    wanted = chat(
        tools=(TOOL, Tool("g")), tool_choice=ToolChoice("subset", ("g",), subset_required=True)
    )
    payload = write(wanted).payload
    assert payload["tools"] == [{"name": "g", "input_schema": {"type": "object", "properties": {}}}]
    assert payload["tool_choice"] == {"type": "any"}


def test_without_tools_nothing_is_said_about_them() -> None:
    payload = write(chat(tool_choice=ToolChoice("required"), parallel_tools=False)).payload
    assert "tools" not in payload
    assert "tool_choice" not in payload


def test_a_tool_of_another_vendor_is_refused() -> None:
    with pytest.raises(Unrepresentable, match=r"tools\[0\]"):
        write(chat(tools=(Tool("x", raw={"type": "custom"}, dialect="chat"),)))


# --- thinking ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "profile", "thinking", "effort", "dropped"),
    [
        pytest.param(Thinking(), ADAPTIVE, None, None, (), id="default"),
        pytest.param(Thinking(effort="high"), ADAPTIVE, None, "high", (), id="only effort"),
        pytest.param(Thinking("auto"), ADAPTIVE, {"type": "adaptive"}, None, (), id="auto"),
        pytest.param(
            Thinking("auto", None, "max", "summarized"),
            ADAPTIVE,
            {"type": "adaptive", "display": "summarized"},
            "max",
            (),
            id="auto with effort and display",
        ),
        pytest.param(
            Thinking("effort", effort="minimal"),
            ADAPTIVE,
            {"type": "adaptive"},
            "low",
            (),
            id="minimal is low",
        ),
        pytest.param(
            Thinking("budget", 9000), ADAPTIVE, {"type": "adaptive"}, "high", (), id="budget"
        ),
        pytest.param(
            Thinking("effort", effort="none"), ADAPTIVE, {"type": "disabled"}, None, (), id="off"
        ),
        pytest.param(
            Thinking("off"),
            replace(ADAPTIVE, can_disable_thinking=False),
            None,
            "low",
            ("thinking",),
            id="cannot be off",
        ),
        pytest.param(
            Thinking("between_tools"), ADAPTIVE, {"type": "adaptive"}, None, (), id="between tools"
        ),
        pytest.param(
            Thinking("auto", effort="low"),
            replace(ADAPTIVE, efforts=()),
            {"type": "adaptive"},
            None,
            ("effort",),
            id="no effort knob",
        ),
        pytest.param(Thinking("off"), MANUAL, {"type": "disabled"}, None, (), id="manual off"),
        pytest.param(Thinking("auto"), PLAIN, None, None, ("thinking",), id="no thinking"),
        pytest.param(Thinking("off"), PLAIN, None, None, (), id="off where there is none"),
        pytest.param(
            Thinking("effort", effort="low"),
            replace(ADAPTIVE, reasoning=False),
            None,
            None,
            ("thinking",),
            id="no reasoning",
        ),
    ],
)
def test_thinking(
    wish: Thinking,
    profile: Profile,
    thinking: Json,
    effort: str | None,
    dropped: tuple[str, ...],
) -> None:
    written = write(chat(thinking=wish), profile)
    config = written.payload.get("output_config")
    assert written.payload.get("thinking") == thinking
    assert (config["effort"] if isinstance(config, dict) else None) == effort
    assert written.dropped == dropped
    assert written.payload["max_tokens"] == 100


@pytest.mark.parametrize(
    ("wish", "limit", "budget", "max_tokens"),
    [
        pytest.param(Thinking("budget", 2000), 5000, 2000, 5000, id="fits"),
        pytest.param(Thinking("budget", 10), 5000, 1024, 5000, id="at least 1024"),
        pytest.param(Thinking("effort", effort="medium"), 9000, 8192, 9000, id="effort"),
        pytest.param(Thinking("auto"), 9000, 8192, 9000, id="auto"),
        pytest.param(Thinking("budget", 2000), 500, 2000, 2500, id="limit is raised"),
        pytest.param(Thinking("budget", 40_000), 1000, 31_000, 32_000, id="up to the cap"),
        pytest.param(Thinking("budget", 40_000), 31_500, 1024, 32_000, id="budget shrinks"),
    ],
)
def test_a_budget_stays_below_the_limit(
    wish: Thinking, limit: int, budget: int, max_tokens: int
) -> None:
    written = write(chat(thinking=wish, max_tokens=limit), MANUAL)
    assert written.payload["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert written.payload["max_tokens"] == max_tokens
    assert written.dropped == (() if max_tokens == limit else ("max_tokens",))


def test_a_model_too_small_for_a_budget_does_not_think() -> None:
    tiny = replace(MANUAL, max_output_tokens=1000)
    written = write(chat(thinking=Thinking("auto")), tiny)
    assert "thinking" not in written.payload
    assert written.payload["max_tokens"] == 100
    assert written.dropped == ("thinking",)


def test_a_forced_tool_switches_a_thinking_budget_off() -> None:
    wanted = chat(
        tools=(TOOL,), tool_choice=ToolChoice("required"), thinking=Thinking("auto"), max_tokens=500
    )
    written = write(wanted, MANUAL)
    assert "thinking" not in written.payload
    assert written.payload["tool_choice"] == {"type": "any"}
    assert written.payload["max_tokens"] == 500
    assert written.dropped == ("thinking",)
    assert write(wanted, ADAPTIVE).payload["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize(
    ("parts", "thinks"),
    [
        ((call("f"),), False),
        ((Reasoning("t", "s", "anthropic"), call("f")), True),
        ((Reasoning("t", "s", "glm"), call("f")), False),
    ],
)
def test_a_tool_loop_without_its_thinking_goes_on_without(
    parts: tuple[Part, ...], thinks: bool
) -> None:
    wanted = chat(
        USER, assistant(*parts), user(result("f")), thinking=Thinking("budget", 2000), tools=(TOOL,)
    )
    written = write(wanted, MANUAL)
    assert ("thinking" in written.payload) is thinks
    assert ("thinking" in written.dropped) is not thinks
    assert "thinking" in write(wanted, ADAPTIVE).payload


def test_an_answer_to_continue_is_not_thought_about() -> None:
    wanted = chat(USER, assistant(Text("Once")), thinking=Thinking("budget", 2000))
    written = write(wanted, MANUAL)
    assert "thinking" not in written.payload
    assert written.dropped == ("thinking",)


# --- knobs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "profile", "said"),
    [(7, MANUAL, 7), (None, MANUAL, 32_000), (None, Profile("m"), 4096)],
)
def test_max_tokens_is_always_said(limit: int | None, profile: Profile, said: int) -> None:
    assert write(chat(max_tokens=limit), profile).payload["max_tokens"] == said


def test_a_limit_beyond_the_model_is_lowered_and_told() -> None:
    written = write(chat(max_tokens=40_000), MANUAL)
    assert written.payload["max_tokens"] == 32_000
    assert written.dropped == ("max_tokens",)


@pytest.mark.parametrize(
    ("sampling", "profile", "said", "dropped"),
    [
        (Sampling(temperature=0, top_k=0), MANUAL, {"temperature": 0, "top_k": 0}, ()),
        (Sampling(temperature=1.7), MANUAL, {"temperature": 1}, ("temperature",)),
        (Sampling(temperature=1, top_p=0.5), MANUAL, {"temperature": 1}, ("top_p",)),
        (Sampling(top_p=0.5), MANUAL, {"top_p": 0.5}, ()),
        (
            Sampling(temperature=0.2, top_p=0.9, top_k=4),
            ADAPTIVE,
            {},
            ("temperature", "top_p", "top_k"),
        ),
        (
            Sampling(
                frequency_penalty=1,
                presence_penalty=0,
                seed=0,
                logit_bias={"1": 1},
                logprobs=True,
                top_logprobs=2,
                n=1,
            ),
            MANUAL,
            {},
            ("frequency_penalty", "seed", "logit_bias", "logprobs", "top_logprobs"),
        ),
    ],
)
def test_sampling(
    sampling: Sampling, profile: Profile, said: JsonObject, dropped: tuple[str, ...]
) -> None:
    written = write(chat(sampling=sampling), profile)
    knobs = ("temperature", "top_p", "top_k")
    assert {key: written.payload[key] for key in knobs if key in written.payload} == said
    assert written.dropped == dropped


def test_while_thinking_only_the_default_sampling_is_allowed() -> None:
    knobs = Sampling(temperature=0.2, top_p=0.97, top_k=4)
    written = write(chat(sampling=knobs, thinking=Thinking("auto"), max_tokens=9000), MANUAL)
    assert "temperature" not in written.payload
    assert written.payload["top_p"] == 0.97
    assert written.dropped == ("temperature", "top_k")


def test_more_than_one_answer_is_refused() -> None:
    with pytest.raises(Unrepresentable, match=r"^n:"):
        write(chat(sampling=Sampling(n=2)))


@pytest.mark.parametrize(
    ("profile", "native", "emulated"),
    [
        (MANUAL, ["END", "STOP"], ("\n\n", " ")),
        (replace(MANUAL, max_stops=1), ["END"], ("\n\n", "STOP", " ")),
        (replace(MANUAL, max_stops=0), None, ("END", "\n\n", "STOP", " ")),
    ],
)
def test_stops_that_the_model_refuses_are_left_to_the_gateway(
    profile: Profile, native: Json, emulated: tuple[str, ...]
) -> None:
    written = write(chat(stop=("END", "", "\n\n", "STOP", " ", "END")), profile)
    assert written.payload.get("stop_sequences") == native
    assert written.stops == emulated


def test_a_schema_is_said_natively() -> None:
    wanted = chat(output=OutputFormat("json_schema", name="o", schema=SCHEMA, strict=True))
    written = write(wanted, ADAPTIVE)
    assert written.payload["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert written.dropped == ()


@pytest.mark.parametrize(
    ("output", "profile", "words"),
    [
        pytest.param(OutputFormat("json_object"), ADAPTIVE, "JSON object", id="any object"),
        pytest.param(
            OutputFormat("json_schema", schema=SCHEMA), PLAIN, '"x":{"type":"string"}', id="old"
        ),
        pytest.param(
            OutputFormat("json_schema", schema={"type": "object"}),
            ADAPTIVE,
            '{"type":"object"}',
            id="free keys",
        ),
    ],
)
def test_elsewhere_the_shape_becomes_an_instruction(
    output: OutputFormat, profile: Profile, words: str
) -> None:
    written = write(chat(output=output, system=(Text("S"),)), profile)
    system = written.payload["system"]
    assert isinstance(system, list)
    assert system[0] == {"type": "text", "text": "S"}
    assert words in str(system[1])
    assert "output_config" not in written.payload
    assert written.dropped == ("response_format",)


def test_what_only_others_know_is_dropped_by_name() -> None:
    written = write(
        chat(
            user_id="u",
            metadata={"k": "v"},
            service_tier="flex",
            verbosity="low",
            cache_key="k",
            extras={"chat": {"store": True, "modalities": ["text"]}},
        )
    )
    assert written.payload["metadata"] == {"user_id": "u"}
    assert written.dropped == (
        "service_tier",
        "metadata",
        "verbosity",
        "prompt_cache_key",
        "store",
        "modalities",
    )
    assert write(chat(user_id="u" * 300)).dropped == ("user",)


@pytest.mark.parametrize(
    "extras", [{"modalities": ["text", "audio"]}, {"web_search_options": {"a": 1}}]
)
def test_what_would_change_the_answer_is_refused(extras: JsonObject) -> None:
    with pytest.raises(Unrepresentable):
        write(chat(extras={"chat": extras}))


def test_a_cached_part_from_anthropic_keeps_its_mark() -> None:
    mark: JsonObject = {"type": "ephemeral"}
    content: Json = [{"type": "text", "text": "x", "cache_control": mark}]
    written = write(read(messages=[{"role": "user", "content": content}]))
    assert written.payload["messages"] == [{"role": "user", "content": content}]
