"""The metrics of this machine: what each worker counts, told by whichever of them is asked.

The way of a request ends with `RequestMeter.count`; everything else happens once a second, or when
somebody asks.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from models.ports import Clock
from services.exposition import exposition
from services.metric_families import Samples, Table, add, more_of
from services.metrics_files import MetricsFiles, Page
from services.pool_gauges import Picture, PoolGauges
from services.process_gauges import LoopLag, process_gauges
from services.recorder import RecorderCounts
from services.request_meter import RequestMeter, families_of

BEAT_S: Final = 1.0
FRESH_S: Final = 5.0
"""A worker that told nothing for longer is not: its counts stay, how it was then says nothing."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What is looked at in one worker."""

    requests: RequestMeter
    pool: PoolGauges
    calls: Callable[[], int]
    """Model calls under way."""
    streams: Callable[[], int]
    """Those of them that stream now."""
    refused: Callable[[], int]
    """Model calls that were refused because they could not begin soon."""
    records: Callable[[], RecorderCounts]
    components: Callable[[], Mapping[str, bool]]
    """Stores by name, and whether each is well."""


class Metrics:
    """Answers for all workers of a crew; for this process alone where it has no others."""

    def __init__(
        self,
        watched: Watched,
        clock: Clock,
        *,
        version: str,
        worker: int = 0,
        files: MetricsFiles | None = None,
    ) -> None:
        self._watched = watched
        self._clock = clock
        self._version = version
        self._worker = str(worker)
        self._files = files
        self._lag = LoopLag()
        self._numbers = itertools.count()
        self._inherited: Table = {}

    async def begin(self) -> None:
        """Go on with the counts of this worker's predecessor, if it has one."""
        if self._files is not None:
            page = await asyncio.to_thread(self._files.begin, self._clock.now())
            if page is not None:
                self._watched.requests.inherit(page.calls)
                self._inherited = page.counts

    async def run(self) -> None:
        """Look at the event loop every second, and tell the other workers; until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_at = loop.time() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self._lag.saw(loop.time() - due_at)
            await self.tell()

    async def tell(self) -> None:
        """Tell the other workers, if there are any."""
        if self._files is not None:
            await asyncio.to_thread(self._write, self._files, self._page())

    async def text(self) -> str:
        """Return everything in the text format of Prometheus."""
        return await asyncio.to_thread(self._text, self._page(), self._watched.pool.picture())

    # --- on the event loop ---

    def _page(self) -> Page:
        watched, records = self._watched, self._watched.records()
        lost = {"no_room": records.dropped, "refused": records.refused}
        counted: Table = {
            "aigateway_requests_refused_total": {(): [watched.refused()]},
            "aigateway_records_written_total": {(): [records.written]},
            "aigateway_records_lost_total": {(why,): [count] for why, count in lost.items()},
        }
        state: Table = {
            "aigateway_workers": {(): [1]},
            "aigateway_requests_in_flight": {(): [watched.calls()]},
            "aigateway_streams_in_flight": {(): [watched.streams()]},
            "aigateway_records_queued": {(): [records.queued]},
            "aigateway_records_spooled": {(): [records.spooled]},
            "aigateway_component_up": {
                (name, self._worker): [is_well] for name, is_well in watched.components().items()
            },
        }
        counts = add({}, (self._inherited, self._lag.table(), counted))
        now = self._clock.now()
        return Page(next(self._numbers), now, watched.requests.samples(), counts, state)

    # --- in a thread ---

    def _write(self, files: MetricsFiles, page: Page) -> None:
        files.write(self._with_process(page))

    def _text(self, page: Page, picture: Picture) -> str:
        page = self._with_process(page)
        pages = [page] if self._files is None else self._files.exchange(page)
        fresh_after = page.at - FRESH_S
        calls: Samples = {}
        for labels, row in itertools.chain.from_iterable(page.calls.items() for page in pages):
            more_of(calls, labels, row)
        total = add(families_of(calls), [page.counts for page in pages])
        add(total, [page.state for page in pages if page.at >= fresh_after])
        build: Table = {"aigateway_build_info": {(self._version,): [1]}}
        return exposition(add(total, [self._watched.pool.table(picture), build]))

    def _with_process(self, page: Page) -> Page:
        page.state.update(process_gauges(self._worker))
        return page
