"""TLS of our own client: verified, resumed, and cut only by those who may."""

import asyncio
import os
import socket
import ssl
import threading
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from models.egress import EgressProxy
from models.errors import Blame, ConnectFailed, StreamBroken
from models.exchange import UpstreamRequest
from models.ports import Transport
from services.guard import AddressGuard
from services.transport import open_transport
from services.wire.connection import Connection
from services.wire.opening import over_socket
from services.wire.tls import client_context
from tests.fakes.proxies import FakeProxy, FakeSocks
from tests.fakes.tls import server_context, trusting

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TO_THE_END = b"HTTP/1.1 200 OK\r\n\r\nok"


@dataclass
class Secured:
    """A provider behind TLS, known as `localhost`."""

    context: ssl.SSLContext
    answer: bytes = ANSWER
    is_cut: bool = False
    """Whether it ends connections without a word of TLS."""
    resumed: list[bool] = field(default_factory=list)
    protocols: list[str | None] = field(default_factory=list)
    port: int = 0

    async def start(self, stack: AsyncExitStack) -> None:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, ssl=self.context)
        await stack.enter_async_context(server)
        self.port = server.sockets[0].getsockname()[1]

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls = writer.get_extra_info("ssl_object")
        self.resumed.append(tls.session_reused)
        self.protocols.append(tls.selected_alpn_protocol())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.answer)
            await writer.drain()
            if self.is_cut:
                # Below TLS: an end of the connection that TLS knows nothing of.
                await asyncio.sleep(0.02)
                descriptor = writer.get_extra_info("socket").fileno()
                with socket.socket(fileno=os.dup(descriptor)) as bare:
                    bare.shutdown(socket.SHUT_WR)
                await reader.read()
        writer.close()

    async def ask(
        self, transport: Transport, egress: EgressProxy | None = None, name: str = "localhost"
    ) -> bytes:
        request = UpstreamRequest("GET", f"https://{name}:{self.port}/", {}, b"")
        response = await transport.send(request, egress, first_byte_timeout_s=5)
        try:
            return await response.read(100)
        finally:
            response.close()


@pytest.fixture
async def far(stack: AsyncExitStack, tmp_path: Path) -> Secured:
    context = server_context(tmp_path, "localhost")
    context.set_alpn_protocols(["h2", "http/1.1"])
    started = Secured(context)
    await started.start(stack)
    stack.enter_context(trusting(tmp_path))
    return started


@pytest.fixture
async def transport(stack: AsyncExitStack) -> Transport:
    guard = AddressGuard(["127.0.0.0/8", "::1/128"])
    return await stack.enter_async_context(open_transport(guard, connect_timeout_s=5))


async def test_a_name_that_the_certificate_does_not_have_is_not_spoken_with(
    far: Secured, transport: Transport
) -> None:
    with pytest.raises(ConnectFailed) as caught:
        await far.ask(transport, name="127.0.0.1")
    assert (caught.value.blame, caught.value.sent) == (Blame.PROVIDER, False)


async def test_a_certificate_of_nobody_we_know_is_not_taken(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    far = Secured(server_context(tmp_path, "localhost"))
    await far.start(stack)
    guard = AddressGuard(["127.0.0.0/8", "::1/128"])
    trustless = await stack.enter_async_context(open_transport(guard, connect_timeout_s=5))
    with pytest.raises(ConnectFailed):
        await far.ask(trustless)
    assert far.resumed == []


async def test_the_second_connection_resumes_the_session_of_the_first(
    far: Secured, transport: Transport
) -> None:
    far.answer = ANSWER.replace(b"\r\n\r\n", b"\r\nX: y\r\n\r\n")
    for _ in range(3):
        assert await far.ask(transport) == b"ok"
        await asyncio.sleep(0.01)
    assert far.resumed == [False, True, True]
    assert far.protocols == ["http/1.1"] * 3


async def test_another_way_resumes_no_session_of_this_one(
    stack: AsyncExitStack, far: Secured, transport: Transport
) -> None:
    proxies = [FakeProxy(), FakeProxy()]
    for proxy in proxies:
        await proxy.start()
        stack.push_async_callback(proxy.stop)
    ways = [None, *(EgressProxy(f"p{n}", "p", proxy.url) for n, proxy in enumerate(proxies))]
    for _ in range(2):
        for way in ways:
            assert await far.ask(transport, way) == b"ok"
            await asyncio.sleep(0.01)
    assert far.resumed == [False] * 3 + [True] * 3


async def test_a_proxy_that_was_moved_resumes_no_session_of_the_old_one(
    stack: AsyncExitStack, far: Secured, transport: Transport
) -> None:
    ways = []
    for kind in (FakeProxy, FakeProxy, FakeSocks, FakeSocks):
        proxy = kind()
        await proxy.start()
        stack.push_async_callback(proxy.stop)
        ways.append(EgressProxy("p", "p", proxy.url))
    for _ in range(2):
        for way in ways:
            assert await far.ask(transport, way) == b"ok"
            await asyncio.sleep(0.01)
    assert far.resumed == [False] * 4 + [True] * 4


async def test_a_body_that_the_end_ends_must_be_ended_by_tls(
    far: Secured, transport: Transport
) -> None:
    far.answer = TO_THE_END
    assert await far.ask(transport) == b"ok"
    far.is_cut = True
    with pytest.raises(StreamBroken):
        await far.ask(transport)


async def test_what_came_at_once_is_read_though_the_wire_is_closed_behind_it(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    """However much it is: what would be left inside TLS until a later turn would be lost."""
    context, body = server_context(tmp_path, "localhost"), b"x" * 150_000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    is_asked, is_written = threading.Event(), threading.Event()
    near, far = socket.socketpair()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * len(body))

    def serve() -> None:
        try:
            with context.wrap_socket(far, server_side=True) as secured:
                secured.recv(1000)
                is_asked.wait(5)
                secured.sendall(head + body)
        finally:
            is_written.set()

    loop = asyncio.get_running_loop()
    connection = Connection(loop, "", lambda _: None)
    serving = asyncio.create_task(asyncio.to_thread(serve))
    near.setblocking(False)
    tls = client_context(tmp_path / "server.pem")
    await over_socket(near, connection, tls=tls, host="localhost", place="")
    answered = connection.ask(b"GET / HTTP/1.1\r\n\r\n", b"", loop.time() + 5, is_head=False)
    await asyncio.sleep(0.05)
    is_asked.set()
    while not is_written.is_set():
        pass  # nothing is read before all of it has come
    await answered
    while not connection.is_over and connection.fault is None:
        await connection.more(5)
    assert (connection.fault, connection.taken()) == (None, body)
    connection.abort()
    await serving


async def test_a_proxy_behind_tls_leads_to_a_provider_behind_tls(
    stack: AsyncExitStack, far: Secured, transport: Transport
) -> None:
    proxy = FakeProxy("user", "pass")
    front = await asyncio.start_server(proxy._accept, "127.0.0.1", 0, ssl=far.context)
    await stack.enter_async_context(front)
    port = front.sockets[0].getsockname()[1]
    egress = EgressProxy("p", "p", f"https://user:pass@localhost:{port}")
    for _ in range(2):
        assert await far.ask(transport, egress) == b"ok"
        await asyncio.sleep(0.01)
    assert proxy.targets == [("localhost", far.port)] * 2
    assert far.resumed == [False, True]
