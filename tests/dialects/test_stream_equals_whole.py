"""A stream and a whole answer say the same, whatever is answered and however it is cut."""

import itertools

import orjson
from hypothesis import given
from hypothesis import strategies as st

from dialects.anthropic import MESSAGES
from dialects.openai_chat import CHAT
from models.chat import FinishReason
from models.content import Reasoning, Refusal, Text, ToolCall
from models.events import Delta, Event, Finish, PartEnd, PartStart, Progress, Start, collect
from models.json_types import JsonObject
from models.usage import Usage
from tests.dialects.answers import (
    seen_in_chat_stream,
    seen_in_completion,
    seen_in_message,
    seen_in_messages_stream,
)
from tests.dialects.official import check_chunk, check_event, check_message
from tests.dialects.test_rules_response import context
from tests.dialects.test_rules_stream import THINKS, decoded, encoded, payloads

pieces = st.lists(st.sampled_from(["a", "é", "\U0001f600", " ", "\n\n", '"', "\u2028"]), max_size=5)
arguments = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.sampled_from(["é", '"', ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)
usages = st.builds(Usage, *[st.none() | st.integers(0, 2000)] * 5)
# Each part with the pieces in which it comes.
told_parts = st.one_of(
    st.tuples(st.just(Text("")), pieces),
    st.tuples(st.just(Refusal("")), pieces),
    st.tuples(st.sampled_from([Reasoning(""), Reasoning("", origin="glm")]), pieces),
    st.tuples(
        st.builds(
            ToolCall,
            st.sampled_from(["call_1", "toolu_2", "fc:é", "i" * 70]),
            st.sampled_from(["f", "get_weather"]),
            st.just(""),
        ),
        st.just([])
        | st.dictionaries(st.sampled_from("xyz"), arguments).map(
            lambda given: [orjson.dumps(given).decode()]
        ),
    ),
)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """An answer as a stream, cut anywhere, with signs of life anywhere."""
    events: list[Event] = [Start("u", "m", 5, draw(usages))]
    for part, told in draw(st.lists(told_parts, max_size=12)):
        text = "".join(told)
        cuts = sorted({0, len(text), *draw(st.lists(st.integers(0, len(text)), max_size=3))})
        events.append(PartStart(part))
        events += [Delta(text[start:end]) for start, end in itertools.pairwise(cuts)]
        if isinstance(part, Reasoning) and draw(st.booleans()):
            events.append(Delta(signature="sig"))
        events.append(PartEnd())
        if draw(st.booleans()):
            events.append(Progress(draw(usages)))
    reason = draw(st.sampled_from(FinishReason))
    stop = "END" if reason is FinishReason.STOP_SEQUENCE else None
    return [*events, Finish(reason, stop, draw(usages))]


@given(answers(), st.sampled_from([{}, THINKS]))
def test_a_messages_client_sees_the_same_in_a_stream_and_in_a_whole_answer(
    events: list[Event], asked: JsonObject
) -> None:
    how = context(MESSAGES, **asked)
    raw = encoded(MESSAGES, events, how)
    whole = MESSAGES.encode_response(collect(events), how)
    for payload in payloads(raw):
        check_event(payload)
    check_message(whole)
    assert seen_in_messages_stream(raw) == seen_in_message(whole)


@given(answers())
def test_a_chat_client_sees_the_same_in_a_stream_and_in_a_whole_answer(
    events: list[Event],
) -> None:
    how = context(CHAT)
    raw = encoded(CHAT, events, how)
    whole = CHAT.encode_response(collect(events), how)
    for payload in payloads(raw):
        check_chunk(payload)
    assert seen_in_chat_stream(raw) == seen_in_completion(whole)


@given(answers())
def test_an_answer_passes_through_both_formats_unchanged(events: list[Event]) -> None:
    """As a Messages stream, read, as a Chat stream, read, and as a Messages stream again."""
    first = encoded(MESSAGES, events, context(MESSAGES, **THINKS))
    second = encoded(CHAT, decoded(MESSAGES, first), context(CHAT))
    third = encoded(MESSAGES, decoded(CHAT, second), context(MESSAGES, **THINKS))
    before, after = seen_in_messages_stream(first), seen_in_messages_stream(third)
    assert (after.text, after.thinking) == (before.text, before.thinking)
    assert [call[1:] for call in after.calls] == [call[1:] for call in before.calls]
    assert len({call[0] for call in after.calls}) == len(after.calls)
