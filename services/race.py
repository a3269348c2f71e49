"""Several ways to one answer at once: the first that has it serves, the others are broken off."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TypeAlias

from models.errors import GatewayError
from services.reply import Reply
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
    return asyncio.create_task(_run(runner), name="contender")


async def _run(runner: Runner) -> Reply:
    """Run one; what it raises before it has begun is its own failure, too."""
    return await runner()


async def _first(running: set[asyncio.Task[Reply]]) -> Reply:
    pending = set(running)
    try:
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            winner = next((task for task in done if _failure(task) is None), None)
            if winner is not None:
                await _broken_off(running - {winner})
                return winner.result()
    except BaseException:
        await _broken_off(running)  # the winner as well: nobody takes its answer any more
        raise
    raise _most_telling([_failure(task) for task in running])


def _failure(task: asyncio.Task[Reply]) -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


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
    """Cancel what runs, and give back what has come or yet comes: nobody takes it.

    That is settled before the wait, so whoever is cancelled in it leaves nothing behind.
    """
    for task in tasks:
        task.cancel()
        task.add_done_callback(_drop)
    if tasks:
        await asyncio.wait(tasks)


def _drop(task: asyncio.Task[Reply]) -> None:
    if _failure(task) is None:
        task.result().drop()
