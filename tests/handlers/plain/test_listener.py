"""Who connects is let in soon, on either event loop, and nobody after the end."""

import asyncio
import logging
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from aiohttp import web

from handlers import listener
from handlers.listener import Listener, ListeningSite
from tests.waiting import until


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


@contextmanager
def listening(guests: Guests) -> Iterator[Listener]:
    opened = socket.create_server(("127.0.0.1", 0), backlog=1_000)
    letting_in = Listener(asyncio.get_running_loop(), [opened], guests)
    try:
        yield letting_in
    finally:
        letting_in.close()
        for transport in guests.inside:
            transport.abort()


@asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[web.AppRunner]:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    try:
        await ListeningSite(runner, "127.0.0.1", port).start()
        yield runner
    finally:
        await runner.cleanup()


@contextmanager
def connected(where: Listener, count: int) -> Iterator[list[socket.socket]]:
    """Connect so many clients; the system answers them, nobody has let them in."""
    (opened,) = where.sockets
    clients = []
    try:
        for _ in range(count):
            clients.append(socket.create_connection(opened.getsockname(), timeout=10))
        yield clients
    finally:
        for client in clients:
            client.close()


async def told(client: socket.socket, size: int) -> bytes:
    return await asyncio.to_thread(client.recv, size, socket.MSG_WAITALL)


async def test_many_who_wait_are_let_in_within_few_rounds() -> None:
    guests = Guests()
    with listening(guests) as here, connected(here, 400):
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(guests.inside) == 400


async def test_what_is_written_leaves_at_once() -> None:
    guests = Guests()
    with listening(guests) as here, connected(here, 1):
        await until(lambda: guests.inside)
        # Nagle's algorithm would hold the second of two pieces back.
        ours = guests.inside[0].get_extra_info("socket")
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_who_is_in_stays_when_nobody_is_let_in_any_more() -> None:
    guests = Guests()
    with listening(guests) as here, connected(here, 1) as (client,):
        await until(lambda: guests.inside)
        address = here.sockets[0].getsockname()
        here.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=10)
        guests.inside[0].write(b", still")
        assert await told(client, 12) == b"hello, still"


async def test_without_room_for_more_they_wait_and_are_let_in_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listener, "_REST_S", 0.1)
    caplog.set_level(logging.ERROR, "handlers.listener")

    guests = Guests()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with listening(guests) as here, connected(here, 3):
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
    with listening(guests) as here, connected(here, 5) as clients:
        for client in clients[:4]:
            # Closed with a reset instead of an end.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        assert await told(clients[4], 5) == b"hello"


async def test_an_address_that_is_taken_is_told_and_nothing_stays_open() -> None:
    async with serving() as runner:
        with pytest.raises(OSError, match="in use"):
            async with serving(port=runner.addresses[0][1]):
                pass
