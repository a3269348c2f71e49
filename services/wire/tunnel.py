"""How a proxy is asked for a way through: HTTP CONNECT, and SOCKS5."""

import asyncio
import re
import socket
from typing import Final, cast

from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError, ProxyType
from python_socks.async_.asyncio import Proxy

from services import failed_calls
from services.reach import ProxyFailed, Silence, of_connect
from services.wire.connection import Malformed

_MAX_HEAD_BYTES: Final = 65_536
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")


class Asking(asyncio.Protocol):
    """Sends CONNECT and waits for the proxy's answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, authority: str, authorization: str) -> None:
        """`authority`: the provider's host and port; `authorization`: empty if none is wanted."""
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
        if authorization:
            lines.append(f"Proxy-Authorization: {authorization}")
        self._request = "\r\n".join([*lines, "", ""]).encode("ascii")
        self._answer = bytearray()
        self._answered: asyncio.Future[int] = loop.create_future()

    async def answered(self) -> None:
        """Return when the way is open. Raises NoWay."""
        try:
            status = await self._answered
        except (OSError, Malformed) as error:
            raise ProxyFailed("the proxy broke off") from error
        if not 200 <= status < 300:
            raise of_connect(status)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        end = self._answer.find(b"\r\n\r\n")
        if end < 0 and len(self._answer) < _MAX_HEAD_BYTES:
            return
        status = _STATUS.match(self._answer)
        # Nobody speaks through the tunnel before we do.
        is_alone = end + 4 == len(self._answer)
        if status is None or (status[1].startswith(b"2") and not is_alone):
            self._end(Malformed("not an answer to CONNECT"))
        elif not self._answered.done():
            self._answered.set_result(int(status[1]))

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or ConnectionResetError("closed by the proxy"))

    def _end(self, error: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(error)


async def through_socks(
    proxy: tuple[str, int],
    credentials: tuple[str, str] | None,
    host: str,
    port: int,
    *,
    timeout_s: float,
) -> socket.socket:
    """Return a socket that leads to `host`, which may be a name. Raises NoWay.

    `proxy`: its address, no name.
    """
    username, password = credentials or (None, None)
    way = Proxy(ProxyType.SOCKS5, *proxy, username=username, password=password, rdns=True)
    try:
        connected: socket.socket = await way.connect(host, port, timeout=timeout_s)
    except ProxyError as error:
        code = error.error_code
        raise failed_calls.of_socks(None if code is None else int(code)) from error
    except ProxyTimeoutError as error:
        raise Silence("no connection in time") from error
    except ProxyConnectionError as error:
        raise ProxyFailed("no connection to the proxy") from error
    except OSError as error:
        raise ProxyFailed("the proxy broke off") from error
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    return connected
