"""What a stream that is pushed promises, and how much of it is held meanwhile."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from models.errors import StreamBroken, TimedOut
from models.ports import Flow, UpstreamResponse
from tests.fakes.memory_wire import REQUEST, MemoryWire

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunks(*bodies: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(body), body) for body in bodies)


async def answered(wire: MemoryWire, first: bytes = HEAD) -> UpstreamResponse:
    """Send a request; return its answer once `first` has arrived."""
    sending = asyncio.create_task(wire.transport.send(REQUEST, None, first_byte_timeout_s=5))
    await asyncio.sleep(0)
    wire.last.say(first)
    return await sending


def kept(got: list[bytes]) -> Callable[[bytes], bool]:
    """Return what keeps all that it is given."""

    def take(data: bytes) -> bool:
        got.append(data)
        return True

    return take


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_arrives_together_is_handed_over_together_by_the_read_itself() -> None:
    wire = MemoryWire()
    response = await answered(wire)
    got: list[bytes] = []
    flowing = asyncio.create_task(response.flow(kept(got), 5))
    await turns()
    wire.last.say(chunks(b"a", b"b", b"c"))
    assert got == [b"abc"]  # no task has run since
    wire.last.say(chunks(b"d") + END)
    assert got == [b"abc", b"d"]
    assert await flowing is Flow.ENDED
    assert await response.flow(kept(got), 5) is Flow.ENDED
    assert await response.read_some(5) == b""
    assert got == [b"abc", b"d"]


async def test_what_came_before_is_handed_over_first() -> None:
    wire = MemoryWire()
    response = await answered(wire, HEAD + chunks(b"a"))
    wire.last.say(chunks(b"b", b"c"))
    got: list[bytes] = []
    flowing = asyncio.create_task(response.flow(kept(got), 5))
    await turns()
    assert got == [b"abc"]
    wire.last.say(END)
    assert await flowing is Flow.ENDED


async def test_nothing_is_read_beyond_a_small_buffer_while_nobody_takes() -> None:
    wire = MemoryWire()
    response = await answered(wire)
    flowing = asyncio.create_task(response.flow(lambda _: False, 5))
    await turns()
    wire.last.say(chunks(b"a"))
    assert wire.last.paused == [True]
    assert await flowing is Flow.STOPPED
    got: list[bytes] = []
    flowing = asyncio.create_task(response.flow(kept(got), 5))
    await turns()
    assert wire.last.paused == [True, False]
    wire.last.say(chunks(b"b") + END)
    assert (got, await flowing) == ([b"b"], Flow.ENDED)


async def test_a_body_that_nobody_reads_stops_the_reading() -> None:
    wire = MemoryWire()
    response = await answered(wire)
    said = 0
    while not wire.last.paused:
        wire.last.say(chunks(b"x" * 1000))
        said += 1000
    assert said <= 66_000
    assert await response.read_some(5) == b"x" * said
    waiting = asyncio.create_task(response.read_some(5))
    await turns()
    assert wire.last.paused == [True, False]
    wire.last.say(END)
    assert await waiting == b""


async def test_who_raises_gets_it_back_and_the_connection_is_dropped() -> None:
    class Unfit(Exception):
        pass

    def take(_: bytes) -> bool:
        raise Unfit

    for before in (b"", chunks(b"a")):
        wire = MemoryWire()
        response = await answered(wire, HEAD + before)
        flowing = asyncio.create_task(response.flow(take, 5))
        await turns()
        wire.last.say(chunks(b"b") + END)
        with pytest.raises(Unfit):
            await flowing
        assert wire.last.is_closing()
        response.close()
        assert wire.idle.take("http://provider.test:80") is None


async def test_what_came_before_a_break_is_handed_over_before_it_is_told() -> None:
    wire = MemoryWire()
    response = await answered(wire)
    got: list[bytes] = []
    flowing = asyncio.create_task(response.flow(kept(got), 5))
    await turns()
    wire.last.say(chunks(b"a") + b"no chunk")
    with pytest.raises(StreamBroken):
        await flowing
    assert got == [b"a"]


async def test_silence_is_told_and_the_stream_goes_on() -> None:
    wire = MemoryWire()
    response = await answered(wire)
    got: list[bytes] = []
    assert await response.flow(kept(got), 0.01) is Flow.SILENT
    assert await response.read_some(0.01) is None
    flowing = asyncio.create_task(response.flow(kept(got), 5))
    await turns()
    wire.last.say(chunks(b"a") + END)
    assert (await flowing, got) == (Flow.ENDED, [b"a"])


async def test_who_is_cancelled_is_given_nothing_more_and_nothing_is_lost() -> None:
    wire = MemoryWire()
    response = await answered(wire)
    got: list[bytes] = []
    flowing = asyncio.create_task(response.flow(kept(got), 5))
    await turns()
    flowing.cancel()
    await asyncio.wait([flowing])
    wire.last.say(chunks(b"a") + END)
    assert (got, await response.read_some(5)) == ([], b"a")
    assert await response.read_some(5) == b""


async def test_closing_from_inside_ends_the_flow() -> None:
    wire = MemoryWire()
    response = await answered(wire)

    def take(_: bytes) -> bool:
        response.close()
        return True

    flowing = asyncio.create_task(response.flow(take, 5))
    await turns()
    wire.last.say(chunks(b"a"))
    with pytest.raises(StreamBroken):
        await asyncio.wait_for(flowing, 5)
    assert wire.last.is_closing()


@pytest.mark.parametrize("leaves", [True, False])
@pytest.mark.parametrize("reads", [lambda one: one.flow(bool, 5), lambda one: one.read_some(5)])
async def test_who_reads_what_another_closed_takes_nothing_of_the_next_answer(
    reads: Callable[[UpstreamResponse], Coroutine[object, object, object]], *, leaves: bool
) -> None:
    wire = MemoryWire()
    response = await answered(wire)
    reading = asyncio.create_task(reads(response))
    await turns()
    wire.last.say(chunks(b"a") + END)
    response.close()  # it came to its end, so the connection can serve the next at once
    connection = wire.idle.take("http://provider.test:80")
    assert connection is not None
    waiting = connection.ask(b"", b"", asyncio.get_running_loop().time() + 5, is_head=False)
    if leaves:
        reading.cancel()
    await turns()
    assert reading.done()
    wire.last.say(HEAD + chunks(b"b") + END)
    assert await asyncio.wait_for(waiting, 1) is Flow.STOPPED
    assert connection.taken() == b"b"


async def test_an_answer_over_the_limit_is_not_read_to_its_end() -> None:
    wire = MemoryWire(idle_timeout_s=0.01)
    response = await answered(wire)
    reading = asyncio.create_task(response.read(10))
    await turns()
    wire.last.say(chunks(b"x" * 11))
    with pytest.raises(StreamBroken, match="larger"):
        await reading
    response.close()
    assert wire.last.is_closing()


async def test_an_answer_that_falls_silent_is_given_up() -> None:
    wire = MemoryWire(idle_timeout_s=0.01)
    response = await answered(wire, HEAD + chunks(b"x"))
    with pytest.raises(TimedOut):
        await response.read(10)
    response.close()
    assert wire.last.is_closing()
