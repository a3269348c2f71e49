"""Parts of a conversation, written as content blocks."""

import pytest

from models.chat import (
    Tool,
)
from models.content import (
    Inline,
    Media,
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
from models.json_types import JsonObject
from tests.dialects.anthropic.neutral import (
    USER,
    answer,
    assistant,
    call,
    chat,
    result,
    turns,
    use,
    user,
)
from tests.dialects.anthropic.support import dig, write


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
