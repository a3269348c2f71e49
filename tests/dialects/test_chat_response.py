"""Whole Chat answers, both directions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from dialects.base import ReplyContext
from dialects.openai_chat import CHAT
from models.chat import ChatRequest, ChatResponse, FinishReason
from models.content import Message, Reasoning, Refusal, Text, ToolCall
from models.errors import ErrorKind, UpstreamError
from models.json_types import Json, JsonObject
from models.usage import NO_USAGE, Usage


def context(*, is_legacy: bool = False) -> ReplyContext:
    request = ChatRequest(
        model="asked",
        stream=False,
        messages=(Message("user", (Text("Hi"),)),),
        legacy_functions=is_legacy,
    )
    return ReplyContext(request, "gw1", 1_760_000_000)


def body(message: Json, finish: Json = "stop", **rest: Json) -> JsonObject:
    choice: JsonObject = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "i", "model": "m", "created": 5, "choices": [choice], **rest}


def write(response: ChatResponse, *, is_legacy: bool = False) -> JsonObject:
    payload = CHAT.encode_response(response, context(is_legacy=is_legacy))
    ChatCompletion.model_validate(payload, strict=True)
    return payload


def message_of(payload: JsonObject) -> JsonObject:
    choices = payload["choices"]
    assert isinstance(choices, list)
    assert isinstance(choices[0], dict)
    message = choices[0]["message"]
    assert isinstance(message, dict)
    return message


def test_a_glm_answer_is_read() -> None:
    read = CHAT.decode_response(
        {
            "id": "2026",
            "request_id": "2026",
            "created": 1760000000,
            "model": "glm-5",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "tool_calls",
                    "message": {
                        "role": "assistant",
                        "content": "",
                        "reasoning_content": "Use tool.",
                        "tool_calls": [
                            {
                                "id": "call_1",
                                "index": 0,
                                "type": "function",
                                "function": {"name": "wx", "arguments": {"city": "Roma"}},
                            }
                        ],
                    },
                }
            ],
            "usage": {
                "prompt_tokens": 50,
                "completion_tokens": 20,
                "total_tokens": 70,
                "prompt_tokens_details": {"cached_tokens": 32},
                "completion_tokens_details": {"reasoning_tokens": 6},
            },
        }
    )
    assert read == ChatResponse(
        "2026",
        "glm-5",
        1760000000,
        (Reasoning("Use tool."), ToolCall("call_1", "wx", '{"city":"Roma"}')),
        FinishReason.TOOL_CALLS,
        usage=Usage(18, 20, 32, None, 6),
    )


def test_content_is_null_only_where_something_else_is() -> None:
    call = ToolCall("c", "f", "")
    empty = ChatResponse("i", "m", 0, (), FinishReason.STOP)
    assert message_of(write(empty)) == {"role": "assistant", "content": "", "refusal": None}
    called = ChatResponse("i", "m", 0, (call,), FinishReason.TOOL_CALLS)
    assert message_of(write(called)) == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ],
    }
    legacy = message_of(write(called, is_legacy=True))
    assert legacy["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in legacy
    refused = ChatResponse("i", "m", 0, (Refusal("no"),), FinishReason.REFUSAL)
    assert message_of(write(refused)) == {"role": "assistant", "content": None, "refusal": "no"}


def test_what_is_not_known_is_not_invented() -> None:
    payload = write(ChatResponse("", "", 0, (Text("x"),), FinishReason.STOP))
    assert "usage" not in payload
    assert (payload["model"], payload["created"]) == ("asked", 1_760_000_000)


def test_web_citations_become_annotations() -> None:
    citation: JsonObject = {
        "type": "web_search_result_location",
        "url": "https://x.test",
        "title": "X",
    }
    text = Text("cited", citations=(citation, {"type": "char_location"}))
    answer = ChatResponse("i", "m", 0, (Text("ab"), text), FinishReason.STOP)
    assert message_of(write(answer))["annotations"] == [
        {
            "type": "url_citation",
            "url_citation": {
                "url": "https://x.test",
                "title": "X",
                "start_index": 2,
                "end_index": 7,
            },
        }
    ]


def test_an_answer_survives_the_way_there_and_back() -> None:
    answer = ChatResponse(
        "chatcmpl-gw1",
        "m",
        5,
        (Reasoning("r"), Text("t"), Refusal("no"), ToolCall("c", "f", '{"a":1}')),
        FinishReason.TOOL_CALLS,
        usage=Usage(1, 2, 3, None, 4),
    )
    assert CHAT.decode_response(write(answer)) == answer


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"choices": []},
        {"choices": None},
        {"choices": "x"},
        {"choices": [7]},
        {"id": "x", "object": "list"},
    ],
)
def test_garbage_is_the_providers_failure(payload: JsonObject) -> None:
    with pytest.raises(UpstreamError) as caught:
        CHAT.decode_response(payload)
    assert caught.value.status == 502


def test_an_error_in_a_good_status_is_an_error() -> None:
    with pytest.raises(UpstreamError, match="no money") as caught:
        CHAT.decode_response({"code": 1113, "msg": "no money", "success": False})
    assert caught.value.vendor_code == "1113"
    with pytest.raises(UpstreamError) as lost:
        CHAT.decode_response(body({"content": "x"}, "network_error"))
    assert lost.value.kind is ErrorKind.UPSTREAM


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, NO_USAGE),
        ({"prompt_tokens": 9, "completion_tokens": 12}, Usage(9, 12)),
        ({"prompt_tokens": 9, "total_tokens": 21}, Usage(9, 12)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
            },
            Usage(3, 1, 4, 3),
        ),
        (
            {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 9}},
            Usage(0, None, 9),
        ),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}, Usage(5, None, 4)),
        ({"prompt_tokens": True, "completion_tokens": -1}, NO_USAGE),
        ({"prompt_tokens": "9", "completion_tokens": 2.0}, Usage(None, 2)),
        ({"prompt_tokens": 10**30}, NO_USAGE),
    ],
)
def test_usage_is_disjoint_and_believed_only_when_it_can_be(usage: Json, expected: Usage) -> None:
    assert CHAT.read_usage({"usage": usage}) == expected


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "content", "tool_calls", "function", "arguments", "id"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(["choices", "usage", "error", "id", "msg"]), JSON))
def test_any_answer_is_read_or_blamed_on_the_provider(payload: JsonObject) -> None:
    try:
        answer = CHAT.decode_response(payload)
    except UpstreamError:
        return
    write(answer)


@given(JSON, JSON)
def test_any_message_is_read_or_blamed_on_the_provider(message: Json, finish: Json) -> None:
    try:
        answer = CHAT.decode_response(body(message, finish))
    except UpstreamError:
        return
    write(answer)
