"""Answers without Code Assist's wrapper, however the stream is cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.antigravity.unwrap import StreamUnwrapper, unwrapped

INSIDE = b'{"candidates":[{"content":{"parts":[{"text":"a \\"response\\": {"}]}}]}'
WRAPPED = b'{"response":' + INSIDE + b',"traceId":"t"}'
ERROR = b'{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}'


@pytest.mark.parametrize(
    ("body", "inside"),
    [
        pytest.param(WRAPPED, INSIDE, id="wrapped"),
        pytest.param(
            b'{ "traceId" : "t" ,\n "response" : {"a": 12345678901234567890.10} }',
            b'{"a": 12345678901234567890.10}',
            id="numbers and spaces as they were",
        ),
        pytest.param(
            b'{"response":{"text":"\\ud83d"},"traceId":"t"}',
            b'{"text":"\\ud83d"}',
            id="half a character",
        ),
        pytest.param(
            b'{"a":{"response":{}},"response":{"b":1}}', b'{"b":1}', id="the outermost one"
        ),
        pytest.param(b'{"response":{}}', b"{}", id="nothing inside"),
    ],
)
def test_what_is_inside_comes_out_byte_for_byte(body: bytes, inside: bytes) -> None:
    assert unwrapped(body) == inside


@pytest.mark.parametrize(
    "body",
    [INSIDE, ERROR, b'{"response":null}', b'{"response":"x"}', b"[]", b"", b"<html>", b'{"resp'],
)
def test_what_is_not_wrapped_stays_as_it_is(body: bytes) -> None:
    assert unwrapped(body) is body


STREAM = (
    b"data: " + WRAPPED + b"\r\n\r\n"
    b": still there\n\n"
    b'data: {"response":\ndata: {"candidates":[{"text":"\xe2\x80\xa8"}]},\ndata: "traceId":"t"}\n\n'
    b"data: " + INSIDE + b"\n\n"
    b"event: error\rdata: " + ERROR + b"\r\r"
    b'data: {"response":{"usageMetadata":{}}}'
)
FRAMES = (
    b"data: " + INSIDE + b"\n\n"
    b'data: {"candidates":[{"text":"\xe2\x80\xa8"}]}\n\n'
    b"data: " + INSIDE + b"\n\n"
    b"event: error\ndata: " + ERROR + b"\n\n"
    b'data: {"usageMetadata":{}}\n\n'
)


def fed(pieces: list[bytes]) -> list[bytes]:
    stream = StreamUnwrapper()
    return [*(stream.feed(piece) for piece in pieces), stream.end()]


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_every_cut_of_a_stream_gives_the_same_frames(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    out = fed([STREAM[start:end] for start, end in pairwise(edges)])
    assert b"".join(out) == FRAMES
    assert all(frames == b"" or frames.endswith(b"\n\n") for frames in out)


def test_an_event_that_was_cut_off_is_not_handed_on() -> None:
    assert fed([b"data: " + WRAPPED[:-5]]) == [b"", b""]


def test_data_of_several_lines_that_is_no_json_stays_one_event() -> None:
    assert fed([b"data: a\ndata: b\n\n"])[0] == b"data: a\ndata: b\n\n"


@given(st.lists(st.binary(max_size=40)))
def test_no_bytes_make_it_raise(pieces: list[bytes]) -> None:
    assert isinstance(b"".join(fed(pieces)), bytes)


@given(st.binary(max_size=60))
def test_no_body_makes_it_raise(body: bytes) -> None:
    assert isinstance(unwrapped(body), bytes)
