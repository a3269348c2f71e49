"""Events, written as a stream for Gemini's clients."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.gemini import GEMINI
from models.chat import FinishReason
from models.content import Inline, Media, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from models.errors import ErrorKind, UpstreamError
from models.events import Delta, Event, Failed, Finish, PartEnd, PartStart, Progress, Start
from models.json_types import JsonObject
from models.usage import Usage
from tests.dialects.gemini.support import (
    context,
    decode,
    dig,
    encode,
    frames,
    read_parts,
    shown_parts,
)

START = Start("r1", "gm")
STOP = Finish(FinishReason.STOP)


def part(opened: Part, *deltas: Delta) -> list[Event]:
    return [PartStart(opened), *deltas, PartEnd()]


def told(*parts: Sequence[Event], shown: bool | None = True) -> list[JsonObject]:
    """Return the parts of a stream without its last, empty one."""
    events = [START, *(event for one in parts for event in one), STOP]
    found = shown_parts(frames(encode(events, context(shown=shown))))
    assert found[-1]["text"] == ""
    return found[:-1] if found[-1] == {"text": ""} else found


def test_a_stream() -> None:
    events = [
        START,
        Progress(Usage(8)),
        *part(Text(""), Delta("Hel"), Delta("lo")),
        Finish(FinishReason.LENGTH, usage=Usage(8, 2)),
    ]
    assert encode(events, context()) == (
        b'data: {"candidates":[{"content":{"parts":[{"text":"Hel"}],"role":"model"},"index":0}],'
        b'"modelVersion":"gm","responseId":"r1"}\r\n\r\n'
        b'data: {"candidates":[{"content":{"parts":[{"text":"lo"}],"role":"model"},"index":0}],'
        b'"modelVersion":"gm","responseId":"r1"}\r\n\r\n'
        b'data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},'
        b'"finishReason":"MAX_TOKENS","index":0}],"usageMetadata":{"promptTokenCount":8,'
        b'"candidatesTokenCount":2,"totalTokenCount":10},"modelVersion":"gm","responseId":"r1"}'
        b"\r\n\r\n"
    )


def test_an_answer_without_names_gets_ours() -> None:
    first = frames(encode([Start("", ""), STOP], context()))[0]
    assert (first["modelVersion"], first["responseId"]) == ("m", "r" * 24)
    assert "usageMetadata" not in first


def test_a_call_goes_out_when_it_is_whole() -> None:
    encoder = GEMINI.encoder(context())
    encoder.encode(START)
    pieces: list[Event] = [PartStart(ToolCall("c", "wx", "")), Delta('{"city"'), Delta(':"Roma"}')]
    assert b"".join(encoder.encode(event) for event in pieces) == b""
    (frame,) = frames(encoder.encode(PartEnd()))
    assert shown_parts([frame]) == [
        {"functionCall": {"id": "c", "name": "wx", "args": {"city": "Roma"}}}
    ]


@pytest.mark.parametrize(
    ("arguments", "args"),
    [("", {}), ("[1]", {"_raw": "[1]"}), ('{"_raw":"x"}', {"_raw": "x"}), ("5", {"_raw": "5"})],
)
def test_arguments_are_an_object(arguments: str, args: JsonObject) -> None:
    assert told(part(ToolCall("c", "f", ""), Delta(arguments))) == [
        {"functionCall": {"id": "c", "name": "f", "args": args}}
    ]


@pytest.mark.parametrize(
    ("reason", "written"),
    [
        (FinishReason.TOOL_CALLS, "MALFORMED_FUNCTION_CALL"),
        (FinishReason.LENGTH, "MAX_TOKENS"),
    ],
)
@pytest.mark.parametrize("arguments", ['{"city":"Ro', "{no", '1}, "y": {"x": 1'])
def test_a_call_that_is_no_json_is_left_out(
    arguments: str, reason: FinishReason, written: str
) -> None:
    call = part(ToolCall("c", "f", ""), Delta(arguments))
    (last,) = frames(encode([START, *call, Finish(reason)], context()))
    assert dig(last, "candidates", 0, "finishReason") == written


@pytest.mark.parametrize(
    ("opened", "written"),
    [
        (Refusal("No."), [{"text": "No."}]),
        (Text("Hi"), [{"text": "Hi"}]),
        (Text(""), []),
        (
            Media("image", Inline("image/png", "QUJD")),
            [{"inlineData": {"mimeType": "image/png", "data": "QUJD"}}],
        ),
        (Opaque("gemini", {"executableCode": {"language": "PYTHON", "code": "1"}}),
         [{"executableCode": {"language": "PYTHON", "code": "1"}}]),
        (Opaque("messages", {"type": "server_tool_use"}), []),
    ],
)  # fmt: skip
def test_parts_that_come_whole(opened: Part, written: list[JsonObject]) -> None:
    assert told(part(opened)) == written


# --- thoughts ---------------------------------------------------------------------------------

THOUGHT = part(Reasoning("", origin="anthropic"), Delta("h"), Delta("m"), Delta(signature="EqQB"))
ANSWER = part(Text(""), Delta("P"), Delta("ar"))
CALL = part(ToolCall("c", "f", ""))


def test_thoughts_are_shown_to_who_asked() -> None:
    parts = told(THOUGHT, ANSWER)
    assert [(one["text"], one.get("thought")) for one in parts] == [
        ("h", True), ("m", True), ("", True), ("P", None), ("ar", None)
    ]  # fmt: skip
    assert read_parts(*parts) == (Reasoning("hm", "EqQB", "anthropic"), Text("Par"))


@pytest.mark.parametrize("shown", [False, None], ids=["refused", "not asked"])
@pytest.mark.parametrize("rest", [ANSWER, CALL, []], ids=["text", "call", "nothing"])
def test_hidden_thoughts_travel_with_what_follows_and_come_back_whole(
    shown: bool | None, rest: list[Event]
) -> None:
    parts = told(THOUGHT, rest, shown=shown)
    assert not any("thought" in one for one in parts)
    assert "thoughtSignature" in parts[0]
    assert not any("thoughtSignature" in one for one in parts[1:])
    assert read_parts(*parts)[0] == Reasoning("hm", "EqQB", "anthropic")


def test_no_signature_is_lost_where_thoughts_follow_each_other() -> None:
    other = part(Reasoning("", origin="openai"), Delta("x", signature="gAAA"))
    assert read_parts(*told(THOUGHT, other, ANSWER, shown=False)) == (
        Reasoning("hm", "EqQB", "anthropic"),
        Text(""),
        Reasoning("x", "gAAA", "openai"),
        Text("Par"),
    )


SEALED = Reasoning("", origin="anthropic", redacted="RW1v")


@pytest.mark.parametrize("shown", [True, None])
def test_sealed_thoughts_find_their_vendor_again(shown: bool | None) -> None:
    thought, answer = part(Reasoning("", origin="anthropic")), Delta("hm", signature="EqQB")
    opened, *rest = thought
    parts = told([opened, answer, *rest], part(SEALED), ANSWER, shown=shown)
    assert [one for one in read_parts(*parts) if one != Text("")] == [
        Reasoning("hm", "EqQB", "anthropic"),
        SEALED,
        Text("Par"),
    ]
    streamed = told(part(SEALED), ANSWER, shown=shown)
    assert [one for one in streamed if one.get("thought")] == ([streamed[0]] if shown else [])


def test_a_hidden_thought_and_a_signed_call_keep_both_signatures() -> None:
    signed = ToolCall("c", "f", "{}", signature="QUJD", origin="gemini")
    thought, *call = read_parts(*told(THOUGHT, part(signed), shown=None))
    assert (thought, call[-1]) == (Reasoning("hm", "EqQB", "anthropic"), signed)


def test_unsigned_thoughts_that_are_hidden_leave_nothing() -> None:
    assert told(part(Reasoning(""), Delta("hm")), ANSWER, shown=False) == [
        {"text": "P"},
        {"text": "ar"},
    ]


def test_googles_own_signatures_stay_as_they_are() -> None:
    signed = ToolCall("c", "f", "", signature="QUJD", origin="gemini")
    thought = part(Reasoning("", origin="gemini"), Delta("hm", signature="REVG"))
    assert told(thought, part(signed)) == [
        {"text": "hm", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": "REVG"},
        {"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": "QUJD"},
    ]


# --- lines ------------------------------------------------------------------------------------

texts = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(["\u2028", "\x85", "\u2029\x1c"])
)


@given(texts, st.booleans())
def test_googles_sdk_reads_any_text(pieces: list[str], is_thought: bool) -> None:
    opened = Reasoning("") if is_thought else Text("")
    deltas = [Delta(piece) for piece in pieces]
    assert "".join(str(one["text"]) for one in told(part(opened, *deltas))) == "".join(pieces)


def test_names_with_line_ends_do_no_harm() -> None:
    events = [Start("r\u2028", "m\x85"), *ANSWER, STOP]
    assert [frame["responseId"] for frame in frames(encode(events, context()))] == ["r\u2028"] * 3


def test_an_error_ends_the_stream() -> None:
    error = UpstreamError("It broke", kind=ErrorKind.OVERLOADED, retry_after_s=1.5)
    raw = encode([START, *ANSWER, Failed(error), STOP, *ANSWER], context())
    last = frames(raw)[-1]
    assert len(frames(raw)) == 3
    assert raw.split(b"\r\n\r\n")[-2].startswith(b'data: {"error":{"code":503,')
    assert dig(last, "error", "status") == "UNAVAILABLE"


def test_nothing_else_is_ever_sent() -> None:
    assert GEMINI.ping == b""
    raw = encode([START, Progress(Usage(1)), STOP], context())
    assert b"[DONE]" not in raw
    assert len(frames(raw)) == 1


# --- there and back ---------------------------------------------------------------------------

calls = st.builds(
    lambda n, name, args: ToolCall(f"c{n}", name, args, signature="QUJD", origin="gemini"),
    st.integers(0, 10**6),
    st.sampled_from(["f", "g"]),
    st.sampled_from(["{}", '{"a":1}', '{"b":[]}']),
)
runs = st.sampled_from(
    [
        Text("a"),
        Reasoning("t", None, "gemini"),
        Reasoning("t", "QUJD", "gemini"),
        Media("image", Inline("image/png", "QUJD")),
    ]
)


@given(st.lists(runs | calls, max_size=4))
def test_what_is_written_is_read_the_same(parts: list[Part]) -> None:
    events: list[Event] = [START]
    expected: list[Part] = []
    ids: set[str] = set()
    for one in parts:
        if isinstance(one, ToolCall) and one.id in ids:
            continue
        ids |= {one.id} if isinstance(one, ToolCall) else set()
        is_joined = bool(expected) and _joins(expected[-1], one)
        if not is_joined:
            expected.append(one)
            match one:
                case Text(text):
                    events += part(Text(""), Delta(text))
                case Reasoning(text, signature):
                    events += part(Reasoning("", origin="gemini"), Delta(text, signature))
                case ToolCall(arguments=arguments):
                    opened = ToolCall(one.id, one.name, "", signature="QUJD", origin="gemini")
                    events += part(opened, Delta(arguments))
                case _:
                    events += part(one)
    raw = encode([*events, STOP], context())
    read = [event.part for event in decode([raw]) if isinstance(event, PartStart)]
    assert [type(one) for one in read] == [type(one) for one in expected]
    assert read_parts(*shown_parts(frames(raw))[:-1]) == tuple(
        Reasoning(one.text) if isinstance(one, Reasoning) and not one.signature else one
        for one in expected
    )


def _joins(before: Part, after: Part) -> bool:
    """Say whether two parts would be one: neighbours of a kind, the first unsigned."""
    if isinstance(before, Reasoning):
        return isinstance(after, Reasoning) and before.signature is None
    return isinstance(before, Text) and isinstance(after, Text)
