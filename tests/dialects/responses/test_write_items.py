"""Conversations written as Responses items."""

import pytest

from dialects.openai_responses.write_items import NOT_EXECUTED
from models.chat import ChatRequest, Tool
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
    Role,
    Text,
    ToolCall,
    ToolResult,
    VendorFile,
)
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject
from tests.dialects.official import fits_responses
from tests.dialects.responses.support import PLAIN, STRANGER, write, written_items

WX = ToolCall("call_1", "wx", '{"city":"Roma"}')
CALL: JsonObject = {
    "type": "function_call",
    "call_id": "call_1",
    "name": "wx",
    "arguments": '{"city":"Roma"}',
}
PICTURE = Media("image", Inline("image/png", "QUJD"))


def talk(*messages: Message, **fields: object) -> ChatRequest:
    return ChatRequest("m", False, messages, **fields)  # type: ignore[arg-type]  # a table of fields


def said(role: Role, *parts: Part) -> Message:
    return Message(role, parts)


def output(value: Json, call_id: str = "call_1") -> JsonObject:
    return {"type": "function_call_output", "call_id": call_id, "output": value}


@pytest.mark.parametrize(
    ("part", "written"),
    [
        (Text("Hi"), {"type": "input_text", "text": "Hi"}),
        (
            PICTURE,
            {"type": "input_image", "image_url": "data:image/png;base64,QUJD", "detail": "auto"},
        ),
        (
            Media("image", Remote("https://x.test/a"), detail="low"),
            {"type": "input_image", "image_url": "https://x.test/a", "detail": "low"},
        ),
        (
            Media("image", VendorFile("responses", "file-1")),
            {"type": "input_image", "file_id": "file-1", "detail": "auto"},
        ),
        (
            Media("document", Inline("application/pdf", "QUJD")),
            {
                "type": "input_file",
                "filename": "document.pdf",
                "file_data": "data:application/pdf;base64,QUJD",
            },
        ),
        (
            Media("document", Remote("https://x.test/a.pdf")),
            {"type": "input_file", "file_url": "https://x.test/a.pdf"},
        ),
        (
            Media("document", VendorFile("responses", "file-1")),
            {"type": "input_file", "file_id": "file-1"},
        ),
        (
            Media("document", PlainText("Body"), title="T"),
            {"type": "input_text", "text": "T\n\nBody"},
        ),
    ],
)
def test_what_a_user_says(part: Part, written: JsonObject) -> None:
    encoded = write(talk(said("user", part)))
    assert encoded.payload["input"] == [{"type": "message", "role": "user", "content": [written]}]
    fits_responses(encoded.payload)


def test_audio() -> None:
    part = Media("audio", Inline("audio/x-wav", "QUJD"))
    content: Json = [{"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}]
    assert written_items(talk(said("user", part))) == [
        {"type": "message", "role": "user", "content": content}
    ]


@pytest.mark.parametrize(
    "part",
    [
        Media("video", Inline("video/mp4", "QUJD")),
        Media("audio", Inline("audio/ogg", "QUJD")),
        Media("image", VendorFile("messages", "file_1")),
        Opaque("messages", {"type": "search_result"}),
    ],
)
def test_what_has_no_room_is_refused_by_its_place(part: Part) -> None:
    with pytest.raises(Unrepresentable) as caught:
        write(talk(Message("user", (Text("x"), part), path="messages[4]")))
    assert caught.value.path == "messages[4].content[1]"


def test_a_turn_of_the_assistant_keeps_its_order() -> None:
    encoded = write(
        talk(
            said("user", Text("Hi")),
            said(
                "assistant",
                Reasoning("hm", "gA", "openai"),
                Text("O"),
                Text("k"),
                WX,
                Text("and"),
                Refusal(" no"),
                ToolCall("call_2", "now", ""),
            ),
            said("user", ToolResult("call_2", (Text("9"),)), ToolResult("call_1", (Text("24C"),))),
        )
    )
    assert encoded.payload["input"] == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "gA",
        },
        {"type": "message", "role": "assistant", "content": "Ok"},
        CALL,
        {"type": "message", "role": "assistant", "content": "and no"},
        {"type": "function_call", "call_id": "call_2", "name": "now", "arguments": "{}"},
        output("24C"),
        output("9", "call_2"),
    ]
    assert encoded.dropped == ()


@pytest.mark.parametrize(
    "thought",
    [
        Reasoning("hm"),
        Reasoning("hm", "Eq", "anthropic"),
        Reasoning("hm", origin="openai"),
        Reasoning("", origin="anthropic", redacted="Zz"),
    ],
)
def test_thoughts_that_openai_did_not_encrypt_are_left_out(thought: Reasoning) -> None:
    encoded = write(talk(said("assistant", thought, WX)))
    assert encoded.payload["input"] == [CALL, output(NOT_EXECUTED)]
    assert encoded.dropped == ("reasoning",)


def test_thoughts_go_to_the_vendor_that_encrypted_them_only() -> None:
    turn = said("assistant", Reasoning("", "gA", "openai"), WX)
    first: JsonObject = {"type": "reasoning", "summary": [], "encrypted_content": "gA"}
    assert written_items(talk(turn)) == [first, CALL, output(NOT_EXECUTED)]
    for profile in (PLAIN, STRANGER):
        assert written_items(talk(turn), profile) == [CALL, output(NOT_EXECUTED)]


def test_thoughts_that_nothing_follows_are_left_out() -> None:
    encoded = write(talk(said("assistant", WX, Reasoning("hm", "gA", "openai"))))
    assert encoded.payload["input"] == [CALL, output(NOT_EXECUTED)]
    assert encoded.dropped == ("reasoning",)


@pytest.mark.parametrize(
    ("result", "written"),
    [
        (ToolResult("call_1", ()), ""),
        (ToolResult("call_1", (Text("a"), Text("b"))), "a\nb"),
        (ToolResult("call_1", (Text("bad"),), is_error=True), "Error: bad"),
        (ToolResult("call_1", (Text("error: bad"),), is_error=True), "error: bad"),
        (ToolResult("call_1", (), is_error=True), "Error: the tool failed"),
        (
            ToolResult("call_1", (Text("map"), PICTURE)),
            [
                {"type": "input_text", "text": "map"},
                {
                    "type": "input_image",
                    "image_url": "data:image/png;base64,QUJD",
                    "detail": "auto",
                },
            ],
        ),
        (
            ToolResult("call_1", (PICTURE,), is_error=True),
            [
                {"type": "input_text", "text": "Error:"},
                {
                    "type": "input_image",
                    "image_url": "data:image/png;base64,QUJD",
                    "detail": "auto",
                },
            ],
        ),
    ],
)
def test_results_of_tools(result: ToolResult, written: Json) -> None:
    encoded = write(talk(said("assistant", WX), said("user", result, Text("And?"))))
    assert encoded.payload["input"] == [
        CALL,
        output(written),
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And?"}]},
    ]


def test_calls_of_tools_of_free_text() -> None:
    call = ToolCall("call_1", "patch", '{"input":"*** Begin"}')
    wanted = talk(said("assistant", call), tools=(Tool("patch", custom={}),))
    assert written_items(wanted) == [
        {"type": "custom_tool_call", "call_id": "call_1", "name": "patch", "input": "*** Begin"},
        {"type": "custom_tool_call_output", "call_id": "call_1", "output": NOT_EXECUTED},
    ]


def test_long_ids_are_short_in_call_and_result_alike() -> None:
    call = ToolCall("x" * 90, "wx", "{}")
    items = written_items(
        talk(said("assistant", call), said("user", ToolResult(call.id, (Text("r"),))))
    )
    assert isinstance(items, list)
    ids = {item["call_id"] for item in items if isinstance(item, dict)}
    assert len(ids) == 1
    assert len(str(ids.pop())) <= 64


def test_instructions_in_the_middle_stay_there() -> None:
    encoded = write(talk(said("user", Text("a")), said("system", Text("b")), said("user")))
    assert encoded.payload["input"] == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "b"}]},
    ]
    fits_responses(encoded.payload)


def test_what_is_lost_is_named() -> None:
    named = Message("user", (Text("a"),), name="Ann")
    cited = Text("b", citations=({"type": "x"},))
    encoded = write(talk(named, said("assistant", cited, PICTURE)))
    assert encoded.dropped == ("name", "citations", "image", "prefill")


def test_items_that_only_this_format_knows_go_back_as_they_were() -> None:
    item: JsonObject = {"type": "compaction", "encrypted_content": "x"}
    wanted = talk(said("user", Text("a")), said("assistant", Opaque("responses", item)))
    items = written_items(wanted)
    assert isinstance(items, list)
    assert items[1] == item
