"""Owns every task that belongs to no request: named, restarted, and waited for at shutdown."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Final

logger = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 0.1
LAST_PAUSE_S: Final = 30.0
HEALTHY_AFTER_S: Final = 60.0
"""A loop that ran this long before it broke starts again as if it never had."""


class Background:
    """Keeper of tasks. Once it closes, new ones are refused without an error."""

    def __init__(self) -> None:
        self._works: set[asyncio.Task[None]] = set()
        self._loops: set[asyncio.Task[None]] = set()
        """And what is spare."""
        self._is_closing = False

    def spawn(
        self, name: str, work: Coroutine[object, object, object], *, is_spare: bool = False
    ) -> None:
        """Run something that ends by itself; shutdown waits for it, unless it is spare: nothing
        is lost where that breaks off. Its errors are logged."""
        if self._is_closing:
            logger.debug("too late to begin", extra={"task": name})
            work.close()
            return
        where = self._loops if is_spare else self._works
        task = asyncio.create_task(_logged(name, work), name=name)
        # One that is cancelled before its first step would leave the work unbegun, and be told so.
        task.add_done_callback(lambda _: work.close())
        self._keep(where, task)

    def loop(self, name: str, body: Callable[[], Awaitable[None]]) -> None:
        """Run something that never ends; begun anew when it breaks, cancelled at shutdown."""
        if not self._is_closing:
            self._keep(self._loops, asyncio.create_task(_again_and_again(name, body), name=name))

    async def aclose(self, limit_s: float) -> None:
        """Cancel what may break off and let the rest end, for so long; what is left then is
        cancelled."""
        self._is_closing = True
        for task in self._loops:
            task.cancel()
        left = await _wait(self._loops | self._works, limit_s)
        if not left:
            return
        logger.warning("cancelled at shutdown", extra={"tasks": sorted(map(_name, left))})
        for task in left:
            task.cancel()
        for task in await _wait(left, 1.0):
            logger.error("does not stop", extra={"task": _name(task)})

    def _keep(self, where: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
        where.add(task)
        task.add_done_callback(where.discard)


@asynccontextmanager
async def open_background(*, limit_s: float = 10.0) -> AsyncGenerator[Background, None]:
    """Yield a keeper; at the end wait for its tasks, at most `limit_s`."""
    background = Background()
    try:
        yield background
    finally:
        await background.aclose(limit_s)


async def _logged(name: str, work: Coroutine[object, object, object]) -> None:
    try:
        await work
    except Exception:
        logger.exception("background work failed", extra={"task": name})


async def _again_and_again(name: str, body: Callable[[], Awaitable[None]]) -> None:
    pause_s = FIRST_PAUSE_S
    while True:
        began = time.monotonic()
        try:
            await body()
            logger.debug("background loop ended and begins anew", extra={"task": name})
        except Exception:
            logger.exception("background loop broke and begins anew", extra={"task": name})
        if time.monotonic() - began > HEALTHY_AFTER_S:
            pause_s = FIRST_PAUSE_S
        await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311 - replicas must not march in step
        pause_s = min(pause_s * 2, LAST_PAUSE_S)


async def _wait(tasks: set[asyncio.Task[None]], limit_s: float) -> set[asyncio.Task[None]]:
    """Wait for all; return those that are not done after the limit."""
    if not tasks:
        return set()
    _, left = await asyncio.wait(set(tasks), timeout=limit_s)
    return left


def _name(task: asyncio.Task[None]) -> str:
    return task.get_name()
