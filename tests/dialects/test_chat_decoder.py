"""Streams of Chat servers, good and odd, read into events."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.openai_chat import CHAT
from models.chat import ChatResponse, FinishReason
from models.content import Part, Reasoning, Refusal, Text, ToolCall
from models.errors import ErrorKind, StreamBroken, UpstreamError
from models.events import Event, Failed, PartEnd, PartStart, check, collect
from models.json_types import Json, JsonObject
from models.profile import Profile
from models.usage import Usage

DONE = b"data: [DONE]\n\n"


def chunk(delta: Json = None, finish: str | None = None, **rest: Json) -> bytes:
    choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": finish}
    payload = {"id": "i", "created": 5, "model": "m", "choices": [choice], **rest}
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def tool(index: int | None = 0, **fields: Json) -> JsonObject:
    function: JsonObject = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    entry: JsonObject = {**fields, "function": function}
    return entry if index is None else {"index": index, **entry}


def calls(*entries: Json) -> JsonObject:
    return {"tool_calls": list(entries)}


def events_of(*frames: bytes, vendor: str = "") -> list[Event]:
    decoder = CHAT.decoder(Profile("m", vendor=vendor))
    return check([*decoder.feed(b"".join(frames)), *decoder.end()])


def answer(*frames: bytes) -> ChatResponse:
    return collect(events_of(*frames))


def parts(*frames: bytes) -> tuple[Part, ...]:
    return answer(*frames, chunk({}, "stop"), DONE).parts


def failure(*frames: bytes) -> UpstreamError:
    last = events_of(*frames)[-1]
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamError)
    return last.error


def test_a_plain_answer() -> None:
    usage: Json = {
        "prompt_tokens": 40,
        "completion_tokens": 30,
        "total_tokens": 70,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    read = answer(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        b'data: {"id":"i","choices":[],"usage":' + json.dumps(usage).encode() + b"}\n\n",
        DONE,
    )
    assert read == ChatResponse(
        "i",
        "m",
        5,
        (Text("Hello"),),
        FinishReason.STOP,
        usage=Usage(32, 30, 8, None, 4),
    )


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_reasoning_comes_first_and_knows_its_origin(key: str) -> None:
    events = events_of(
        chunk({key: "h"}),
        chunk({key: "m", "content": ""}),
        chunk({"content": "A", key: None}),
        chunk({}, "stop"),
        DONE,
        vendor="glm",
    )
    assert collect(events).parts == (Reasoning("hm", origin="glm"), Text("A"))


def test_content_as_a_list_and_refusals_are_read() -> None:
    assert parts(chunk({"content": [{"type": "text", "text": "a"}]}), chunk({"refusal": "no"})) == (
        Text("a"),
        Refusal("no"),
    )
    read = answer(chunk({"refusal": "no"}), chunk({}, "stop"), DONE)
    assert read.finish is FinishReason.REFUSAL


def test_two_calls_one_after_the_other() -> None:
    read = answer(
        chunk({"content": "Ok"}),
        chunk(calls(tool(0, id="c1", type="function", name="wx", arguments=""))),
        chunk(calls(tool(0, arguments='{"city":'))),
        chunk(calls(tool(0, arguments='"Roma"}'))),
        chunk(calls(tool(1, id="c2", name="wx", arguments=""))),
        chunk(calls(tool(1, arguments='{"city":"Oslo"}'))),
        chunk({}, "tool_calls"),
        DONE,
    )
    assert read.parts == (
        Text("Ok"),
        ToolCall("c1", "wx", '{"city":"Roma"}'),
        ToolCall("c2", "wx", '{"city":"Oslo"}'),
    )
    assert read.finish is FinishReason.TOOL_CALLS


def test_calls_that_take_turns_are_put_in_sequence() -> None:
    assert parts(
        chunk(calls(tool(0, id="a", name="f", arguments='{"x"'))),
        chunk(calls(tool(1, id="b", name="g", arguments='{"y"'))),
        chunk(calls(tool(0, arguments=":1}"))),
        chunk({"content": "said"}),
        chunk(calls(tool(1, arguments=":2}"))),
    ) == (ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", '{"y":2}'), Text("said"))


def test_a_call_streams_before_it_is_complete_and_ends_when_another_begins() -> None:
    decoder = CHAT.decoder(Profile("m"))
    first = decoder.feed(chunk(calls(tool(0, id="a", name="f", arguments='{"x":1'))))
    assert any(isinstance(event, PartStart) for event in first)
    assert not any(isinstance(event, PartEnd) for event in first)
    assert not decoder.feed(chunk(calls(tool(1, id="b", name="g", arguments="{"))))
    then = decoder.feed(chunk(calls(tool(0, arguments="}"))))
    assert [type(event).__name__ for event in then] == [
        "Delta",
        "PartEnd",
        "PartStart",
        "Delta",
    ]


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(
            [
                calls(tool(0, id="a", name="f", arguments="")),
                calls(tool(0, id="a", name="", arguments='{"x"')),
                calls(tool(0, id="a", name="f", arguments=":1}")),
            ],
            id="id and name repeated",
        ),
        pytest.param(
            [calls(tool(None, id="a", name="f", arguments={"x": 1}))], id="no index, an object"
        ),
        pytest.param(
            [
                calls(tool(0, id="a", arguments="")),
                calls(tool(0, arguments='{"x":1}')),
                calls(tool(0, name="f")),
            ],
            id="name last",
        ),
        pytest.param(
            [calls(tool(0, name="f", arguments='{"x":')), calls(tool(0, id="a", arguments="1}"))],
            id="id last",
        ),
    ],
)
def test_odd_fragments_give_the_same_call(frames: list[JsonObject]) -> None:
    assert parts(*map(chunk, frames)) == (ToolCall("a", "f", '{"x":1}'),)


@pytest.mark.parametrize("index", [0, None])
def test_a_new_id_under_the_same_index_is_a_new_call(index: int | None) -> None:
    assert parts(
        chunk(calls(tool(index, id="a", name="f", arguments="{}"))),
        chunk(calls(tool(index, id="b", name="f", arguments="{}"))),
    ) == (ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}"))


def test_all_calls_in_one_chunk_without_index_are_told_apart() -> None:
    entries = [tool(None, id=name, name=name, arguments="{}") for name in "ab"]
    assert parts(chunk(calls(*entries))) == (ToolCall("a", "a", "{}"), ToolCall("b", "b", "{}"))


def test_calls_without_ids_and_names_get_their_own() -> None:
    read = parts(
        chunk(calls(tool(0, arguments="{}"))), chunk(calls(tool(1, name="g", arguments="{}")))
    )
    made = [part for part in read if isinstance(part, ToolCall)]
    assert [one.name for one in made] == ["tool_0", "g"]
    assert len({one.id for one in made}) == 2
    assert all(one.id.startswith("call_") and len(one.id) <= 40 for one in made)


def test_one_id_for_two_calls_is_told_apart() -> None:
    read = parts(
        chunk(calls(tool(0, id="a", name="f", arguments="{}"))),
        chunk(calls(tool(1, id="a", name="f", arguments="{}"))),
    )
    assert [part.id for part in read if isinstance(part, ToolCall)] == ["a", "a_2"]


def test_a_legacy_function_call_is_a_call() -> None:
    read = answer(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": '{"a":1}'}}),
        chunk({}, "function_call"),
        DONE,
    )
    assert isinstance(read.parts[0], ToolCall)
    assert (read.parts[0].name, read.parts[0].arguments) == ("f", '{"a":1}')
    assert read.finish is FinishReason.TOOL_CALLS


@pytest.mark.parametrize(
    ("finish", "has_call", "reason"),
    [
        ("stop", True, FinishReason.TOOL_CALLS),
        ("tool_calls", False, FinishReason.STOP),
        ("length", True, FinishReason.LENGTH),
        ("sensitive", False, FinishReason.CONTENT_FILTER),
        ("content_filter", False, FinishReason.CONTENT_FILTER),
        ("model_context_window_exceeded", False, FinishReason.CONTEXT_LENGTH),
        ("eos", False, FinishReason.OTHER),
    ],
)
def test_finish_reasons(finish: str, has_call: bool, reason: FinishReason) -> None:
    call = calls(tool(0, id="a", name="f", arguments="{}"))
    text: JsonObject = {"content": "x"}
    assert answer(chunk(call if has_call else text), chunk({}, finish), DONE).finish is reason


def test_usage_on_the_finish_chunk_and_chunks_without_choices_are_read() -> None:
    usage: JsonObject = {"prompt_tokens": 5, "completion_tokens": 2}
    read = answer(
        chunk({"content": "x"}),
        b'data: {"choices":null}\n\n',
        b'data: {"prompt_filter_results":[]}\n\n',
        chunk(None, "stop", usage=usage),
        DONE,
    )
    assert read.usage == Usage(5, 2)


def test_a_missing_end_marker_is_fine_after_the_finish_reason() -> None:
    assert answer(chunk({"content": "x"}), chunk({}, "stop")).parts == (Text("x"),)
    # The last frame even without its blank line.
    assert answer(chunk({"content": "x"}), chunk({}, "stop").rstrip()).parts == (Text("x"),)


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b": comment\n\n"],
        [DONE],
        [chunk({"content": "x"})],
        [chunk({"content": "x"}), chunk({}, "stop")[:-20]],
    ],
)
def test_a_stream_that_breaks_off_fails(frames: list[bytes]) -> None:
    error = failure(*frames)
    assert isinstance(error, StreamBroken)
    assert error.kind is ErrorKind.TRUNCATED


@pytest.mark.parametrize(
    ("data", "kind", "code"),
    [
        (
            b'{"error":{"message":"slow","type":"rate_limit_error","code":null}}',
            ErrorKind.RATE_LIMIT,
            None,
        ),
        (b'{"error":{"code":"1305","message":"busy"}}', ErrorKind.UPSTREAM, "1305"),
        (b'{"code":1113,"msg":"no money","success":false}', ErrorKind.UPSTREAM, "1113"),
        (b'{"error":"boom"}', ErrorKind.UPSTREAM, None),
    ],
)
def test_an_error_in_the_stream_ends_it(data: bytes, kind: ErrorKind, code: str | None) -> None:
    error = failure(chunk({"content": "x"}), b"data: " + data + b"\n\n", chunk({}, "stop"), DONE)
    assert (error.kind, error.vendor_code) == (kind, code)
    assert error.upstream_body == data


def test_a_network_error_is_no_finish() -> None:
    error = failure(chunk({"content": "x"}), chunk({}, "network_error"), DONE)
    assert error.vendor_code == "network_error"
    assert error.kind is ErrorKind.UPSTREAM


def test_garbage_fails_and_nothing_follows() -> None:
    decoder = CHAT.decoder(Profile("m"))
    events = decoder.feed(b"data: <html>\n\n" + chunk({"content": "x"}))
    assert len(events) == 1
    assert isinstance(events[0], Failed)
    assert decoder.feed(DONE) == []
    assert decoder.end() == []


def test_surrogate_halves_are_joined_and_a_lone_one_never_leaves() -> None:
    first, second = chunk({"content": "a\ud83d"}), chunk({"content": "\ude00b"})
    assert b"\\ud83d" in first
    assert parts(first, second) == (Text("a\U0001f600b"),)
    assert parts(first) == (Text("a\ufffd"),)


STREAM = b"".join(
    [
        b": OPENROUTER PROCESSING\r\n\r\n",
        chunk({"role": "assistant", "content": "", "reasoning_content": "hm \u00fc"}),
        chunk({"content": "\u2028 \U0001f600 \ud83d"}),
        chunk({"content": "\ude00"}),
        chunk(calls(tool(0, name="f", arguments='{"a"'))),
        chunk(calls(tool(1, id="b", name="g", arguments='{"\u00e9":1}'))).replace(b"\n", b"\r\n"),
        chunk(calls(tool(0, arguments=":1}"))),
        chunk({}, "tool_calls", usage={"prompt_tokens": 1, "completion_tokens": 1}),
        DONE,
    ]
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_the_cuts_of_the_network_do_not_matter(cuts: list[int]) -> None:
    edges = sorted({0, len(STREAM), *cuts})
    decoder = CHAT.decoder(Profile("m"))
    events: list[Event] = []
    for start, end in itertools.pairwise(edges):
        events.extend(decoder.feed(STREAM[start:end]))
    events.extend(decoder.end())
    whole = answer(STREAM)
    assert collect(check(events)) == whole
    assert [type(part) for part in whole.parts] == [Reasoning, Text, ToolCall, ToolCall]


def test_every_single_byte_cut_gives_the_same_answer() -> None:
    decoder = CHAT.decoder(Profile("m"))
    events = [event for byte in STREAM for event in decoder.feed(bytes([byte]))]
    assert collect(check([*events, *decoder.end()])) == answer(STREAM)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "index",
                    "name",
                    "arguments",
                    "function",
                    "content",
                    "text",
                    "code",
                    "message",
                    "usage",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional=dict.fromkeys(
                (
                    "content",
                    "reasoning_content",
                    "reasoning_details",
                    "refusal",
                    "tool_calls",
                    "function_call",
                ),
                JSON,
            ),
        ),
        max_size=4,
    ),
    JSON,
    JSON,
)
def test_whatever_a_chunk_holds_the_grammar_is_kept(
    deltas: list[JsonObject], finish: Json, odd: Json
) -> None:
    frames = [chunk(delta, usage=odd) for delta in deltas]
    choice: JsonObject = {"index": 0, "delta": odd, "finish_reason": finish}
    last = json.dumps({"choices": [choice, odd], "created": odd}).encode()
    events = events_of(*frames, b"data: " + last + b"\n\n", DONE)
    for event in events:
        repr(event).encode()


@given(st.lists(st.binary(max_size=40) | st.just(b"data: {}\n\n"), max_size=6))
def test_garbage_of_any_kind_never_raises(pieces: list[bytes]) -> None:
    events_of(*pieces)
