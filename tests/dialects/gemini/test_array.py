"""A stream as one growing array, for clients without `alt=sse`."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.gemini import GEMINI
from dialects.gemini.array import ArrayWriter
from dialects.sse import MAX_EVENT_BYTES
from models.errors import StreamBroken
from tests.dialects.gemini.support import answer, stream

ANSWERS = [answer({"text": "a,\n]"}), answer({"text": "ö"}), answer(finishReason="STOP")]
STREAM = stream(*ANSWERS)


def array(*chunks: bytes) -> bytes:
    writer = ArrayWriter()
    return b"".join([writer.feed(chunk) for chunk in chunks]) + writer.end()


def test_a_stream_becomes_an_array() -> None:
    assert array(b"data: {}\r\n\r\n", b'data: {"a":1}\r\n\r\n') == b'[{},\n{"a":1}]'
    assert json.loads(array(STREAM)) == ANSWERS


@given(st.lists(st.integers(0, len(STREAM)), max_size=5))
def test_the_array_does_not_depend_on_the_chunks(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert array(*(STREAM[a:b] for a, b in itertools.pairwise(edges))) == array(STREAM)


def test_a_large_element_is_not_left_out() -> None:
    large = b'{"data":"%b"}' % (b"x" * (MAX_EVENT_BYTES + 1))
    assert array(b"data: {}\n\ndata: %b\n\n" % large) == b"[{},\n%b]" % large


def test_elements_go_out_as_they_come() -> None:
    writer = ArrayWriter()
    assert writer.feed(b'data: {"a":1}\r\n\r\n') == b'[{"a":1}'
    assert writer.feed(b"data: {") == b""
    assert writer.feed(b"}\n\n") == b",\n{}"
    assert writer.end() == b"]"


def test_an_error_is_the_last_element() -> None:
    error = GEMINI.encode_stream_error(StreamBroken("cut"), "req")
    told = json.loads(array(STREAM, error))
    assert told[:-1] == ANSWERS
    assert [*told[-1]] == ["error"]
    assert told[-1]["error"]["message"] == "cut"


@pytest.mark.parametrize("nothing", [b"", b"\r\n\r\n", b": ping\n\n"])
def test_an_empty_stream_is_an_empty_array(nothing: bytes) -> None:
    assert array(nothing) == b"[]"
