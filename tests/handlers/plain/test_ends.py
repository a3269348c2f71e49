"""How calls and connections end: mistakes of ours, what is let go of, and the end of the server."""

import asyncio
import gc
import json
import weakref

import pytest

from dialects.base import Dialect
from handlers.exchange import Exchange
from handlers.plain_exchange import PlainExchange
from models.errors import Unauthorized
from tests.handlers.model_api import serving
from tests.handlers.plain.client import (
    LONG_S,
    STREAM,
    WHOLE,
    HeldRig,
    asked,
    next_answer,
    only,
    post,
)
from tests.security.wire import connected
from tests.services.executor_rig import Rig, chat_answer
from tests.waiting import until

# --- faults ------------------------------------------------------------------------------------


class Scripted:
    """Answers a call as a test says."""

    def __init__(self, *, begins: bool, error: BaseException | None, **headers: str) -> None:
        self._begins, self._error = begins, error
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.task: weakref.ref[asyncio.Task[object]] | None = None

    async def __call__(self, exchange: Exchange, dialect: Dialect) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = weakref.ref(task)
        await exchange.read(99_999)
        if self._begins:
            await exchange.begin(self._headers)
            exchange.write(b"some of it")
        if self._error is not None:
            raise self._error
        exchange.whole(b"{}", self._headers)


@pytest.mark.parametrize("error", [ValueError("our mistake"), Unauthorized("no longer")])
async def test_an_answer_that_breaks_off_is_not_followed_by_another(error: Exception) -> None:
    async with serving(Rig(chat_answer)) as served:
        served.lane.answer = Scripted(begins=True, error=error)
        sent = await served.wire(post())
        assert sent.count(b"HTTP/1.1") == 1
        assert sent.endswith(b"a\r\nsome of it\r\n")


async def test_a_mistake_of_ours_is_a_500_whose_cause_only_the_log_has(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(Rig(chat_answer)) as served, connected(served) as wire:
        served.lane.answer = Scripted(begins=False, error=ValueError("our mistake"))
        answer = await asked(wire, post(path="/v1/messages"))
        assert (answer.status, answer.json["error"]["type"]) == (500, "api_error")
        assert b"our mistake" not in answer.body
        assert "our mistake" in caplog.text
        assert (await asked(wire, post())).status == 500


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("value", ["a\r\nx-b: c", "a\nx-b: c", "a\rx-b: c", "a\r\n\r\nHTTP", "a\0"])
async def test_a_line_end_in_a_header_splits_no_answer(begins: bool, value: str) -> None:
    async with serving(Rig(chat_answer)) as served, connected(served) as wire:
        served.lane.answer = Scripted(begins=begins, error=None, x_a=value)
        for _ in range(2):
            answer = await asked(wire, post())
            assert answer.status == 500
            assert "x-b" not in answer.headers
            assert json.loads(answer.body)["error"]["code"] == "internal_error"


def exchanges() -> list[PlainExchange]:
    """Return those that live; logs of other tests may hold some."""
    return [one for one in gc.get_objects() if isinstance(one, PlainExchange)]


async def test_an_idle_connection_keeps_nothing_of_its_calls() -> None:
    async with serving(Rig(chat_answer)) as served, connected(served) as wire:
        served.lane.answer = scripted = Scripted(begins=False, error=None)
        gc.collect()
        before = len(exchanges())
        gc.disable()
        try:
            for sent in (post(), post(b"x" * 90_000)):
                assert (await asked(wire, sent)).status == 200
                await until(lambda: scripted.task is not None and scripted.task() is None)
                assert len(exchanges()) == before
                assert not only(served)._pieces
        finally:
            gc.enable()


# --- the end -----------------------------------------------------------------------------------


async def test_at_the_end_idle_connections_close_at_once_and_others_behind_their_answer() -> None:
    rig = HeldRig()
    async with (
        serving(rig, keepalive_timeout_s=LONG_S) as served,
        connected(served) as idle,
        connected(served) as half,
        connected(served) as busy,
    ):
        await busy.send(post() + post())
        await half.send(post()[:30])
        assert (await asked(idle, post(b"{"))).status == 400
        await until(lambda: rig.transport.responses and len(served.lane.connections) == 3)
        served.runner.end_connections()
        assert await idle.is_closed()
        assert await half.is_closed()
        assert not busy.is_over
        rig.go.set()
        answer = await next_answer(busy)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await busy.is_closed()
        assert len(rig.transport.sent) == 1


async def test_at_the_end_a_stream_that_runs_is_sent_whole() -> None:
    rig = HeldRig(begun=3)
    async with serving(rig) as served, connected(served) as wire:
        await wire.send(post(STREAM))
        head = await wire.reader.readuntil(b"\r\n\r\n")
        assert b"connection" not in head.lower()
        served.runner.end_connections()
        rig.go.set()
        rest = await wire.reader.read(-1)
        assert rest.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


@pytest.mark.parametrize("body", [WHOLE, STREAM])
async def test_at_the_end_late_calls_are_broken_off_and_no_task_is_left(body: bytes) -> None:
    rig = HeldRig(begun=3 if body is STREAM else 0)
    async with serving(rig) as served, connected(served) as wire:
        before = asyncio.all_tasks()
        await wire.send(post(body))
        await until(lambda: rig.transport.responses)
        await served.runner.cleanup()
        assert not b"".join([await wire.reader.read(-1)]).endswith(b"0\r\n\r\n")
        assert [record.status for record in served.records] == [499]
        assert rig.transport.all_closed
        assert not served.lane.connections
        await until(lambda: asyncio.all_tasks() <= before)
