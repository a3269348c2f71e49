"""Brings what is known of limits to the database and from there to every replica.

Off the request path, every few seconds: what changed here is stored, what changed elsewhere is
read. While the database is away each replica goes on with what it sees itself.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from models.errors import GatewayError
from models.ports import Clock
from repositories.base import QuotaRepository
from services.quota_learning import Learner
from services.quotas import Quotas

logger = logging.getLogger(__name__)

STEP_S: Final = 2.0
_LAST_S: Final = 2.0
_BATCH: Final = 1_000
_OVERLAP_S: Final = 15.0
"""A window may be stored so long after it was told, by a clock that is so much slower."""
_ALL_EVERY_S: Final = 300.0
_COUNT_EVERY_S: Final = 60.0


class QuotaSync:
    """Keeps the windows of this process equal to those of the others."""

    def __init__(
        self,
        quotas: Quotas,
        learner: Learner,
        repository: QuotaRepository,
        clock: Clock,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._quotas = quotas
        self._learner = learner
        self._repository = repository
        self._clock = clock
        self._pause = pause
        self._read_until = 0.0
        self._all_at = -_ALL_EVERY_S
        self._counted_at = -_COUNT_EVERY_S
        self._is_away = False

    async def run(self) -> None:
        """Go on until cancelled; what is not stored by then is stored at the end."""
        try:
            while True:
                await self.step()
                await self._pause(STEP_S)
        finally:
            with suppress(GatewayError, TimeoutError):
                async with asyncio.timeout(_LAST_S):
                    await self.store()

    async def step(self) -> None:
        """Store, read and learn once. Outages are told once and change nothing."""
        try:
            await self.store()
            await self._read()
            await self._learner.learn()
            await self._count()
        except GatewayError as error:
            if not self._is_away:
                logger.warning("limits are not shared", extra={"error": error.message})
            self._is_away = True
        else:
            self._is_away = False

    async def store(self) -> None:
        """Bring what changed here to the database, so many at once."""
        windows = self._quotas.unsaved(_BATCH)
        if windows:
            await self._repository.store(windows)
            self._quotas.saved(windows)

    async def _read(self) -> None:
        now = self._clock.monotonic()
        if now - self._all_at >= _ALL_EVERY_S:
            windows = await self._repository.all()
            self._all_at = now
        else:
            windows = await self._repository.updated_since(self._read_until - _OVERLAP_S)
        for window in windows:
            self._quotas.take(window, is_saved=True)
            self._read_until = max(self._read_until, min(window.updated_at, self._clock.now()))

    async def _count(self) -> None:
        now = self._clock.monotonic()
        if now - self._counted_at >= _COUNT_EVERY_S:
            self._counted_at = now
            await self._learner.count()
