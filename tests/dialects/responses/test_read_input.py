"""Items of a Responses request, as turns of a conversation."""

import pytest

from dialects.openai_responses import RESPONSES
from dialects.signatures import tagged
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
from models.errors import BadRequest, ErrorKind, Unrepresentable
from models.json_types import Json, JsonObject
from tests.dialects.responses.support import CALL, OUTPUT, USER, read, request

ROMA = ToolCall("call_1", "wx", '{"city":"Roma"}')
WARM = ToolResult("call_1", (Text("24C"),))


def said(role: str, *parts: JsonObject) -> JsonObject:
    return {"type": "message", "role": role, "content": [*parts]}


def text(value: str, kind: str = "input_text") -> JsonObject:
    return {"type": kind, "text": value}


def reasoning(*summary: str, **fields: Json) -> JsonObject:
    told: list[Json] = [{"type": "summary_text", "text": one} for one in summary]
    return {"type": "reasoning", "id": "rs_1", "summary": told, **fields}


def test_a_string_is_one_user_message() -> None:
    assert read().messages == (Message("user", (Text("Hi"),)),)


@pytest.mark.parametrize(
    ("part", "neutral"),
    [
        pytest.param(text("Hi"), Text("Hi"), id="text"),
        pytest.param(text("Hi", "text"), Text("Hi"), id="text as Chat has it"),
        pytest.param(
            {"type": "input_image", "image_url": "data:image/png;base64,QUJD", "detail": "low"},
            Media("image", Inline("image/png", "QUJD"), detail="low"),
            id="image",
        ),
        pytest.param(
            {"type": "input_image", "image_url": {"url": "https://x.test/a.png"}},
            Media("image", Remote("https://x.test/a.png")),
            id="image url as Chat has it",
        ),
        pytest.param(
            {"type": "input_image", "file_id": "file-1"},
            Media("image", VendorFile("responses", "file-1")),
            id="image by id",
        ),
        pytest.param(
            {"type": "input_file", "filename": "a.pdf", "file_data": "QUI"},
            Media("document", Inline("application/pdf", "QUI="), "a.pdf"),
            id="bare file",
        ),
        pytest.param(
            {"type": "input_file", "file_data": "data:text/plain;base64,SGk=", "filename": "a"},
            Media("document", PlainText("Hi"), "a"),
            id="text file",
        ),
        pytest.param(
            {"type": "input_file", "file_url": "https://x.test/a.pdf"},
            Media("document", Remote("https://x.test/a.pdf")),
            id="file url",
        ),
        pytest.param(
            {"type": "input_file", "file_id": "file-1"},
            Media("document", VendorFile("responses", "file-1")),
            id="file by id",
        ),
        pytest.param(
            {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
            Media("audio", Inline("audio/mpeg", "QUJD")),
            id="audio",
        ),
    ],
)
def test_what_a_user_says(part: JsonObject, neutral: Text | Media) -> None:
    assert read(said("user", part)).messages == (Message("user", (neutral,)),)
    output: JsonObject = {**OUTPUT, "output": [part]}
    assert read(CALL, output).messages[1].parts == (ToolResult("call_1", (neutral,)),)


@pytest.mark.parametrize(
    ("item", "parts"),
    [
        ({"role": "assistant", "content": "Ok"}, (Text("Ok"),)),
        ({"role": "assistant", "content": ""}, ()),
        (said("assistant", text("Ok", "output_text")), (Text("Ok"),)),
        (said("assistant", {"type": "refusal", "refusal": "No"}), (Refusal("No"),)),
        (reasoning("a", "b", encrypted_content="gA"), (Reasoning("a\n\nb", "gA", "openai"),)),
        (reasoning("a"), (Reasoning("a"),)),
        (
            reasoning(content=[{"type": "reasoning_text", "text": "raw"}]),
            (Reasoning("raw"),),
        ),
        (
            reasoning("a", encrypted_content=tagged("anthropic", "Eq")),
            (Reasoning("a", "Eq", "anthropic"),),
        ),
        (
            reasoning(encrypted_content=tagged("anthropic", "Zz", of="redacted")),
            (Reasoning("", origin="anthropic", redacted="Zz"),),
        ),
        (
            reasoning("a", encrypted_content=tagged("glm", "-", of="unsigned")),
            (Reasoning("a", origin="glm"),),
        ),
        (CALL, (ROMA,)),
        ({**CALL, "arguments": {"a": 1}}, (ToolCall("call_1", "wx", '{"a":1}'),)),
        ({**CALL, "call_id": None, "id": "fc_1"}, (ToolCall("fc_1", "wx", '{"city":"Roma"}'),)),
        (
            {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": 'a"b'},
            (ToolCall("c", "patch", '{"input":"a\\"b"}'),),
        ),
    ],
)
def test_what_the_assistant_said_thought_and_called(
    item: JsonObject, parts: tuple[Part, ...]
) -> None:
    assert read(item).messages == (Message("assistant", parts),)


@pytest.mark.parametrize("item", [reasoning(), reasoning("a", encrypted_content="gw1.damaged")])
def test_reasoning_that_nobody_can_read_is_no_turn(item: JsonObject) -> None:
    assert read(USER, item).messages == (Message("user", (Text("Hi"),)),)


def test_a_signature_of_a_call_goes_to_the_call_after_it_and_no_further() -> None:
    carrier = reasoning(encrypted_content=tagged("gemini", "Ab", of="call"))
    second = {**CALL, "call_id": "call_2"}
    signed = ToolCall("call_1", "wx", '{"city":"Roma"}', signature="Ab", origin="gemini")
    bare = ToolCall("call_2", "wx", '{"city":"Roma"}')
    assert read(carrier, CALL, second).messages == (Message("assistant", (signed, bare)),)
    lost = read(carrier, {"role": "assistant", "content": "Ok"}, CALL).messages
    assert lost == (Message("assistant", (Text("Ok"), ROMA)),)


def test_items_are_grouped_into_turns() -> None:
    second: JsonObject = {**CALL, "call_id": "call_2"}
    turns = read(
        {"role": "system", "content": "S1"},
        said("developer", text("S2")),
        USER,
        reasoning("hm", encrypted_content="gA"),
        CALL,
        second,
        OUTPUT,
        {**OUTPUT, "call_id": "call_2", "output": ""},
        reasoning("so", encrypted_content="gB"),
        said("assistant", text("Warm", "output_text")),
        {"role": "developer", "content": "Now short"},
        USER,
        instructions="S0",
    )
    assert turns.system == (Text("S0"), Text("S1"), Text("S2"))
    called = ToolCall("call_2", "wx", '{"city":"Roma"}')
    assert turns.messages == (
        Message("user", (Text("Hi"),)),
        Message("assistant", (Reasoning("hm", "gA", "openai"), ROMA, called)),
        Message("user", (WARM, ToolResult("call_2", (Text(""),)))),
        Message("assistant", (Reasoning("so", "gB", "openai"), Text("Warm"))),
        Message("system", (Text("Now short"),)),
        Message("user", (Text("Hi"),)),
    )
    assert turns.messages[4].path == "input[10]"


def test_a_late_result_stands_right_after_its_call() -> None:
    """Some agents put what the user typed meanwhile before the result."""
    told: JsonObject = {"role": "developer", "content": "Careful"}
    messages = read(CALL, told, OUTPUT, USER).messages
    assert [message.role for message in messages] == ["assistant", "user", "system", "user"]
    assert messages[1].parts == (WARM,)
    messages = read(CALL, USER, OUTPUT).messages
    assert messages[1:] == (Message("user", (Text("Hi"), WARM)),)


def test_ids_that_occur_again_stay_apart() -> None:
    messages = read(CALL, OUTPUT, CALL, {**OUTPUT, "output": "30C"}).messages
    calls = [part.id for turn in messages for part in turn.parts if isinstance(part, ToolCall)]
    results = [part for turn in messages for part in turn.parts if isinstance(part, ToolResult)]
    assert len(set(calls)) == 2
    assert [result.call_id for result in results] == calls


@pytest.mark.parametrize(
    "kind", ["web_search_call", "mcp_call", "image_generation_call", "configuration_update"]
)
def test_what_openai_ran_itself_is_left_out_and_named(kind: str) -> None:
    found = read(USER, {"type": kind, "id": "x", "status": "completed"})
    assert len(found.messages) == 1
    assert found.extras == {"responses": {f"input.{kind}": True}}


def test_annotations_of_earlier_answers_are_named_as_lost() -> None:
    note: JsonObject = {"type": "url_citation", "url": "u"}
    cited: JsonObject = {**text("Ok", "output_text"), "annotations": [note]}
    found = read(said("assistant", cited))
    assert found.messages == (Message("assistant", (Text("Ok"),)),)
    assert found.extras == {"responses": {"input.annotations": True}}


@pytest.mark.parametrize("kind", ["compaction", "local_shell_call", "shell_call_output", "new"])
def test_what_only_openai_understands_is_kept_for_it(kind: str) -> None:
    item: JsonObject = {"type": kind, "call_id": "x"}
    assert read(USER, item).messages[1] == Message("assistant", (Opaque("responses", item),))


@pytest.mark.parametrize(
    ("items", "path"),
    [
        pytest.param([{"role": "king", "content": "x"}], "input[0].role", id="role"),
        pytest.param([{"content": "x"}], "input[0].role", id="no role"),
        pytest.param([USER, {"role": "user"}], "input[1].content", id="no content"),
        pytest.param([said("user", {"type": 5})], "input[0].content[0].type", id="part type"),
        pytest.param(
            [said("system", {"type": "input_image", "image_url": "x"})],
            "input[0].content[0].type",
            id="image in system",
        ),
        pytest.param(
            [said("user", {"type": "input_image", "image_url": "ftp://x"})],
            "input[0].content[0].image_url",
            id="address",
        ),
        pytest.param([{**CALL, "name": ""}], "input[0].name", id="no name"),
        pytest.param([OUTPUT], "input[0].call_id", id="result without call"),
        pytest.param([{**CALL, "type": 7}], "input[0].type", id="type"),
        pytest.param(["x"], "input[0]", id="no object"),
        pytest.param(7, "input", id="number"),
    ],
)
def test_wrong_items_are_named_by_their_place(items: Json, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        RESPONSES.decode_request({"model": "m", "input": items})
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("fields", "kind", "path"),
    [
        ({"previous_response_id": "resp_x"}, ErrorKind.RESPONSE_NOT_FOUND, "previous_response_id"),
        ({"conversation": "conv_1"}, ErrorKind.UNSUPPORTED, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, ErrorKind.UNSUPPORTED, "prompt"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, ErrorKind.UNSUPPORTED, "input[0]"),
        ({"input": [USER, {"id": "msg_1"}]}, ErrorKind.UNSUPPORTED, "input[1]"),
    ],
)
def test_what_lives_at_openai_only_is_refused(
    fields: JsonObject, kind: ErrorKind, path: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**fields)
    assert (caught.value.kind, caught.value.path, caught.value.status) == (kind, path, 400)


def test_content_without_a_neutral_form_is_refused() -> None:
    with pytest.raises(Unrepresentable) as caught:
        read(said("user", {"type": "input_hologram"}))
    assert caught.value.path == "input[0].content[0]"


def test_reading_leaves_the_body_alone() -> None:
    body = request(USER, CALL, OUTPUT)
    before = repr(body)
    RESPONSES.decode_request(body)
    assert repr(body) == before
