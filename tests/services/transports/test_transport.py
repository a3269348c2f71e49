"""What leaves the house leaves it through the right door."""

import asyncio
import socket
import struct
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from models.egress import EgressProxy
from models.errors import Blame, ConnectFailed, ConnectionLost, StreamBroken, TimedOut
from models.exchange import UpstreamRequest
from models.ports import Transport, UpstreamResponse
from services.guard import AddressGuard
from services.transport import Client, open_transport
from tests.fakes.provider import FakeProvider
from tests.fakes.proxies import FakeProxy, FakeSocks
from tests.waiting import until

LOOPBACK = AddressGuard(["127.0.0.0/8"])


@pytest.fixture
async def transport(stack: AsyncExitStack, client: Client) -> Transport:
    opened = open_transport(LOOPBACK, connect_timeout_s=0.5, client=client)
    return await stack.enter_async_context(opened)


@pytest.fixture
async def provider(stack: AsyncExitStack) -> FakeProvider:
    fake = FakeProvider("chat")
    runner = await fake.start()
    stack.push_async_callback(runner.cleanup)
    return fake


def call(provider: FakeProvider, *, stream: bool = False) -> UpstreamRequest:
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}'
    if not stream:
        body = body.replace(b'"stream":true,', b"")
    return UpstreamRequest(
        "POST", provider.url + "/chat/completions", {"authorization": "Bearer k"}, body
    )


async def send(
    transport: Transport, request: UpstreamRequest, egress: EgressProxy | None = None
) -> UpstreamResponse:
    return await transport.send(request, egress, first_byte_timeout_s=5)


async def drained(response: UpstreamResponse) -> bytes:
    pieces = []
    while data := await response.read_some(5):
        pieces.append(data)
    return b"".join(pieces)


@pytest.mark.parametrize("kind", [FakeProxy, FakeSocks])
@pytest.mark.parametrize("secured", [False, True])
async def test_a_call_with_a_proxy_goes_through_it_with_its_credentials(
    stack: AsyncExitStack,
    transport: Transport,
    provider: FakeProvider,
    kind: type[FakeProxy],
    secured: bool,
) -> None:
    proxy = kind("user", "pass") if secured else kind()
    await proxy.start()
    stack.push_async_callback(proxy.stop)
    response = await send(transport, call(provider), EgressProxy("p", "p", proxy.url))
    assert response.status == 200
    assert b"chat.completion" in await response.read(1 << 20)
    response.close()
    assert [host for host, _port in proxy.targets] == ["127.0.0.1"]


async def test_socks5h_leaves_the_name_to_the_proxy(
    stack: AsyncExitStack, transport: Transport, provider: FakeProvider
) -> None:
    proxy = FakeSocks(hosts={"provider.test": "127.0.0.1"})
    await proxy.start()
    stack.push_async_callback(proxy.stop)
    url = provider.url.replace("127.0.0.1", "provider.test") + "/chat/completions"
    request = UpstreamRequest("POST", url, {}, call(provider).body)
    egress = EgressProxy("p", "p", proxy.url.replace("socks5:", "socks5h:"))
    response = await send(transport, request, egress)
    assert response.status == 200
    response.close()
    assert proxy.targets[0][0] == "provider.test"


@pytest.mark.parametrize("kind", [FakeProxy, FakeSocks])
async def test_a_dead_a_silent_or_a_refusing_proxy_is_blamed_itself(
    stack: AsyncExitStack, transport: Transport, provider: FakeProvider, kind: type[FakeProxy]
) -> None:
    dead = kind()
    await dead.start()
    await dead.stop()
    silent = kind(mode="hang")
    refusing = kind("user", "right")
    for proxy in (silent, refusing):
        await proxy.start()
        stack.push_async_callback(proxy.stop)
    wrong = refusing.url.replace("right", "wrong")
    plain = call(provider)
    # Only a tunnel shows that it is the proxy which is silent.
    tunnelled = UpstreamRequest("POST", provider.url.replace("http:", "https:"), {}, b"{}")
    tries = ((dead.url, plain), (silent.url, tunnelled), (wrong, plain))
    for number, (url, request) in enumerate(tries):
        with pytest.raises(ConnectFailed) as caught:
            await send(transport, request, EgressProxy(f"p{number}", "label", url))
        assert caught.value.blame is Blame.EGRESS
        assert not caught.value.sent
        assert "wrong" not in str(caught.value)
    assert provider.seen == []


async def test_a_provider_that_cannot_be_reached_directly_is_blamed_itself(
    transport: Transport,
) -> None:
    request = UpstreamRequest("POST", "http://127.0.0.1:1/x", {}, b"{}")
    with pytest.raises(ConnectFailed) as caught:
        await send(transport, request)
    assert caught.value.blame is Blame.PROVIDER


async def test_no_connection_is_opened_to_a_network_that_is_not_allowed(
    stack: AsyncExitStack, provider: FakeProvider, client: Client
) -> None:
    strict = await stack.enter_async_context(
        open_transport(AddressGuard(), connect_timeout_s=0.5, client=client)
    )
    socks = FakeSocks()
    await socks.start()
    stack.push_async_callback(socks.stop)
    for url in (provider.url, provider.url.replace("127.0.0.1", "localhost")):
        with pytest.raises(ConnectFailed):
            await send(strict, UpstreamRequest("POST", url, {}, b"{}"))
    with pytest.raises(ConnectFailed):
        await send(strict, call(provider), EgressProxy("p", "p", socks.url))
    assert provider.seen == []
    assert socks.targets == []


async def test_silence_before_the_head_is_a_timeout(
    transport: Transport, provider: FakeProvider
) -> None:
    provider.delay_s = 30
    with pytest.raises(TimedOut):
        await transport.send(call(provider), None, first_byte_timeout_s=0.05)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_connection_that_ends_without_an_answer_is_told_apart(
    stack: AsyncExitStack, transport: Transport, how: str
) -> None:
    async def close(request: web.Request) -> web.Response:
        await request.read()
        assert request.transport is not None
        if how == "reset":
            raw = request.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", close)
    runner = web.AppRunner(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    with pytest.raises(ConnectionLost) as caught:
        await send(transport, UpstreamRequest("POST", url, {}, b"{}"))
    assert caught.value.sent


async def test_waiting_for_a_chunk_in_vain_loses_nothing(
    transport: Transport, provider: FakeProvider
) -> None:
    provider.raw_stream = [b"data: 1\n\n", b"data: 2\n\n"]
    provider.pause_s = 0.2
    response = await send(transport, call(provider, stream=True))
    got: list[bytes | None] = []
    while (data := await response.read_some(0.05)) != b"":
        got.append(data)
    response.close()
    assert None in got
    assert b"".join(piece for piece in got if piece) == b"data: 1\n\ndata: 2\n\n"


async def test_a_cut_stream_and_a_body_over_the_limit_are_broken(
    transport: Transport, provider: FakeProvider
) -> None:
    provider.cut_after = 1
    response = await send(transport, call(provider, stream=True))
    with pytest.raises(StreamBroken):
        await drained(response)
    response.close()
    whole = await send(transport, call(provider))
    with pytest.raises(StreamBroken):
        await whole.read(10)
    whole.close()


async def test_closing_an_unfinished_answer_closes_the_connection(
    transport: Transport, provider: FakeProvider
) -> None:
    provider.hang_after = 1
    response = await send(transport, call(provider, stream=True))
    assert await response.read_some(5)
    response.close()
    await until(lambda: provider.closed_by_client == 1)


async def serve(stack: AsyncExitStack, answer: bytes, *, stays: bool = False) -> int:
    """Listen; read something, say `answer`, and hang up unless it `stays`. Returns the port."""
    gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        await writer.drain()
        if stays:
            await gone.wait()
        writer.close()

    server = await stack.enter_async_context(await asyncio.start_server(talk, "127.0.0.1", 0))
    stack.callback(gone.set)
    return int(server.sockets[0].getsockname()[1])


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="hangs up"),
        pytest.param(b"\x05", id="hangs up in the middle"),
        pytest.param(b"\x99" * 50, id="garbage"),
        pytest.param(b"HTTP/1.1 403 No\r\n\r\n", id="no way through"),
    ],
)
async def test_a_proxy_that_lets_nothing_through_is_to_blame(
    stack: AsyncExitStack, transport: Transport, scheme: str, answer: bytes
) -> None:
    port = await serve(stack, answer)
    request = UpstreamRequest("POST", "https://provider.invalid/", {}, b"{}")
    proxy = EgressProxy("p", "p", f"{scheme}://127.0.0.1:{port}")
    with pytest.raises(ConnectFailed) as caught:
        await send(transport, request, proxy)
    assert caught.value.blame is Blame.EGRESS
    assert not caught.value.sent


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
async def test_a_proxy_whose_name_is_not_known_is_to_blame(
    transport: Transport, scheme: str
) -> None:
    request = UpstreamRequest("POST", "https://provider.invalid/", {}, b"{}")
    proxy = EgressProxy("p", "paris", f"{scheme}://proxy.invalid:1080")
    with pytest.raises(ConnectFailed, match="through the account's proxy") as caught:
        await send(transport, request, proxy)
    assert caught.value.blame is Blame.EGRESS
    assert not caught.value.sent


async def test_an_answer_that_stops_in_the_middle_is_a_timeout(
    stack: AsyncExitStack, client: Client
) -> None:
    quick = await stack.enter_async_context(
        open_transport(LOOPBACK, connect_timeout_s=0.5, idle_timeout_s=0.05, client=client)
    )
    port = await serve(stack, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", stays=True)
    url = f"http://127.0.0.1:{port}/"
    response = await send(quick, UpstreamRequest("POST", url, {}, b"{}"))
    with pytest.raises(TimedOut):
        await response.read(1000)
    response.close()


async def test_a_request_without_a_body_says_nothing_of_one(
    stack: AsyncExitStack, transport: Transport
) -> None:
    heads: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await stack.enter_async_context(await asyncio.start_server(talk, "127.0.0.1", 0))
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/models"
    response = await send(transport, UpstreamRequest("GET", url, {}, b""))
    assert await response.read(1000) == b""
    response.close()
    assert heads[0].startswith(b"GET /models HTTP/1.1\r\n")
    assert b"content-type" not in heads[0].lower()
    assert b"content-length" not in heads[0].lower()
