"""Answers of every kind, and how they may be cut into a stream."""

import itertools
import random

import orjson
from hypothesis import strategies as st

from models.chat import ChatResponse, FinishReason
from models.content import Inline, Media, Part, Reasoning, Refusal, Text, ToolCall
from models.events import Delta, Event, PartEnd, Progress, replay
from models.usage import Usage

texts = st.lists(
    st.sampled_from(["a", "é", "\U0001f600", " ", "\n\n", '"', "\u2028", "data: x"]), max_size=6
).map("".join)
objects = st.dictionaries(
    st.sampled_from(["city", "q", ""]),
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts | st.lists(texts, max_size=2),
    max_size=3,
)
calls = st.builds(
    ToolCall,
    st.sampled_from(["call_1", "toolu_2", "fc:é", "i" * 70]),
    st.sampled_from(["f", "get_weather"]),
    st.just("") | objects.map(lambda given: orjson.dumps(given).decode()),
    cache=st.none(),
    signature=st.none() | st.just("c2ln"),
    origin=st.just("gemini"),
)
thoughts = st.one_of(
    st.builds(Reasoning, texts, origin=st.sampled_from([None, "glm", "anthropic", "gemini"])),
    st.builds(
        Reasoning,
        texts,
        signature=st.just("c2ln"),
        origin=st.sampled_from(["anthropic", "openai", "gemini", "claude-ca"]),
    ),
    st.just(Reasoning("", origin="anthropic", redacted="c2ln")),
)
pictures = st.just(Media("image", Inline("image/png", "QUJD")))
parts: st.SearchStrategy[Part] = st.one_of(
    texts.map(Text), texts.map(Refusal), thoughts, calls, pictures
)
usages = st.builds(Usage, *[st.none() | st.integers(0, 2000)] * 5)
# Responses has no word for a malformed answer: it tells an error.
REASONS = [reason for reason in FinishReason if reason is not FinishReason.MALFORMED]


@st.composite
def answers(draw: st.DrawFn) -> ChatResponse:
    """A whole answer. Ids of calls are told apart, as every vendor does."""
    reason = draw(st.sampled_from(REASONS))
    drawn = draw(st.lists(parts, max_size=6))
    used: set[str] = set()
    kept: list[Part] = []
    for part in drawn:
        if isinstance(part, ToolCall):
            if part.id in used:
                continue
            used.add(part.id)
        kept.append(part)
    sequence = "END" if reason is FinishReason.STOP_SEQUENCE else None
    return ChatResponse("u", "m", 5, tuple(kept), reason, sequence, draw(usages))


def told(answer: ChatResponse, chance: random.Random) -> list[Event]:
    """Return a stream of the answer, its texts cut anywhere, with signs of life anywhere."""
    events: list[Event] = []
    for event in replay(answer):
        if isinstance(event, Delta) and event.text:
            text = event.text
            cuts = {0, len(text), *(chance.randint(0, len(text)) for _ in range(3))}
            spans = itertools.pairwise(sorted(cuts))
            events += [Delta(text[start:end]) for start, end in spans]
            if event.signature:
                events.append(Delta(signature=event.signature))
        else:
            events.append(event)
        if isinstance(event, PartEnd) and chance.random() < 0.3:
            events.append(Progress(answer.usage))
    return events
