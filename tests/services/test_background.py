import asyncio
import gc
import logging

import pytest

from services import background
from services.background import Background, open_background


async def test_shutdown_waits_for_work_that_was_begun() -> None:
    done = []

    async def work() -> None:
        await asyncio.sleep(0.05)
        done.append("work")

    async with open_background() as keeper:
        keeper.spawn("work", work())
    assert done == ["work"]


async def test_shutdown_does_not_wait_for_what_is_spare(caplog: pytest.LogCaptureFixture) -> None:
    began, ended = asyncio.Event(), []

    async def work() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("broken off")

    async with open_background(limit_s=60) as keeper:
        keeper.spawn("spare", work(), is_spare=True)
        await began.wait()
    assert ended == ["broken off"]
    assert caplog.records == []


async def test_what_is_broken_off_before_its_first_step_is_no_complaint() -> None:
    async def work() -> None:
        raise AssertionError("too late")

    async with open_background() as keeper:
        keeper.spawn("spare", work(), is_spare=True)
    gc.collect()  # who was never awaited says so here


async def test_work_that_does_not_end_is_cancelled_after_the_limit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    async with open_background(limit_s=0.05) as keeper:
        keeper.spawn("endless", work())
    assert ended == ["cancelled"]
    assert [(r.message, vars(r)["tasks"]) for r in caplog.records] == [
        ("cancelled at shutdown", ["endless"])
    ]


async def test_a_loop_that_breaks_begins_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "FIRST_PAUSE_S", 0.001)
    enough = asyncio.Event()
    turns: list[int] = []

    async def body() -> None:
        turns.append(len(turns))
        if len(turns) == 3:
            enough.set()
            await asyncio.sleep(60)
        raise RuntimeError("broken")

    async with open_background() as keeper, asyncio.timeout(5):
        keeper.loop("wheel", body)
        await enough.wait()
    assert turns == [0, 1, 2]
    assert [vars(r)["task"] for r in caplog.records if r.levelno == logging.ERROR] == ["wheel"] * 2


async def test_a_loop_is_cancelled_at_shutdown_without_delay() -> None:
    ended = asyncio.Event()

    async def body() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async with asyncio.timeout(5), open_background(limit_s=60) as keeper:
        keeper.loop("wheel", body)
        await asyncio.sleep(0)
    assert ended.is_set()


async def test_work_that_fails_is_logged_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        raise ValueError("no luck")

    async with open_background() as keeper:
        keeper.spawn("unlucky", work())
    assert [(r.message, vars(r)["task"]) for r in caplog.records] == [
        ("background work failed", "unlucky")
    ]


async def test_after_shutdown_nothing_begins() -> None:
    begun: list[str] = []

    async def work() -> None:
        begun.append("work")

    keeper = Background()
    await keeper.aclose(1)
    keeper.spawn("late", work())
    keeper.loop("late", work)
    await asyncio.sleep(0)
    assert begun == []
