"""Every rule about whole answers."""

import json

import anthropic.types
import openai.types.chat
import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Dialect, ReplyContext
from dialects.openai_chat import CHAT
from models.chat import FinishReason
from models.errors import ErrorKind, UpstreamError
from models.json_types import Json, JsonObject
from models.profile import Profile
from tests.dialects.answers import (
    Answer,
    Call,
    chat_stream,
    chat_whole,
    seen_in_chat_stream,
    seen_in_messages_stream,
)
from tests.dialects.answers import messages_stream as as_messages_stream
from tests.dialects.answers import messages_whole as as_message

ID = "r" * 29
HI: JsonObject = {"role": "user", "content": "Hi"}


def context(client: Dialect, **fields: Json) -> ReplyContext:
    body: JsonObject = {"model": "alias", "max_tokens": 9, "messages": [HI], **fields}
    if client is CHAT:
        body["stream_options"] = {"include_usage": True}
    return ReplyContext(client.decode_request(body), ID, 1_750_000_000)


def message(payload: JsonObject, **fields: Json) -> anthropic.types.Message:
    """Return what a Messages client gets of a Chat provider's answer."""
    answer = CHAT.decode_response(payload)
    written = MESSAGES.encode_response(answer, context(MESSAGES, **fields))
    return anthropic.types.Message.model_validate(written)


def completion(payload: JsonObject, **fields: Json) -> openai.types.chat.ChatCompletion:
    """Return what a Chat client gets of a Messages provider's answer."""
    answer = MESSAGES.decode_response(payload)
    written = CHAT.encode_response(answer, context(CHAT, **fields))
    return openai.types.chat.ChatCompletion.model_validate(written)


def streamed(upstream: Dialect, client: Dialect, frames: list[bytes]) -> bytes:
    decoder, encoder = upstream.decoder(Profile("m")), client.encoder(context(client))
    events = [*decoder.feed(b"".join(frames)), *decoder.end()]
    return b"".join([encoder.encode(event) for event in events])


CALL = Call("c", "f", ("{}",))


@pytest.mark.parametrize(
    ("stop", "calls", "read", "told"),
    [
        ("end_turn", (), FinishReason.STOP, "stop"),
        ("stop_sequence", (), FinishReason.STOP_SEQUENCE, "stop"),
        ("max_tokens", (), FinishReason.LENGTH, "length"),
        ("max_tokens", (CALL,), FinishReason.LENGTH, "length"),
        ("model_context_window_exceeded", (), FinishReason.CONTEXT_LENGTH, "length"),
        ("tool_use", (CALL,), FinishReason.TOOL_CALLS, "tool_calls"),
        ("tool_use", (), FinishReason.STOP, "stop"),
        ("end_turn", (CALL,), FinishReason.TOOL_CALLS, "tool_calls"),
        ("refusal", (), FinishReason.REFUSAL, "content_filter"),
        ("pause_turn", (), FinishReason.PAUSE, "stop"),
        ("compaction", (), FinishReason.OTHER, "stop"),
        ("of tomorrow", (CALL,), FinishReason.TOOL_CALLS, "tool_calls"),
    ],
)
def test_why_claude_stopped(
    stop: str, calls: tuple[Call, ...], read: FinishReason, told: str
) -> None:
    answer = Answer(("x",), calls=calls, stop=stop, stop_sequence="END")
    assert MESSAGES.decode_response(as_message(answer)).finish is read
    assert completion(as_message(answer)).choices[0].finish_reason == told
    raw = streamed(MESSAGES, CHAT, as_messages_stream(answer))
    assert seen_in_chat_stream(raw).stop == told


@pytest.mark.parametrize(
    ("stop", "answer", "read", "told"),
    [
        ("stop", Answer(("x",)), FinishReason.STOP, "end_turn"),
        ("length", Answer(("x",)), FinishReason.LENGTH, "max_tokens"),
        ("length", Answer(calls=(CALL,)), FinishReason.LENGTH, "max_tokens"),
        ("tool_calls", Answer(calls=(CALL,)), FinishReason.TOOL_CALLS, "tool_use"),
        ("function_call", Answer(calls=(CALL,)), FinishReason.TOOL_CALLS, "tool_use"),
        ("tool_calls", Answer(("x",)), FinishReason.STOP, "end_turn"),
        ("stop", Answer(calls=(CALL,)), FinishReason.TOOL_CALLS, "tool_use"),
        ("content_filter", Answer(("x",)), FinishReason.CONTENT_FILTER, "refusal"),
        ("sensitive", Answer(), FinishReason.CONTENT_FILTER, "refusal"),
        ("stop", Answer(refusal=("no",)), FinishReason.REFUSAL, "refusal"),
        (
            "model_context_window_exceeded",
            Answer(("x",)),
            FinishReason.CONTEXT_LENGTH,
            "model_context_window_exceeded",
        ),
        ("eos", Answer(("x",)), FinishReason.OTHER, "end_turn"),
    ],
)
def test_why_a_chat_model_stopped(stop: str, answer: Answer, read: FinishReason, told: str) -> None:
    answer = Answer(answer.text, calls=answer.calls, refusal=answer.refusal, stop=stop)
    assert CHAT.decode_response(chat_whole(answer)).finish is read
    assert message(chat_whole(answer)).stop_reason == told
    raw = streamed(CHAT, MESSAGES, chat_stream(answer))
    assert seen_in_messages_stream(raw).stop == told


def test_a_network_error_of_glm_is_an_error_and_no_answer() -> None:
    answer = Answer(("x",), stop="network_error")
    with pytest.raises(UpstreamError) as caught:
        CHAT.decode_response(chat_whole(answer))
    assert (caught.value.kind, caught.value.retryable) == (ErrorKind.UPSTREAM, True)
    told = seen_in_messages_stream(streamed(CHAT, MESSAGES, chat_stream(answer)))
    assert told.error is not None
    assert told.error["type"] == "api_error"
    sniffer = CHAT.sniffer(hide_usage=False)
    sniffer.feed(b"".join(chat_stream(answer)[:-1]))
    assert sniffer.error is not None
    assert not sniffer.finished


def test_a_refusal_keeps_its_words_both_ways() -> None:
    refused = message(chat_whole(Answer(refusal=("I ", "can't"))))
    assert [block.model_dump(exclude_none=True) for block in refused.content] == [
        {"type": "text", "text": "I can't"}
    ]
    assert refused.stop_details is not None
    assert refused.stop_details.explanation == "I can't"
    usage: JsonObject = {"input_tokens": 5, "output_tokens": 2}
    told = completion(as_message(Answer(stop="refusal", usage=usage)))
    choice = told.choices[0]
    assert (choice.finish_reason, choice.message.content) == ("content_filter", "")
    assert told.usage is not None
    assert (told.usage.prompt_tokens, told.usage.completion_tokens) == (5, 2)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"input_tokens": 20, "cache_read_input_tokens": 1000,
             "cache_creation_input_tokens": 200, "output_tokens": 50},
            {"prompt_tokens": 1220, "completion_tokens": 50, "total_tokens": 1270,
             "prompt_tokens_details": {"cached_tokens": 1000}},
        ),
        (
            {"input_tokens": 3, "output_tokens": 9,
             "output_tokens_details": {"thinking_tokens": 4}},
            {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12,
             "completion_tokens_details": {"reasoning_tokens": 4}},
        ),
        ({"output_tokens": 0}, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
        ({}, None),
    ],
)  # fmt: skip
def test_tokens_of_claude(given: JsonObject, expected: JsonObject | None) -> None:
    usage = completion(as_message(Answer(("x",), usage=given))).usage
    assert (usage.model_dump(exclude_none=True) if usage else None) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"prompt_tokens": 1220, "completion_tokens": 50,
             "prompt_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 200},
             "completion_tokens_details": {"reasoning_tokens": 40}},
            (20, 200, 1000, 50),
        ),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9},
          "completion_tokens": 1}, (0, 0, 9, 1)),
        ({"prompt_tokens": 5, "total_tokens": 7}, (5, 0, 0, 2)),
        ({"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": None},
         (5, 0, 0, 1)),
        ({}, (0, 0, 0, 0)),
    ],
)  # fmt: skip
def test_tokens_of_a_chat_model(given: JsonObject, expected: tuple[int, ...]) -> None:
    usage = message(chat_whole(Answer(("x",), usage=given))).usage
    assert (
        usage.input_tokens,
        usage.cache_creation_input_tokens,
        usage.cache_read_input_tokens,
        usage.output_tokens,
    ) == expected


@pytest.mark.parametrize(
    ("arguments", "stop", "given"),
    [
        ("", "tool_calls", {}),
        ('{"a":1}', "tool_calls", {"a": 1}),
        ('{"a":', "tool_calls", {"_raw": '{"a":'}),
        ('{"a":"b', "length", {"a": "b"}),
        ('{"a":[1,{"b":2', "length", {"a": [1, {"b": 2}]}),
        ("nonsense", "length", {"_raw": "nonsense"}),
        ("[1]", "tool_calls", {"_raw": "[1]"}),
        ('"x"', "tool_calls", {"_raw": '"x"'}),
    ],
)
def test_arguments_of_a_chat_model(arguments: str, stop: str, given: JsonObject) -> None:
    calls = (Call("c", "f", (arguments,)),)
    (block,) = message(chat_whole(Answer(calls=calls, stop=stop))).content
    assert isinstance(block, anthropic.types.ToolUseBlock)
    assert block.input == given


def test_arguments_that_came_as_an_object() -> None:
    payload = chat_whole(Answer(calls=(CALL,), stop="tool_calls"))
    said = json.dumps(payload).replace('"{}"', '{"z": 1, "é": [true]}')
    (block,) = message(json.loads(said)).content
    assert isinstance(block, anthropic.types.ToolUseBlock)
    assert json.dumps(block.input, ensure_ascii=False) == '{"z": 1, "é": [true]}'


def test_an_empty_answer_is_one() -> None:
    assert message(chat_whole(Answer())).content == []
    assert message(chat_whole(Answer())).stop_reason == "end_turn"
    empty = completion(as_message(Answer(stop="end_turn"))).choices[0]
    assert (empty.message.content, empty.finish_reason) == ("", "stop")


def test_ids_models_and_times() -> None:
    told = completion(as_message(Answer(("x",), stop="end_turn")))
    assert (told.id, told.model, told.created) == (
        f"chatcmpl-{ID}",
        "upstream-model",
        1_750_000_000,
    )
    assert message(chat_whole(Answer(("x",)))).id == "msg_" + "r" * 24
    odd = message(chat_whole(Answer(calls=(Call("fc:1/é", "f"),), stop="tool_calls")))
    block = odd.content[0]
    assert isinstance(block, anthropic.types.ToolUseBlock)
    assert block.id.isascii()
    assert block.id.replace("_", "").isalnum()


def test_who_asked_with_functions_is_answered_with_one() -> None:
    functions: Json = [{"name": "f"}]
    told = completion(
        as_message(Answer(calls=(CALL,), stop="tool_use")), functions=functions
    ).choices[0]
    assert told.message.function_call is not None
    assert (told.message.function_call.name, told.message.function_call.arguments) == ("f", "{}")
    assert (told.finish_reason, told.message.tool_calls) == ("function_call", None)


def test_citations_of_web_pages_are_annotations() -> None:
    web: JsonObject = {"type": "web_search_result_location", "url": "https://x.test", "title": "T"}
    other: JsonObject = {"type": "char_location", "cited_text": "x"}
    content: Json = [
        {"type": "text", "text": "é1 "},
        {"type": "text", "text": "two", "citations": [web, other]},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
    ]
    told = completion({**as_message(Answer(stop="end_turn")), "content": content}).choices[0]
    assert told.message.content == "é1 two"
    assert [one.model_dump() for one in told.message.annotations or ()] == [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": 3,
                "end_index": 6,
                "title": "T",
                "url": "https://x.test",
            },
        }
    ]
    assert told.logprobs is None


@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        ({}, ["text"]),
        ({"thinking": {"type": "disabled"}}, ["text"]),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, ["text"]),
        ({"thinking": {"type": "adaptive"}}, ["thinking", "text"]),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, ["thinking", "text"]),
    ],
)
def test_thinking_is_shown_to_who_asked(asked: JsonObject, kinds: list[str]) -> None:
    answer = message(chat_whole(Answer(("x",), ("t",))), **asked)
    assert [block.type for block in answer.content] == kinds
    shown = completion(as_message(Answer(("x",), ("t",), stop="end_turn"))).choices[0].message
    assert shown.model_extra is not None
    assert shown.model_extra["reasoning_content"] == "t"
