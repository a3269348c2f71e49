"""Names, and the addresses that they lead to."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from models.errors import ConnectFailed
from models.exchange import UpstreamRequest
from services.guard import AddressGuard
from services.transport import open_transport
from services.wire.names import Names


@dataclass
class Resolver:
    """Stands in for the system's."""

    addresses: Sequence[str] = ("127.0.0.1",)
    asked: list[str] = field(default_factory=list)
    is_away: bool = False

    async def getaddrinfo(
        self, host: str, port: int | None = None, **_: object
    ) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        if host.startswith("127."):  # uvloop asks before it connects
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port or 0))]
        self.asked.append(host)
        await asyncio.sleep(0.01)
        if self.is_away:
            raise socket.gaierror(socket.EAI_AGAIN, "away")
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in self.addresses
        ]


@pytest.fixture
async def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    fake = Resolver()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fake.getaddrinfo)
    return fake


@pytest.fixture
async def names() -> AsyncIterator[Names]:
    opened = Names()
    yield opened
    await opened.aclose()


async def found(names: Names, host: str = "provider.test") -> list[tuple[str, int]]:
    return [(str(info[4][0]), info[4][1]) for info in await names.find(host, 443)]


async def test_all_who_ask_at_once_ask_once_and_the_answer_is_kept(
    names: Names, resolver: Resolver
) -> None:
    assert await asyncio.gather(*[found(names) for _ in range(5)]) == [[("127.0.0.1", 443)]] * 5
    assert await found(names) == [("127.0.0.1", 443)]
    assert resolver.asked == ["provider.test"]


async def test_who_leaves_takes_the_answer_from_nobody(names: Names, resolver: Resolver) -> None:
    leaving, staying = (asyncio.create_task(found(names)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == [("127.0.0.1", 443)]
    assert resolver.asked == ["provider.test"]


async def test_the_last_good_answer_serves_while_names_cannot_be_resolved(
    names: Names, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.wire.names._FRESH_S", 0.0)
    monkeypatch.setattr("services.wire.names._ASK_AGAIN_S", 0.0)
    await found(names)
    resolver.is_away = True
    assert await found(names) == [("127.0.0.1", 443)]
    with pytest.raises(socket.gaierror):
        await found(names, "another.test")
    assert resolver.asked == ["provider.test", "provider.test", "another.test"]
    resolver.is_away, resolver.addresses = False, ["127.0.0.2"]
    assert await found(names) == [("127.0.0.2", 443)]
    resolver.is_away = True
    names._known["provider.test"].usable_until = 0.0
    with pytest.raises(socket.gaierror):
        await found(names)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_address_needs_no_resolver(names: Names, resolver: Resolver, host: str) -> None:
    assert await found(names, host) == [(host, 443)]
    assert resolver.asked == []


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "a..test"])
async def test_what_is_no_name_is_not_known(names: Names, host: str) -> None:
    with pytest.raises(OSError):
        await found(names, host)


# --- connecting ---


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    async with AsyncExitStack() as stack:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        await stack.enter_async_context(server)
        yield int(server.sockets[0].getsockname()[1])


async def status(guard: AddressGuard, port: int) -> int:
    async with open_transport(guard, connect_timeout_s=1) as transport:
        request = UpstreamRequest("GET", f"http://provider.test:{port}/", {}, b"")
        response = await transport.send(request, None, first_byte_timeout_s=5)
        response.close()
        return response.status


@pytest.mark.parametrize(
    "addresses",
    [
        pytest.param(["127.0.0.2", "127.0.0.1"], id="refused"),
        pytest.param(["127.0.0.2", "127.0.0.3", "127.0.0.1"], id="refused twice"),
        pytest.param(["10.0.0.1", "127.0.0.1"], id="not allowed"),
    ],
)
async def test_the_next_address_is_tried(
    port: int, resolver: Resolver, addresses: list[str]
) -> None:
    resolver.addresses = addresses
    assert await status(AddressGuard(["127.0.0.0/8"]), port) == 204


async def test_a_name_that_leads_where_nobody_may_go_is_not_followed(
    port: int, resolver: Resolver
) -> None:
    resolver.addresses = ["127.0.0.1", "10.0.0.1"]
    with pytest.raises(ConnectFailed):
        await status(AddressGuard(), port)
