"""Keeps what operators want to hear of, and lets them listen.

`tell` only appends to a queue; a task of our own brings it to the table `events`, which is the one
truth for the list, for those who listen and for the webhook. A message over the shared state tells
all replicas to look there; one that is lost costs a listener a moment, and nothing else.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from dialects.fields import dumps, parse_object
from models.errors import BadRequest, Conflict, GatewayError, Unprocessable
from models.event import Event, EventKind
from models.ids import new_id
from models.json_types import JsonObject
from models.ports import Clock
from repositories.base import EventRepository, Page, SharedState

logger = logging.getLogger(__name__)

CHANNEL: Final = "aigateway:events"
QUEUE_SIZE: Final = 10_000
BATCH: Final = 200

_GATHER_S: Final = 0.1
_RETRY_S: Final = 0.5
_RETRY_LIMIT_S: Final = 5.0
_COMPLAIN_EVERY_S: Final = 60.0
_DRAIN_LIMIT_S: Final = 5.0
_MAX_DETAILS_BYTES: Final = 8192


class Events:
    """The queue of this process and its way to the table."""

    def __init__(
        self,
        repository: EventRepository,
        shared: SharedState,
        clock: Clock,
        *,
        queue_size: int = QUEUE_SIZE,
    ) -> None:
        self._repository = repository
        self._shared = shared
        self._clock = clock
        self._queue: deque[Event] = deque()
        self._queue_size = queue_size
        self._came = asyncio.Event()
        self._is_closing = False
        self._complained_at = -_COMPLAIN_EVERY_S
        self.dropped = 0
        """Events that were lost: the database was away for too long, or would not have them."""

    def tell(
        self,
        kind: EventKind,
        message: str,
        *,
        provider_id: str | None = None,
        account_id: str | None = None,
        proxy_id: str | None = None,
        details: JsonObject | None = None,
    ) -> None:
        """Let operators know. Never waits, never raises; beyond the queue's size the oldest that
        the database has not taken yet are dropped, counted and logged."""
        if len(self._queue) >= self._queue_size:
            self._queue.popleft()
            self._lost(1)
        self._queue.append(
            Event(
                new_id(),
                self._clock.now(),
                kind,
                message,
                provider_id,
                account_id,
                proxy_id,
                _bounded(details or {}),
            )
        )
        self._came.set()

    # --- reading --------------------------------------------------------------------------

    async def page(
        self,
        *,
        limit: int,
        offset: int,
        kind: str | None = None,
        account_id: str | None = None,
        proxy_id: str | None = None,
        since: float | None = None,
    ) -> Page[Event]:
        """Return events that match, newest first."""
        return await self._repository.page(
            limit=limit,
            offset=offset,
            kind=kind,
            account_id=account_id,
            proxy_id=proxy_id,
            since=since,
        )

    # --- life -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Bring events to the database until closed."""
        retry_s = _RETRY_S
        while not self._is_closing:
            await self._came.wait()
            await self._pause(_GATHER_S)
            self._came.clear()
            try:
                await self._store_all()
                retry_s = _RETRY_S
            except GatewayError as error:
                logger.warning("events wait for the database", extra={"error": error.message})
                self._came.set()
                await self._pause(retry_s)
                retry_s = min(2 * retry_s, _RETRY_LIMIT_S)
            except Exception:
                logger.exception("events could not be stored")
                self._came.set()
                await self._pause(_RETRY_LIMIT_S)

    async def aclose(self, task: "asyncio.Task[None]", limit_s: float = _DRAIN_LIMIT_S) -> None:
        """Bring what is left to the database, within the limit."""
        self._is_closing = True
        self._came.set()
        await asyncio.wait({task}, timeout=limit_s)
        task.cancel()
        try:
            async with asyncio.timeout(limit_s):
                await self._store_all()
        except (GatewayError, TimeoutError) as error:
            logger.warning("events wait for the database", extra={"error": str(error)})
        if self._queue:
            self._complained_at = -_COMPLAIN_EVERY_S
            self._lost(len(self._queue))

    async def _pause(self, limit_s: float) -> None:
        """Wait, but not while we are to end."""
        if not self._is_closing:
            await asyncio.sleep(limit_s)

    async def _store_all(self) -> None:
        while self._queue:
            batch = [self._queue[n] for n in range(min(BATCH, len(self._queue)))]
            await self._store(batch)
            stored = {event.id for event in batch}
            # The queue may have dropped some of them meanwhile.
            while self._queue and self._queue[0].id in stored:
                self._queue.popleft()
            await self._shared.publish(CHANNEL, b"1")

    async def _store(self, batch: list[Event]) -> None:
        try:
            await self._repository.store(batch)
        except (Conflict, Unprocessable) as error:
            if len(batch) == 1:
                self._lost(1)
                logger.debug("event refused", extra={"id": batch[0].id, "error": error.message})
                return
            middle = len(batch) // 2
            await self._store(batch[:middle])
            await self._store(batch[middle:])

    def _lost(self, count: int) -> None:
        """Count losses, and log them at most once a minute."""
        self.dropped += count
        now = self._clock.monotonic()
        if now - self._complained_at >= _COMPLAIN_EVERY_S:
            self._complained_at = now
            logger.error("events were lost", extra={"dropped": self.dropped})


@asynccontextmanager
async def open_events(
    repository: EventRepository, shared: SharedState, clock: Clock
) -> AsyncGenerator[Events, None]:
    """Yield the keeper of events; at the end what was told is in the database."""
    events = Events(repository, shared, clock)
    task = asyncio.create_task(events.run(), name="events")
    try:
        yield events
    finally:
        await events.aclose(task)


def _bounded(details: JsonObject) -> JsonObject:
    """Return a copy that a row holds, marked where it is too large or no JSON."""
    try:
        written = dumps(details)
        return parse_object(written) if len(written) <= _MAX_DETAILS_BYTES else {"cut": True}
    except (BadRequest, TypeError, ValueError):
        return {"cut": True}
