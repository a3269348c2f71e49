"""Conversations, written as Gemini accepts them."""

import pytest

from dialects.gemini import GEMINI
from models.chat import Tool
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
from tests.dialects.gemini.support import (
    CLAUDE,
    MIDDLE,
    NEW,
    OLD,
    asked,
    content,
    entries,
    write,
    written,
)

IMAGE = Media("image", Inline("image/png", "QUJD"))
BLOB: JsonObject = {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}
ESCAPE = "skip_thought_signature_validator"


def user(*parts: Part) -> Message:
    return Message("user", parts)


def model(*parts: Part) -> Message:
    return Message("assistant", parts)


def contents(*messages: Message, profile: Profile = MIDDLE) -> list[JsonObject]:
    return entries(written(asked(*messages), profile), "contents")


def called(call_id: str, **fields: Json) -> JsonObject:
    return {"functionCall": {"id": call_id, "name": "f", "args": {}}, **fields}


def answered(call_id: str, **said: Json) -> JsonObject:
    return {"functionResponse": {"id": call_id, "name": "f", "response": {**said}}}


A, B = ToolCall("a", "f", ""), ToolCall("b", "f", "{}")
NOT_EXECUTED = "[tool call was not executed]"


def test_turns_of_one_role_are_one_content() -> None:
    assert contents(
        user(Text("1")), user(Text("2")), model(Text("3")), model(Text("4")), user(Text("5"))
    ) == [
        content("user", {"text": "1"}, {"text": "2"}),
        content("model", {"text": "3"}, {"text": "4"}),
        content("user", {"text": "5"}),
    ]


def test_system_text_in_the_middle_becomes_a_reminder_in_the_users_turn() -> None:
    assert contents(user(Text("1")), Message("system", (Text("S"), Text("T")))) == [
        content("user", {"text": "1"}, {"text": "<system-reminder>\nS\n\nT\n</system-reminder>"})
    ]


@pytest.mark.parametrize("parts", [(), (Text(""),), (Text(" \n"),)], ids=["none", "empty", "blank"])
def test_nothing_said_becomes_a_placeholder(parts: tuple[Part, ...]) -> None:
    assert contents(user(*parts)) == [content("user", {"text": "Continue."})]


def test_a_conversation_begins_with_the_user() -> None:
    assert contents(model(Text("Hi")), user(Text("Ho"))) == [
        content("user", {"text": "Continue."}),
        content("model", {"text": "Hi"}),
        content("user", {"text": "Ho"}),
    ]


def test_system_text_stands_apart() -> None:
    wanted = asked(user(Text("Hi")), system=(Text("S"), Text(""), Text("T")))
    assert written(wanted)["systemInstruction"] == {"parts": [{"text": "S"}, {"text": "T"}]}


# --- tools ------------------------------------------------------------------------------------


def test_results_stand_in_the_order_of_the_calls_before_anything_else() -> None:
    assert contents(
        user(Text("Go")),
        model(A, Text("Ok"), B),
        user(Text("Mind"), ToolResult("b", (Text("2"),)), ToolResult("a", (Text("1"),))),
    ) == [
        content("user", {"text": "Go"}),
        content("model", {"text": "Ok"}, called("a"), called("b")),
        content("user", answered("a", output="1"), answered("b", output="2"), {"text": "Mind"}),
    ]


def test_a_call_without_result_was_not_executed() -> None:
    assert contents(user(Text("Go")), model(A), model(Text("Well"))) == [
        content("user", {"text": "Go"}),
        content("model", called("a")),
        content("user", answered("a", error=NOT_EXECUTED)),
        content("model", {"text": "Well"}),
    ]
    assert contents(user(Text("Go")), model(A))[-1] == content(
        "user", answered("a", error=NOT_EXECUTED)
    )


def test_calls_in_several_turns_are_one_step() -> None:
    assert contents(
        user(Text("Go")), model(A), model(B), user(ToolResult("b", ()), ToolResult("a", ()))
    )[1:] == [
        content("model", called("a"), called("b")),
        content("user", answered("a", output=""), answered("b", output="")),
    ]


def test_of_two_results_the_later_one_counts() -> None:
    told = contents(
        user(Text("Go")),
        model(A),
        user(ToolResult("a", (Text("1"),)), ToolResult("a", (Text("2"),))),
    )
    assert told[-1] == content("user", answered("a", output="2"))


@pytest.mark.parametrize(
    ("result", "response"),
    [
        (ToolResult("a", (Text("24C"),)), {"output": "24C"}),
        (ToolResult("a", (Text("1"), Text("2"))), {"output": "1\n2"}),
        (ToolResult("a", (Text('{"t":24}'),)), {"t": 24}),
        (ToolResult("a", (Text("[1]"),)), {"output": "[1]"}),
        (ToolResult("a", (Text("{no"),)), {"output": "{no"}),
        (ToolResult("a", (Text("late"),), is_error=True), {"error": "late"}),
        (ToolResult("a", (), is_error=True), {"error": "the tool failed"}),
        (ToolResult("a", (Text('{"error":"late"}'),), is_error=True), {"error": "late"}),
        (ToolResult("a", (Text('{"t":24}'),), is_error=True), {"error": '{"t":24}'}),
        (ToolResult("a", (Media("document", PlainText("doc"), title="T"),)), {"output": "T\ndoc"}),
    ],
)
def test_what_a_tool_said_is_an_object(result: ToolResult, response: JsonObject) -> None:
    told = contents(user(Text("Go")), model(A), user(result))
    assert told[-1] == content("user", answered("a", **response))


def test_media_of_results_go_inside_where_the_model_takes_them() -> None:
    conversation = (
        user(Text("Go")),
        model(A, B),
        user(ToolResult("b", ()), ToolResult("a", (Text("see"), IMAGE))),
    )
    inside = answered("a", output="see")
    inside["functionResponse"]["parts"] = [BLOB]  # type: ignore[index,call-overload]  # an object
    assert contents(*conversation, profile=NEW)[-1] == content(
        "user", inside, answered("b", output="")
    )
    assert contents(*conversation, profile=MIDDLE)[-1] == content(
        "user", answered("a", output="see"), answered("b", output=""), BLOB
    )


def test_long_or_odd_ids_are_shortened_in_call_and_result_alike() -> None:
    odd = "call:" + "x" * 100
    told = contents(
        user(Text("Go")), model(ToolCall(odd, "f", "")), user(ToolResult(odd, (Text("1"),)))
    )
    (call,), (result,) = entries(told[1], "parts"), entries(told[2], "parts")
    sent = call["functionCall"]["id"]  # type: ignore[index,call-overload]  # an object
    assert isinstance(sent, str)
    assert len(sent) < 40
    assert result["functionResponse"]["id"] == sent  # type: ignore[index,call-overload]  # an object


@pytest.mark.parametrize(
    ("arguments", "args"),
    [("", {}), ('{"a":1}', {"a": 1}), ("[1]", {"_raw": "[1]"}), ("{no", {"_raw": "{no"})],
)
def test_arguments_are_an_object(arguments: str, args: JsonObject) -> None:
    told = contents(user(Text("Go")), model(ToolCall("a", "f", arguments)))
    assert told[1] == content("model", {"functionCall": {"id": "a", "name": "f", "args": args}})


def test_names_are_accepted_and_reported() -> None:
    odd = Tool("1.a/b", schema={"type": "object", "properties": {"ü": {}}, "required": ["ü"]})
    call = ToolCall("a", "1.a/b", '{"ü":1}')
    encoded = write(asked(user(Text("Go")), model(call), tools=(odd,)))
    assert encoded.tool_names == {"__a_b": "1.a/b"}
    assert encoded.properties == {"__a_b": {"_": "ü"}}
    told = entries(encoded.payload, "contents")
    assert entries(told[1], "parts")[0]["functionCall"] == {
        "id": "a",
        "name": "__a_b",
        "args": {"_": 1},
    }
    assert entries(told[2], "parts")[0]["functionResponse"]["name"] == "__a_b"  # type: ignore[index,call-overload]  # an object


# --- thoughts ---------------------------------------------------------------------------------

OWN = Reasoning("hm", "QUJD", "gemini")


@pytest.mark.parametrize(
    ("thought", "profile", "expected"),
    [
        (OWN, NEW, {"text": "hm", "thought": True, "thoughtSignature": "QUJD"}),
        (Reasoning("hm", None, "gemini"), NEW, {"text": "hm", "thought": True}),
        (Reasoning("hm", "EqQB", "anthropic"), NEW, None),
        (Reasoning("hm"), NEW, None),
        (Reasoning("", redacted="x", origin="anthropic"), NEW, None),
        (OWN, CLAUDE, None),
        (
            Reasoning("hm", "EqQB", "claude-ca"),
            CLAUDE,
            {"text": "hm", "thought": True, "thoughtSignature": "EqQB"},
        ),
        (Reasoning("hm", None, "claude-ca"), CLAUDE, None),
    ],
)
def test_thoughts_go_back_to_their_vendor_only(
    thought: Reasoning, profile: Profile, expected: JsonObject | None
) -> None:
    encoded = write(asked(user(Text("1")), model(thought, Text("2"))), profile)
    parts = [expected, {"text": "2"}] if expected else [{"text": "2"}]
    assert entries(encoded.payload, "contents")[1]["parts"] == parts
    assert ("reasoning" in encoded.dropped) is (expected is None)


def signatures(profile: Profile, *messages: Message) -> list[Json]:
    return [
        part.get("thoughtSignature")
        for told in contents(*messages, profile=profile)
        for part in entries(told, "parts")
        if "functionCall" in part
    ]


def signed(call_id: str, origin: str) -> ToolCall:
    return ToolCall(call_id, "f", "", signature="QUJD", origin=origin)


def test_the_first_call_of_each_step_is_signed_where_the_model_demands_it() -> None:
    steps = (
        user(Text("Go")),
        model(A, B),
        user(ToolResult("a", ()), ToolResult("b", ())),
        model(signed("c", "gemini"), ToolCall("d", "f", "")),
        user(ToolResult("c", ()), ToolResult("d", ())),
        model(signed("e", "anthropic")),
        user(ToolResult("e", ())),
    )
    assert signatures(NEW, *steps) == [ESCAPE, None, "QUJD", None, ESCAPE]
    assert signatures(MIDDLE, *steps) == [None, None, "QUJD", None, None]
    assert signatures(OLD, *steps) == [None, None, "QUJD", None, None]
    assert signatures(CLAUDE, *steps) == [None, None, None, None, None]


# --- media ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (IMAGE, BLOB),
        (
            Media("image", Inline("image/jpg", "QUJD")),
            {"inlineData": {"mimeType": "image/jpeg", "data": "QUJD"}},
        ),
        (Media("document", PlainText("x"), title="T", context="C"), {"text": "T\nC\nx"}),
        (
            Media("video", Remote("https://www.youtube.com/watch?v=a")),
            {"fileData": {"fileUri": "https://www.youtube.com/watch?v=a"}},
        ),
        (
            Media("image", Remote("https://generativelanguage.googleapis.com/v1beta/files/a")),
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a"}},
        ),
        (Media("image", VendorFile("gemini", "gs://b/c")), {"fileData": {"fileUri": "gs://b/c"}}),
    ],
)
def test_media(media: Media, part: JsonObject) -> None:
    assert contents(user(media)) == [content("user", part)]


@pytest.mark.parametrize(
    "part",
    [
        Media("image", Remote("https://x.test/a.png")),
        Media("image", Remote("https://youtube.com.evil.test/a")),
        Media("image", VendorFile("messages", "file_1")),
        Opaque("messages", {"type": "server_tool_use"}),
    ],
)
def test_what_google_cannot_take_is_refused_by_its_place(part: Part) -> None:
    inside = Message("user", (Text("x"), part), path="messages[3]")
    with pytest.raises(Unrepresentable) as caught:
        GEMINI.encode_request(asked(inside), NEW)
    assert caught.value.path == "messages[3].parts[1]"
    assert isinstance(part, Media | Opaque)
    result = ToolResult("a", (part,), path="messages[2]")
    with pytest.raises(Unrepresentable) as caught:
        GEMINI.encode_request(asked(user(Text("x")), model(A), user(result)), NEW)
    assert caught.value.path == "messages[2].parts[0]"


def test_a_refusal_is_text_and_a_part_of_its_own_comes_back() -> None:
    code = Opaque("gemini", {"executableCode": {"language": "PYTHON", "code": "1"}})
    assert contents(user(Text("x")), model(Refusal("No."), code))[1] == content(
        "model", {"text": "No."}, code.payload
    )


def test_what_other_formats_say_beside_the_content_is_reported() -> None:
    said = (
        Text("x", citations=({"type": "char_location"},)),
        Media("image", Inline("image/png", ""), detail="low", own={"transformations": {}}),
    )
    encoded = write(asked(Message("user", said, name="Bo")))
    assert encoded.dropped == ("name", "citations", "transformations", "detail")
