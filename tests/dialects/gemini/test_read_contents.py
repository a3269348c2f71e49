"""Conversations of Gemini's clients, read."""

import base64

import pytest

from dialects.signatures import tagged
from models.content import (
    Inline,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Remote,
    Text,
    ToolCall,
    ToolResult,
    VendorFile,
)
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json, JsonObject
from tests.dialects.gemini.support import content, read, read_parts

TAG = base64.b64encode(tagged("anthropic", "EqQB").encode()).decode()
CALL_TAG = base64.b64encode(tagged("gemini", "QUJD", of="call").encode()).decode()


def call(name: str, call_id: str = "", **rest: Json) -> JsonObject:
    told: JsonObject = {"name": name, "args": {"q": 1}}
    return {"functionCall": {"id": call_id, **told} if call_id else told, **rest}


def response(name: str, call_id: str = "", **said: Json) -> JsonObject:
    told: JsonObject = {"name": name, "response": said}
    return {"functionResponse": {"id": call_id, **told} if call_id else told}


@pytest.mark.parametrize("role", ["user", "USER", "function", "", None])
def test_roles(role: Json) -> None:
    told = read(contents=[{"role": role, "parts": [{"text": "Hi"}]}])
    assert told.messages == (Message("user", (Text("Hi"),)),)


def test_one_content_may_stand_without_its_list_and_its_role() -> None:
    assert read(contents={"parts": {"text": "Hi"}}).messages == (Message("user", (Text("Hi"),)),)


def test_an_unknown_role_is_refused_in_googles_words() -> None:
    with pytest.raises(BadRequest, match="Please use a valid role: user, model") as caught:
        read(contents=[content("user"), content("assistant", {"text": "x"})])
    assert caught.value.path == "contents[1].role"


@pytest.mark.parametrize(
    "told",
    ["S", {"parts": [{"text": "S"}]}, {"role": "system", "parts": {"text": "S"}}],
    ids=["text", "content", "one part"],
)
def test_system_text(told: Json) -> None:
    assert read(systemInstruction=told).system == (Text("S"),)


def test_a_picture_in_the_system_text_cannot_be_carried() -> None:
    image: JsonObject = {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}
    with pytest.raises(Unrepresentable) as caught:
        read(systemInstruction={"parts": [{"text": "S"}, image]})
    assert caught.value.path == "systemInstruction.parts[1]"


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"text": "x"}, Text("x")),
        ({"text": "x", "videoMetadata": {"fps": 1}}, Text("x")),
        (
            {"inlineData": {"mimeType": "image/png", "data": "-_8", "displayName": "a.png"}},
            Media("image", Inline("image/png", "+/8="), filename="a.png"),
        ),
        (
            {"inlineData": {"mimeType": "audio/wav", "data": "QUJD"}},
            Media("audio", Inline("audio/wav", "QUJD")),
        ),
        (
            {"inlineData": {"mimeType": "application/pdf", "data": "QUJD"}},
            Media("document", Inline("application/pdf", "QUJD")),
        ),
        (
            {"fileData": {"fileUri": "gs://b/x.png", "mimeType": "image/png"}},
            Media("image", VendorFile("gemini", "gs://b/x.png")),
        ),
        (
            {"fileData": {"fileUri": "https://youtu.be/abc"}},
            Media("video", Remote("https://youtu.be/abc")),
        ),
        (
            {"fileData": {"fileUri": "https://x.test/a.jpg?s=1"}},
            Media("image", Remote("https://x.test/a.jpg?s=1")),
        ),
        (
            {"executableCode": {"language": "PYTHON", "code": "1"}},
            Opaque("gemini", {"executableCode": {"language": "PYTHON", "code": "1"}}),
        ),
        ({"hologram": {}}, Opaque("gemini", {"hologram": {}})),
    ],
)
def test_parts(part: JsonObject, expected: Part) -> None:
    assert read_parts(part) == (expected,)


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ({}, "contents[1].parts[0]"),
        ({"text": "x", "inlineData": {}}, "contents[1].parts[0]"),
        ({"text": 5}, "contents[1].parts[0].text"),
        ({"text": "x", "thought": "yes"}, "contents[1].parts[0].thought"),
        ({"text": "x", "thoughtSignature": 1}, "contents[1].parts[0].thoughtSignature"),
        ({"inlineData": {"data": ""}}, "contents[1].parts[0].inlineData.mimeType"),
        ({"fileData": {}}, "contents[1].parts[0].fileData.fileUri"),
        ({"functionCall": {"args": {}}}, "contents[1].parts[0].functionCall.name"),
        ({"functionCall": {"name": "f", "args": []}}, "contents[1].parts[0].functionCall.args"),
        ({"functionResponse": {"name": "f"}}, "contents[1].parts[0].functionResponse"),
    ],
)
def test_a_wrong_part_is_named(part: JsonObject, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_parts(part)
    assert caught.value.path == path


@pytest.mark.parametrize("contents", [[], None, "Hi", [5], [{"parts": "x"}], [{"parts": [5]}]])
def test_contents_that_are_none(contents: Json) -> None:
    with pytest.raises(BadRequest):
        read(contents=contents)


# --- thoughts ---------------------------------------------------------------------------------


def test_pieces_of_a_replayed_stream_are_joined_until_the_signed_one() -> None:
    told = read_parts(
        {"text": "Let me ", "thought": True},
        {"text": "think.", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": "-_8="},
        {"text": "More", "thought": True},
        {"text": "So"},
        {"text": " far"},
        {"text": "", "thoughtSignature": "QUJD"},
        {"text": "Next"},
    )
    assert told == (
        Reasoning("Let me think.", "+/8=", "gemini"),
        Reasoning("More"),
        Text("So far"),
        Text("Next"),
    )


def test_a_stream_that_is_replayed_chunk_by_chunk_is_one_turn() -> None:
    """Chats of the official SDK keep each chunk as a content of its own."""
    told = read(
        contents=[
            content("user", {"text": "Hi"}),
            content("model", {"text": "Let me ", "thought": True}),
            content("model", {"text": "see", "thought": True}),
            content("model", {"text": "", "thought": True, "thoughtSignature": TAG}),
            content("model", {"text": "Hel"}),
            content("model", {"text": "lo"}, call("f")),
            content("model", {"text": ""}),
            content("user", response("f", output="x")),
            content("user", {"text": "And?"}),
        ]
    )
    asked, answered, *_ = told.messages
    thought, text, called, _ = answered.parts
    assert (thought, text) == (Reasoning("Let me see", "EqQB", origin="anthropic"), Text("Hello"))
    assert isinstance(called, ToolCall)
    assert [message.role for message in told.messages] == ["user", "assistant", "user", "user"]
    assert (asked.path, answered.path) == ("contents[0]", "contents[1]")


def test_a_signature_may_stand_where_empty_text_was_left_out() -> None:
    assert read_parts(
        {"text": "a", "thought": True}, {"thought": True, "thoughtSignature": "QUJD"}
    ) == (Reasoning("a", "QUJD", "gemini"),)


def test_thoughts_of_others_come_back_to_them() -> None:
    assert read_parts(
        {"text": "h", "thought": True},
        {"text": "m", "thought": True, "thoughtSignature": TAG.replace("+", "-").replace("/", "_")},
        {"text": "Par"},
    ) == (Reasoning("hm", "EqQB", "anthropic"), Text("Par"))


def test_a_hidden_thought_travels_with_the_part_behind_it() -> None:
    assert read_parts(
        {"text": "Hel", "thoughtSignature": TAG},
        {"text": "lo"},
        call("f", thoughtSignature=TAG),
    ) == (
        Reasoning("", "EqQB", "anthropic"),
        Text("Hello"),
        Reasoning("", "EqQB", "anthropic"),
        ToolCall("call_0", "f", '{"q":1}'),
    )


@pytest.mark.parametrize(
    ("signature", "expected"),
    [("QUJ-", "QUJ+"), (CALL_TAG, "QUJD")],
    ids=["its own", "tagged"],
)
def test_a_calls_signature_belongs_to_the_call(signature: str, expected: str) -> None:
    assert read_parts(call("f", "c1", thoughtSignature=signature)) == (
        ToolCall("c1", "f", '{"q":1}', signature=expected, origin="gemini"),
    )


@pytest.mark.parametrize(
    "value",
    [
        "skip_thought_signature_validator",
        "context_engineering_is_the_way_to_go",
        "",
        "Z3cxLnguIQ==",
    ],
)
def test_what_stands_in_for_a_signature_is_none(value: str) -> None:
    assert read_parts(call("f", "c1", thoughtSignature=value)) == (ToolCall("c1", "f", '{"q":1}'),)


# --- tools ------------------------------------------------------------------------------------


def results(*contents: JsonObject) -> list[ToolResult]:
    told = read(contents=[content("user", {"text": "Go"}), *contents])
    return [
        part for message in told.messages for part in message.parts if isinstance(part, ToolResult)
    ]


def test_results_without_ids_find_their_calls_by_name_in_order() -> None:
    found = results(
        content("model", call("wx"), call("ls"), call("wx")),
        content("user", response("wx", a=1), response("wx", a=2), response("ls", a=3)),
        content("model", call("wx")),
        content("function", response("wx", a=4)),
    )
    assert [result.call_id for result in found] == ["call_0", "call_2", "call_1", "call_3"]


def test_results_with_ids_find_their_calls_whatever_the_order() -> None:
    found = results(
        content("model", call("wx", "a"), call("wx", "b")),
        content("user", response("wx", "b", x=1), response("wx", "a", x=2)),
    )
    assert [result.call_id for result in found] == ["b", "a"]


def test_calls_in_two_contents_are_one_turn() -> None:
    found = results(
        content("model", call("f")),
        content("model", call("g")),
        content("user", response("f"), response("g")),
    )
    assert [result.call_id for result in found] == ["call_0", "call_1"]


def test_ids_that_only_the_call_has_do_not_matter() -> None:
    found = results(content("model", call("f", "x1")), content("user", response("f")))
    assert [result.call_id for result in found] == ["x1"]


def test_a_result_without_its_call_is_refused() -> None:
    with pytest.raises(BadRequest, match="function call turn") as caught:
        results(
            content("model", call("f")),
            content("user", response("f")),
            content("user", response("f")),
        )
    assert caught.value.path == "contents[3].parts[0].functionResponse"


@pytest.mark.parametrize(
    ("said", "text", "is_error"),
    [
        ({"output": "24C"}, "24C", False),
        ({"output": {"t": 24}}, '{"t":24}', False),
        ({"temp": 24}, '{"temp":24}', False),
        ({"result": "ok"}, '{"result":"ok"}', False),
        ({"error": "no data"}, '{"error":"no data"}', True),
        ({"output": "x", "error": None}, '{"output":"x","error":null}', False),
    ],
)
def test_what_a_tool_said(said: JsonObject, text: str, is_error: bool) -> None:
    (found,) = results(content("model", call("f")), content("user", response("f", "", **said)))
    assert (found.parts, found.is_error) == ((Text(text),), is_error)


def test_a_tool_that_said_nothing() -> None:
    (found,) = results(content("model", call("f")), content("user", response("f")))
    assert (found.parts, found.is_error) == ((), False)


def test_media_in_a_result() -> None:
    told: JsonObject = {
        "name": "f",
        "response": {"output": "see"},
        "parts": [
            {"inlineData": {"mimeType": "image/png", "data": "QUJD"}},
            {"fileData": {"fileUri": "files/abc", "mimeType": "image/png"}},
        ],
    }
    (found,) = results(content("model", call("f")), content("user", {"functionResponse": told}))
    assert found.parts == (
        Text("see"),
        Media("image", Inline("image/png", "QUJD")),
        Media("image", VendorFile("gemini", "files/abc")),
    )


def test_what_parts_say_beside_their_content_is_kept_to_be_reported() -> None:
    film: JsonObject = {
        "fileData": {"fileUri": "https://youtu.be/a"},
        "videoMetadata": {"fps": 2},
    }
    told = read(contents=[content("user", film)])
    assert told.extras == {"gemini": {"contents.parts.videoMetadata": {"fps": 2}}}
