"""Streams of Google's, read as events."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.gemini import GEMINI
from models.chat import FinishReason
from models.content import Inline, Media, Opaque, Part, Reasoning, Text, ToolCall
from models.errors import ErrorKind, StreamBroken, UpstreamError
from models.events import (
    Delta,
    Event,
    Failed,
    Finish,
    PartEnd,
    PartStart,
    Progress,
    Start,
    collect,
)
from models.json_types import Json, JsonObject
from models.usage import Usage
from tests.dialects.gemini.support import CLAUDE, answer, content, decode, stream, usage

FIRST = {"promptTokenCount": 30, "totalTokenCount": 30}
LAST = {
    "promptTokenCount": 30,
    "cachedContentTokenCount": 10,
    "candidatesTokenCount": 9,
    "thoughtsTokenCount": 12,
    "totalTokenCount": 51,
}
CALL: JsonObject = {"functionCall": {"id": "fc1", "name": "wx", "args": {"city": "Köln"}}}
WHOLE = stream(
    answer({"text": "Need ", "thought": True}, **usage(**FIRST)),
    answer({"text": "weather.", "thought": True}, **usage(**FIRST)),
    answer({"text": "Grüße "}),
    answer({"text": "\U0001f600"}),
    answer({**CALL, "thoughtSignature": "-_8="}),
    answer({"text": ""}, finishReason="STOP", **usage(**LAST)),
)
BEFORE, AFTER = Usage(30, 0), Usage(20, 21, 10, None, 12)


def test_a_stream_is_read_as_events() -> None:
    assert decode([WHOLE]) == [
        Start("r1", "gm"),
        PartStart(Reasoning("", origin="gemini")),
        Delta("Need "),
        Progress(BEFORE),
        Delta("weather."),
        PartEnd(),
        PartStart(Text("")),
        Delta("Grüße "),
        Delta("\U0001f600"),
        PartEnd(),
        PartStart(ToolCall("fc1", "wx", "", signature="+/8=", origin="gemini")),
        Delta('{"city":"Köln"}'),
        PartEnd(),
        Progress(AFTER),
        Finish(FinishReason.TOOL_CALLS, usage=AFTER),
    ]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
def test_same_events_for_a_split_at_every_byte(line_end: bytes) -> None:
    raw = WHOLE.replace(b"\r\n", line_end)
    expected = decode([WHOLE])
    for cut in range(len(raw) + 1):
        assert decode([raw[:cut], raw[cut:]]) == expected


@given(st.lists(st.integers(0, len(WHOLE)), max_size=8))
def test_events_do_not_depend_on_the_chunks(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(WHOLE)]
    assert decode(WHOLE[a:b] for a, b in itertools.pairwise(edges)) == decode([WHOLE])


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert decode([WHOLE.rstrip()]) == decode([WHOLE])


def parts_of(*answers: JsonObject) -> tuple[Part, ...]:
    ended = stream(*answers, answer(finishReason="STOP"))
    return collect(decode([ended])).parts


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([{"text": ""}], ()),
        ([{}], ()),
        ([{"text": "a"}, {"text": "b"}], (Text("ab"),)),
        (
            [{"thought": True, "text": "t"}, {"text": "b"}],
            (Reasoning("t", None, "gemini"), Text("b")),
        ),
        (
            [{"thought": True, "text": "t"}, {"thought": True, "thoughtSignature": "QUJD"}],
            (Reasoning("t", "QUJD", "gemini"),),
        ),
        (
            [
                {"thought": True, "text": "t", "thoughtSignature": "QUJD"},
                {"thought": True, "text": "u"},
            ],
            (Reasoning("t", "QUJD", "gemini"), Reasoning("u", None, "gemini")),
        ),
        ([{"thought": True, "thoughtSignature": "QUJD"}], (Reasoning("", "QUJD", "gemini"),)),
        ([{"text": "a", "thoughtSignature": "QUJD"}], (Text("a"),)),
        ([{"text": "", "thoughtSignature": "QUJD"}], ()),
        (
            [{"inlineData": {"mimeType": "image/png", "data": "-_8"}}],
            (Media("image", Inline("image/png", "+/8=")),),
        ),
        ([{"inlineData": {"mimeType": "image/png", "data": "QUJD"}, "thought": True}], ()),
        (
            [{"executableCode": {"code": "1"}}],
            (Opaque("gemini", {"executableCode": {"code": "1"}}),),
        ),
        ([{"functionCall": {"id": "c", "name": "f"}}], (ToolCall("c", "f", ""),)),
        ([{"functionCall": {"id": "c", "name": "f", "args": {}}}], (ToolCall("c", "f", "{}"),)),
    ],
)  # fmt: skip
def test_parts(parts: list[JsonObject], expected: tuple[Part, ...]) -> None:
    assert parts_of(answer(*parts)) == expected
    assert parts_of(*(answer(part) for part in parts)) == expected


def test_calls_without_ids_get_their_own_whatever_the_cut() -> None:
    call: JsonObject = {"functionCall": {"name": "f", "args": {"a": 1}}}
    together, apart = parts_of(answer(call, call)), parts_of(answer(call), answer(call))
    assert together == apart
    first, second = together
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert first.id.startswith("call_")
    assert len(first.id) < 40
    assert first.id != second.id
    other = collect(decode([stream(answer(call, responseId="r2", finishReason="STOP"))])).parts[0]
    assert isinstance(other, ToolCall)
    assert other.id not in (first.id, second.id)


def test_an_id_that_comes_twice_is_made_another() -> None:
    call: JsonObject = {"functionCall": {"id": "c", "name": "f", "args": {}}}
    ids = [part.id for part in parts_of(answer(call, call)) if isinstance(part, ToolCall)]
    assert ids[0] == "c"
    assert ids[1] != "c"


def test_claudes_signature_comes_behind_its_thought() -> None:
    raw = stream(
        answer({"text": "hm", "thought": True}),
        answer({"text": "", "thought": True, "thoughtSignature": "EqQB"}),
        answer({"text": "Par"}, finishReason="STOP"),
    )
    assert collect(decode([raw], CLAUDE)).parts == (
        Reasoning("hm", "EqQB", "claude-ca"),
        Text("Par"),
    )


def test_half_a_character_waits_for_its_other_half() -> None:
    raw = stream(answer({"text": "X"}), answer({"text": "Y"}, finishReason="STOP"))
    cut = raw.replace(b'"X"', rb'"X\ud83d"').replace(b'"Y"', rb'"\ude00Y"')
    assert collect(decode([cut])).parts == (Text("X\U0001f600Y"),)
    lone = raw.replace(b'"Y"', rb'"Y\ud83d"')
    assert collect(decode([lone])).parts == (Text("XY\ufffd"),)


# --- the end ----------------------------------------------------------------------------------


def last(*payloads: Json) -> Event:
    return decode([stream(*payloads)])[-1]


TEXT = answer({"text": "x"})


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("STOP", FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("RECITATION", FinishReason.CONTENT_FILTER),
        ("IMAGE_SAFETY", FinishReason.CONTENT_FILTER),
        ("MALFORMED_FUNCTION_CALL", FinishReason.MALFORMED),
        ("UNEXPECTED_TOOL_CALL", FinishReason.MALFORMED),
        ("CONTINUATION", FinishReason.PAUSE),
        ("LANGUAGE", FinishReason.OTHER),
        ("SOMETHING_NEW", FinishReason.OTHER),
    ],
)
def test_why_it_ended(reason: str, expected: FinishReason) -> None:
    assert last(TEXT, answer(finishReason=reason)) == Finish(expected)


def test_calls_are_the_reason_unless_the_answer_was_cut() -> None:
    assert last(answer(CALL), answer(finishReason="OTHER")) == Finish(FinishReason.TOOL_CALLS)
    assert last(answer(CALL), answer(finishReason="MAX_TOKENS")) == Finish(FinishReason.LENGTH)


def test_a_finish_reason_is_not_the_end() -> None:
    raw = stream(answer({"text": "a"}, finishReason="STOP"), answer({"text": "b"}, **usage(**LAST)))
    told = collect(decode([raw]))
    assert (told.parts, told.usage) == ((Text("ab"),), AFTER)


@pytest.mark.parametrize("feedback", [{"blockReason": "SAFETY"}, {"blockReason": "OTHER"}])
def test_a_blocked_prompt_is_an_answer(feedback: JsonObject) -> None:
    blocked: JsonObject = {"promptFeedback": feedback, **usage(promptTokenCount=5)}
    assert last(blocked) == Finish(FinishReason.CONTENT_FILTER, usage=Usage(5))


def test_what_went_wrong_with_a_call_is_told_where_nothing_else_is() -> None:
    ended = answer(finishReason="MALFORMED_FUNCTION_CALL", finishMessage="print(wx(city=")
    told = collect(decode([stream(ended)]))
    assert told.parts == (Text("print(wx(city="),)
    assert told.finish is FinishReason.MALFORMED


@pytest.mark.parametrize(
    "payloads",
    [(), (TEXT,), ({"usageMetadata": {}},), ({"promptFeedback": {}},), ({"candidates": []},)],
)
def test_an_end_without_a_reason_is_a_break(payloads: tuple[JsonObject, ...]) -> None:
    told = last(*payloads)
    assert isinstance(told, Failed)
    assert isinstance(told.error, StreamBroken)


ERROR: JsonObject = {"error": {"code": 429, "message": "Slow down", "status": "RESOURCE_EXHAUSTED"}}


@pytest.mark.parametrize("told", [ERROR, [ERROR]], ids=["object", "list"])
def test_an_error_inside_the_stream(told: Json) -> None:
    for before in ((), (TEXT,)):
        event = last(*before, told, TEXT)
        assert isinstance(event, Failed)
        assert isinstance(event.error, UpstreamError)
        assert (event.error.kind, event.error.message) == (ErrorKind.RATE_LIMIT, "Slow down")
        assert event.error.upstream_body


def test_a_lost_signature_is_an_error() -> None:
    assert isinstance(last(answer(finishReason="MISSING_THOUGHT_SIGNATURE")), Failed)


def test_other_candidates_were_not_asked_for() -> None:
    other: JsonObject = {"content": content("model", {"text": "no"}), "index": 1}
    mine: JsonObject = {"content": content("model", {"text": "yes"}), "finishReason": "STOP"}
    told = collect(decode([stream({"candidates": [other, mine]})]))
    assert told.parts == (Text("yes"),)


def test_a_time_is_read() -> None:
    (start, *_) = decode([stream(answer(finishReason="STOP", createTime="2026-01-01T00:00:00Z"))])
    assert start == Start("r1", "gm", 1_767_225_600)


# --- garbage ----------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "x", "STOP", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "text",
                    "thought",
                    "thoughtSignature",
                    "functionCall",
                    "name",
                    "id",
                    "args",
                    "inlineData",
                    "mimeType",
                    "data",
                    "parts",
                    "content",
                    "executableCode",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
answers = st.dictionaries(
    st.sampled_from(
        ["candidates", "usageMetadata", "promptFeedback", "error", "responseId", "createTime"]
    ),
    values
    | st.lists(
        st.dictionaries(
            st.sampled_from(["content", "finishReason", "index"]),
            values | st.builds(lambda parts: {"parts": parts}, st.lists(values, max_size=3)),
        ),
        max_size=2,
    ),
)


@given(st.lists(answers | values, max_size=4))
def test_no_answer_breaks_the_grammar(payloads: list[Json]) -> None:
    raw = b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in payloads)
    decode([raw])


@given(st.binary(max_size=60))
def test_no_bytes_raise(data: bytes) -> None:
    told = decode([data, b"\n\ndata: ", data, b"\n\n"])
    assert isinstance(told[-1], Failed)


def test_an_endless_line_is_a_break() -> None:
    decoder = GEMINI.decoder(CLAUDE)
    told = [event for _ in range(18) for event in decoder.feed(b"x" * 2**20)]
    assert [type(event) for event in told] == [Failed]
