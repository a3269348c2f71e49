"""Streams of every format and scenario: however they are cut, they say the same."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events import Delta, Deltas, Event
from tests.wire import exchanges
from tests.wire.exchanges import NAMES, SCENARIOS

each_stream = pytest.mark.parametrize(
    ("name", "scenario"), [(name, scenario) for name in NAMES for scenario in SCENARIOS]
)


def read(name: str, pieces: Sequence[bytes]) -> list[Event]:
    decoder = exchanges.dialect(name).decoder(exchanges.profile(name))
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [*singly([*events, *decoder.end()])]


def singly(events: Iterable[Event]) -> Iterator[Event]:
    """Yield each delta by itself: how they came together says nothing."""
    for event in events:
        if isinstance(event, Deltas):
            yield from map(Delta, event.texts)
        else:
            yield event


def body(name: str, scenario: str) -> bytes:
    return b"".join(exchanges.stream(name, SCENARIOS[scenario]))


@each_stream
def test_a_stream_in_single_bytes_says_the_same(name: str, scenario: str) -> None:
    data = body(name, scenario)
    single = [data[at : at + 1] for at in range(len(data))]
    assert read(name, single) == read(name, [data])


@pytest.mark.parametrize("name", NAMES)
@given(scenario=st.sampled_from(sorted(SCENARIOS)), cuts=st.lists(st.integers(0, 9000)))
def test_a_stream_cut_anywhere_says_the_same(name: str, scenario: str, cuts: list[int]) -> None:
    data = body(name, scenario)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in itertools.pairwise(places)]
    assert read(name, pieces) == read(name, [data])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_way(name: str, ending: str) -> None:
    data = body(name, "thinking and call")
    other = data.replace(b"\r\n", b"\n").replace(b"\n", ending.encode())
    assert read(name, [other]) == read(name, [data])


@each_stream
def test_a_stream_without_its_last_frames_is_never_taken_for_whole(
    name: str, scenario: str
) -> None:
    # Chat's usage and end marker come after the reason why it stopped; that suffices.
    missing = {"messages": 2, "chat": 3, "responses": 1, "gemini": 1}[name]
    frames = exchanges.stream(name, SCENARIOS[scenario])[:-missing]
    last = read(name, frames)[-1]
    assert type(last).__name__ == "Failed"
