"""Where clients connect: many of those that wait are let in together.

A server of uvloop's accepts one connection in each round of the loop, as libuv does. Under full
load a round takes 10 ms and more: who connects then would wait behind all who did before, for half
a minute behind some thousands of them, while calls on older connections are answered at once.
"""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Final, cast

from aiohttp import web

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 64
"""So many are let in before others have their turn."""
_SHORT_OF: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_REST_S: Final = 1.0


class ListeningSite(web.BaseSite):
    """Connects a runner's server to an address."""

    def __init__(
        self,
        runner: web.AppRunner,
        host: str,
        port: int,
        *,
        backlog: int = 128,
        reuse_port: bool = False,
    ) -> None:
        """`backlog`: connections that wait to be let in. `reuse_port`: other processes of ours may
        listen there, too."""
        super().__init__(runner, backlog=backlog)
        self._host = host
        self._port = port
        self._reuse_port = reuse_port

    @property
    def name(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen. Raises OSError when the address is taken, or none of this machine's."""
        await super().start()
        server = self._runner.server
        assert server is not None  # noqa: S101 - for the type checker
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        with contextlib.ExitStack() as undone:
            sockets = [
                undone.enter_context(self._bound(family, address))
                for family, _, _, _, address in dict.fromkeys(found)
            ]
            undone.pop_all()
        # aiohttp asks it for its sockets, and closes it.
        self._server = cast(asyncio.AbstractServer, Listener(loop, sockets, server))

    def _bound(self, family: int, address: tuple[object, ...]) -> socket.socket:
        return socket.create_server(
            address, family=family, backlog=self._backlog, reuse_port=self._reuse_port
        )


class Listener:
    """Lets clients in on listening sockets, until it is closed."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sockets: Sequence[socket.socket],
        make: Callable[[], asyncio.BaseProtocol],
    ) -> None:
        """`make` makes what serves a connection. The sockets listen; they are closed here."""
        self.sockets = list(sockets)
        self._loop = loop
        self._make = make
        self._opening: set[asyncio.Task[None]] = set()
        self._resting: dict[socket.socket, asyncio.TimerHandle] = {}
        for one in self.sockets:
            one.setblocking(False)
            # Clients' sockets inherit it. asyncio sets it only where TCP is named as the protocol.
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            loop.add_reader(one, self._let_in, one)

    def close(self) -> None:
        """Let nobody in any more; who is in stays."""
        for timer in self._resting.values():
            timer.cancel()
        for one in self.sockets:
            self._loop.remove_reader(one)
            one.close()
        self.sockets.clear()

    def _let_in(self, listening: socket.socket) -> None:
        for client in self._waiting(listening):
            client.setblocking(False)
            task = self._loop.create_task(self._open(client))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, client)
        except OSError:  # it has left
            client.close()

    def _waiting(self, listening: socket.socket) -> Iterator[socket.socket]:
        """Yield those who wait, or some of them."""
        try:
            for _ in range(_AT_ONCE):
                yield listening.accept()[0]
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # no more, for now
        except OSError as error:
            if error.errno not in _SHORT_OF:
                raise
            self._rest(listening, error)

    def _rest(self, listening: socket.socket, error: OSError) -> None:
        """Let nobody in for a moment: there is no room, and asking again at once makes none."""
        logger.error("clients have to wait", extra={"reason": error.strerror, "rest_s": _REST_S})
        self._loop.remove_reader(listening)
        self._resting[listening] = self._loop.call_later(_REST_S, self._go_on, listening)

    def _go_on(self, listening: socket.socket) -> None:
        del self._resting[listening]
        self._loop.add_reader(listening, self._let_in, listening)
