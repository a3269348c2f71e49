"""Bodies of requests: how much, how fast, how packed."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from handlers.calls import read_body
from handlers.endpoint import Access, Endpoint
from tests.handlers.model_api import KEY, Served, serving
from tests.services.executor_rig import Rig, chat_answer

pytestmark = pytest.mark.usefixtures("way")

LIMIT = 1000
ASK = json.dumps({"model": "gpt-x", "messages": [{"role": "user", "content": "Hi"}]}).encode()


async def echo(request: web.Request) -> web.StreamResponse:
    return web.Response(body=await read_body(request, max_bytes=LIMIT))


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    endpoint = Endpoint("POST", "/echo", echo, Access.PUBLIC, "", "t")
    async with serving(Rig(chat_answer), [endpoint], max_body_bytes=LIMIT) as running:
        yield running


def post(*lines: str, path: str = "/echo", version: str = "1.1") -> bytes:
    head = [f"POST {path} HTTP/{version}", "Host: x", f"X-Api-Key: {KEY}", *lines, "", ""]
    return "\r\n".join(head).encode()


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def sent(served: Served, body: bytes, *lines: str) -> bytes:
    """Post a body and return the answer's."""
    head = post(f"Content-Length: {len(body)}", "Connection: close", *lines)
    return (await served.wire(head + body)).partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("body", [b"", b"x", b"x" * LIMIT, bytes(range(256))])
async def test_a_body_up_to_the_limit_arrives_whole(served: Served, body: bytes) -> None:
    assert await sent(served, body) == body
    head = post("Transfer-Encoding: chunked", "Connection: close")
    answer = await served.wire(head + (chunked(body) if body else b"0\r\n\r\n"))
    assert answer.endswith(b"\r\n\r\n" + body)


async def test_a_body_that_says_that_it_is_too_large_is_not_waited_for(served: Served) -> None:
    answer = await served.wire(post(f"Content-Length: {LIMIT + 1}"), end=b"}")
    assert status(answer) == 413


async def test_a_body_that_grows_too_large_is_refused(served: Served) -> None:
    head = post("Transfer-Encoding: chunked", "Connection: close")
    answer = await served.wire(head + chunked(b"x" * LIMIT, b"x"))
    assert status(answer) == 413


async def test_after_a_refused_body_the_connection_serves_on(served: Served) -> None:
    """What was not read is thrown away, and never taken for the next request."""
    smuggled = post("Content-Length: 0") * 20
    large = post(f"Content-Length: {len(smuggled)}") + smuggled
    answer = await served.wire(large + post("Content-Length: 2", "Connection: close") + b"ok")
    assert answer.count(b"HTTP/1.1 ") == 2
    assert status(answer) == 413
    assert answer.endswith(b"\r\n\r\nok")


@pytest.mark.parametrize("begun", [b"", b"{"])
async def test_a_body_that_stops_is_408(served: Served, begun: bytes) -> None:
    answer = await served.wire(post("Content-Length: 9") + begun, end=b"}")
    assert status(answer) == 408


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("identity", b"hello"),
        ("gzip", gzip.compress(b"hello")),
        ("GZIP", gzip.compress(b"hel") + gzip.compress(b"lo")),
        ("deflate", zlib.compress(b"hello")),
        ("deflate", zlib.compress(b"hello", wbits=-15)),
    ],
    ids=["identity", "gzip", "two in one", "deflate", "bare deflate"],
)
async def test_a_packed_body_is_unpacked(served: Served, coding: str, body: bytes) -> None:
    assert await sent(served, body, f"Content-Encoding: {coding}") == b"hello"


@pytest.mark.parametrize(
    ("coding", "body", "expected"),
    [
        ("gzip", gzip.compress(b"x" * (LIMIT + 1)), 413),
        ("gzip", b"hello", 400),
        ("gzip", gzip.compress(b"hello")[:-4], 400),
        ("br", b"hello", 415),
        ("gzip, gzip", gzip.compress(b"hello"), 415),
    ],
    ids=["too large", "none", "cut", "brotli", "twice"],
)
async def test_what_cannot_be_unpacked_is_refused(
    served: Served, coding: str, body: bytes, expected: int
) -> None:
    head = post(f"Content-Length: {len(body)}", "Connection: close", f"Content-Encoding: {coding}")
    assert status(await served.wire(head + body)) == expected


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on(served: Served) -> None:
    head = post(f"Content-Length: {len(ASK)}", "Expect: 100-continue", "Connection: close")
    answer = await served.wire(head + ASK)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert answer.endswith(ASK)


async def test_an_old_client_gets_an_answer_and_its_end(served: Served) -> None:
    path = "/v1/chat/completions"
    answer = await served.wire(post(f"Content-Length: {len(ASK)}", path=path, version="1.0") + ASK)
    assert answer.startswith(b"HTTP/1.0 200")
    assert b"chat.completion" in answer
    ask = ASK[:-1] + b', "stream": true}'
    answer = await served.wire(post(f"Content-Length: {len(ask)}", path=path, version="1.0") + ask)
    assert answer.startswith(b"HTTP/1.0 200")
    assert b"chunked" not in answer.lower()
    assert answer.endswith(b"data: [DONE]\n\n")
