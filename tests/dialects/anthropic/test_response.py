import anthropic.types
import orjson
import pytest

from dialects.anthropic import MESSAGES
from models.chat import ChatResponse, FinishReason
from models.content import Inline, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from models.errors import ErrorKind, UpstreamError
from models.events import check, collect, replay
from models.json_types import Json, JsonObject
from models.usage import Usage
from tests.dialects.anthropic.support import context, decode, encode

ASKED: JsonObject = {"type": "adaptive"}
ANSWER: JsonObject = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "Par", "citations": [{"type": "x"}]},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1, "é"]}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 20,
        "cache_creation_input_tokens": 200,
        "cache_read_input_tokens": 1000,
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 40},
    },
}


def answer(*parts: Part, finish: FinishReason = FinishReason.STOP) -> ChatResponse:
    return ChatResponse("chatcmpl-1", "gpt-x", 1, parts, finish, None, Usage(3, 4))


def test_an_answer_is_read() -> None:
    assert MESSAGES.decode_response(ANSWER) == ChatResponse(
        "msg_1",
        "claude-x",
        0,
        (
            Reasoning("hm", "EqQB", "anthropic"),
            Reasoning("", origin="anthropic", redacted="d"),
            Text("Par", citations=({"type": "x"},)),
            Opaque(
                "messages",
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            ),
            ToolCall("toolu_1", "f", '{"a":[1,"é"]}'),
        ),
        FinishReason.TOOL_CALLS,
        None,
        Usage(20, 50, 1000, 200, 40),
    )


def test_reading_and_writing_again_changes_nothing() -> None:
    assert MESSAGES.encode_response(MESSAGES.decode_response(ANSWER), context()) == ANSWER


def test_a_replayed_answer_streams_to_the_same_answer() -> None:
    whole = MESSAGES.decode_response(ANSWER)
    events = check(replay(whole))
    assert collect(decode([encode(events, context(thinking=ASKED))])) == whole


@pytest.mark.parametrize(
    ("stop_reason", "content", "finish"),
    [
        ("end_turn", [], FinishReason.STOP),
        ("max_tokens", [], FinishReason.LENGTH),
        ("stop_sequence", [], FinishReason.STOP_SEQUENCE),
        ("pause_turn", [], FinishReason.PAUSE),
        ("refusal", [], FinishReason.REFUSAL),
        ("model_context_window_exceeded", [], FinishReason.CONTEXT_LENGTH),
        ("compaction", [], FinishReason.OTHER),
        (None, [], FinishReason.OTHER),
        ("tool_use", [], FinishReason.STOP),
        ("end_turn", [{"type": "tool_use", "id": "t", "name": "f"}], FinishReason.TOOL_CALLS),
        ("max_tokens", [{"type": "tool_use", "id": "t", "name": "f"}], FinishReason.LENGTH),
    ],
)
def test_stop_reasons(stop_reason: Json, content: Json, finish: FinishReason) -> None:
    read = MESSAGES.decode_response({**ANSWER, "content": content, "stop_reason": stop_reason})
    assert read.finish is finish


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({}, ErrorKind.UPSTREAM),
        ({"content": "x"}, ErrorKind.UPSTREAM),
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
            ErrorKind.OVERLOADED,
        ),
        ({"type": "error", "error": 7}, ErrorKind.UPSTREAM),
    ],
)
def test_what_is_no_answer_is_an_error_of_the_upstream(
    payload: JsonObject, kind: ErrorKind
) -> None:
    with pytest.raises(UpstreamError) as caught:
        MESSAGES.decode_response(payload)
    assert caught.value.kind is kind


def test_an_answer_nested_too_deeply_is_an_error_of_the_upstream() -> None:
    deep = orjson.loads(b"[" * 1000 + b"]" * 1000)
    block: JsonObject = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": deep}}
    with pytest.raises(UpstreamError):
        MESSAGES.decode_response({"content": [block]})
    with pytest.raises(UpstreamError):
        MESSAGES.decode_response({"error": {"message": "m", "x": deep}})


def test_blocks_of_a_careless_server_are_read_as_far_as_possible() -> None:
    blocks: Json = [{"type": "text"}, 7, {"type": "tool_use"}, {"type": 1}, {"type": "thinking"}]
    read = MESSAGES.decode_response({"content": blocks})
    assert read.parts == (
        Text(""),
        ToolCall("toolu_2", "tool_2", ""),
        Opaque("messages", {"type": 1}),
        Reasoning(""),
    )


@pytest.mark.parametrize(
    ("part", "blocks"),
    [
        (Text(""), []),
        (Reasoning(""), []),
        (Refusal("No."), [{"type": "text", "text": "No."}]),
        (Reasoning("hm"), [{"type": "thinking", "thinking": "hm", "signature": ""}]),
        (Opaque("chat", {}), []),
        (
            Media("image", Inline("image/png", "QUJD")),
            [{"type": "text", "text": "![image](data:image/png;base64,QUJD)"}],
        ),
    ],
)
def test_written_parts(part: Part, blocks: Json) -> None:
    written = MESSAGES.encode_response(answer(part), context(thinking=ASKED))
    assert written["content"] == blocks


def test_thinking_nobody_asked_for_is_left_out_unless_signed() -> None:
    parts = (Reasoning("hm"), Reasoning("ok", "blob", "openai"))
    content = MESSAGES.encode_response(answer(*parts), context())["content"]
    assert isinstance(content, list)
    assert [item["thinking"] for item in content if isinstance(item, dict)] == ["ok"]


@pytest.mark.parametrize(
    ("arguments", "finish", "given"),
    [
        ("", FinishReason.TOOL_CALLS, {}),
        ('{"a":1}', FinishReason.TOOL_CALLS, {"a": 1}),
        ('{"a":', FinishReason.TOOL_CALLS, {"_raw": '{"a":'}),
        ("[1]", FinishReason.TOOL_CALLS, {"_raw": "[1]"}),
        ('{"a":"b', FinishReason.LENGTH, {"a": "b"}),
        ('{"a":1,"b', FinishReason.LENGTH, {"a": 1}),
    ],
)
def test_arguments(arguments: str, finish: FinishReason, given: JsonObject) -> None:
    call = ToolCall("call_1", "f", arguments)
    written = MESSAGES.encode_response(answer(call, finish=finish), context())
    assert written["content"] == [{"type": "tool_use", "id": "call_1", "name": "f", "input": given}]


def test_an_empty_answer_is_whole() -> None:
    assert MESSAGES.encode_response(answer(), context()) == {
        "id": "msg_" + "r" * 24,
        "type": "message",
        "role": "assistant",
        "model": "gpt-x",
        "content": [],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 4,
        },
    }


def test_the_official_sdk_validates_a_written_answer() -> None:
    parts = (Reasoning("hm", "s", "anthropic"), Text("x"), ToolCall("c", "f", "{}"))
    written = MESSAGES.encode_response(answer(*parts, finish=FinishReason.REFUSAL), context())
    message = anthropic.types.Message.model_validate(written)
    assert [item.type for item in message.content] == ["thinking", "text", "tool_use"]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, Usage()),
        ([], Usage()),
        ({}, Usage()),
        ({"input_tokens": True, "output_tokens": "5", "cache_read_input_tokens": -1}, Usage()),
        (
            {"cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}},
            Usage(cache_write_tokens=5),
        ),
        ({"input_tokens": 0, "output_tokens": 1.5}, Usage(input_tokens=0)),
    ],
)
def test_usage_is_read_without_trust(usage: Json, expected: Usage) -> None:
    assert MESSAGES.read_usage({"usage": usage}) == expected
