import asyncio
import errno
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from models.clock import SystemClock
from models.errors import Conflict, StorageUnavailable, Unprocessable
from models.exchange import RequestRecord
from models.ids import new_id
from repositories.base import LogFilter, Page, ProxyDay, Summary
from repositories.shared_memory import MemoryState
from services import recorder as recorder_module
from services.day_counts import read_today
from services.recorder import Recorder, open_recorder
from services.spool import Spool

INTERVAL_S = 0.02


class FakeStats:
    """A ledger in memory that can be away, slow, or refuse."""

    def __init__(self) -> None:
        self.rows: dict[str, RequestRecord] = {}
        self.batches: list[int] = []
        self.is_away = False
        self.refused: set[str] = set()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.when_stored: Callable[[], None] = lambda: None

    async def store(self, records: Sequence[RequestRecord]) -> int:
        await self.may_go_on.wait()
        if self.is_away:
            raise StorageUnavailable("the database is unavailable")
        if self.refused & {record.id for record in records}:
            raise Unprocessable("a value does not fit into the database")
        new = {record.id: record for record in records if record.id not in self.rows}
        self.rows.update(new)
        self.batches.append(len(records))
        self.when_stored()
        return len(new)

    async def logs(self, log_filter: LogFilter, *, limit: int, offset: int) -> Page[RequestRecord]:
        raise NotImplementedError

    async def find(self, name: str) -> RequestRecord | None:
        raise NotImplementedError

    async def proxy_days(self, proxy_id: str, *, days: int, now: float) -> list[ProxyDay]:
        raise NotImplementedError

    async def summary(self, *, since: float, until: float) -> Summary:
        raise NotImplementedError

    async def delete_before(self, at: float, *, batch: int) -> int:
        raise NotImplementedError


@pytest.fixture
def stats() -> FakeStats:
    return FakeStats()


@pytest.fixture
def shared() -> MemoryState:
    return MemoryState()


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "RETRY_S", 0.02)
    monkeypatch.setattr(recorder_module, "RETRY_LIMIT_S", 0.1)


@pytest.fixture
async def recorder(
    stats: FakeStats, shared: MemoryState, tmp_path: Path
) -> AsyncIterator[Recorder]:
    async with open_recorder(
        stats,
        shared,
        SystemClock(),
        tmp_path / "spool",
        queue_size=100,
        batch_size=10,
        flush_interval_s=INTERVAL_S,
    ) as opened:
        yield opened
        stats.may_go_on.set()


def make_record(
    *, proxy_id: str | None = None, egress_errors: tuple[str, ...] = ()
) -> RequestRecord:
    return RequestRecord(
        id=new_id(),
        at=time.time(),
        key_id="key",
        dialect="chat",
        model="gpt-5",
        stream=False,
        proxy_id=proxy_id,
        egress_errors=egress_errors,
    )


def _fill(recorder: Recorder, count: int) -> list[str]:
    records = [make_record() for _ in range(count)]
    for record in records:
        recorder.record(record)
    return [record.id for record in records]


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


def _open(stats: FakeStats, folder: Path, *, spool_max_bytes: int = 1 << 20) -> Recorder:
    return Recorder(
        stats,
        MemoryState(),
        Spool(folder, max_bytes=spool_max_bytes),
        SystemClock(),
        queue_size=100,
        batch_size=10,
        flush_interval_s=INTERVAL_S,
    )


async def test_a_record_is_in_the_database_after_the_interval(
    recorder: Recorder, stats: FakeStats
) -> None:
    record = make_record()
    recorder.record(record)
    assert recorder.counts().queued == 1
    await _until(lambda: record.id in stats.rows)
    await _until(lambda: recorder.counts().written == 1)
    assert recorder.counts().queued == 0


async def test_many_records_go_in_batches(recorder: Recorder, stats: FakeStats) -> None:
    ids = _fill(recorder, 95)
    await _until(lambda: len(stats.rows) == 95)
    assert list(stats.rows) == ids
    assert max(stats.batches) == 10
    assert len(stats.batches) <= 11


async def test_a_full_batch_does_not_wait_for_the_interval(
    stats: FakeStats, shared: MemoryState, tmp_path: Path
) -> None:
    async with open_recorder(
        stats, shared, SystemClock(), tmp_path, batch_size=10, flush_interval_s=60
    ) as recorder:
        _fill(recorder, 25)
        await _until(lambda: len(stats.rows) >= 20)
        await asyncio.sleep(0.05)
        assert len(stats.rows) == 20, "the rest fills no batch"
        _fill(recorder, 5)
        await _until(lambda: len(stats.rows) == 30)
    assert stats.batches == [10, 10, 10]


async def test_steady_traffic_makes_no_tiny_batches(recorder: Recorder, stats: FakeStats) -> None:
    """A store that is done early does not begin the next one at once."""
    began = time.monotonic()
    for _ in range(60):
        _fill(recorder, 1)
        await asyncio.sleep(0.002)
    await _until(lambda: len(stats.rows) == 60)
    turns = (time.monotonic() - began) / INTERVAL_S
    assert len(stats.batches) <= turns + 6 + 2


async def test_shutdown_stores_everything(
    stats: FakeStats, shared: MemoryState, tmp_path: Path
) -> None:
    async with open_recorder(
        stats, shared, SystemClock(), tmp_path / "spool", flush_interval_s=60, batch_size=10
    ) as recorder:
        await asyncio.sleep(0.01)
        ids = _fill(recorder, 55)
    assert list(stats.rows) == ids
    assert recorder.counts().written == 55
    assert not (tmp_path / "spool").exists()


async def test_an_outage_brings_the_rows_to_the_disk_and_back_in_order(
    recorder: Recorder, stats: FakeStats, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    stats.is_away = True
    ids = _fill(recorder, 35)
    await _until(lambda: recorder.counts().spooled == 35)
    well = [recorder.is_database_well]
    ids += _fill(recorder, 30)
    await _until(lambda: recorder.counts().spooled == 65)
    stats.is_away = False
    await _until(lambda: len(stats.rows) == 65)
    await _until(lambda: recorder.counts().spooled == 0)
    assert list(stats.rows) == ids
    assert recorder.counts().written == 65
    assert [*well, recorder.is_database_well] == [False, True]
    messages = [r.message for r in caplog.records if r.name == "services.recorder"]
    assert messages == [
        "the database takes no statistics; they go to the disk",
        "the database takes statistics again",
    ]


async def test_new_rows_do_not_wait_for_a_long_spool(recorder: Recorder, stats: FakeStats) -> None:
    stats.is_away = True
    _fill(recorder, 150)
    await _until(lambda: recorder.counts().spooled == 150)
    fresh: list[str] = []
    stats.when_stored = lambda: fresh.extend(_fill(recorder, 1) if len(stats.rows) == 50 else ())
    stats.is_away = False
    await _until(lambda: len(stats.rows) == 151)
    assert list(stats.rows).index(fresh[0]) == 50


async def test_rows_of_a_database_that_hangs_are_on_disk_and_not_stored_twice(
    recorder: Recorder, stats: FakeStats
) -> None:
    """What is on its way may yet be lost: it is brought to the disk as well."""
    stats.may_go_on.clear()
    ids = _fill(recorder, 5)
    await asyncio.sleep(INTERVAL_S)
    ids += _fill(recorder, 20)
    await _until(lambda: recorder.counts().spooled == 25 and recorder.counts().queued == 0)
    stats.may_go_on.set()
    await _until(lambda: recorder.counts().spooled == 0)
    assert sorted(stats.rows) == sorted(ids)
    assert recorder.counts().written == 25
    assert sum(stats.batches) > 25


async def test_a_record_that_the_database_refuses_does_not_hold_up_the_others(
    recorder: Recorder, stats: FakeStats, caplog: pytest.LogCaptureFixture
) -> None:
    bad, *_ = stats.refused = {new_id(), new_id()}
    for id_ in stats.refused:
        record = make_record()
        record.id = id_
        recorder.record(record)
    ids = _fill(recorder, 7)
    await _until(lambda: len(stats.rows) == 7)
    assert list(stats.rows) == ids
    await _until(lambda: recorder.counts().refused == 2)
    _fill(recorder, 1)
    await _until(lambda: caplog.records)
    assert [(r.message, vars(r)["refused"]) for r in caplog.records] == [
        ("statistics were lost", 2)
    ]
    assert recorder.is_database_well
    assert bad not in stats.rows


async def test_a_conflict_with_another_process_is_tried_again_in_parts(
    recorder: Recorder, stats: FakeStats, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stats.store
    conflicts = iter([True])

    async def conflicting(records: Sequence[RequestRecord]) -> int:
        if next(conflicts, False):
            raise Conflict("taken")
        return await store(records)

    monkeypatch.setattr(stats, "store", conflicting)
    ids = _fill(recorder, 6)
    await _until(lambda: len(stats.rows) == 6)
    assert list(stats.rows) == ids
    assert stats.batches == [3, 3]
    assert recorder.counts().refused == 0


async def test_any_other_failure_is_an_outage_and_loses_nothing(
    recorder: Recorder, stats: FakeStats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a missing right: nothing about the records, so they wait until it is given."""

    async def broken(_: Sequence[RequestRecord]) -> int:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(stats, "store", broken)
        ids = _fill(recorder, 5)
        await _until(lambda: recorder.counts().spooled == 5)
    await _until(lambda: len(stats.rows) == 5)
    assert list(stats.rows) == ids


def _no_space(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_with_database_and_disk_away_memory_keeps_the_newest(
    recorder: Recorder, stats: FakeStats, monkeypatch: pytest.MonkeyPatch
) -> None:
    stats.is_away = True
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", _no_space)
        patch.setattr(os, "fsync", _no_space)
        ids = _fill(recorder, 190)
        for _ in range(50):  # whatever is being tried, they are somewhere
            await asyncio.sleep(INTERVAL_S / 10)
            assert recorder.counts().queued == 190
        assert recorder.counts().dropped == 0
        ids += _fill(recorder, 50)
        await _until(lambda: recorder.counts().dropped == 40)
        assert recorder.counts().queued == 200
    stats.is_away = False
    await _until(lambda: recorder.counts().written == 200)
    assert sorted(stats.rows) == ids[40:]


async def test_recording_never_waits_whatever_is_broken(
    recorder: Recorder, stats: FakeStats
) -> None:
    stats.may_go_on.clear()
    began = time.perf_counter()
    _fill(recorder, 5_000)
    assert recorder.counts().queued <= 200
    assert recorder.counts().dropped >= 4_800
    assert time.perf_counter() - began < 5


async def test_shutdown_during_an_outage_leaves_the_rows_on_disk_for_the_next(
    stats: FakeStats, tmp_path: Path
) -> None:
    stats.is_away = True
    first = _open(stats, tmp_path)
    await first.start()
    ids = _fill(first, 25)
    await _until(lambda: not first.is_database_well)
    ids += _fill(first, 7)
    await first.aclose()
    assert first.counts().spooled == 32
    assert stats.rows == {}

    stats.is_away = False
    second = _open(stats, tmp_path)
    await second.start()
    await _until(lambda: len(stats.rows) == 32)
    await second.aclose()
    assert list(stats.rows) == ids
    assert list(tmp_path.iterdir()) == []


async def test_shutdown_with_a_database_that_hangs_ends_in_time(
    stats: FakeStats, tmp_path: Path
) -> None:
    recorder = _open(stats, tmp_path)
    await recorder.start()
    stats.may_go_on.clear()
    ids = _fill(recorder, 25)
    async with asyncio.timeout(5):
        await recorder.aclose(limit_s=0.1)
    assert recorder.counts().dropped == 0
    on_disk = b"".join(path.read_bytes() for path in tmp_path.glob("*/*.lines"))
    assert [id_ for id_ in ids if id_.encode() not in on_disk] == []


async def test_shutdown_with_a_slow_disk_loses_nothing(
    stats: FakeStats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled wherever they stand, rows are on disk, on their way to it, or in the queue."""
    append = Spool.append

    def slow_append(spool: Spool, payloads: Sequence[bytes]) -> bool:
        time.sleep(0.05)
        return append(spool, payloads)

    monkeypatch.setattr(Spool, "append", slow_append)
    monkeypatch.setattr(recorder_module, "RETRY_S", 60)
    stats.is_away = True
    recorder = _open(stats, tmp_path)
    await recorder.start()
    ids = _fill(recorder, 75)
    await _until(lambda: recorder.counts().spooled >= 20)
    await recorder.aclose(limit_s=0.02)
    assert recorder.counts().dropped == 0
    on_disk = b"".join(path.read_bytes() for path in tmp_path.glob("*/*.lines"))
    assert [id_ for id_ in ids if id_.encode() not in on_disk] == []


async def test_shutdown_drains_the_spool_when_the_database_is_back(
    stats: FakeStats, tmp_path: Path
) -> None:
    recorder = _open(stats, tmp_path)
    stats.is_away = True
    await recorder.start()
    ids = _fill(recorder, 25)
    await _until(lambda: recorder.counts().spooled == 25)
    stats.is_away = False
    await _until(lambda: recorder.is_database_well)
    await recorder.aclose()
    assert sorted(stats.rows) == ids
    assert recorder.counts().spooled == 0


async def test_damaged_lines_are_counted_and_passed_over(stats: FakeStats, tmp_path: Path) -> None:
    stats.is_away = True
    first = _open(stats, tmp_path)
    await first.start()
    ids = _fill(first, 5)
    await _until(lambda: first.counts().spooled == 5)
    await first.aclose()
    (path,) = tmp_path.glob("*/*.lines")
    lines = path.read_bytes().splitlines(keepends=True)
    foreign = b'{"id": 5}'
    lines[1] = b"x" + lines[1][1:]
    lines[3] = b"%08x %s\n" % (zlib.crc32(foreign), foreign)
    path.write_bytes(b"".join(lines)[:-3])

    stats.is_away = False
    second = _open(stats, tmp_path)
    await second.start()
    await _until(lambda: second.counts().spooled == 0)
    await second.aclose()
    assert list(stats.rows) == [ids[0], ids[2]]
    assert second.counts().refused == 3


async def test_todays_counters_count_requests_and_errors_once(
    recorder: Recorder, stats: FakeStats, shared: MemoryState
) -> None:
    """Also through an outage: a row is counted when it is recorded, not when it is stored."""
    stats.is_away = True
    recorder.record(make_record(proxy_id="p1"))
    recorder.record(make_record(proxy_id="p1", egress_errors=("p2", "p2", "p1")))
    recorder.record(make_record())
    await _until(lambda: recorder.counts().spooled == 3)
    stats.is_away = False
    await _until(lambda: len(stats.rows) == 3)
    assert await read_today(shared, ["p1", "p2", "p3"]) == {
        "p1": (2, 1),
        "p2": (0, 2),
        "p3": (0, 0),
    }


async def test_yesterdays_requests_are_not_counted_today(
    recorder: Recorder, stats: FakeStats, shared: MemoryState
) -> None:
    record = make_record(proxy_id="p1")
    record.at -= 86_400
    recorder.record(record)
    recorder.record(make_record(proxy_id="p1"))
    await _until(lambda: len(stats.rows) == 2)
    assert await read_today(shared, ["p1"]) == {"p1": (1, 0)}


async def test_shutdown_hands_the_last_counts_over(
    stats: FakeStats, shared: MemoryState, tmp_path: Path
) -> None:
    async with open_recorder(stats, shared, SystemClock(), tmp_path) as recorder:
        recorder.record(make_record(proxy_id="p1"))
    assert await read_today(shared, ["p1"]) == {"p1": (1, 0)}


async def test_counters_read_under_the_names_that_users_know(
    recorder: Recorder, stats: FakeStats, shared: MemoryState
) -> None:
    recorder.record(make_record(proxy_id="p1", egress_errors=("p2",)))
    await _until(lambda: stats.rows)
    keys = ["stats:proxy:p1:requests:today", "stats:proxy:p2:errors:today"]
    assert await shared.read_counts(keys) == [1, 1]


_DOOMED = """
import asyncio, sys
from pathlib import Path
from models.clock import SystemClock
from models.errors import StorageUnavailable
from repositories.shared_memory import MemoryState
from services.recorder import open_recorder
from tests.services.test_recorder import FakeStats, make_record

async def main():
    stats = FakeStats()
    stats.is_away = True
    stores = (stats, MemoryState(), SystemClock(), Path(sys.argv[1]))
    async with open_recorder(*stores, flush_interval_s=0.05) as recorder:
        while True:
            record = make_record()
            recorder.record(record)
            print(record.id, flush=True)
            await asyncio.sleep(0.001)

asyncio.run(main())
"""


async def test_sigkill_loses_no_row_older_than_the_interval(
    stats: FakeStats, tmp_path: Path
) -> None:
    def doom() -> tuple[list[str], float]:
        with subprocess.Popen(
            [sys.executable, "-c", _DOOMED, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            ids = [process.stdout.readline().strip() for _ in range(500)]
            process.send_signal(signal.SIGKILL)
            ids += process.stdout.read().split()
        return ids, time.time()

    ids, killed_at = await asyncio.to_thread(doom)
    recorder = _open(stats, tmp_path)
    await recorder.start()
    await _until(lambda: stats.rows and recorder.counts().spooled == 0)
    await recorder.aclose()
    missing = [id_ for id_ in ids if id_ not in stats.rows]
    # Two intervals and what two cores take to write; the rest of half a second must be there.
    born_ms = [int(id_[:12], 16) for id_ in missing]
    assert all(born / 1000 > killed_at - 0.25 for born in born_ms)
    assert len(stats.rows) >= 100
    assert ids[: len(stats.rows)] == list(stats.rows)


async def test_two_recorders_share_a_folder(stats: FakeStats, tmp_path: Path) -> None:
    stats.is_away = True
    recorders = [_open(stats, tmp_path) for _ in range(2)]
    ids = []
    for recorder in recorders:
        await recorder.start()
        ids += _fill(recorder, 15)
    await _until(lambda: sum(recorder.counts().spooled for recorder in recorders) == 30)
    stats.is_away = False
    await _until(lambda: len(stats.rows) == 30)
    for recorder in recorders:
        await recorder.aclose()
    assert sorted(stats.rows) == sorted(ids)
    assert sum(recorder.counts().written for recorder in recorders) == 30


async def test_a_record_is_found_while_it_waits(recorder: Recorder, stats: FakeStats) -> None:
    stats.may_go_on.clear()
    first, last = make_record(), make_record()
    first.client_request_id = last.client_request_id = "build-7"
    recorder.record(first)
    await _until(lambda: recorder.counts().queued == 1)
    recorder.record(last)
    assert recorder.find(first.id) is first
    assert recorder.find("build-7") is last
    assert recorder.find("build-8") is None
    stats.may_go_on.set()
    await _until(lambda: len(stats.rows) == 2)
    await _until(lambda: recorder.find("build-7") is None)
