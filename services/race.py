"""Several ways to one answer at once: the first that has it serves, the others are broken off."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TypeAlias

from models.errors import GatewayError
from services.answers import Reply
from services.telling import more_telling

Runner: TypeAlias = Callable[[], Coroutine[object, object, Reply]]


async def first_of(runners: Sequence[Runner]) -> Reply:
    """Return the first reply. Raises the most telling GatewayError when every runner fails."""
    return await _first({_started(runner) for runner in runners})


async def hedged(first: Runner, second: Callable[[], Awaitable[Runner | None]], s: float) -> Reply:
    """Return the reply of `first`; when it has none after `s` seconds, `second` is asked whether
    there is another way, and the first of both serves."""
    running = _started(first)
    try:
        await asyncio.wait({running}, timeout=s)
        if running.done() or (other := await second()) is None:
            return await running
    except BaseException:
        await _broken_off({running})
        raise
    return await _first({running, _started(other)})


def _started(runner: Runner) -> asyncio.Task[Reply]:
    return asyncio.create_task(runner(), name="contender")


async def _first(running: set[asyncio.Task[Reply]]) -> Reply:
    pending, winner = set(running), None
    try:
        while pending and winner is None:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            winner = next((task for task in done if task.exception() is None), None)
    finally:
        await _broken_off(running - {winner} if winner is not None else running)
    if winner is not None:
        return winner.result()
    raise _most_telling([task.exception() for task in running])


def _most_telling(errors: Sequence[BaseException | None]) -> BaseException:
    """Return what to raise; what is no GatewayError is a fault of ours and goes first."""
    failure: GatewayError | None = None
    for error in errors:
        if isinstance(error, GatewayError):
            failure = more_telling(failure, error)
        elif error is not None:
            return error
    assert failure is not None  # noqa: S101 - every runner has ended, and none with a reply
    return failure


async def _broken_off(tasks: set[asyncio.Task[Reply]]) -> None:
    """Cancel what runs, and close what has come meanwhile: nobody takes it."""
    if not tasks:
        return
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and task.exception() is None:
            await task.result().aclose()
