"""The pretend outbound proxies of `serve --demo`: they forward to loopback and sign their work.

Only plain HTTP in absolute form (RFC 9112, 3.2.2), and only to the demo's own provider.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final

from aigateway.pretend_provider import PROXY_HEADER

_HEAD_LIMIT_S: Final = 10.0
_REFUSED: Final = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@asynccontextmanager
async def open_pretend_proxy(name: str, target: str) -> AsyncGenerator[str, None]:
    """Yield the address of a proxy that forwards to `target` (`host:port`) and nowhere else."""
    host, _, port = target.partition(":")
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        connections.add(task)
        try:
            with suppress(
                ConnectionError,
                asyncio.IncompleteReadError,
                asyncio.LimitOverrunError,
                TimeoutError,
            ):
                await _serve(reader, writer, name, (host, int(port)))
        finally:
            await _closed(writer)
            connections.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _serve(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    name: str,
    target: tuple[str, int],
) -> None:
    """Forward one request and its answer; the connection is not used again."""
    async with asyncio.timeout(_HEAD_LIMIT_S):
        head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, _, rest = lines[0].partition(" ")
    url = rest.partition(" ")[0]
    prefix = f"http://{target[0]}:{target[1]}/"
    if not url.startswith(prefix):
        writer.write(_REFUSED)
        await writer.drain()
        return
    kept = [line for line in lines[1:] if not line.lower().startswith(("connection:", "proxy-"))]
    sent = [f"{method} /{url.removeprefix(prefix)} HTTP/1.1", *kept]
    sent += [f"{PROXY_HEADER}: {name}", "connection: close", "", ""]
    far_reader, far_writer = await asyncio.open_connection(*target)
    far_writer.write("\r\n".join(sent).encode("latin-1"))
    upward = asyncio.create_task(_copy(reader, far_writer), name="demo.proxy.up")
    try:
        await _copy(far_reader, writer)
    finally:
        upward.cancel()
        await asyncio.wait({upward})
        await _closed(far_writer)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
