"""Whatever a provider answers ends as an answer or as an error of ours, and harms no other call."""

import asyncio
import re
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Final

import pytest

from models.errors import ConnectionLost, StreamBroken, TimedOut, UpstreamError
from models.exchange import UpstreamRequest
from models.ports import Transport
from services.guard import AddressGuard
from services.transport import open_transport

OK: Final = b"HTTP/1.1 200 OK\r\n"
CHUNKED: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"
TWO: Final = OK + b"Content-Length: 2\r\n\r\nok"


@dataclass
class Hostile:
    """Answers the first request as it is told, and each later one with its number."""

    answer: bytes
    endless: bytes = b""
    """Follows the answer again and again."""
    stays: bool = False
    """Whether the connection stays open after it."""
    is_apart: bool = False
    """Whether the body comes some time after the head."""
    speaks_first: bool = False
    requests: int = 0
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def start(self, stack: AsyncExitStack) -> str:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        await stack.enter_async_context(server)
        stack.callback(self._hang_up)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    def _hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            if self.speaks_first and len(self._writers) == 1:
                writer.write(self.answer)
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head.lower())
                await reader.readexactly(int(length[1]) if length else 0)
                self.requests += 1
                if self.requests > 1 or self.speaks_first:
                    body = b"answer %d" % self.requests
                    writer.write(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                    continue
                if self.is_apart:
                    end = self.answer.index(b"\r\n\r\n") + 4
                    writer.write(self.answer[:end])
                    await asyncio.sleep(0.02)
                    writer.write(self.answer[end:])
                else:
                    writer.write(self.answer)
                while self.endless:
                    writer.write(self.endless)
                    await writer.drain()
                if not self.stays:
                    break
        writer.close()


@pytest.fixture
async def transport(stack: AsyncExitStack) -> Transport:
    guard = AddressGuard(["127.0.0.0/8"])
    opened = open_transport(guard, connect_timeout_s=10, idle_timeout_s=10)
    return await stack.enter_async_context(opened)


async def ask(transport: Transport, url: str, patience_s: float = 10) -> bytes:
    request = UpstreamRequest("POST", url, {}, b"{}")
    response = await transport.send(request, None, first_byte_timeout_s=patience_s)
    try:
        return await response.read(1 << 20)
    finally:
        response.close()


async def check(
    transport: Transport,
    url: str,
    expected: bytes | type[UpstreamError],
    hostile: Hostile,
    patience_s: float = 10,
) -> None:
    """Ask once and see what is expected, and again and see the answer to that."""
    if isinstance(expected, bytes):
        assert await ask(transport, url) == expected
    else:
        with pytest.raises(UpstreamError) as caught:
            await ask(transport, url, patience_s)
        assert type(caught.value) is expected
    for _ in range(2):
        await asyncio.sleep(0.01)
        body = await ask(transport, url)
        assert body == b"answer %d" % hostile.requests


MALFORMED: Final = {
    "no HTTP": b"\x99" * 50,
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/3": b"HTTP/3.0 200 OK\r\n\r\n",
    "a small name": b"http/1.1 200 OK\r\n\r\n",
    "two blanks": b"HTTP/1.1  200 OK\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a short status": b"HTTP/1.1 20 OK\r\n\r\n",
    "a long status": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a status below all": b"HTTP/1.1 099 Eh\r\n\r\n",
    "a negative status": b"HTTP/1.1 -20 OK\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "a switch of protocols": b"HTTP/1.1 101 Eh\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nok",
    "a switch to nothing": b"HTTP/1.1 101 Eh\r\n\r\n",
    "length and chunks": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "the same length twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "a list of lengths": OK + b"Content-Length: 2, 2\r\n\r\nok",
    "a negative length": OK + b"Content-Length: -2\r\n\r\nok",
    "a signed length": OK + b"Content-Length: +2\r\n\r\nok",
    "a hexadecimal length": OK + b"Content-Length: 0x2\r\n\r\nok",
    "no length at all": OK + b"Content-Length:\r\n\r\nok",
    "a length beyond numbers": OK + b"Content-Length: 99999999999999999999999\r\n\r\nok",
    "a packed transfer": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks of chunks": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunks not last": OK + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "an unknown transfer": OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a zero byte": OK + b"X: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "a folded header": OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "a lone return": OK + b"X: a\rb\r\nContent-Length: 2\r\n\r\nok",
    "a blank before the colon": OK + b"Content-Length : 2\r\n\r\nok",
    "a header without a name": OK + b": a\r\nContent-Length: 2\r\n\r\nok",
    "a header without a colon": OK + b"X\r\nContent-Length: 2\r\n\r\nok",
    "a long line": OK + b"X: " + b"a" * 33_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "a long head": OK + (b"X%d: %b\r\n" % (1, b"a" * 9000)) * 8 + b"Content-Length: 2\r\n\r\nok",
    "one header many times": OK + b"X: 1\r\n" * 200 + b"Content-Length: 2\r\n\r\nok",
}
BROKEN: Final = {
    "a negative chunk": CHUNKED + b"-2\r\nok\r\n0\r\n\r\n",
    "a prefixed chunk": CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n",
    "no size of a chunk": CHUNKED + b"\r\nok\r\n0\r\n\r\n",
    "a chunk beyond numbers": CHUNKED + b"fffffffffffffffff\r\nok\r\n0\r\n\r\n",
    "a chunk of bare line feeds": CHUNKED + b"2\nok\n0\n\n",
    "a chunk longer than it says": CHUNKED + b"2\r\nokok\r\n0\r\n\r\n",
    "a length among the trailers": CHUNKED + b"2\r\nok\r\n0\r\nContent-Length: 5\r\n\r\n",
}
CUT: Final = {
    "a body too short": OK + b"Content-Length: 9\r\n\r\nabc",
    "no last chunk": CHUNKED + b"2\r\nok\r\n",
    "no end of the trailers": CHUNKED + b"2\r\nok\r\n0\r\nX: y\r\n",
}
SOUND: Final = {
    "a plain one": (TWO, b"ok"),
    "no words with the status": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    "empty lines before": (b"\r\n\r\n" + TWO, b"ok"),
    "an empty header": (OK + b"X:\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    "extensions of chunks": (CHUNKED + b"2;a=b;c\r\nok\r\n0;d\r\n\r\n", b"ok"),
    "trailers": (CHUNKED + b"2\r\nok\r\n0\r\nX: y\r\nStatus: 500\r\n\r\n", b"ok"),
    "no body": (b"HTTP/1.1 204 Eh\r\n\r\n", b""),
    "a length without a body": (b"HTTP/1.1 304 Eh\r\nContent-Length: 5\r\n\r\n", b""),
    "an upgrade that nobody wants": (
        OK + b"Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nok",
        b"ok",
    ),
    "hints": (b"HTTP/1.1 103 Eh\r\nLink: x\r\n\r\n" * 100 + TWO, b"ok"),
    "an empty line after the end": (TWO + b"\r\n", b"ok"),
    "an old server": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
}


EXCESS: Final = {
    "bytes after the end": (TWO + b"more", b"ok"),
    "an answer after the end": (TWO + TWO, b"ok"),
    "half an answer after the end": (TWO + b"HTTP/1.1 200 OK\r\nX-A: ", b"ok"),
    "one byte after the end": (TWO + b"H", b"ok"),
    "bytes after no body": (b"HTTP/1.1 204 Eh\r\nContent-Length: 5\r\n\r\nhello", b""),
    "bytes after the last chunk": (CHUNKED + b"2\r\nok\r\n0\r\n\r\nHTTP/1.1", b"ok"),
    "bytes after a closing answer": (
        OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok" + TWO,
        b"ok",
    ),
}


@pytest.mark.parametrize("stays", [False, True], ids=["hangs up", "stays"])
@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_no_answer_is_the_providers_error(
    stack: AsyncExitStack, transport: Transport, name: str, stays: bool
) -> None:
    hostile = Hostile(MALFORMED[name], stays=stays)
    await check(transport, await hostile.start(stack), UpstreamError, hostile)


@pytest.mark.parametrize("name", BROKEN)
async def test_a_body_that_breaks_is_no_body(
    stack: AsyncExitStack, transport: Transport, name: str
) -> None:
    """What is broken from the start is no answer at all."""
    hostile = Hostile(BROKEN[name])
    await check(transport, await hostile.start(stack), UpstreamError, hostile)
    hostile = Hostile(BROKEN[name], is_apart=True)
    await check(transport, await hostile.start(stack), StreamBroken, hostile)


@pytest.mark.parametrize("is_apart", [False, True])
@pytest.mark.parametrize("name", CUT)
async def test_a_body_that_is_cut_is_no_body(
    stack: AsyncExitStack, transport: Transport, name: str, is_apart: bool
) -> None:
    hostile = Hostile(CUT[name], is_apart=is_apart)
    await check(transport, await hostile.start(stack), StreamBroken, hostile)


@pytest.mark.parametrize("stays", [False, True], ids=["hangs up", "stays"])
@pytest.mark.parametrize("name", EXCESS)
async def test_what_comes_after_the_end_serves_nobody(
    stack: AsyncExitStack, transport: Transport, name: str, stays: bool
) -> None:
    """Its answer lies about its length, or the next one comes unasked."""
    answer, _body = EXCESS[name]
    hostile = Hostile(answer, stays=stays)
    await check(transport, await hostile.start(stack), UpstreamError, hostile)


@pytest.mark.parametrize("name", [name for name in EXCESS if "no body" not in name])
async def test_what_comes_after_the_end_of_a_body_does_not_take_it_back(
    stack: AsyncExitStack, transport: Transport, name: str
) -> None:
    answer, body = EXCESS[name]
    hostile = Hostile(answer, is_apart=True)
    await check(transport, await hostile.start(stack), body, hostile)


@pytest.mark.parametrize("stays", [False, True], ids=["hangs up", "stays"])
@pytest.mark.parametrize("name", SOUND)
async def test_what_is_odd_but_an_answer_is_read(
    stack: AsyncExitStack, transport: Transport, name: str, stays: bool
) -> None:
    answer, body = SOUND[name]
    hostile = Hostile(answer, stays=stays)
    await check(transport, await hostile.start(stack), body, hostile)


@pytest.mark.parametrize(
    ("beginning", "endless", "expected"),
    [
        pytest.param(
            b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99, UpstreamError, id="interim answers"
        ),
        pytest.param(OK + b"X: ", b"a" * 1000, UpstreamError, id="header"),
        pytest.param(OK, b"X: a\r\n" * 99, UpstreamError, id="headers"),
        pytest.param(b"HTTP/1.1 200 ", b"OK" * 500, UpstreamError, id="words"),
        pytest.param(CHUNKED + b"2;", b"a" * 1000, StreamBroken, id="extension"),
        pytest.param(CHUNKED + b"2\r\nok\r\n0\r\n", b"X: a\r\n" * 99, StreamBroken, id="trailers"),
        pytest.param(OK + b"\r\n", b"a" * 100_000, StreamBroken, id="body"),
        pytest.param(CHUNKED, b"1\r\na\r\n" * 1000, StreamBroken, id="chunks"),
    ],
)
async def test_what_never_ends_is_broken_off(
    stack: AsyncExitStack,
    transport: Transport,
    beginning: bytes,
    endless: bytes,
    expected: type[UpstreamError],
) -> None:
    hostile = Hostile(beginning, endless)
    await check(transport, await hostile.start(stack), expected, hostile)


@pytest.mark.parametrize(
    "answer",
    [b"", b"\r\n", OK, b"HTTP/1.1 100 Continue\r\n\r\n", OK + b"Content-Length: 2\r\n"],
    ids=["nothing", "an empty line", "a status", "an interim answer", "half a head"],
)
async def test_half_a_head_is_waited_for_and_then_lost(
    stack: AsyncExitStack, transport: Transport, answer: bytes
) -> None:
    hostile = Hostile(answer)
    await check(transport, await hostile.start(stack), ConnectionLost, hostile)
    hostile = Hostile(answer, stays=True)
    await check(transport, await hostile.start(stack), TimedOut, hostile, patience_s=0.2)


@pytest.mark.parametrize("answer", [OK + b"Content-Length: 9\r\n\r\nabc", CHUNKED + b"2;"])
async def test_half_a_body_is_waited_for(stack: AsyncExitStack, answer: bytes) -> None:
    guard = AddressGuard(["127.0.0.0/8"])
    opened = open_transport(guard, connect_timeout_s=10, idle_timeout_s=0.2)
    transport = await stack.enter_async_context(opened)
    hostile = Hostile(answer, stays=True)
    await check(transport, await hostile.start(stack), TimedOut, hostile)


async def test_an_answer_to_nothing_serves_nobody_later(
    stack: AsyncExitStack, transport: Transport
) -> None:
    """It may be taken for the answer to the first request, which is on its way then."""
    hostile = Hostile(TWO, speaks_first=True)
    url = await hostile.start(stack)
    with suppress(UpstreamError):
        assert await ask(transport, url) in (b"ok", b"answer 1")
    for _ in range(3):
        await asyncio.sleep(0.01)
        assert await ask(transport, url) == b"answer %d" % hostile.requests


async def test_what_comes_on_an_idle_connection_closes_it(
    stack: AsyncExitStack, transport: Transport
) -> None:
    hostile = Hostile(TWO, stays=True)
    url = await hostile.start(stack)
    assert await ask(transport, url) == b"ok"
    hostile._writers[0].write(TWO)
    await asyncio.sleep(0.02)
    assert await ask(transport, url) == b"answer 2"
    assert len(hostile._writers) == 2
