"""Events written as a Chat stream, read back by the official SDK's types."""

import json

from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from dialects.base import ReplyContext
from dialects.openai_chat import CHAT
from models.chat import ChatRequest, ChatResponse, FinishReason
from models.content import Message, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from models.errors import ErrorKind, UpstreamError
from models.events import Delta, Event, Failed, Finish, PartEnd, PartStart, Start, collect, replay
from models.json_types import JsonObject
from models.profile import Profile
from models.usage import Usage


def context(*, include_usage: bool = True, is_legacy: bool = False) -> ReplyContext:
    request = ChatRequest(
        model="asked",
        stream=True,
        messages=(Message("user", (Text("Hi"),)),),
        include_usage=include_usage,
        legacy_functions=is_legacy,
    )
    return ReplyContext(request, "r" * 24, 1_760_000_000)


def written(events: list[Event], how: ReplyContext | None = None) -> bytes:
    encoder = CHAT.encoder(how or context())
    return b"".join(encoder.encode(event) for event in events)


def chunks(stream: bytes) -> list[JsonObject]:
    frames = stream.decode().split("\n\n")
    assert frames[-1] == ""
    return [json.loads(frame[6:]) for frame in frames[:-1] if frame != "data: [DONE]"]


def deltas(stream: bytes) -> list[JsonObject]:
    found = []
    for one in chunks(stream):
        choices = one["choices"]
        assert isinstance(choices, list)
        for choice in choices:
            assert isinstance(choice, dict)
            assert isinstance(choice["delta"], dict)
            found.append(choice["delta"])
    return found


def told(*parts: Part, finish: FinishReason = FinishReason.STOP, usage: Usage) -> list[Event]:
    return list(replay(ChatResponse("up", "um", 7, parts, finish, usage=usage)))


def test_an_answer_with_everything() -> None:
    events = told(
        Reasoning("hm"),
        Text("Ok"),
        ToolCall("c1", "f", '{"a":1}'),
        Opaque("messages", {"type": "x"}),
        ToolCall("c2", "g", ""),
        finish=FinishReason.TOOL_CALLS,
        usage=Usage(20, 50, 1000, 200, 40),
    )
    stream = written(events)
    assert stream.endswith(b"data: [DONE]\n\n")
    assert deltas(stream) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"content": "Ok"},
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "f", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":1}'}}]},
        {
            "tool_calls": [
                {
                    "index": 1,
                    "id": "c2",
                    "type": "function",
                    "function": {"name": "g", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]
    last = chunks(stream)[-1]
    assert last["choices"] == []
    assert last["usage"] == {
        "prompt_tokens": 1220,
        "completion_tokens": 50,
        "total_tokens": 1270,
        "prompt_tokens_details": {"cached_tokens": 1000},
        "completion_tokens_details": {"reasoning_tokens": 40},
    }
    assert {(c["id"], c["created"], c["model"], c["object"]) for c in chunks(stream)} == {
        ("chatcmpl-" + "r" * 24, 7, "um", "chat.completion.chunk")
    }
    for one in chunks(stream):
        ChatCompletionChunk.model_validate(one, strict=True)


def test_usage_is_told_only_to_who_asked() -> None:
    events = told(Text("Ok"), usage=Usage(1, 2))
    stream = written(events, context(include_usage=False))
    assert all("usage" not in one for one in chunks(stream))
    asked = chunks(written(events))
    assert [one["usage"] for one in asked[:-1]] == [None] * (len(asked) - 1)
    unknown = chunks(written(told(Text("Ok"), usage=Usage())))
    assert unknown[-1]["choices"] != []


def test_a_legacy_client_gets_one_function_call() -> None:
    events = told(
        ToolCall("c1", "f", '{"a":1}'),
        ToolCall("c2", "g", "{}"),
        finish=FinishReason.TOOL_CALLS,
        usage=Usage(),
    )
    stream = written(events, context(is_legacy=True))
    assert deltas(stream) == [
        {"role": "assistant", "content": ""},
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": '{"a":1}'}},
        {},
    ]
    assert b'"finish_reason":"function_call"' in stream


def test_a_refusal_has_its_own_field_or_is_filtered_content() -> None:
    field = written(told(Refusal("no"), finish=FinishReason.REFUSAL, usage=Usage()))
    assert {"refusal": "no"} in deltas(field)
    assert b'"finish_reason":"stop"' in field
    plain = written(told(Text("no"), finish=FinishReason.REFUSAL, usage=Usage()))
    assert b'"finish_reason":"content_filter"' in plain


def test_a_broken_answer_ends_with_an_error_and_without_end_marker() -> None:
    error = UpstreamError("the line to sk-live-123456789 is dead", kind=ErrorKind.TRUNCATED)
    encoder = CHAT.encoder(context())
    encoder.encode(Start("u", "m"))
    frame = encoder.encode(Failed(error))
    assert json.loads(frame.removeprefix(b"data: ")) == {
        "error": {
            "message": "the line to *** is dead",
            "type": "server_error",
            "param": None,
            "code": "upstream_truncated",
        }
    }
    assert encoder.encode(Delta("x")) == b""
    assert encoder.encode(Finish(FinishReason.STOP)) == b""


def test_an_answer_without_parts_is_whole_too() -> None:
    stream = written(told(usage=Usage()))
    assert deltas(stream) == [{"role": "assistant", "content": ""}, {}]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PARTS = st.lists(
    st.builds(Text, TEXT)
    | st.builds(Reasoning, TEXT)
    | st.builds(Refusal, TEXT)
    | st.builds(ToolCall, st.text("ab", min_size=1, max_size=3), TEXT, TEXT),
    max_size=5,
)


@given(PARTS, st.sampled_from(FinishReason), st.booleans(), st.booleans())
def test_every_chunk_fits_the_official_types(
    parts: list[Part], finish: FinishReason, include_usage: bool, is_legacy: bool
) -> None:
    how = context(include_usage=include_usage, is_legacy=is_legacy)
    stream = written(told(*parts, finish=finish, usage=Usage(1, 2)), how)
    for one in chunks(stream):
        read = ChatCompletionChunk.model_validate(one, strict=True)
        for choice in read.choices:
            for call in choice.delta.tool_calls or []:
                assert (call.id is None) or (call.function is not None and call.type == "function")


@given(st.lists(TEXT, max_size=5), st.lists(TEXT, max_size=3))
def test_what_is_written_reads_as_what_was_meant(texts: list[str], arguments: list[str]) -> None:
    events: list[Event] = [Start("u", "m", 3), PartStart(Text(""))]
    events += [Delta(text) for text in texts]
    events += [PartEnd(), PartStart(ToolCall("c", "f", ""))]
    events += [Delta(text) for text in arguments]
    events += [PartEnd(), Finish(FinishReason.TOOL_CALLS, usage=Usage(1, 2))]
    decoder = CHAT.decoder(Profile("m"))
    read = collect([*decoder.feed(written(events)), *decoder.end()])
    said = "".join(texts)
    expected: tuple[Part, ...] = (ToolCall("c", "f", "".join(arguments) or "{}"),)
    assert read.parts == ((Text(said),) if said else ()) + expected
    assert read.usage == Usage(1, 2)
