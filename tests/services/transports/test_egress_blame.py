"""Whose fault it is that a request did not get through a proxy (pains 16, 32 and 39)."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.egress import EgressProxy
from models.errors import Blame, ConnectFailed, ConnectionLost, ErrorKind
from models.exchange import UpstreamRequest
from models.ports import Transport
from services.guard import AddressGuard
from services.reach import ProxyFailed, Reach, Silence, TargetMissed, UnknownHere
from services.transport import Client, open_transport
from tests.fakes.clock import FakeClock
from tests.fakes.proxies import FakeProxy, FakeSocks
from tests.fakes.tls import server_context, trusting

NAME = "provider.test"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"


@dataclass
class Far:
    """A provider behind TLS, known as `provider.test` to proxies only."""

    stack: AsyncExitStack
    transport: Transport
    folder: Path
    port: int = 0
    mode: str = "serve"
    requests: int = 0
    _server: asyncio.Server | None = None
    _context: ssl.SSLContext | None = None

    async def start(self) -> None:
        self._context = self._context or server_context(self.folder, NAME, "localhost")
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._context
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        if self.mode == "serve":
            writer.write(ANSWER)
        writer.close()

    async def proxy(self, kind: type[FakeProxy], **fields: object) -> FakeProxy:
        proxy = kind(hosts={NAME: "127.0.0.1"}, **fields)  # type: ignore[arg-type] # checked at run time
        await proxy.start()
        self.stack.push_async_callback(proxy.stop)
        return proxy

    async def ask(
        self, proxy: FakeProxy, *, name: str = NAME, url: str = "", scheme: str = ""
    ) -> int:
        """Send a request; return the status."""
        address = (url or proxy.url).replace("socks5:", scheme or "socks5h:")
        egress = EgressProxy(f"id-{proxy.port}", "paris", address)
        request = UpstreamRequest("GET", f"https://{name}:{self.port}/", {}, b"")
        response = await self.transport.send(request, egress, first_byte_timeout_s=5)
        response.close()
        return response.status

    async def failure(self, proxy: FakeProxy, *, name: str = NAME, url: str = "") -> ConnectFailed:
        with pytest.raises(ConnectFailed) as caught:
            await self.ask(proxy, name=name, url=url)
        assert not caught.value.sent
        assert caught.value.retryable
        return caught.value


@pytest.fixture
async def far(tmp_path: Path, client: Client) -> AsyncIterator[Far]:
    async with AsyncExitStack() as stack:
        guard = AddressGuard(["127.0.0.0/8", "::1/128"])
        opening = open_transport(guard, connect_timeout_s=0.5, client=client)
        transport = await stack.enter_async_context(opening)
        opened = Far(stack, transport, tmp_path)
        await opened.start()
        stack.push_async_callback(opened.stop)
        stack.enter_context(trusting(tmp_path))
        yield opened


BOTH = pytest.mark.parametrize("kind", [FakeProxy, FakeSocks])


@BOTH
async def test_tls_with_the_provider_is_spoken_through_the_proxy(
    far: Far, kind: type[FakeProxy]
) -> None:
    assert await far.ask(await far.proxy(kind)) == 200
    assert far.requests == 1


async def test_a_name_that_is_resolved_here_is_still_the_name_in_tls(far: Far) -> None:
    socks = await far.proxy(FakeSocks)
    assert await far.ask(socks, name="localhost", scheme="socks5:") == 200
    assert socks.targets[0][0] in ("127.0.0.1", "::1")


@BOTH
@pytest.mark.parametrize("mode", ["drop", "hang", "refuse"])
async def test_a_proxy_that_breaks_off_hangs_or_refuses_is_to_blame(
    far: Far, kind: type[FakeProxy], mode: str
) -> None:
    proxy = await far.proxy(kind, mode=mode)
    error = await far.failure(proxy)
    assert (error.blame, error.kind) == (Blame.EGRESS, ErrorKind.EGRESS)
    assert error.evidence


@BOTH
async def test_a_proxy_that_is_full_is_to_blame(far: Far, kind: type[FakeProxy]) -> None:
    proxy = await far.proxy(kind, limit=1)
    _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    error = await far.failure(proxy)
    assert error.blame is Blame.EGRESS
    writer.close()


@BOTH
async def test_a_proxy_that_was_killed_is_to_blame(far: Far, kind: type[FakeProxy]) -> None:
    proxy = await far.proxy(kind)
    await proxy.stop()
    error = await far.failure(proxy)
    assert (error.blame, error.evidence) == (Blame.EGRESS, "no connection to the proxy")


@BOTH
async def test_a_proxy_that_refuses_our_password_is_to_blame_and_it_is_not_told(
    far: Far, kind: type[FakeProxy]
) -> None:
    proxy = await far.proxy(kind, username="user", password="right")
    error = await far.failure(proxy, url=proxy.url.replace("right", "wr0ng"))
    assert error.blame is Blame.EGRESS
    assert proxy.refused == 1
    assert "wr0ng" not in f"{error} {error.evidence} {error!r}"


@BOTH
async def test_a_provider_that_is_away_is_no_proxys_fault(far: Far, kind: type[FakeProxy]) -> None:
    """Pain 39: an outage of one provider must not take the proxies from all others."""
    proxies = [await far.proxy(kind) for _ in range(3)]
    for proxy in proxies:
        assert await far.ask(proxy) == 200
    await far.stop()
    for _ in range(3):
        for proxy in proxies:
            error = await far.failure(proxy)
            assert (error.blame, error.kind) == (Blame.PROVIDER, ErrorKind.UPSTREAM)
    await far.start()
    for proxy in proxies:
        assert await far.ask(proxy) == 200


@BOTH
async def test_a_proxy_without_a_way_out_is_to_blame_once_others_got_through(
    far: Far, kind: type[FakeProxy]
) -> None:
    lost, good = await far.proxy(kind, mode="lost"), await far.proxy(kind)
    blames = []
    for _ in range(4):
        blames.append((await far.failure(lost)).blame)
        assert await far.ask(good) == 200
    assert blames == [Blame.PROVIDER, *[Blame.EGRESS] * 3]
    lost.mode = "serve"
    assert await far.ask(lost) == 200


@BOTH
async def test_a_certificate_that_is_wrong_through_every_proxy_is_no_proxys_fault(
    far: Far, kind: type[FakeProxy]
) -> None:
    proxies = [await far.proxy(kind) for _ in range(2)]
    for proxy in (*proxies, *proxies):
        proxy.hosts["other.test"] = "127.0.0.1"
        assert (await far.failure(proxy, name="other.test")).blame is Blame.PROVIDER


@BOTH
async def test_a_provider_that_takes_the_request_and_hangs_up_may_have_seen_it(
    far: Far, kind: type[FakeProxy]
) -> None:
    far.mode = "drop"
    with pytest.raises(ConnectionLost) as caught:
        await far.ask(await far.proxy(kind))
    assert (caught.value.blame, caught.value.sent) == (Blame.PROVIDER, True)


@pytest.mark.parametrize("scheme", ["HTTP", "Http", "SOCKS5", "socks4", "gopher", ""])
async def test_however_a_proxy_is_spelled_nothing_goes_past_it(far: Far, scheme: str) -> None:
    """The direct listener sees nothing."""
    kind = FakeSocks if "SOCKS" in scheme else FakeProxy
    proxy = await far.proxy(kind)
    url = f"{scheme}://127.0.0.1:{proxy.port}"
    request = UpstreamRequest("GET", f"https://localhost:{far.port}/", {}, b"")
    egress = EgressProxy("p", "p", url)
    if scheme in ("socks4", "gopher", ""):
        with pytest.raises(ConnectFailed) as caught:
            await far.transport.send(request, egress, first_byte_timeout_s=5)
        assert caught.value.blame is Blame.EGRESS
    else:
        response = await far.transport.send(request, egress, first_byte_timeout_s=5)
        response.close()
    assert len(proxy.targets) == far.requests


# --- the memory behind it ---


@pytest.mark.parametrize(
    ("error", "story", "blame"),
    [
        pytest.param(ProxyFailed(), "", Blame.EGRESS, id="the proxy itself, always"),
        pytest.param(ProxyFailed(), "missed b", Blame.EGRESS, id="the proxy itself, in an outage"),
        pytest.param(UnknownHere(), "missed a, reached b", Blame.PROVIDER, id="nobody's proxy"),
        pytest.param(TargetMissed(), "", Blame.PROVIDER, id="nothing known"),
        pytest.param(TargetMissed(), "reached b", Blame.PROVIDER, id="failed for the first time"),
        pytest.param(TargetMissed(), "missed a", Blame.PROVIDER, id="nobody else tried"),
        pytest.param(TargetMissed(), "missed a, reached b", Blame.EGRESS, id="others got through"),
        pytest.param(
            TargetMissed(), "missed a, reached a, reached b", Blame.PROVIDER, id="was well"
        ),
        pytest.param(TargetMissed(), "missed a, reached b, wait", Blame.PROVIDER, id="long ago"),
        pytest.param(Silence(), "", Blame.EGRESS, id="silent, nothing known"),
        pytest.param(Silence(), "missed b", Blame.PROVIDER, id="silent, as others"),
        pytest.param(
            Silence(), "missed b, reached c", Blame.EGRESS, id="silent, others came through"
        ),
        pytest.param(Silence(), "missed b, wait", Blame.EGRESS, id="silent, others were long ago"),
    ],
)
def test_blame_follows_what_others_could_do(error: TargetMissed, story: str, blame: Blame) -> None:
    clock = FakeClock()
    reach = Reach(clock.monotonic)
    for event in filter(None, story.split(", ")):
        what, _, way = event.partition(" ")
        if what == "missed":
            reach.blame(TargetMissed(), "host:443", way)
        elif what == "reached":
            reach.reached("host:443", way)
        clock.advance(601 if what == "wait" else 1)
    assert reach.blame(error, "host:443", "a") is blame


def test_the_memory_is_bounded_and_empty_when_all_is_well() -> None:
    reach = Reach(FakeClock().monotonic)
    for number in range(1000):
        reach.blame(TargetMissed(), f"host-{number}:443", "a")
    assert len(reach._hosts) == 256
    for number in range(1000):
        reach.reached(f"host-{number}:443", "a")
    assert not reach
