"""How events reach a client: as they are, or as the elements of one array."""

import asyncio
import json

import pytest

from dialects import DIALECTS
from handlers.framing import framed
from tests.fakes.sink import FakeSink, settled

FRAMES = [b'data: {"n":%d}\n\n' % number for number in range(3)]
SSE, JSON = "text/event-stream; charset=utf-8", "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("dialect", "query"),
    [
        pytest.param("chat", {}, id="chat"),
        pytest.param("messages", {"alt": "json"}, id="messages"),
        pytest.param("gemini", {"alt": "sse"}, id="gemini that wants events"),
        pytest.param("gemini", {"alt": "SSE"}, id="in capitals"),
    ],
)
def test_events_reach_the_client_as_they_are(dialect: str, query: dict[str, str]) -> None:
    sink = FakeSink()
    framing = framed(sink, DIALECTS[dialect], query)
    assert framing.content_type == SSE
    assert all(framing.sink.write(frame) for frame in FRAMES)
    framing.close()
    assert sink.writes == FRAMES


@pytest.mark.parametrize("query", [{}, {"alt": "json"}, {"alt": ""}], ids=str)
def test_an_array_grows_by_one_element_with_each_event(query: dict[str, str]) -> None:
    sink = FakeSink()
    framing = framed(sink, DIALECTS["gemini"], query)
    assert framing.content_type == JSON
    for count, frame in enumerate(FRAMES, start=1):
        framing.sink.write(frame)
        assert json.loads(sink.sent + b"]") == [{"n": number} for number in range(count)]
    framing.close()
    assert json.loads(sink.sent) == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_stream_that_brought_nothing_is_an_empty_array() -> None:
    sink = FakeSink()
    framing = framed(sink, DIALECTS["gemini"], {})
    framing.sink.write(b"")
    framing.close()
    assert json.loads(sink.sent) == []


async def test_a_client_without_room_is_waited_for_through_the_array() -> None:
    sink = FakeSink(room=2)
    array = framed(sink, DIALECTS["gemini"], {}).sink
    assert [array.write(frame) for frame in FRAMES[:2]] == [True, False]
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(array.drain())
        await settled()
        assert not waiting.done()
        sink.open()
