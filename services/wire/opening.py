"""Puts connections upon sockets and tunnels, with TLS where it is wanted.

Everything raises OSError, and closes what it was given then.
"""

import asyncio
import socket
from functools import partial

from services.wire.connection import Connection
from services.wire.tls import ResumingContext, head_for, head_on_to


async def over_socket(
    connected: socket.socket,
    protocol: asyncio.BaseProtocol,
    *,
    tls: ResumingContext | None,
    host: str,
    place: str,
) -> asyncio.Transport:
    """Let `protocol` speak over a socket; with `tls`, to a server of this name."""
    loop = asyncio.get_running_loop()
    head_for(place)
    try:
        transport, _ = await loop.create_connection(
            lambda: protocol,
            sock=connected,
            ssl=tls,
            server_hostname=host if tls is not None else None,
        )
    except BaseException:
        connected.close()
        raise
    _settle(protocol, tls, place)
    return transport


async def over_tunnel(
    transport: asyncio.Transport,
    connection: Connection,
    *,
    tls: ResumingContext,
    host: str,
    place: str,
) -> None:
    """Speak TLS with a server of this name through what a proxy opened."""
    loop = asyncio.get_running_loop()
    head_on_to(place)
    try:
        secured = await loop.start_tls(transport, connection, tls, server_hostname=host)
    except BaseException:
        transport.abort()
        raise
    if secured is None:
        raise ConnectionResetError("closed in the handshake")
    connection.connection_made(secured)
    _settle(connection, tls, place)


def _settle(protocol: asyncio.BaseProtocol, tls: ResumingContext | None, place: str) -> None:
    if not isinstance(protocol, Connection):
        return
    if not protocol.may_stay:  # the other side was quicker than the task that opened it
        protocol.abort()
        raise ConnectionResetError("closed before it was used")
    if tls is not None:
        protocol.remember = partial(tls.keep, place)
