import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects import sse

STREAM = (
    b"\xef\xbb\xbf: hello\n\n"
    b'event: a\ndata: {"x": 1}\n\n'
    b"data:one\ndata: two\nid: 7\nretry: 10\n\n"
    b"event: nothing\n\n"
    b"data\n\n"
    b"data: [DONE]\n\n\n"
    b"data: \xe2\x82\xac \xe2\x80\xa8 \xc2\x85\n\n"
)
EVENTS = [
    (b"a", b'{"x": 1}'),
    (b"", b"one\ntwo"),
    (b"", b""),
    (b"", b"[DONE]"),
    (b"", b"\xe2\x82\xac \xe2\x80\xa8 \xc2\x85"),
]
LINE_ENDS = [
    pytest.param(b"\n", id="LF"),
    pytest.param(b"\r\n", id="CRLF"),
    pytest.param(b"\r", id="CR"),
]


def parse(chunks: list[bytes], limit_bytes: int = sse.MAX_EVENT_BYTES) -> list[sse.ServerEvent]:
    parser = sse.Parser(limit_bytes)
    events = list(itertools.chain.from_iterable([parser.feed(chunk) for chunk in chunks]))
    return events + parser.end()


@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_same_events_for_a_split_at_every_byte(line_end: bytes) -> None:
    stream = STREAM.replace(b"\n", line_end)
    for cut in range(len(stream) + 1):
        assert parse([stream[:cut], stream[cut:]]) == EVENTS
    assert parse([stream[at : at + 1] for at in range(len(stream))]) == EVENTS


def test_line_ends_may_be_mixed() -> None:
    assert parse([b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\ndata: d\n\r"]) == [
        (b"", b"a"),
        (b"", b"b"),
        (b"", b"c"),
        (b"", b"d"),
    ]


def test_last_event_without_blank_line_is_delivered_at_the_end() -> None:
    parser = sse.Parser()
    assert parser.feed(b"event: x\ndata: 1") == []
    assert parser.end() == [(b"x", b"1")]
    assert parser.end() == []


def test_only_one_space_after_the_colon_is_removed() -> None:
    assert parse([b"data:  two\n\ndata:none\n\n"]) == [(b"", b" two"), (b"", b"none")]


def test_comments_alone_are_no_event() -> None:
    assert parse([b": ping\n\n:\n\n"]) == []


@pytest.mark.parametrize("size", [1, 7, 64, 4096])
def test_a_frame_beyond_the_limit_stops_the_parser_with_bounded_memory(size: int) -> None:
    parser = sse.Parser(limit_bytes=1000)
    assert parser.feed(b"data: fine\n\n") == [(b"", b"fine")]
    for _ in range(5000 // size + 1):
        assert parser.feed(b"x" * size) == []
    assert parser.overflowed
    assert parser.feed(b"\n\ndata: later\n\n") == []
    assert parser.end() == []
    assert sum(map(len, parser._pieces)) == 0


def test_a_frame_of_exactly_the_limit_passes() -> None:
    data = b"data: " + b"x" * 994
    assert parse([data + b"\n\n"], 1000) == [(b"", b"x" * 994)]
    assert parse([data[:500], data[500:] + b"\n\n"], 1000) == [(b"", b"x" * 994)]
    parser = sse.Parser(limit_bytes=999)
    assert parser.feed(data + b"\n\n") == []
    assert parser.overflowed


def test_a_long_frame_in_tiny_chunks_is_joined_once() -> None:
    data = b"data: " + b"y" * 300_000
    chunks = [data[at : at + 3] for at in range(0, len(data), 3)]
    assert parse([*chunks, b"\n", b"\n"]) == [(b"", b"y" * 300_000)]


lines = st.sampled_from(
    [b"data: a", b"data:b", b"data", b"event: e", b": c", b"", b"", b"id: 1", b"x", b"data: \xff"]
)


@given(
    st.lists(st.tuples(lines, st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=12),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_events_do_not_depend_on_the_split(
    parts: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(line + end for line, end in parts)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[start:end] for start, end in itertools.pairwise(edges)]
    assert parse(chunks) == parse([stream])


@given(
    st.lists(st.tuples(lines, st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=12),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_what_is_forwarded_up_to_a_boundary_holds_whole_events(
    parts: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    """A ping put at every boundary changes no event of the stream."""
    stream = b"".join(line + end for line, end in parts)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    held, sent, before = b"", b"", b""
    for start, end in itertools.pairwise(edges):
        held += stream[start:end]
        cut = sse.boundary(held)
        assert cut == sse.boundary(bytearray(held))
        if cut:
            before += held[:cut]
            sent += held[:cut] + b"data: PING\n\n"
            held = held[cut:]
    assert before + held == stream
    seen = [event for event in parse([sent + held]) if event[1] != b"PING"]
    assert seen == parse([stream])


@pytest.mark.parametrize(
    ("buffer", "end"),
    [
        (b"", 0),
        (b"\n", 0),
        (b"data: x", 0),
        (b"data: x\n", 0),
        (b"data: x\r\n", 0),
        (b"data: x\n\n", 9),
        (b"data: x\n\ny", 9),
        (b"data: x\r\ry", 9),
        (b"data: x\r\n\r\ny", 11),
        (b"data: x\r\n\r", 10),
        (b"data: x\n\r\ny", 10),
        (b"a\n\nb\r\n\r\nc\n\nd", 11),
    ],
)
def test_boundary_is_the_end_of_the_last_blank_line(buffer: bytes, end: int) -> None:
    assert sse.boundary(buffer) == end


def test_frame_is_what_the_parser_reads() -> None:
    written = sse.frame(b"{}", b"ping") + sse.frame(b"[DONE]")
    assert written == b"event: ping\ndata: {}\n\ndata: [DONE]\n\n"
    assert parse([written]) == [(b"ping", b"{}"), (b"", b"[DONE]")]
