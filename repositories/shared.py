"""Opens the shared state that the settings ask for."""

import contextlib
from collections.abc import AsyncIterator

from repositories.base import SharedState
from repositories.shared_memory import MemoryState


@contextlib.asynccontextmanager
async def open_shared(
    redis_url: str,
    *,
    timeout_s: float = 0.25,
    breaker_failures: int = 3,
    breaker_pause_s: float = 2.0,
) -> AsyncIterator[SharedState]:
    """Yield the state on Redis, or in process when there is no address.

    A Redis that is away does not stop the start: `is_available` says so until it is back.
    """
    if not redis_url:
        memory = MemoryState()
        try:
            yield memory
        finally:
            await memory.aclose()
        return

    from repositories.shared_redis import RedisState  # costs 0.2 s, for those who use it

    state = RedisState(
        redis_url,
        timeout_s=timeout_s,
        breaker_failures=breaker_failures,
        breaker_pause_s=breaker_pause_s,
    )
    try:
        await state.start()
        yield state
    finally:
        await state.aclose()
