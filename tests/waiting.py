"""Waiting for what happens elsewhere, without guessing how long it takes."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], limit_s: float = 10.0) -> None:
    """Return as soon as the condition holds; raises TimeoutError when it never does."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)
