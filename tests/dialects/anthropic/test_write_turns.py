"""System text and turns, put into the order that Anthropic demands."""

import pytest

from dialects.anthropic.turns import PLACEHOLDER
from models.chat import (
    ChatRequest,
)
from models.content import (
    Message,
    Opaque,
    Reasoning,
    Text,
)
from models.errors import BadRequest
from models.json_types import Json
from models.profile import Profile
from tests.dialects.anthropic.neutral import (
    USER,
    answer,
    assistant,
    call,
    chat,
    missing,
    result,
    turns,
    use,
    user,
)
from tests.dialects.anthropic.support import ADAPTIVE, MANUAL, dig, write


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
