from hypothesis import given
from hypothesis import strategies as st

from dialects.stops import StopFilter, stopped
from models.chat import ChatResponse, FinishReason
from models.content import Reasoning, Text, ToolCall
from models.errors import StreamBroken
from models.events import (
    Delta,
    Event,
    Failed,
    Finish,
    PartEnd,
    PartStart,
    Progress,
    Start,
    check,
    collect,
)
from models.usage import Usage


def told(*texts: str) -> list[Event]:
    deltas = [Delta(text) for text in texts]
    return [
        Start("i", "m", usage=Usage(input_tokens=3)),
        PartStart(Text("")),
        *deltas,
        PartEnd(),
        Finish(FinishReason.STOP, usage=Usage(output_tokens=9)),
    ]


def passed(events: list[Event], *stops: str) -> tuple[list[Event], StopFilter]:
    cutter = StopFilter(stops)
    return [shown for event in events for shown in cutter.feed(event)], cutter


def test_text_is_cut_at_the_stop_and_the_upstream_may_be_cancelled() -> None:
    events, cutter = passed(told("one EN", "D two"), "END")
    check(events)
    assert cutter.done
    assert collect(events) == ChatResponse(
        "i",
        "m",
        0,
        (Text("one "),),
        FinishReason.STOP_SEQUENCE,
        "END",
        Usage(input_tokens=3),
    )


def test_a_beginning_that_leads_nowhere_is_shown() -> None:
    events, _ = passed(told("a E", "N", "C"), "END")
    assert collect(events).parts == (Text("a ENC"),)
    assert collect(events).finish is FinishReason.STOP


def test_the_stop_that_is_complete_first_wins() -> None:
    events, _ = passed(told("xaby"), "xaby", "ab")
    assert collect(events).stop_sequence == "ab"
    assert collect(events).parts == (Text("x"),)


def test_reasoning_and_arguments_are_not_searched() -> None:
    events: list[Event] = [
        Start("i", "m"),
        PartStart(Reasoning("")),
        Delta("END"),
        PartEnd(),
        PartStart(ToolCall("c", "f", "")),
        Delta('{"a":"END"}'),
        PartEnd(),
        Finish(FinishReason.TOOL_CALLS),
    ]
    assert passed(events, "END")[0] == events


def test_text_that_opens_with_a_stop_leaves_an_empty_part() -> None:
    events, _ = passed([Start("i", "m"), PartStart(Text("STOP here")), PartEnd()], "STOP")
    check(events)
    assert collect(events).parts == (Text(""),)


def test_held_text_comes_out_before_a_failure_and_pings_pass() -> None:
    failed = Failed(StreamBroken("cut"))
    events, cutter = passed([*told("a E")[:3], Progress(), failed], "END")
    assert events[2:] == [Delta("a "), Progress(), Delta("E"), failed]
    assert cutter.feed(Delta("more")) == []


@given(st.lists(st.text("abc", max_size=6), max_size=6), st.lists(st.text("abc", max_size=3)))
def test_cuts_of_the_stream_do_not_matter(pieces: list[str], stops: list[str]) -> None:
    whole, _ = passed(told("".join(pieces)), *stops)
    parts, _ = passed(told(*pieces), *stops)
    check(parts)
    first, second = collect(whole), collect(parts)
    assert (first.parts, first.finish, first.stop_sequence) == (
        second.parts,
        second.finish,
        second.stop_sequence,
    )
    shown = "".join(part.text for part in first.parts if isinstance(part, Text))
    assert not any(stop in shown for stop in stops if stop)


def test_whole_answers_are_cut_and_keep_their_usage() -> None:
    usage = Usage(input_tokens=1, output_tokens=2)
    answer = ChatResponse("i", "m", 0, (Text("a STOP b"),), FinishReason.STOP, usage=usage)
    cut = stopped(answer, ["STOP"])
    assert (cut.parts, cut.finish, cut.stop_sequence, cut.usage) == (
        (Text("a "),),
        FinishReason.STOP_SEQUENCE,
        "STOP",
        usage,
    )
    assert stopped(answer, ["other"]) is answer
    assert stopped(answer, []) is answer
