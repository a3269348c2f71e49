"""What the quick way reads of a head is what aiohttp reads of it, or it reads nothing."""

import asyncio
import tracemalloc

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from hypothesis import given
from hypothesis import strategies as st

from dialects import DIALECTS
from handlers.plain_head import END, MAX_BYTES, PlainHead, PlainHeads
from handlers.plain_lane import request_lines
from tests.security.test_smuggling import CASES

LINES = request_lines(DIALECTS)
HEADS = PlainHeads(LINES)
"""Of all tests: what one has left there changes nothing for another."""
HEAD = (
    b"POST /v1/messages HTTP/1.1\r\nHost: gateway.test\r\nX-Api-Key: ak_client\r\n"
    b"Content-Type: application/json\r\nUser-Agent: sdk/1 (x; y)\r\nContent-Length: 5\r\n\r\n"
)
ODD_LINES = (
    b"Content-Length: 5",
    b"Content-Length: 6",
    b"content-length : 5",
    b"Content-Length: 05",
    b"Content-Length: +5",
    b"Content-Length:\t5",
    b"Content_Length: 7",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Content-Encoding: gzip",
    b"Connection: close",
    b"Connection: keep-alive, Upgrade",
    b"Connection: Keep-Alive",
    b"Upgrade: h2c",
    b"Expect: 100-continue",
    b"Host: other",
    b"Host:",
    b"X-Long: " + b"a" * 8_190,
    b" folded",
    b"X-A: b\x00",
    b"X-A: \xc3\xa9",
    b"X-A:",
    b"session_id:   s  ",
    b": nothing",
    b"no colon",
    b"",
)
STARTS = (
    b"POST /v1/messages?beta=true HTTP/1.1",
    b"POST?x /v1/messages HTTP/1.1",
    b"POST /v1/messages? HTTP/1.1",
    b"POST /v1/messages?a=1?b HTTP/1.1",
    b"POST /v1/messages#x HTTP/1.1",
    b"POST /v1/messages HTTP/1.0",
    b"POST /v1/messages/ HTTP/1.1",
    b"POST //v1/messages HTTP/1.1",
    b"POST http://x/v1/messages HTTP/1.1",
    b"post /v1/messages HTTP/1.1",
    b"POST  /v1/messages HTTP/1.1",
    b"POST /v1/messages HTTP/1.1 ",
    b"GET /v1/messages HTTP/1.1",
)
BYTES = b"\r\n\t \0:;,?&=#%/-_.aZ059\x7f\x80\xff"


def plain(data: bytes, heads: PlainHeads = HEADS) -> tuple[PlainHead, int] | None:
    """Read a head as the connection does."""
    end = data.find(END, 0, MAX_BYTES)
    return None if end < 0 else heads.read(data, end)


def over_aiohttp(data: bytes) -> list[RawRequestMessage]:
    """Read it with the parser, and the limits, that aiohttp's server has."""
    loop = asyncio.new_event_loop()
    try:
        parser = HttpRequestParser(
            BaseProtocol(loop),
            loop,
            2**16,
            max_line_size=8190,
            max_field_size=8190,
            max_headers=128,
        )
        messages, _, rest = parser.feed_data(data)
        assert rest == b""
        assert all(body.is_eof() for _, body in messages)
        return [message for message, _ in messages]
    finally:
        loop.close()


@st.composite
def bent_heads(draw: st.DrawFn) -> bytes:
    """A good head with up to four things changed: bytes, lines, the order of lines, the start."""
    data = HEAD
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["insert", "replace", "cut", "line", "twice", "start"])):
            case "insert":
                data = data[:at] + draw(st.sampled_from([bytes([b]) for b in BYTES])) + data[at:]
            case "replace":
                byte = draw(st.sampled_from([bytes([b]) for b in BYTES]))
                data = data[:at] + byte + data[at + 1 :]
            case "cut":
                data = data[:at] + data[at + draw(st.integers(1, 8)) :]
            case "line":
                lines = data.split(b"\r\n")
                lines.insert(min(len(lines), 1 + at % 7), draw(st.sampled_from(ODD_LINES)))
                data = b"\r\n".join(lines)
            case "twice":
                lines = data.split(b"\r\n")
                data = b"\r\n".join([*lines[:2], lines[at % len(lines)], *lines[2:]])
            case _:
                data = draw(st.sampled_from(STARTS)) + data[data.find(b"\r\n") :]
    return data


@given(bent_heads())
def test_a_head_that_is_read_says_the_same_to_aiohttp(data: bytes) -> None:
    read = plain(data)
    assert read == plain(data, PlainHeads(LINES))
    if read is None:
        return
    head, body_bytes = read
    start = data[: data.find(END) + len(END)]
    (message,) = over_aiohttp(start + b"x" * body_bytes)
    assert message.method == "POST"
    assert message.url.path in head.dialect.paths
    assert (message.version.major, message.version.minor) == (1, 1)
    for is_unusual in (message.should_close, message.upgrade, message.chunked, message.compression):
        assert not is_unusual
    theirs = {name.lower(): value for name, value in message.headers.items()}
    assert theirs == {**head.headers, "content-length": str(body_bytes)}
    assert len(message.headers) == len(theirs)


@pytest.mark.parametrize("name", CASES)
def test_what_two_readers_may_cut_in_two_ways_is_not_read(name: str) -> None:
    assert plain(CASES[name]) is None


@pytest.mark.parametrize("path", [line.split()[1].decode() for line in LINES])
@pytest.mark.parametrize("query", ["", "?beta=true", "?api-version=2024-10-21&x=_.-"])
def test_calls_as_sdks_send_them_are_read(path: str, query: str) -> None:
    data = HEAD.replace(b"/v1/messages", (path + query).encode())
    data = data.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\nsession_id: s 1 \r\n\r\n")
    read = plain(data)
    assert read is not None
    head, body_bytes = read
    assert body_bytes == 5
    assert path in head.dialect.paths
    assert head.headers == {
        "host": "gateway.test",
        "x-api-key": "ak_client",
        "content-type": "application/json",
        "user-agent": "sdk/1 (x; y)",
        "connection": "keep-alive",
        "session_id": "s 1",
    }


@pytest.mark.parametrize("start", [start for start in STARTS if b"messages?beta" not in start])
def test_other_requests_are_left_to_aiohttp(start: bytes) -> None:
    known = start == b"POST /v1/messages? HTTP/1.1"
    assert (plain(start + HEAD[HEAD.find(b"\r\n") :]) is not None) == known


def test_a_head_is_read_only_if_no_line_is_too_long_for_aiohttp() -> None:
    long = b"X-Long: " + b"a" * 8_190
    assert plain(HEAD.replace(b"\r\n\r\n", b"\r\n" + long + b"\r\n\r\n")) is None
    many = b"".join(b"X-%d: %b\r\n" % (number, b"a" * 900) for number in range(9))
    assert plain(HEAD[:-2] + many + b"\r\n") is None
    assert plain(HEAD[:-2] + many[: many.find(b"X-8")] + b"\r\n") is not None


def test_one_head_is_read_once_for_bodies_of_any_length() -> None:
    heads = PlainHeads(LINES)
    first = heads.read(HEAD, HEAD.find(END))
    assert first is not None
    for length in (0, 1, 70, 999_999_999):
        data = HEAD.replace(b"Length: 5", b"Length: %d" % length)
        again = heads.read(data, data.find(END))
        assert again == (first[0], length)
        assert again[0] is first[0]


def test_the_head_of_another_caller_is_another_one() -> None:
    heads = PlainHeads(LINES)
    for number in (1, 2, 1):
        data = HEAD.replace(b"ak_client", b"ak_%d" % number)
        read = heads.read(data, data.find(END))
        assert read is not None
        assert read[0].headers["x-api-key"] == f"ak_{number}"


def test_few_heads_are_remembered_and_no_long_ones() -> None:
    heads = PlainHeads(LINES)
    tracemalloc.start()
    try:
        for number in range(5_000):
            size = 30 if number % 2 else 6_000
            data = HEAD[:-2] + b"X-A: %d%b\r\n\r\n" % (number, b"a" * size)
            assert heads.read(data, data.find(END)) is not None
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()
