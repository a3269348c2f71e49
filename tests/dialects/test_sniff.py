import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects import sniff

BURST = b"".join(b'data: {"n":%d,"text":"x"}\n\n' % number for number in range(50))
TAIL = b'event: u\ndata: {"usage":{"a":1}}\n\n'


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_only_marked_frames_are_read(line_end: bytes) -> None:
    frames = (BURST + TAIL + BURST).replace(b"\n", line_end)
    spans = sniff.marked_frames(frames, (b'"usage"', b'"a"', b"absent"))
    assert [sniff.read_span(frames, span) for span in spans] == [(b"u", b'{"usage":{"a":1}}')]
    assert sniff.without(frames, spans) == (BURST + BURST).replace(b"\n", line_end)


def test_frames_come_in_order_and_once() -> None:
    frames = b"data: b a b\n\n: none\n\ndata: b\n\ndata: a"
    spans = sniff.marked_frames(frames, (b"a ", b"b", b": a"))
    assert [sniff.read_span(frames, span) for span in spans] == [
        (b"", b"b a b"),
        (b"", b"b"),
        (b"", b"a"),
    ]


def test_nothing_marked_gives_the_same_object_back() -> None:
    assert sniff.without(BURST, sniff.marked_frames(BURST, (b"usage",))) is BURST


@given(st.lists(st.sampled_from([b"data: m", b"m", b"\n", b"\r", b"\r\n", b"x", b"{}", b"\xff"])))
def test_any_bytes_can_be_looked_at(pieces: list[bytes]) -> None:
    frames = b"".join(pieces)
    spans = sniff.marked_frames(frames, (b"m", b"x"))
    for (_, end), (start, _) in itertools.pairwise(spans):
        assert end <= start
    for span in spans:
        sniff.read_span(frames, span)
    rest = sniff.without(frames, spans)
    assert b"m" not in rest
