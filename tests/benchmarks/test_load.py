"""Load and the pretend provider: what is sent arrives, and what goes wrong is seen."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from benchmarks import answers, certificate, forwarder, upstream
from benchmarks.caller import Dechunker, Expected, body, request
from benchmarks.load import ClosedLoop, Load, OpenLoop, Tally, Target, percentile
from benchmarks.upstream import Connection, Upstream
from tests.waiting import until

CHAT = "/v1/chat/completions"


@pytest.fixture
async def provider() -> AsyncIterator[Upstream]:
    async with Upstream() as opened:
        opened.behaviours |= upstream.usual()
        yield opened


def asking(port: int, behaviour: str, sent: bytes = b"{}", path: str = CHAT) -> Target:
    return Target("127.0.0.1", port, request(f"/{behaviour}{path}", "key", sent))


async def answered(load: Load, count: int = 1) -> Tally:
    """Run a load until so many have an answer of some kind."""
    await load.start()
    await until(lambda: load.tally.good + load.tally.failed.total() >= count, 10)
    await load.stop()
    return load.tally


async def fetch(port: int, sent: bytes, tls: ssl.SSLContext | None = None) -> bytes:
    """Send bytes and return what comes back until a whole answer is there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    writer.write(sent)
    head = await reader.readuntil(b"\r\n\r\n")
    if b"content-length" in head:
        length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
        rest = await reader.readexactly(length)
    else:
        rest = await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return head + rest


async def test_a_whole_answer_arrives_as_it_was_sent(provider: Upstream) -> None:
    port = await provider.listen()
    tally = await answered(ClosedLoop(asking(port, "json"), Expected(answers.chat()), 2), 20)
    assert (tally.good >= 20, tally.failed.total()) == (True, 0)
    answer = await fetch(port, asking(port, "json", path="/v1/messages").request)
    assert body(answer) == answers.messages()


@pytest.mark.parametrize("way", ["burst", "split", "paced"])
async def test_every_event_of_a_stream_arrives(provider: Upstream, way: str) -> None:
    port = await provider.listen()
    answer = await fetch(port, asking(port, way).request)
    assert body(answer) == b"".join(answers.chat_events(answers.texts()))
    assert provider.events == answers.CHUNKS + 4


async def test_events_that_are_sent_apart_are_apart_on_the_wire(provider: Upstream) -> None:
    """The first event can be read while the others have not been written."""
    port = await provider.listen()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(asking(port, "paced").request)
    await reader.readuntil(b"\r\n\r\n")
    first = answers.chunk(answers.chat_events(answers.texts())[0])
    assert await reader.read(1 << 16) == first
    writer.close()
    await writer.wait_closed()


async def test_a_body_of_a_megabyte_is_taken_whole(provider: Upstream) -> None:
    port = await provider.listen()
    target = asking(port, "json", b"x" * 1_000_000)
    tally = await answered(ClosedLoop(target, Expected(answers.chat()), 1), 3)
    assert tally.failed == {}
    assert provider.requests == tally.good


async def test_an_answer_that_is_not_the_expected_one_is_a_failure(provider: Upstream) -> None:
    port = await provider.listen()
    expected = Expected(word=answers.WORD, times=answers.CHUNKS + 1)
    tally = await answered(ClosedLoop(asking(port, "burst"), expected, 1), 2)
    assert (tally.good, set(tally.failed)) == (0, {"content"})
    assert tally.sample.startswith(b"HTTP/1.1 200")


async def test_statuses_and_lost_connections_are_failures(provider: Upstream) -> None:
    port = await provider.listen()
    provider.behaviours[b"gone"] = lambda connection, sent: connection.transport.abort()
    errors = await answered(ClosedLoop(asking(port, "error"), Expected(), 1))
    lost = await answered(ClosedLoop(asking(port, "gone"), Expected(), 1))
    assert (errors.good, set(errors.failed)) == (0, {"500"})
    assert (lost.good, set(lost.failed)) == (0, {"lost"})


@pytest.mark.parametrize(
    ("header", "refused", "failed"),
    [
        pytest.param(b"Retry-After: 1\r\n", True, "503", id="politely"),
        pytest.param(b"", False, "503 without Retry-After", id="rudely"),
    ],
)
async def test_a_refusal_counts_as_one_only_with_retry_after(
    provider: Upstream, header: bytes, refused: bool, failed: str
) -> None:
    answer = b"HTTP/1.1 503 Busy\r\n" + header + b"content-length: 0\r\n\r\n"
    provider.behaviours[b"busy"] = upstream.fixed(answer)
    port = await provider.listen()
    tally = await answered(ClosedLoop(asking(port, "busy"), Expected(), 1))
    assert (bool(tally.refused_s), set(tally.failed)) == (refused, {failed})


async def test_in_an_open_loop_a_stall_is_felt_by_all_that_were_due(provider: Upstream) -> None:
    """Those that could not even be sent meanwhile are late, too, from when they were due."""
    held: list[Callable[[], None]] = []
    at_once = upstream.whole(answers.chat(), b"")

    def hold(connection: Connection, sent: bytes) -> None:
        provider.behaviours[b"held"] = at_once
        held.append(lambda: at_once(connection, sent))

    provider.behaviours[b"held"] = hold
    port = await provider.listen()
    load = OpenLoop(asking(port, "held"), Expected(answers.chat()), 200, most=1)
    await load.start()
    await until(lambda: load.arrived >= 10, 10)
    await asyncio.sleep(0.1)
    held[0]()
    await until(lambda: load.tally.good >= 10, 10)
    assert min(load.tally.latencies_s[:10]) >= 0.1
    await load.stop()
    assert load.tally.failed == {}
    assert load.arrived == load.tally.good


async def test_tls_is_spoken_where_it_is_asked_for(provider: Upstream, tmp_path: Path) -> None:
    made = certificate.make(tmp_path, "127.0.0.1")
    port = await provider.listen(tls=made.server_context())
    trusting = ssl.create_default_context(cafile=made.public)
    answer = await fetch(port, asking(port, "split").request, trusting)
    assert body(answer).count(answers.WORD) == answers.CHUNKS


async def test_the_proxy_takes_tunnels_and_absolute_addresses(provider: Upstream) -> None:
    port = await provider.listen()
    async with await forwarder.listen(0) as proxy:
        through = proxy.sockets[0].getsockname()[1]
        plain = asking(port, "json").request
        absolute = plain.replace(b"POST ", b"POST http://127.0.0.1:%d" % port, 1)
        assert body(await fetch(through, absolute)) == answers.chat()
        reader, writer = await asyncio.open_connection("127.0.0.1", through)
        writer.write(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % port)
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(plain)
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()


async def test_the_relay_passes_everything_on(provider: Upstream) -> None:
    port = await provider.listen()
    async with await forwarder.listen(0, ("127.0.0.1", port)) as relay:
        through = relay.sockets[0].getsockname()[1]
        tally = await answered(ClosedLoop(asking(through, "json"), Expected(answers.chat()), 2), 10)
    assert (tally.good >= 10, tally.failed.total()) == (True, 0)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
def test_chunks_are_taken_off_in_whatever_pieces_they_come(size: int) -> None:
    wire = b"".join(map(answers.chunk, (b"one", b"x" * 300, b"\r\n"))) + answers.LAST_CHUNK
    reader = Dechunker()
    pieces = [reader.feed(wire[at : at + size]) for at in range(0, len(wire), size)]
    assert b"".join(pieces) == b"one" + b"x" * 300 + b"\r\n"
    assert reader.ended


def test_a_percentile_is_the_value_that_so_many_are_not_above() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0, 50, 99)] == [1.0, 51.0, 100.0]
    assert percentile([], 99) == 0.0
