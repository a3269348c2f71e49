"""Keeps rests over a restart: written behind, read at start.

A restart then meets no limit a second time, and does not forget who needs an operator. Nobody
waits for it; while the database is away what is to be written waits here, the oldest longest.
"""

import asyncio
import logging
from typing import Final

from models.errors import Conflict, GatewayError, Unprocessable
from models.ports import Clock
from models.rest import Rest
from repositories.base import RestRepository
from services.rest_book import FORGOTTEN_S, Key, RestBook

logger = logging.getLogger(__name__)

LONG_S: Final = 30.0
"""Shorter rests are over before they would matter."""

_EVERY_S: Final = 1.0
_CLEAN_EVERY_S: Final = 3_600.0
_AT_ONCE: Final = 500
_MAX_WAITING: Final = 10_000
_MAX_NAME: Final = 255


class KeptRests:
    """A follower of the book, and the loop that writes."""

    def __init__(self, repository: RestRepository, book: RestBook, clock: Clock) -> None:
        self._repository = repository
        self._book = book
        self._clock = clock
        self._begun: dict[Key, Rest] = {}
        self._ended: dict[Key, float] = {}
        self._cleaned_at = 0.0
        self._is_well = True

    # --- what happens here -----------------------------------------------------------------

    def began(self, rest: Rest, before: Rest | None) -> None:
        """Write it soon, if it is long. Beyond a number the oldest are forgotten."""
        key = (rest.subject, rest.scope)
        is_fit = max(len(rest.subject), len(rest.scope)) <= _MAX_NAME
        if rest.until - rest.began_at > LONG_S and is_fit:
            self._begun.pop(key, None)
            self._begun[key] = rest
            _bound(self._begun)

    def ended(self, rest: Rest, evidence: str | None) -> None:
        """Delete it soon, if it was written."""
        key = (rest.subject, rest.scope)
        self._begun.pop(key, None)
        if rest.until - rest.began_at > LONG_S:
            self._ended[key] = max(rest.began_at, self._ended.get(key, 0.0))
            _bound(self._ended)

    # --- life --------------------------------------------------------------------------------

    async def load(self) -> int:
        """Take in what was kept; return how many. Raises GatewayError."""
        kept = await self._repository.all(self._clock.now())
        return sum(self._book.take(rest) for rest in kept)

    async def run(self) -> None:
        """Write from time to time, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits; what the database does not take now waits on."""
        try:
            await self._flush()
        except GatewayError as error:
            if self._is_well:
                logger.warning("rests are not kept now", extra={"error": error.message})
            self._is_well = False
        else:
            self._is_well = True

    async def _flush(self) -> None:
        ended, self._ended = self._ended, {}
        try:
            if ended:
                await self._repository.delete(ended)
        except GatewayError:
            self._ended = {**ended, **self._ended}
            raise
        while self._begun:
            await self._store([self._begun[key] for key in list(self._begun)[:_AT_ONCE]])
        if abs(self._clock.now() - self._cleaned_at) >= _CLEAN_EVERY_S:
            await self._repository.delete_before(self._clock.now() - FORGOTTEN_S)
            self._cleaned_at = self._clock.now()

    async def _store(self, rests: list[Rest]) -> None:
        """Store a batch; what came or ended meanwhile is the next one's."""
        # Another replica may have ended one, and deleted it before it is written.
        alive = [rest for rest in rests if not self._book.has_ended(rest)]
        try:
            await self._repository.store(alive)
        except (Conflict, Unprocessable) as error:
            logger.error("rests were not kept", extra={"error": error.message})
        for rest in rests:
            if self._begun.get((rest.subject, rest.scope)) is rest:
                del self._begun[(rest.subject, rest.scope)]


def _bound(waiting: dict[Key, Rest] | dict[Key, float]) -> None:
    if len(waiting) > _MAX_WAITING:
        del waiting[next(iter(waiting))]
