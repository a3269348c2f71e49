"""Answers that are compressed on the way."""

import asyncio
import gzip
import zlib
from contextlib import AsyncExitStack
from typing import Final

import pytest

from models.errors import StreamBroken
from models.exchange import UpstreamRequest
from models.ports import Flow, Transport, UpstreamResponse
from services.guard import AddressGuard
from services.transport import Client, open_transport

BODY: Final = b"data: something\n\n" * 5000
_BARE: Final = zlib.compressobj(wbits=-zlib.MAX_WBITS)
PACKED: Final = {
    "gzip": ("gzip", gzip.compress(BODY)),
    "GZIP": ("GZIP", gzip.compress(BODY)),
    "gzip in parts": ("gzip", gzip.compress(BODY[:100]) + gzip.compress(BODY[100:])),
    "deflate": ("deflate", zlib.compress(BODY)),
    "bare deflate": ("deflate", _BARE.compress(BODY) + _BARE.flush()),
    "plain": ("identity", BODY),
}


async def serve(stack: AsyncExitStack, coding: str, body: bytes) -> UpstreamRequest:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        lines = f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"HTTP/1.1 200 OK\r\nConnection: close\r\n{lines}\r\n".encode() + body)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    await stack.enter_async_context(server)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    return UpstreamRequest("GET", url, {}, b"")


@pytest.fixture
async def transport(stack: AsyncExitStack, client: Client) -> Transport:
    guard = AddressGuard(["127.0.0.0/8"])
    opened = open_transport(guard, connect_timeout_s=5, client=client)
    return await stack.enter_async_context(opened)


async def streamed(response: UpstreamResponse, largest: list[int]) -> bytes:
    """Return the body as it flows with pauses, and note its largest piece."""
    pieces: list[bytes] = []

    def take(data: bytes) -> bool:
        pieces.append(data)
        largest.append(len(data))
        return len(pieces) % 2 == 0

    while await response.flow(take, 5) is Flow.STOPPED:
        pass
    return b"".join(pieces)


@pytest.mark.parametrize("how", PACKED)
async def test_a_packed_answer_is_read_unpacked(
    stack: AsyncExitStack, transport: Transport, how: str
) -> None:
    request = await serve(stack, *PACKED[how])
    whole = await transport.send(request, None, first_byte_timeout_s=5)
    assert await whole.read(1 << 20) == BODY
    whole.close()
    stream = await transport.send(request, None, first_byte_timeout_s=5)
    assert await streamed(stream, []) == BODY
    stream.close()


async def test_what_unpacks_to_more_than_allowed_is_not_unpacked(
    stack: AsyncExitStack, transport: Transport
) -> None:
    request = await serve(stack, "gzip", gzip.compress(bytes(64 << 20), 1))
    response = await transport.send(request, None, first_byte_timeout_s=5)
    with pytest.raises(StreamBroken):
        await response.read(1 << 20)
    response.close()


async def test_a_stream_unpacks_in_small_pieces(stack: AsyncExitStack) -> None:
    guard = AddressGuard(["127.0.0.0/8"])
    transport = await stack.enter_async_context(open_transport(guard, connect_timeout_s=5))
    request = await serve(stack, "gzip", gzip.compress(bytes(8 << 20), 1))
    response = await transport.send(request, None, first_byte_timeout_s=5)
    largest: list[int] = []
    assert len(await streamed(response, largest)) == 8 << 20
    assert max(largest) <= 65_536
    response.close()


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(gzip.compress(BODY)[:-9], id="cut"),
        pytest.param(gzip.compress(BODY)[:200] + b"\xff" * 50, id="bent"),
        pytest.param(b"no gzip at all", id="none"),
    ],
)
async def test_what_does_not_unpack_is_broken(stack: AsyncExitStack, packed: bytes) -> None:
    guard = AddressGuard(["127.0.0.0/8"])
    transport = await stack.enter_async_context(open_transport(guard, connect_timeout_s=5))
    request = await serve(stack, "gzip", packed)
    for reads_whole in (True, False):
        response = await transport.send(request, None, first_byte_timeout_s=5)
        with pytest.raises(StreamBroken):
            await (response.read(1 << 20) if reads_whole else streamed(response, []))
        response.close()
