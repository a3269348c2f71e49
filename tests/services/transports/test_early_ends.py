"""A connection that the other side closes before anything was sent is one that was not opened."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from models.egress import EgressProxy
from models.errors import Blame, ConnectFailed
from models.exchange import UpstreamRequest
from services.guard import AddressGuard
from services.transport import open_transport
from services.wire.transport import WireTransport
from tests.fakes.proxies import FakeProxy
from tests.fakes.tls import server_context, trusting


def late(opens: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return what opens a connection for a task that is not woken before everything else."""

    async def opened(*args: object, **kwargs: object) -> object:
        done = await opens(*args, **kwargs)
        await asyncio.sleep(0.05)
        return done

    return opened


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("is_proxied", [False, True], ids=["direct", "proxied"])
async def test_one_that_is_closed_before_its_first_use_was_not_opened(
    tmp_path: Path, scheme: str, *, is_proxied: bool
) -> None:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        secured = server_context(tmp_path, "localhost")
        stack.enter_context(trusting(tmp_path))
        context = secured if scheme == "https" else None
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
        await stack.enter_async_context(server)
        proxy = FakeProxy()
        await proxy.start()
        stack.push_async_callback(proxy.stop)
        guard = AddressGuard(["127.0.0.0/8", "::1/128"])
        transport = await stack.enter_async_context(open_transport(guard, connect_timeout_s=5))
        assert isinstance(transport, WireTransport)
        url = f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}/"
        # Without TLS it is the proxy's own connection, so it is the proxy that hangs up.
        way = url if scheme == "http" else proxy.url
        egress = EgressProxy("p", "p", way) if is_proxied else None
        blame = Blame.EGRESS if egress is not None and way == url else Blame.PROVIDER
        for name in ("create_connection", "start_tls"):
            setattr(loop, name, late(getattr(loop, name)))
        for _ in range(2):
            with pytest.raises(ConnectFailed) as caught:
                await transport.send(
                    UpstreamRequest("POST", url, {}, b"{}"), egress, first_byte_timeout_s=5
                )
            assert (caught.value.retryable, caught.value.sent) == (True, False)
            assert caught.value.blame is blame
        assert transport._direct.idle.is_empty
