"""Connections that are slow, silent, garbled or never read do not stay."""

import asyncio
import json
import logging
import socket
from contextlib import suppress

import pytest
from aiohttp import web

from handlers.endpoint import Access, Endpoint
from tests.handlers.model_api import Served, serving
from tests.services.executor_rig import Rig, chat_answer
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("way")

GET = b"GET /x HTTP/1.1\r\nHost: x\r\n"


async def fine(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(0.3)
    return web.Response(text="fine")


FINE = Endpoint("GET", "/x", fine, Access.PUBLIC, "", "t")


@pytest.mark.parametrize("begun", [b"", b"G", GET, GET + b"X-Long: " + b"a" * 100])
async def test_a_head_that_does_not_end_ends_the_connection(begun: bytes) -> None:
    loop = asyncio.get_running_loop()
    async with serving(Rig(chat_answer), [FINE], head_timeout_s=0.1) as served:
        began = loop.time()
        assert await served.wire(begun) == b""
        assert loop.time() - began >= 0.09


async def test_neither_a_slow_handler_nor_a_pause_between_requests_counts() -> None:
    async with serving(Rig(chat_answer), [FINE], head_timeout_s=0.1) as served:
        for _ in range(2):
            async with served.http.get(served.url + "/x") as response:
                assert await response.text() == "fine"
            await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000 + b"\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_answered_in_a_line_and_logged_without_a_traceback(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(Rig(chat_answer), [FINE]) as served:
        answer = await served.wire(sent)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"400"
    assert b"aiohttp" not in head.lower()
    error = json.loads(body)
    assert (error["type"], error["error"]["type"]) == ("error", "invalid_request_error")
    assert [record.exc_info for record in caplog.records] == [None]


async def test_a_client_that_takes_nothing_is_let_go_and_its_handler_ends() -> None:
    ended = asyncio.Event()

    async def much(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
        finally:
            ended.set()

    endpoint = Endpoint("GET", "/much", much, Access.PUBLIC, "", "t")
    async with serving(Rig(chat_answer), [endpoint], stall_timeout_s=0.2) as served:
        with connected(served) as client:
            client.sendall(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(10):
                await ended.wait()


async def test_a_slow_reader_that_keeps_reading_stays() -> None:
    size = 16 << 20

    async def big(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * size)

    endpoint = Endpoint("GET", "/big", big, Access.PUBLIC, "", "t")
    async with serving(Rig(chat_answer), [endpoint], stall_timeout_s=0.3) as served:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with served.http.get(served.url + "/big") as response:
            got = 0
            while data := await response.content.read(256 << 10):
                got += len(data)
                await asyncio.sleep(0.02)
        assert got == size
        assert loop.time() - began > 0.9  # much longer than a client that takes nothing may stay


async def test_a_client_that_leaves_cancels_its_handler(caplog: pytest.LogCaptureFixture) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def waiting(_: web.Request) -> web.StreamResponse:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return web.Response()

    endpoint = Endpoint("GET", "/wait", waiting, Access.PUBLIC, "", "t")
    async with serving(Rig(chat_answer), [endpoint]) as served:
        with connected(served) as client:
            client.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(began.is_set)
        await until(ended.is_set)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


class connected:
    """A plain socket to the server; small buffers, so that little is taken without reading."""

    def __init__(self, served: Served) -> None:
        host, _, port = served.url.removeprefix("http://").partition(":")
        self._address = host, int(port)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)

    def __enter__(self) -> socket.socket:
        self._socket.connect(self._address)
        return self._socket

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._socket.close()
