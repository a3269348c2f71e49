"""Keeps one record of each request, off its way: memory, then the database, else the disk.

`record` only appends to a queue. A flusher hands what is there to the database every interval, or
once a batch is full. While the database is away or slow, the same rhythm brings the rows to the
spool on disk instead, so that a killed process loses no more than an interval's; when it is back
they follow, oldest first. `StatsRepository.store` passes over ids that it knows, therefore a
batch may be sent twice and never counts twice.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from models.errors import Conflict, Unprocessable
from models.exchange import RequestRecord
from models.ports import Clock
from repositories.base import SharedState, StatsRepository
from services.day_counts import DayCounts
from services.spool import Spool
from services.spooled_records import SpooledRecords

logger = logging.getLogger(__name__)

RETRY_S: Final = 0.5
RETRY_LIMIT_S: Final = 5.0
ADOPT_EVERY_S: Final = 60.0
TELL_EVERY_S: Final = 60.0
DRAIN_LIMIT_S: Final = 10.0
SAFE_AFTER_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class RecorderCounts:
    """Where the records of this process are. All but the first two since its start."""

    queued: int
    """In memory."""
    spooled: int
    """On disk, waiting for the database."""
    written: int
    """New rows in the database."""
    dropped: int
    """Lost: neither memory nor disk had room."""
    refused: int
    """Lost: the database would not have them, or the disk gave them back damaged."""


class Recorder:
    """The queue, the flusher and the way back from the spool."""

    def __init__(
        self,
        stats: StatsRepository,
        shared: SharedState,
        spool: Spool,
        clock: Clock,
        *,
        queue_size: int,
        batch_size: int,
        flush_interval_s: float,
    ) -> None:
        self._stats = stats
        self._shared = shared
        self._spool = SpooledRecords(spool)
        self._clock = clock
        self._queue_size = queue_size
        self._hard_limit = 2 * queue_size
        self._batch_size = min(batch_size, queue_size)
        self._interval_s = flush_interval_s
        self._queue: deque[RequestRecord] = deque()
        self._full = asyncio.Event()
        self._today = DayCounts()
        self._in_flight: Sequence[RequestRecord] = ()
        self._spooling: list[list[RequestRecord]] = []
        """On their way to the disk."""
        self._flusher: asyncio.Task[None] | None = None
        self._storing: asyncio.Task[None] | None = None
        self._is_closing = False
        # Moments on the event loop's clock.
        self._flushed_at = self._adopted_at = self._retry_at = 0.0
        self._told_at = -TELL_EVERY_S
        self._asked_at: float | None = None
        self._retry_s = RETRY_S
        self._written = self._dropped = self._refused = self._told = 0
        self.is_database_well = True
        """Whether the database took the last batch."""

    # --- the way of a request -------------------------------------------------------------

    def record(self, record: RequestRecord) -> None:
        """Take a record; it must not change any more. Never waits, never raises."""
        self._queue.append(record)
        self._today.add(record)
        if len(self._queue) >= self._batch_size:
            self._full.set()
            if len(self._queue) > self._hard_limit:
                self._queue.popleft()
                self._dropped += 1

    def counts(self) -> RecorderCounts:
        """Say where the records are."""
        return RecorderCounts(
            queued=len(self._queue) + len(self._in_flight) + sum(map(len, self._spooling)),
            spooled=self._spool.count,
            written=self._written,
            dropped=self._dropped + self._spool.dropped,
            refused=self._refused + self._spool.unreadable,
        )

    def find(self, name: str) -> RequestRecord | None:
        """Return a request that waits here, by its id, else the latest of its client's id."""
        waiting = [*chain(*self._spooling), *self._in_flight, *self._queue]
        by_id = (record for record in waiting if record.id == name)
        by_client = (record for record in reversed(waiting) if record.client_request_id == name)
        return next(by_id, None) or next(by_client, None)

    # --- life -----------------------------------------------------------------------------

    async def start(self) -> None:
        """Take over what dead processes left on disk, and begin to flush."""
        await self._adopt()
        self._flusher = asyncio.create_task(self._flush(), name="recorder")

    async def aclose(self, limit_s: float = DRAIN_LIMIT_S) -> None:
        """Bring everything to the database within the limit, and what is left to the disk.

        A slow database goes on, but it may not be waited for: whoever stops us may lose patience.
        What it has not taken soon is on the disk before it takes it.
        """
        limit_at = _now() + limit_s
        self._is_closing = True
        self._full.set()
        await _end(self._flusher, limit_at)
        if self.is_database_well and (self._storing is None or self._storing.done()):
            self._storing = asyncio.create_task(self._store_all(), name="recorder.drain")
        if self._storing is not None:
            await asyncio.wait({self._storing}, timeout=min(limit_s, SAFE_AFTER_S))
        await self._to_disk()
        await _end(self._storing, limit_at)
        await self._to_disk()
        await self._today.publish(self._shared, now=self._clock.now())
        self._dropped += len(self._queue)
        self._queue.clear()
        self._told_at = -TELL_EVERY_S
        self._tell_losses()
        await self._spool.close()

    # --- the flusher ----------------------------------------------------------------------

    async def _flush(self) -> None:
        while not self._is_closing:
            try:
                await self._rest()
                await self._turn()
            except Exception:
                logger.exception("statistics could not be flushed")
                await asyncio.sleep(self._interval_s)

    async def _rest(self) -> None:
        """Wait for a full batch, or the end of the one on its way, but no longer than allowed."""
        if self._storing is not None:
            await asyncio.wait({self._storing}, timeout=self._interval_s)
            return
        try:
            async with asyncio.timeout_at(self._flushed_at + self._interval_s):
                await self._full.wait()
        except TimeoutError:
            pass

    async def _turn(self) -> None:
        """Send what waits to the database, or where it cannot go there, to the disk."""
        if self._storing is not None and self._storing.done():
            self._storing = None
        self._full.clear()
        is_due = self._flushed_at + self._interval_s <= _now()
        if not is_due and len(self._queue) < self._batch_size:
            return
        self._flushed_at = _now()
        self._tell_losses()
        await self._today.publish(self._shared, now=self._clock.now())
        if self._storing is None and self._adopted_at + ADOPT_EVERY_S <= _now():
            await self._adopt()
        if self._storing is None and self._retry_at <= _now():
            if self._queue or self._spool.count:
                self._storing = asyncio.create_task(self._store_all(), name="recorder.store")
        elif self._storing is None or self._is_database_slow():
            await self._to_disk()
        elif len(self._queue) > self._queue_size:
            await self._spool_records(self._take(len(self._queue) - self._queue_size))

    def _is_database_slow(self) -> bool:
        return self._asked_at is not None and _now() - self._asked_at >= self._interval_s

    def _take(self, most: int) -> list[RequestRecord]:
        """Take the oldest records out of the queue."""
        return [self._queue.popleft() for _ in range(min(most, len(self._queue)))]

    # --- to the database ------------------------------------------------------------------

    async def _store_all(self) -> None:
        """Store what waits, fresh and spooled in turn, until nothing does or the database fails.

        What came in the meantime and fills no batch waits for the next turn.
        """
        while await self._store_queued() and await self._store_spooled():
            is_full = len(self._queue) >= self._batch_size or (self._is_closing and self._queue)
            if not is_full and not self._spool.count:
                return

    async def _store_queued(self) -> bool:
        batch = self._in_flight = self._take(self._batch_size)
        is_stored = await self._store(batch)
        left, self._in_flight = self._in_flight, ()
        # The flusher may have brought the batch to the disk already, when it took too long.
        if not is_stored and left:
            await self._spool_records(left)
        return is_stored

    async def _store_spooled(self) -> bool:
        is_stored = await self._store(await self._spool.oldest(self._batch_size))
        if is_stored:
            await self._spool.stored()
        return is_stored

    async def _store(self, batch: Sequence[RequestRecord]) -> bool:
        """Return False when the database is away, and True when nothing is left to be done."""
        if not batch:
            return True
        self._asked_at = _now()
        try:
            self._written += await self._stats.store(batch)
        except (Conflict, Unprocessable) as error:
            return await self._store_halves(batch, error)
        except Exception as error:
            self._lost_database(error)
            return False
        finally:
            self._asked_at = None
        self._found_database()
        return True

    async def _store_halves(
        self, batch: Sequence[RequestRecord], error: Conflict | Unprocessable
    ) -> bool:
        """Find the record that the database will not have; it must not hold up the others."""
        if len(batch) == 1:
            self._refused += 1
            logger.debug("record refused", extra={"id": batch[0].id, "error": error.message})
            return True
        middle = len(batch) // 2
        return await self._store(batch[:middle]) and await self._store(batch[middle:])

    def _lost_database(self, error: Exception) -> None:
        if self.is_database_well:
            logger.warning(
                "the database takes no statistics; they go to the disk", extra={"error": str(error)}
            )
        self.is_database_well = False
        self._retry_at = _now() + self._retry_s * random.uniform(0.8, 1.0)  # noqa: S311 - jitter
        self._retry_s = min(2 * self._retry_s, RETRY_LIMIT_S)

    def _found_database(self) -> None:
        if not self.is_database_well:
            logger.info("the database takes statistics again")
        self.is_database_well = True
        self._retry_at, self._retry_s = 0.0, RETRY_S

    # --- to the disk ----------------------------------------------------------------------

    async def _to_disk(self) -> None:
        """Bring all records to the disk, also those that a slow database may yet take."""
        in_flight, self._in_flight = self._in_flight, ()
        await self._spool_records([*in_flight, *self._take(len(self._queue))])

    async def _spool_records(self, records: Sequence[RequestRecord]) -> None:
        """Append to the spool; what it does not take stays in memory as long as there is room."""
        left = list(records)
        self._spooling.append(left)
        try:
            while left:
                if not await self._spool.append(left[: self._batch_size]):
                    self._put_back(left)
                    return
                del left[: self._batch_size]
        except asyncio.CancelledError:  # the part that has been handed over is written
            self._put_back(left[self._batch_size :])
            raise
        finally:
            self._spooling.remove(left)

    def _put_back(self, records: Sequence[RequestRecord]) -> None:
        """Return the oldest records to the queue; where room is short, the newest of them."""
        room = max(0, self._hard_limit - len(self._queue))
        kept = records[len(records) - room :] if room < len(records) else records
        self._dropped += len(records) - len(kept)
        self._queue.extendleft(reversed(kept))

    async def _adopt(self) -> None:
        self._adopted_at = _now()
        if adopted := await self._spool.adopt():
            logger.info("statistics of ended processes found", extra={"records": adopted})

    def _tell_losses(self) -> None:
        """Log losses that were not told yet, at most once a minute."""
        counts = self.counts()
        lost = counts.dropped + counts.refused
        if lost > self._told and self._told_at + TELL_EVERY_S <= _now():
            self._told, self._told_at = lost, _now()
            fields = {"dropped": counts.dropped, "refused": counts.refused}
            logger.error("statistics were lost", extra=fields)


@asynccontextmanager
async def open_recorder(
    stats: StatsRepository,
    shared: SharedState,
    clock: Clock,
    folder: Path,
    *,
    queue_size: int = 10_000,
    batch_size: int = 500,
    flush_interval_s: float = 1.0,
    spool_max_bytes: int = 1 << 30,
    drain_limit_s: float = DRAIN_LIMIT_S,
) -> AsyncGenerator[Recorder, None]:
    """Yield a recorder whose spool lies in `folder`; at the end nothing of it is in memory only."""
    recorder = Recorder(
        stats,
        shared,
        Spool(folder, max_bytes=spool_max_bytes),
        clock,
        queue_size=queue_size,
        batch_size=batch_size,
        flush_interval_s=flush_interval_s,
    )
    await recorder.start()
    try:
        yield recorder
    finally:
        await recorder.aclose(drain_limit_s)


async def _end(task: asyncio.Task[None] | None, limit_at: float) -> None:
    """Wait for a task until a moment, then cancel it."""
    if task is None:
        return
    await asyncio.wait({task}, timeout=max(0.0, limit_at - _now()))
    task.cancel()
    await asyncio.wait({task}, timeout=1.0)


def _now() -> float:
    return asyncio.get_running_loop().time()
