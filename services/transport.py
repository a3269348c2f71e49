"""Opens what sends requests: our own client, or aiohttp's."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias

from models.ports import Transport
from services.guard import AddressGuard
from services.reach import Reach
from services.wire.transport import WireTransport

if TYPE_CHECKING:
    from services.aiohttp_transport import HttpTransport

Client: TypeAlias = Literal["own", "aiohttp"]


@asynccontextmanager
async def open_transport(
    guard: AddressGuard,
    *,
    connect_timeout_s: float,
    idle_timeout_s: float = 300.0,
    reach: Reach | None = None,
    client: Client = "own",
) -> AsyncGenerator[Transport, None]:
    """Open a transport, and close its connections at the end.

    `idle_timeout_s`: longest silence inside a whole answer. Streams are timed by their readers.
    `reach`: what is known of proxies and hosts, where transports share it.
    """
    transport = _kind(client)(
        guard, connect_timeout_s=connect_timeout_s, idle_timeout_s=idle_timeout_s, reach=reach
    )
    try:
        yield transport
    finally:
        await transport.aclose()


def _kind(client: Client) -> "type[HttpTransport | WireTransport]":
    if client == "own":
        return WireTransport
    # Slow to load, and seldom wanted.
    from services.aiohttp_transport import HttpTransport

    return HttpTransport
