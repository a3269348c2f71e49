"""What a client gets does not depend on how its provider's bytes come together: to the byte."""

import itertools
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects import DIALECTS
from dialects.base import Dialect
from dialects.renames import Restorer
from dialects.stops import StopFilter
from models.chat import FinishReason
from models.content import Part, Reasoning, Refusal, Text, ToolCall
from models.events import Delta, Event, Finish, PartEnd, PartStart, Start
from models.profile import Profile
from services.relay import EventFilter, TranslatedRelay
from tests.dialects.pairs.formats import CONTEXTS, FORMATS

CLIENTS: Sequence[Dialect] = [*FORMATS, DIALECTS["completions"]]
PARTS: Sequence[Part] = (
    Text(""),
    Reasoning("", origin="anthropic"),
    Refusal(""),
    ToolCall("call_1", "f", ""),
)
PIECES = (" word", "é", '"', "\\", "\n", "{", "\u2028", "\U0001f600", "EN", "D", "data: ")
pieces = st.lists(st.sampled_from(PIECES), max_size=30)


@st.composite
def frames(draw: st.DrawFn, provider: Dialect) -> list[bytes]:
    """Return a provider's stream of many small pieces, frame by frame."""
    events: list[Event] = [Start("u", "m", 5)]
    for part in draw(st.lists(st.sampled_from(PARTS), max_size=3)):
        events += [PartStart(part), *map(Delta, draw(pieces)), PartEnd()]
    events.append(Finish(FinishReason.STOP))
    encoder = provider.encoder(CONTEXTS[provider.name])
    return [written for event in events if (written := encoder.encode(event))]


def relayed(
    provider: Dialect, client: Dialect, reads: Sequence[bytes], *filters: EventFilter
) -> bytes:
    """Return what a client gets of these reads."""
    encoder = client.encoder(CONTEXTS.get(client.name, CONTEXTS["chat"]))
    relay = TranslatedRelay(provider.decoder(Profile("m")), encoder, filters)
    return b"".join([*[relay.feed(data) for data in reads], relay.finish()])


def stopping() -> EventFilter:
    cutter = StopFilter(["END"])
    return lambda events: [kept for event in events for kept in cutter.feed(event)]


def renaming() -> EventFilter:
    names = Restorer({"f": "own"}, {"f": {"q": "query"}})
    return lambda events: [kept for event in events for kept in names.feed(event)]


@pytest.mark.parametrize("provider", FORMATS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda dialect: dialect.name)
@given(data=st.data(), chance=st.randoms(use_true_random=False))
def test_bytes_are_the_same_however_they_come(
    provider: Dialect, client: Dialect, data: st.DataObject, chance: random.Random
) -> None:
    told = data.draw(frames(provider))
    filters: Sequence[Callable[[], EventFilter]] = data.draw(
        st.sampled_from([(), (stopping,), (renaming,), (renaming, stopping)])
    )
    whole = b"".join(told)
    cuts = sorted({0, len(whole), *(chance.randint(0, len(whole)) for _ in range(4))})
    torn = [whole[start:end] for start, end in itertools.pairwise(cuts)]
    one_by_one, at_once, in_some = (
        relayed(provider, client, reads, *(make() for make in filters))
        for reads in (told, [whole], torn)
    )
    assert at_once == one_by_one
    assert in_some == one_by_one


@pytest.mark.parametrize("provider", ["chat", "messages"])
def test_a_character_that_is_cut_between_two_frames_is_whole_before_and_among_others(
    provider: str,
) -> None:
    dialect = DIALECTS[provider]
    encoder = dialect.encoder(CONTEXTS[provider])
    pieces = [" one", " two", "XX", "YY", " three", " four", "XX", " five", " six"]
    events: list[Event] = [Start("u", "m", 5), PartStart(Text("")), *map(Delta, pieces), PartEnd()]
    told = [encoder.encode(event) for event in [*events, Finish(FinishReason.STOP)]]
    halves = [frame.replace(b'"XX"', b'"\\ud83d"').replace(b'"YY"', b'"\\ude00"') for frame in told]
    at_once = relayed(dialect, DIALECTS["gemini"], [b"".join(halves)])
    assert at_once == relayed(dialect, DIALECTS["gemini"], halves)
    shown = [
        line.split(b'"text":"', 1)[1].split(b'"', 1)[0]
        for line in at_once.splitlines()
        if b'"text":' in line
    ]
    assert b"".join(shown).decode() == " one two\U0001f600 three four\ufffd five six"
