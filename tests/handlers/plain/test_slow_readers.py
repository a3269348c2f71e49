"""Clients that read slowly, or nothing, hold nothing up and fill no memory."""

import asyncio

from tests.fakes.scenarios import Scenario
from tests.handlers.model_api import serving
from tests.handlers.plain.client import (
    STREAM,
    only,
    post,
)
from tests.security.wire import connected
from tests.services.executor_rig import Rig, chat_answer
from tests.waiting import until


async def test_who_reads_nothing_of_a_stream_is_cut_off() -> None:
    rig = Rig(lambda sent: chat_answer(sent, Scenario(text=("x" * 50_000,) * 400)))
    async with (
        serving(rig, stall_timeout_s=0.3) as served,
        connected(served, buffer_bytes=8192) as wire,
    ):
        await wire.send(post(STREAM))
        await until(lambda: served.records)
        assert (served.records[0].status, served.records[0].error_code) == (499, "cancelled")
        assert rig.transport.all_closed
        assert rig.transport.responses[0].left > 100
        assert not served.lane.connections


async def test_who_reads_nothing_is_given_no_further_answers_and_then_cut_off() -> None:
    """Not even a stranger's refusals pile up."""
    calls = post(b"", key="ak_stranger") * 1000
    async with (
        serving(Rig(chat_answer), stall_timeout_s=1.0) as served,
        connected(served, buffer_bytes=8192) as wire,
    ):

        async def flood() -> None:
            while True:
                wire.writer.write(calls)
                await wire.writer.drain()

        flooding = asyncio.create_task(flood())
        await until(lambda: served.lane.connections and only(served)._is_full)
        connection, most = only(served), 0
        while served.lane.connections:
            most = max(most, connection._transport.get_write_buffer_size())
            assert len(connection._unread) < 1_000_000
            await asyncio.sleep(0.02)
        assert 0 < most < 100_000
        await asyncio.wait({flooding})
        assert isinstance(flooding.exception(), ConnectionError)


async def test_who_reads_slowly_gets_every_answer() -> None:
    """However long that takes: an answer on its way is no idle connection."""
    text = "x" * 4_000_000
    rig = Rig(lambda sent: chat_answer(sent, Scenario(text=(text,))))
    async with (
        serving(rig, head_timeout_s=0.3, keepalive_timeout_s=0.3) as served,
        connected(served, buffer_bytes=65_536) as wire,
    ):
        await wire.send(post() + post())
        got = bytearray()
        while got.count(b"chat.completion") < 2 or got.count(b"x") < 2 * len(text):
            data = await wire.reader.read(1 << 16)
            assert data
            got += data
            await asyncio.sleep(0.015)
        assert got.count(b"HTTP/1.1 200 OK") == 2
        assert await wire.is_closed()
