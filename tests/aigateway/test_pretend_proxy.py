"""The demo's outbound proxies reach the demo's provider and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from aiohttp import web

from aigateway.pretend_proxy import open_pretend_proxy


class Upstream:
    """What stands behind the proxy: tells what arrived."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str | None]] = []
        self.port = 0

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.seen.append((request.method, request.path_qs, request.headers.get("x-demo-proxy")))
        return web.Response(text=f"heard {body}")


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    it = Upstream()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", it.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    it.port = runner.addresses[0][1]
    yield it
    await runner.cleanup()


async def said(proxy_url: str, request: bytes) -> bytes:
    """Send raw bytes to the proxy and return everything it says."""
    host, _, port = proxy_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionResetError:  # it closed before it had read everything
        return b""
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_request_for_its_target_is_forwarded_and_signed(upstream: Upstream) -> None:
    async with open_pretend_proxy("proxy A", upstream.target) as proxy:
        answer = await said(
            proxy,
            f"POST http://{upstream.target}/v1/x?y=1 HTTP/1.1\r\nhost: {upstream.target}\r\n"
            "proxy-authorization: Basic c2VjcmV0\r\ncontent-length: 5\r\n\r\nhello".encode(),
        )
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"heard hello")
    assert upstream.seen == [("POST", "/v1/x?y=1", "proxy A")]


@pytest.mark.parametrize(
    "line",
    [
        "GET http://127.0.0.2:{port}/ HTTP/1.1",
        "GET http://127.0.0.1:{port}0/ HTTP/1.1",
        "GET http://127.0.0.1/ HTTP/1.1",
        "GET http://localhost:{port}/ HTTP/1.1",
        "GET http://example.com/ HTTP/1.1",
        "GET http://127.0.0.1:{port}@example.com/ HTTP/1.1",
        "GET https://127.0.0.1:{port}/ HTTP/1.1",
        "CONNECT 127.0.0.1:{port} HTTP/1.1",
        "CONNECT example.com:443 HTTP/1.1",
        "GET / HTTP/1.1",
        "GET",
        "nonsense",
        "",
    ],
)
async def test_every_other_target_is_refused(upstream: Upstream, line: str) -> None:
    request = line.format(port=upstream.port) + f"\r\nhost: {upstream.target}\r\n\r\n"
    async with open_pretend_proxy("proxy A", upstream.target) as proxy:
        answer = await said(proxy, request.encode())
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert upstream.seen == []


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(b"GET http://x/ HTTP/1.1\r\n" + b"a" * 100_000 + b"\r\n\r\n", id="long head"),
        pytest.param(b"\xff\x00\r\n\r\n", id="binary"),
    ],
)
async def test_garbage_gets_no_further_than_the_proxy(upstream: Upstream, request_: bytes) -> None:
    async with open_pretend_proxy("proxy A", upstream.target) as proxy:
        answer = await said(proxy, request_)
        assert b"200" not in answer
        assert b"heard again" in await said(
            proxy,
            f"POST http://{upstream.target}/ HTTP/1.1\r\nhost: x\r\n"
            "content-length: 5\r\n\r\nagain".encode(),
        )
    assert len(upstream.seen) == 1


async def test_a_target_that_is_gone_ends_the_connection() -> None:
    async with open_pretend_proxy("proxy A", "127.0.0.1:1") as proxy:
        assert await said(proxy, b"GET http://127.0.0.1:1/ HTTP/1.1\r\n\r\n") == b""
