"""Shared state of a single process: nothing to install, nothing that outlives it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from models.clock import SystemClock
from models.ports import Clock
from repositories.counters import Counters, midnight_after

# A listener that is this far behind misses the oldest messages: they are hints.
_QUEUE = 1_000

_SWEEP_EVERY_S = 60.0

MAX_BYTES = 64 * 1024 * 1024
"""Of all values and their keys together. Beyond it the ones written longest ago go first: whoever
reads shared state must live with their loss anyway."""

_ENTRY_BYTES = 300
"""What a value takes besides itself and its key: many small ones fill the memory as well."""


@dataclass(frozen=True, slots=True)
class _Entry:
    value: bytes
    ends_at: float
    size_bytes: int


class MemoryState:
    """`SharedState` in this process. One worker only."""

    mode: Literal["memory", "redis"] = "memory"

    def __init__(self, clock: Clock | None = None, *, max_bytes: int = MAX_BYTES) -> None:
        self._clock = clock or SystemClock()
        self._counters = Counters()
        self._entries: dict[str, _Entry] = {}  # those written last stand last
        self._size_bytes = 0
        self._max_bytes = max_bytes
        self._today: dict[str, tuple[int, int]] = {}
        self._swept_at = 0.0
        self._listeners: dict[str, set[asyncio.Queue[bytes | None]]] = {}
        self._is_closed = False

    @property
    def is_available(self) -> bool:
        return True

    async def increment(self, key: str, by: int = 1) -> int:
        return self._counters.add(key, by)

    async def get(self, key: str) -> bytes | None:
        entry = self._entries.get(key)
        return entry.value if entry is not None and self._clock.now() < entry.ends_at else None

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        now = self._clock.now()
        self._sweep(now)
        self._drop(key)
        entry = _Entry(value, now + ttl_s, len(key) + len(value) + _ENTRY_BYTES)
        self._entries[key] = entry
        self._size_bytes += entry.size_bytes
        while self._size_bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    async def delete(self, key: str) -> None:
        self._drop(key)

    async def count_today(self, counts: Mapping[str, int], *, now: float) -> None:
        self._sweep(now)
        midnight = midnight_after(now)
        for key, by in counts.items():
            value, ends_at = self._today.get(key, (0, midnight))
            if ends_at <= now:
                value, ends_at = 0, midnight
            self._today[key] = (value + by, ends_at)

    async def read_counts(self, keys: Sequence[str]) -> list[int]:
        now = self._clock.now()
        found = [self._today.get(key, (0, 0)) for key in keys]
        return [value if now < ends_at else 0 for value, ends_at in found]

    async def publish(self, channel: str, message: bytes) -> None:
        for queue in self._listeners.get(channel, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(message)

    async def subscribe(self, channel: str) -> AsyncGenerator[bytes, None]:
        """Yield messages from now on."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE)
        listeners = self._listeners.setdefault(channel, set())
        listeners.add(queue)
        try:
            while not self._is_closed and (message := await queue.get()) is not None:
                yield message
        finally:
            listeners.discard(queue)

    async def aclose(self) -> None:
        """End the subscriptions."""
        self._is_closed = True
        for queue in [queue for queues in self._listeners.values() for queue in queues]:
            with contextlib.suppress(asyncio.QueueEmpty):
                if queue.full():
                    queue.get_nowait()
            queue.put_nowait(None)

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size_bytes -= entry.size_bytes

    def _sweep(self, now: float) -> None:
        """Drop what has ended, now and then; readers look at the end themselves."""
        if abs(now - self._swept_at) < _SWEEP_EVERY_S:
            return
        self._swept_at = now
        for key in [key for key, entry in self._entries.items() if entry.ends_at <= now]:
            self._drop(key)
        self._today = {k: (value, end) for k, (value, end) in self._today.items() if now < end}
