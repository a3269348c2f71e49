"""Which connection serves which request, and which serves none any more."""

import asyncio
import socket
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace

import pytest

from models.egress import EgressProxy
from models.errors import ConnectionLost, UpstreamError
from models.exchange import UpstreamRequest
from services.guard import AddressGuard
from services.transport import open_transport
from services.wire.connection import Connection
from services.wire.transport import WireTransport
from tests.fakes.memory_wire import REQUEST, MemoryWire
from tests.fakes.proxies import FakeProxy, FakeSocks
from tests.waiting import until

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Server:
    """Answers each request with its path, in two pieces, slowly."""

    url: str = ""
    connections: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    pause_s: float = 0.0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        # RuntimeError: uvloop's, of a connection that is closed.
        with suppress(ConnectionError, asyncio.IncompleteReadError, RuntimeError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = b"/" + head.split(b" ")[1].rpartition(b"/")[2]
                await asyncio.sleep(self.pause_s)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(path))
                writer.write(path[:1])
                await asyncio.sleep(self.pause_s)
                writer.write(path[1:])
        self.open.discard(writer)
        writer.close()

    def _hang_up(self) -> None:
        for writer in self.open:
            writer.transport.abort()

    async def start(self, stack: AsyncExitStack) -> None:
        server = await asyncio.start_server(self.talk, "127.0.0.1", 0)
        await stack.enter_async_context(server)
        stack.callback(self._hang_up)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture
async def server(stack: AsyncExitStack) -> Server:
    started = Server()
    await started.start(stack)
    return started


@pytest.fixture
async def transport(stack: AsyncExitStack, server: Server) -> WireTransport:
    guard = AddressGuard(["127.0.0.0/8"])
    opened = await stack.enter_async_context(open_transport(guard, connect_timeout_s=5))
    assert isinstance(opened, WireTransport)
    return opened


async def ask(transport: WireTransport, url: str, egress: EgressProxy | None = None) -> bytes:
    request = UpstreamRequest("GET", url, {}, b"")
    response = await transport.send(request, egress, first_byte_timeout_s=5)
    try:
        return await response.read(1000)
    finally:
        response.close()


async def test_one_connection_serves_one_request_after_the_other(
    transport: WireTransport, server: Server
) -> None:
    for number in range(5):
        assert await ask(transport, f"{server.url}/{number}") == b"/%d" % number
    assert server.connections == 1
    assert await asyncio.gather(*[ask(transport, f"{server.url}/{n}") for n in range(3)]) == [
        b"/0",
        b"/1",
        b"/2",
    ]
    assert server.connections == 3


async def test_each_way_has_its_own_connections(
    stack: AsyncExitStack, transport: WireTransport, server: Server
) -> None:
    proxies = []
    for kind in (FakeProxy, FakeProxy, FakeSocks):
        proxy = kind()
        await proxy.start()
        stack.push_async_callback(proxy.stop)
        proxies.append(proxy)
    ways = [EgressProxy(f"p{n}", "p", proxy.url) for n, proxy in enumerate(proxies)]
    for way in (None, *ways):
        for _ in range(2):
            assert await ask(transport, server.url + "/x", way) == b"/x"
    assert server.connections == 4
    assert [proxy.connections for proxy in proxies] == [1, 1, 1]


async def test_a_connection_that_the_provider_closed_meanwhile_is_not_used(
    transport: WireTransport, server: Server
) -> None:
    for number in range(3):
        assert await ask(transport, f"{server.url}/{number}") == b"/%d" % number
        for writer in list(server.open):
            writer.close()
        await until(lambda: transport._direct.idle.is_empty)
    assert server.connections == 3


async def test_small_packets_are_not_held_back(transport: WireTransport, server: Server) -> None:
    await ask(transport, server.url + "/x")
    connection = transport._direct.idle.take(server.url)
    assert connection is not None
    assert connection.transport is not None
    opened = connection.transport.get_extra_info("socket")
    assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    connection.abort()


async def test_a_connection_of_a_retired_way_is_closed(
    stack: AsyncExitStack,
    transport: WireTransport,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.by_egress.MAX_KEPT", 1)
    proxy = FakeProxy()
    await proxy.start()
    stack.push_async_callback(proxy.stop)
    old, new = EgressProxy("old", "p", proxy.url), EgressProxy("new", "p", proxy.url)
    request = UpstreamRequest("GET", server.url + "/busy", {}, b"")
    await ask(transport, server.url + "/idle", old)
    busy = await transport.send(request, old, first_byte_timeout_s=5)
    await ask(transport, server.url + "/x", old)
    assert len(server.open) == 2
    await ask(transport, server.url + "/x", new)
    await until(lambda: len(server.open) == 2)
    assert await busy.read(100) == b"/busy"
    busy.close()
    await until(lambda: len(server.open) == 1)


async def test_one_that_idled_for_too_long_is_closed(
    transport: WireTransport, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.wire.idle._KEEPALIVE_S", 0.05)
    await ask(transport, server.url + "/x")
    assert len(server.open) == 1
    await until(lambda: not server.open)
    assert await ask(transport, server.url + "/y") == b"/y"


def open_connections(transport: WireTransport) -> tuple[int, int]:
    """Return how many connections wait, and how many others are open."""
    idle = transport._direct.idle
    waiting = sum(map(len, idle._waiting.values()))
    return waiting, len(idle._all) - waiting


@pytest.mark.parametrize("turns", range(25))
async def test_cancelling_anywhere_leaves_no_half_used_connection(
    transport: WireTransport, server: Server, turns: int
) -> None:
    server.pause_s = 0.001
    await ask(transport, server.url + "/first")
    held: Connection | None = None
    for is_fresh in (False, True):
        if is_fresh:
            held = transport._direct.idle.take(server.url)
        task = asyncio.create_task(ask(transport, server.url + "/cancelled"))
        for _ in range(turns):
            await asyncio.sleep(0.0002 if turns > 12 else 0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        idle = transport._direct.idle
        assert all(one.is_over for waiting in idle._waiting.values() for one in waiting)
        assert await ask(transport, server.url + "/next") == b"/next"
    if held is not None:
        held.abort()
    await until(lambda: open_connections(transport) == (len(server.open), 0))


# --- a connection that breaks when it is used again ---


async def answered(wire: MemoryWire) -> None:
    sending = asyncio.create_task(wire.transport.send(REQUEST, None, first_byte_timeout_s=5))
    await asyncio.sleep(0)
    wire.last.say(ANSWER)
    response = await sending
    assert await response.read(10) == b"ok"
    response.close()


async def test_a_request_of_which_nothing_left_is_sent_on_another_connection() -> None:
    wire = MemoryWire()
    await answered(wire)
    sending = asyncio.create_task(wire.transport.send(REQUEST, None, first_byte_timeout_s=5))
    await asyncio.sleep(0)
    wire.last.hang_up(BrokenPipeError())
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(wire.opened) == 2
    wire.last.say(ANSWER)
    assert await (await sending).read(10) == b"ok"
    assert wire.last.written.endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize("case", ["reset", "closed", "large", "first", "answered"])
async def test_a_request_that_may_have_left_is_not_sent_again(case: str) -> None:
    wire = MemoryWire()
    if case != "first":
        await answered(wire)
    body = b"x" * 100_000 if case == "large" else b"{}"
    request = UpstreamRequest("POST", REQUEST.url, {}, body)
    sending = asyncio.create_task(wire.transport.send(request, None, first_byte_timeout_s=5))
    await asyncio.sleep(0)
    if case == "answered":
        wire.last.say(b"HTTP/1.1 100 Continue\r\n\r\n")
    errors = {"reset": ConnectionResetError(), "closed": None}
    wire.last.hang_up(errors.get(case, BrokenPipeError()))
    with pytest.raises(ConnectionLost):
        await sending
    assert len(wire.opened) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(ANSWER.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), id="close"),
        pytest.param(ANSWER.replace(b"1.1", b"1.0"), id="old"),
    ],
)
async def test_a_connection_that_shall_not_be_used_again_is_not(answer: bytes) -> None:
    """Even where the provider leaves it open."""
    wire = MemoryWire()
    sending = asyncio.create_task(wire.transport.send(REQUEST, None, first_byte_timeout_s=5))
    await asyncio.sleep(0)
    wire.last.say(answer)
    response = await sending
    assert await response.read(10) == b"ok"
    response.close()
    assert wire.last.is_closing()


@pytest.mark.parametrize(("status", "stays"), [(413, False), (200, True)])
async def test_over_tls_a_refusal_of_a_large_request_ends_the_connection(
    status: int, stays: bool
) -> None:
    """What of it TLS still holds back cannot be seen: a next request might follow it."""
    wire = MemoryWire()
    large = replace(REQUEST, body=b"x" * 100_000)
    sending = asyncio.create_task(wire.transport.send(large, None, first_byte_timeout_s=5))
    await asyncio.sleep(0)
    wire.last.get_extra_info = (  # type: ignore[method-assign]
        lambda name, default=None: object() if name == "ssl_object" else default
    )
    wire.last.say(ANSWER.replace(b"200", str(status).encode()))
    response = await sending
    assert await response.read(10) == b"ok"
    response.close()
    assert wire.last.is_closing() is not stays


async def test_an_answer_before_its_request_was_sent_ends_the_connection() -> None:
    wire = MemoryWire()
    sending = asyncio.create_task(wire.transport.send(REQUEST, None, first_byte_timeout_s=5))
    await asyncio.sleep(0)
    wire.last.get_write_buffer_size = lambda: 5  # type: ignore[method-assign]
    wire.last.say(ANSWER)
    response = await sending
    assert await response.read(10) == b"ok"
    response.close()
    assert wire.last.is_closing()


@pytest.mark.parametrize(
    "headers",
    [
        {"x": "a\r\nb: c"},
        {"x": "a\nb"},
        {"x": "a\rb"},
        {"x": "a\0b"},
        {"x\r\ny": "a"},
        {"x y": "a"},
        {"x": "a\r", "y": "\nb"},
        {"x": "\u2028"},
        {"Content-Length": "5"},
        {"transfer-encoding": "chunked"},
    ],
)
async def test_a_header_that_would_be_another_request_is_not_sent(headers: dict[str, str]) -> None:
    wire = MemoryWire()
    request = UpstreamRequest("POST", REQUEST.url, headers, b"{}")
    with pytest.raises(UpstreamError, match="could not be sent"):
        await wire.transport.send(request, None, first_byte_timeout_s=5)
    assert wire.opened == []


@pytest.mark.parametrize(
    "url", ["http://a b/", "http:///x", "ftp://x/", "http://x:99999/", "//x/", "http://x:y/"]
)
async def test_an_address_that_is_none_is_not_connected_to(url: str) -> None:
    wire = MemoryWire()
    with pytest.raises(UpstreamError, match="could not be sent"):
        await wire.transport.send(
            UpstreamRequest("GET", url, {}, b""), None, first_byte_timeout_s=5
        )
    assert wire.opened == []
