"""Who connects is let in soon, on either event loop, and nobody after the end."""

import asyncio
import logging
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from aiohttp import web

from handlers import listener
from handlers.listener import ListeningSite


class Guests:
    """What serves connections: it greets and keeps them."""

    def __init__(self) -> None:
        self.inside: list[asyncio.Transport] = []

    def __call__(self) -> asyncio.Protocol:
        return _Guest(self.inside)


class _Guest(asyncio.Protocol):
    def __init__(self, inside: list[asyncio.Transport]) -> None:
        self._inside = inside

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(b"hello")  # type: ignore[attr-defined]
        self._inside.append(transport)  # type: ignore[arg-type]  # uvloop's are no subclasses

    def eof_received(self) -> None:
        pass


@asynccontextmanager
async def listening(guests: Guests, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    runner._server = guests  # type: ignore[assignment]
    site = ListeningSite(runner, host, port, backlog=1_000)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await site.stop()
        for transport in guests.inside:
            transport.abort()


@contextmanager
def connected(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Connect so many clients; the system answers them, nobody has let them in."""
    clients = []
    try:
        for _ in range(count):
            clients.append(socket.create_connection(("127.0.0.1", port), timeout=10))
        yield clients
    finally:
        for client in clients:
            client.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.001)


async def test_many_who_wait_are_let_in_within_few_rounds() -> None:
    guests = Guests()
    async with listening(guests) as port:
        with connected(port, 400):
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(guests.inside) == 400


async def test_what_is_written_leaves_at_once() -> None:
    guests = Guests()
    async with listening(guests) as port:
        with connected(port, 1) as (client,):
            await until(lambda: len(guests.inside) == 1)
            ours = guests.inside[0].get_extra_info("socket")
            # Nagle's algorithm would hold the second of two pieces back.
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert await asyncio.to_thread(client.recv, 10) == b"hello"


async def test_who_is_in_stays_when_nobody_is_let_in_any_more() -> None:
    guests = Guests()
    async with listening(guests) as port:
        with connected(port, 1) as (client,):
            await until(lambda: len(guests.inside) == 1)
            runner = web.AppRunner(web.Application())
            await runner.setup()
            runner._server = guests  # type: ignore[assignment]
            second = ListeningSite(runner, "127.0.0.1", 0)
            await second.start()
            other_port = runner.addresses[0][1]
            with connected(other_port, 1) as (other,):
                await until(lambda: len(guests.inside) == 2)
                await second.stop()
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", other_port), timeout=10)
                guests.inside[1].write(b", still")
                await asyncio.sleep(0)
                told = b""
                while len(told) < 12:
                    told += await asyncio.to_thread(other.recv, 20)
                assert told == b"hello, still"
            assert client.recv(10) == b"hello"


async def test_without_room_for_more_they_wait_and_are_let_in_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener, "_REST_S", 0.1)
    caplog.set_level(logging.ERROR, "handlers.listener")

    guests = Guests()
    async with listening(guests) as port:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with connected(port, 3):
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
                await until(lambda: "clients have to wait" in caplog.text)
                assert guests.inside == []
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert caplog.text.count("clients have to wait") <= 2  # it does not spin
            await until(lambda: len(guests.inside) == 3)


async def test_a_client_that_left_before_it_was_let_in_does_no_harm() -> None:
    guests = Guests()
    async with listening(guests) as port:
        with connected(port, 5) as clients:
            for client in clients[:4]:
                # Closed with a reset instead of an end.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.close()
            assert await asyncio.to_thread(clients[4].recv, 10) == b"hello"


async def test_an_address_that_is_taken_is_told_and_nothing_stays_open() -> None:
    async with listening(Guests()) as port:
        with pytest.raises(OSError, match="in use"):
            async with listening(Guests(), port=port):
                pass
