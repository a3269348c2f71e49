"""Shared state of a single process: nothing to install, nothing that outlives it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from models.clock import SystemClock
from models.ports import Clock
from repositories.counters import Counters, midnight_after
from repositories.slots import Slots

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
        self._hashes: dict[str, dict[str, tuple[float, bytes]]] = {}
        self._slots = Slots()
        self._listeners: dict[str, set[asyncio.Queue[bytes | None]]] = {}
        self._is_closed = False

    @property
    def is_available(self) -> bool:
        return True

    async def increment(self, key: str, by: int = 1) -> int:
        return self._counters.add(key, by)

    async def get(self, key: str) -> bytes | None:
        entry = self._entries.get(key)
        if entry is None:
            number = self._counters.get(key)
            return None if number is None else b"%d" % number
        return entry.value if self._clock.now() < entry.ends_at else None

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

    async def claim(self, key: str, ttl_s: float) -> bool:
        if await self.get(key) is not None:
            return False
        await self.put(key, b"1", ttl_s)
        return True

    async def bind(self, key: str, value: bytes, ttl_s: float) -> bytes:
        found = await self.get(key)
        if found is None:
            await self.put(key, value, ttl_s)
            return value
        return found

    async def touch(self, key: str, ttl_s: float) -> None:
        found = await self.get(key)
        if found is not None:
            await self.put(key, found, ttl_s)

    async def raise_field(self, key: str, name: str, rank: float, value: bytes) -> bool:
        fields = self._hashes.setdefault(key, {})
        if name in fields and fields[name][0] >= rank:
            return False
        fields[name] = (rank, value)
        return True

    async def drop_field(self, key: str, name: str) -> None:
        self._hashes.get(key, {}).pop(name, None)

    async def fields(self, key: str) -> dict[str, bytes]:
        return {name: value for name, (_, value) in self._hashes.get(key, {}).items()}

    async def take_slot(self, account_id: str, holder: str, limit: int, ttl_s: float) -> int:
        now = self._clock.monotonic()
        return self._slots.take(account_id, holder, limit, now=now, ttl_s=ttl_s)

    async def renew_slots(self, held: Sequence[tuple[str, str]], ttl_s: float) -> None:
        for account_id, holder in held:
            self._slots.renew(account_id, holder, now=self._clock.monotonic(), ttl_s=ttl_s)

    async def free_slot(self, account_id: str, holder: str) -> None:
        self._slots.free(account_id, holder)

    async def slots_taken(self, account_ids: Sequence[str]) -> list[int]:
        now = self._clock.monotonic()
        return [self._slots.taken(account_id, now) for account_id in account_ids]

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
