"""Request records in a spool, for the event loop: the disk works in a thread of its own."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from models.attempt import Decision
from models.exchange import RequestRecord
from services.records import record_from_json, record_to_json
from services.spool import Segment, Spool

logger = logging.getLogger(__name__)

T = TypeVar("T")


class SpooledRecords:
    """Records go in in batches, and come out oldest first until they are stored elsewhere."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._segment: Segment | None = None
        self._left: list[RequestRecord] = []
        self._offered = 0
        self._unreadable = 0

    @property
    def count(self) -> int:
        """How many wait on disk; those of a segment leave it together."""
        return self._spool.lines

    @property
    def dropped(self) -> int:
        """How many were given up because the spool was full."""
        return self._spool.dropped

    @property
    def unreadable(self) -> int:
        """How many the disk gave back damaged."""
        return self._spool.damaged + self._unreadable

    async def append(self, records: Sequence[RequestRecord]) -> bool:
        """Put records on the disk; False when it would not take them."""
        return await self._run(lambda: self._spool.append(_lines(records)))

    async def oldest(self, most: int) -> Sequence[RequestRecord]:
        """Return the oldest records, none when there are none; the same ones until `stored`."""
        while not self._left and self.count:
            if self._segment is not None:
                await self._remove()
            self._segment = await self._run(self._spool.oldest)
            if self._segment is None:
                break
            self._left = await self._run(partial(self._read, self._segment))
        self._offered = min(most, len(self._left))
        return self._left[: self._offered]

    async def stored(self) -> None:
        """Forget what `oldest` returned; its segment is removed with the last of it."""
        del self._left[: self._offered]
        self._offered = 0
        if not self._left and self._segment is not None:
            await self._remove()

    async def adopt(self) -> int:
        """Take over what dead processes left; return how many."""
        return await self._run(self._spool.adopt)

    async def close(self) -> None:
        """End the thread, after everything that was handed over."""
        await self._run(self._spool.close)
        self._thread.shutdown(wait=False)

    async def _remove(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            await self._run(lambda: self._spool.remove(segment))

    def _read(self, segment: Segment) -> list[RequestRecord]:
        records = []
        told: dict[str, Decision] = {}
        for payload in segment.payloads:
            try:
                records.append(record_from_json(payload, told))
            except ValueError as error:
                self._unreadable += 1
                logger.debug("spooled record refused", extra={"error": str(error)})
        return records

    async def _run(self, work: Callable[[], T]) -> T:
        # Shielded: what has been handed over is done, even if nobody waits for it any more.
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._thread, work))


def _lines(records: Sequence[RequestRecord]) -> list[bytes]:
    """Write records of one batch; a decision that many share stands in the first line only."""
    told: set[str] = set()
    return [record_to_json(record, told) for record in records]
