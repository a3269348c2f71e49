"""Answers in an envelope, as the rest of the gateway sees them."""

import asyncio
from collections.abc import Sequence

import pytest

from models.errors import StreamBroken
from models.ports import Flow
from providers.antigravity.envelope import CodeAssistEnvelope
from services.unwrapped import Unwrapped
from tests.fakes.clock import FakeClock
from tests.fakes.transport import Answer, FakeResponse, Piece, Silence

FIRST, SECOND = b'{"candidates":[1]}', b'{"candidates":[2]}'
STREAM = b'data: {"response":%b,"traceId":"t"}\r\n\r\ndata: {"response":%b}\r\n\r\n' % (
    FIRST,
    SECOND,
)


def unwrapped(*pieces: Piece, status: int = 200) -> tuple[Unwrapped, FakeResponse]:
    response = FakeResponse(Answer(status, list(pieces), {"x-a": "b"}), FakeClock())
    return Unwrapped(response, CodeAssistEnvelope()), response


async def read(answer: Unwrapped, wait_s: float = 5.0) -> Sequence[bytes | None]:
    found: list[bytes | None] = []
    while (data := await answer.read_some(wait_s)) != b"":
        found.append(data)
    return found


async def test_a_whole_answer_is_what_was_inside() -> None:
    answer, _ = unwrapped(b'{"response":', FIRST, b"}", status=201)
    assert await answer.read(1000) == FIRST
    assert (answer.status, answer.headers["x-a"]) == (201, "b")


async def test_an_answer_larger_than_allowed_stays_so() -> None:
    answer, _ = unwrapped(b'{"response":' + FIRST + b"}")
    with pytest.raises(StreamBroken):
        await answer.read(10)


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
async def test_whoever_reads_gets_whole_frames_only(size: int) -> None:
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    answer, _ = unwrapped(*pieces)
    frames = [data for data in await read(answer) if data]
    assert b"".join(frames) == b"data: %b\n\ndata: %b\n\n" % (FIRST, SECOND)
    assert all(frame.endswith(b"\n\n") for frame in frames)


async def flowed(answer: Unwrapped, wait_s: float = 5.0) -> list[bytes]:
    """What was handed over until the end."""
    taken: list[bytes] = []

    def take(frames: bytes) -> bool:
        taken.append(frames)
        return True

    assert await answer.flow(take, wait_s) is Flow.ENDED
    return taken


@pytest.mark.parametrize("size", [*range(1, 12), 40, len(STREAM) - 1, 1000])
async def test_frames_flow_whole_wherever_they_were_split(size: int) -> None:
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    answer, _ = unwrapped(*pieces)
    frames = await flowed(answer)
    assert b"".join(frames) == b"data: %b\n\ndata: %b\n\n" % (FIRST, SECOND)
    assert all(frame.endswith(b"\n\n") for frame in frames)


async def test_an_end_without_its_blank_line_flows_too() -> None:
    answer, _ = unwrapped(STREAM[:-4])
    assert await flowed(answer) == [b"data: %b\n\n" % FIRST, b"data: %b\n\n" % SECOND]


async def test_whoever_has_enough_gets_the_rest_later() -> None:
    first, _, second = STREAM.partition(b"\r\n\r\n")
    answer, response = unwrapped(first + b"\r\n\r\n", second)
    taken: list[bytes] = []

    def take(frames: bytes) -> bool:
        taken.append(frames)
        return False

    assert await answer.flow(take, 5.0) is Flow.STOPPED
    assert (taken, response.left) == ([b"data: %b\n\n" % FIRST], 1)
    assert await answer.flow(take, 5.0) is Flow.STOPPED
    assert taken[1:] == [b"data: %b\n\n" % SECOND]
    assert await answer.flow(take, 5.0) is Flow.ENDED
    assert len(taken) == 2


async def test_a_flow_that_pauses_inside_a_frame_is_silent_and_loses_nothing() -> None:
    answer, _ = unwrapped(STREAM[:20], Silence(8.0), STREAM[20:])
    taken: list[bytes] = []

    def take(frames: bytes) -> bool:
        taken.append(frames)
        return True

    assert await answer.flow(take, 5.0) is Flow.SILENT
    assert taken == []
    assert await answer.flow(take, 5.0) is Flow.ENDED
    assert b"".join(taken) == b"data: %b\n\ndata: %b\n\n" % (FIRST, SECOND)


async def test_an_event_that_never_ends_breaks_the_flow() -> None:
    answer, response = unwrapped(b"data: {}\n\n", b"data: {", *[b"x" * 1_000_000] * 100)
    taken: list[bytes] = []

    def take(frames: bytes) -> bool:
        taken.append(frames)
        return True

    with pytest.raises(StreamBroken, match="too large"):
        await answer.flow(take, 5.0)
    assert taken == [b"data: {}\n\n"]
    assert response.left > 0
    assert response.is_closed


async def test_a_cut_breaks_the_flow() -> None:
    answer, _ = unwrapped(STREAM[:20], StreamBroken("cut"))
    with pytest.raises(StreamBroken, match="cut"):
        await flowed(answer)


async def test_silence_is_told_as_silence_also_inside_a_frame() -> None:
    answer, _ = unwrapped(STREAM[:20], Silence(8.0), STREAM[20:])
    assert await answer.read_some(5.0) is None
    assert await answer.read_some(5.0) == b"data: %b\n\ndata: %b\n\n" % (FIRST, SECOND)
    assert await answer.read_some(5.0) == b""


async def test_an_event_that_never_ends_breaks_the_stream() -> None:
    endless = [b"data: {", *[b"x" * 1_000_000] * 100]
    answer, _ = unwrapped(b"data: {}\n\n", *endless)
    assert await answer.read_some(5.0) == b"data: {}\n\n"
    with pytest.raises(StreamBroken, match="too large"):
        await answer.read_some(5.0)


async def test_bytes_that_make_no_frame_are_silence() -> None:
    """Whoever waits has others to serve meanwhile, and an end to its patience."""

    class Trickling(FakeResponse):
        async def read_some(self, wait_s: float) -> bytes | None:
            await asyncio.sleep(0.001)
            return b": still here\n\n"

    response = Trickling(Answer(200, [], {}), FakeClock())
    answer = Unwrapped(response, CodeAssistEnvelope())
    assert await answer.read_some(0.01) is None
    taken: list[bytes] = []

    def take(frames: bytes) -> bool:
        taken.append(frames)
        return True

    for _ in range(2):
        async with asyncio.timeout(10):
            assert await answer.flow(take, 0.01) is Flow.SILENT
    assert taken == []


async def test_an_end_without_its_blank_line_is_an_end() -> None:
    answer, _ = unwrapped(STREAM[:-4])
    assert await read(answer) == [b"data: %b\n\n" % FIRST, b"data: %b\n\n" % SECOND]
    assert await answer.read_some(5.0) == b""


async def test_a_break_stays_a_break_and_closing_closes() -> None:
    answer, response = unwrapped(STREAM[:20], StreamBroken("cut"))
    with pytest.raises(StreamBroken):
        await answer.read_some(5.0)
    answer.close()
    assert response.is_closed
