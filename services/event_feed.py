"""Lets listeners follow what happens: they read the table `events` from where they left off.

A message over the shared state says that there is something new; who misses one looks by himself
after a moment. So every replica's listeners get everything, in one order, and a listener that was
cut off goes on where it was.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from models.errors import ErrorKind, GatewayError
from models.event import Event
from repositories.base import EventRepository, SharedState
from services.events import CHANNEL

MAX_LISTENERS: Final = 64
AT_ONCE: Final = 100
"""Events that a listener gets at a time; the next ones wait in the table, not in memory."""

_LOOK_EVERY_S: Final = 5.0


class EventFeed:
    """What the listeners of this process share: the knowledge that something is new."""

    def __init__(
        self,
        repository: EventRepository,
        shared: SharedState,
        *,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self._repository = repository
        self._shared = shared
        self._look_every_s = look_every_s
        self._news = asyncio.Event()
        self._listeners = 0
        self.is_over = False
        """Nobody may listen any more."""

    async def after(self, position: int, limit_s: float) -> list[Event]:
        """Return what was stored after a position as soon as there is something; nothing when
        that takes longer, or at the end. Raises GatewayError while the database is away."""
        limit_at = asyncio.get_running_loop().time() + limit_s
        while not self.is_over:
            news = self._news
            if found := await self._repository.after(position, limit=AT_ONCE):
                return found
            if not await self._is_new(news, limit_at):
                break
        return []

    async def last_position(self) -> int:
        """Return where a listener begins who wants nothing of the past."""
        return await self._repository.last_position()

    @contextmanager
    def listening(self) -> Generator[None, None, None]:
        """Hold a place for one listener. Raises GatewayError when there is none."""
        if self.is_over or self._listeners >= MAX_LISTENERS:
            raise GatewayError(
                f"no more than {MAX_LISTENERS} may listen at once",
                kind=ErrorKind.UNAVAILABLE,
                status=503,
                retry_after_s=self._look_every_s,
            )
        self._listeners += 1
        try:
            yield
        finally:
            self._listeners -= 1

    def hang_up(self) -> None:
        """Let everybody who listens go: they go on elsewhere."""
        self.is_over = True
        self._tell()

    async def listen(self) -> None:
        """Hear of what replicas have stored, until cancelled."""
        async for _ in self._shared.subscribe(CHANNEL):
            self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _is_new(self, news: asyncio.Event, limit_at: float) -> bool:
        """Wait for news, or until it is time to look without; False at the limit."""
        look_at = asyncio.get_running_loop().time() + self._look_every_s
        try:
            async with asyncio.timeout_at(min(look_at, limit_at)):
                await news.wait()
        except TimeoutError:
            return look_at < limit_at
        return True
