"""Work that takes long for large values, done beside the event loop: nobody else waits for it."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

INLINE_BYTES: Final = 32 * 1024
"""What is smaller is done faster than a thread is asked to."""


async def aside(size_bytes: int, work: Callable[[], T]) -> T:
    """Return what the work returns; it takes time in proportion to the size."""
    return work() if size_bytes <= INLINE_BYTES else await asyncio.to_thread(work)
