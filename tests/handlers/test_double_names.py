"""A second `User-Agent` is let through, and nothing else that comes twice."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.http_parser import HttpRequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.double_names import NamesTwiceParser, _mended
from handlers.endpoint import Access, Endpoint
from tests.handlers.model_api import Served, serving
from tests.services.executor_rig import Rig, chat_answer

pytestmark = pytest.mark.usefixtures("way")

START = b"POST /x HTTP/1.1\r\nHost: x\r\nUser-Agent: first\r\n"
TWICE = START + b"X-Other: 1\r\nuser-agent: second\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = START + b"USER-AGENT: second\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
EMPTY = b"GET /x HTTP/1.1\r\nHost: x\r\nUser-Agent: first\r\nUser-Agent: second\r\n\r\n"
THRICE = EMPTY.replace(b"\r\n\r\n", b"\r\nUser-Agent: third\r\n\r\n")
ONCE = START + b"Content-Length: 4\r\n\r\nbody"


async def echo(request: web.Request) -> web.StreamResponse:
    names = request.headers.getall("User-Agent")
    other = request.headers.get("X-Other")
    return web.json_response({"names": names, "other": other, "body": await request.text()})


ECHO = [
    Endpoint("GET", "/x", echo, Access.PUBLIC, "", "t"),
]


async def echo_post(request: web.Request) -> web.StreamResponse:
    return await echo(request)


ECHO.append(Endpoint("POST", "/x", echo_post, Access.PUBLIC, "", "t"))


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving(Rig(chat_answer), ECHO) as running:
        yield running


@pytest.mark.parametrize(
    "sent", [TWICE, CHUNKED, EMPTY, THRICE], ids=["length", "chunked", "none", "three"]
)
async def test_the_first_name_counts_and_the_rest_of_the_request_is_whole(
    served: Served, sent: bytes
) -> None:
    answer = await served.wire(sent, end=b"}")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"names": ["first"], ' in answer
    assert (b': "body"}' in answer) == (b"body" in sent)
    assert (b'"1"' in answer) == (b"X-Other" in sent)


async def test_every_request_of_a_connection_may_name_itself_twice(served: Served) -> None:
    host, _, port = served.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for sent in (TWICE, EMPTY, CHUNKED, ONCE, THRICE, TWICE):
        writer.write(sent)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), sent
        await reader.readuntil(b"}")
    writer.close()
    await writer.wait_closed()


class Protocol(asyncio.Protocol):
    """What a parser wants of a connection."""

    _reading_paused = False

    def pause_reading(self) -> None: ...

    def resume_reading(self, *, resume_parser: bool = True) -> None: ...


def parsed(pieces: list[bytes], loop: asyncio.AbstractEventLoop) -> list[tuple[object, ...]]:
    """Return method, names and body of every request."""
    parser = NamesTwiceParser(lambda: HttpRequestParser(Protocol(), loop, 2**16))  # type: ignore[arg-type] # a part of it
    found: list[tuple[Any, Any]] = []
    for piece in pieces:
        found += parser.feed_data(piece)[0]
    return [
        (
            message.method,
            message.headers.getall("User-Agent"),
            b"".join(getattr(body, "_buffer", ())),
        )
        for message, body in found
    ]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return the pieces of data between places."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([TWICE, CHUNKED, EMPTY, THRICE, ONCE]),
            st.lists(st.integers(0, 400), max_size=6),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_it_does_not_matter_how_the_requests_are_cut(
    requests: list[tuple[bytes, list[int]]],
) -> None:
    loop = asyncio.new_event_loop()
    try:
        pieces = [piece for data, places in requests for piece in cut(data, places)]
        got = parsed(pieces, loop)
    finally:
        loop.close()
    assert got == [
        (data.split()[0].decode(), ["first"], b"body" if b"body" in data else b"")
        for data, _ in requests
    ]


@pytest.mark.parametrize("data", [TWICE, CHUNKED, THRICE], ids=["length", "chunked", "three"])
def test_byte_by_byte_it_is_the_same(data: bytes) -> None:
    loop = asyncio.new_event_loop()
    try:
        got = parsed([data[at : at + 1] for at in range(len(data))] * 2, loop)
    finally:
        loop.close()
    assert len(got) == 2
    assert got[0][1] == ["first"]


NAMED = b"User-Agent: first\r\nUser-Agent: second\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        b"Host: y\r\n",
        b"Content-Type: a/b\r\nContent-Type: a/c\r\n",
        b"Content-Length: 0\r\nContent-Length: 0\r\n",
        b"Content-Length: 0\r\nContent-Length: 4\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b" folded: yes\r\n",
        b"X: a\rb\r\n",
        b"X: a\nHost: z\r\n",
        b"User-Agent : third\r\n",
    ],
)
@pytest.mark.parametrize("order", ["before", "after"])
async def test_what_decides_where_a_request_ends_may_still_not_come_twice(
    served: Served, lines: bytes, order: str
) -> None:
    both = lines + NAMED if order == "before" else NAMED + lines
    sent = b"POST /x HTTP/1.1\r\nHost: x\r\n" + both + b"\r\n"
    answer = await served.wire(sent + EMPTY)
    assert answer.startswith(b"HTTP/1.0 400")
    assert answer.count(b"HTTP/1.") == 1


async def test_a_head_that_came_with_the_end_of_another_is_left_to_aiohttp(served: Served) -> None:
    """Where it began is not known for certain then."""
    first = ONCE + EMPTY[:-20]
    answer = await served.wire(first, end=b"}")
    assert answer.startswith(b"HTTP/1.1 200")
    host, _, port = served.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(first)
    await reader.readuntil(b"}")
    writer.write(EMPTY[-20:])
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.0 400")
    writer.close()
    await writer.wait_closed()


def test_what_stands_inside_a_header_never_becomes_a_request() -> None:
    """The head began with the end of the request before; its second half looks like a whole one."""
    inner = b"POST /inner HTTP/1.1\r\nHost: x\r\nUser-Agent: b\r\nUser-Agent: c\r\n\r\n"
    loop = asyncio.new_event_loop()
    try:
        for before in (ONCE, CHUNKED, EMPTY):
            pieces = [before + b"GET /x HTTP/1.1\r\nUser-Agent: a\r\nX-A: ", inner]
            with pytest.raises(BadHttpMessage):
                parsed(pieces, loop)
    finally:
        loop.close()


@pytest.mark.parametrize(
    "line", [b"X: a\rb", b"X: a\nb", b"X: \0", b" folded", b"\tfolded", b"User-Agent: a\nX: b"]
)
def test_a_head_whose_lines_could_be_cut_in_two_ways_is_not_touched(line: bytes) -> None:
    head = bytearray(b"GET / HTTP/1.1\r\n" + NAMED + line + b"\r\n\r\n")
    assert _mended(head) is None
    assert _mended(bytearray(head.replace(line, b"X: fine"))) is not None
