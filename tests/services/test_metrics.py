"""What a scrape tells, of one process and of several that are one gateway."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from models.usage import Usage
from services.metric_families import FAMILIES
from services.metrics import BEAT_S, FRESH_S
from services.recorder import RecorderCounts
from tests.fakes.clock import FakeClock
from tests.services.metrics_rig import Worker, begun, make_record


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_every_call_is_counted_with_what_it_was(clock: FakeClock) -> None:
    worker = Worker(clock)
    worker.meter.count(make_record(attempts=3, usage=Usage(10, 5, 100, 7, 2), stream=True))
    worker.meter.count(make_record(usage=Usage(1, None)))
    worker.meter.count(make_record(dialect="messages", status=429, error_code="rate_limit"))
    worker.meter.count(make_record(provider_id=None, status=400, error_code="invalid_request"))
    told = await worker.told()
    requests = "aigateway_requests_total"
    assert told.of(requests, dialect="chat", provider="openai", status="2xx") == 2
    assert told.of(requests, dialect="messages", provider="openai", status="4xx") == 1
    assert told.of(requests, provider="", status="4xx") == 1
    assert told.of(requests) == 4
    errors = "aigateway_request_errors_total"
    assert told.of(errors, provider="openai", code="rate_limit") == 1
    assert told.of(errors, provider="", code="invalid_request") == 1
    assert told.of(errors) == 2
    assert told.of("aigateway_attempts_total", provider="openai") == 5
    kinds = ("input", "output", "cache_read", "cache_write")
    tokens = [told.of("aigateway_tokens_total", provider="openai", kind=kind) for kind in kinds]
    assert tokens == [11, 5, 100, 7]


async def test_a_stream_that_broke_is_an_error_of_a_call_that_was_answered(
    clock: FakeClock,
) -> None:
    worker = Worker(clock)
    worker.meter.count(make_record(stream=True, status=200, error_code="upstream_truncated"))
    told = await worker.told()
    assert told.of("aigateway_requests_total", status="2xx") == 1
    assert told.of("aigateway_request_errors_total", code="upstream_truncated") == 1


async def test_durations_are_told_apart_for_streams(clock: FakeClock) -> None:
    worker = Worker(clock)
    for latency_ms in (100.0, 100.1, 400_000.0):
        worker.meter.count(make_record(latency_ms=latency_ms, first_byte_ms=50.0))
    worker.meter.count(make_record(latency_ms=2_000.0, stream=True))
    told = await worker.told()
    name, whole = "aigateway_request_duration_seconds", {"provider": "openai", "stream": "false"}
    bucket = f"{name}_bucket"
    # A bucket holds what is at most its bound.
    bounds = ("0.1", "0.25", "300.0", "+Inf")
    assert [told.of(bucket, le=bound, **whole) for bound in bounds] == [1, 2, 2, 3]
    assert told.of(f"{name}_count", **whole) == 3
    assert told.of(f"{name}_sum", **whole) == pytest.approx(400.2001)
    assert told.of(f"{name}_sum", stream="true") == 2.0
    first = "aigateway_request_first_byte_seconds"
    assert told.of(f"{first}_count", provider="openai") == 3
    assert told.of(f"{first}_sum", provider="openai") == pytest.approx(0.15)


async def test_a_client_cannot_make_up_series(clock: FakeClock) -> None:
    worker = Worker(clock)
    worker.meter.count(make_record())
    before = len((await worker.told()).samples)
    for number in range(500):
        record = make_record()
        record.model = record.key_id = record.client_request_id = f"made-up-{number}"
        worker.meter.count(record)
    told = await worker.told()
    assert told.of("aigateway_requests_total") == 501
    assert len(told.samples) == before


async def test_series_are_bounded_and_nothing_goes_uncounted(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.request_meter.MAX_ROWS", 10)
    worker = Worker(clock)
    for number in range(50):
        worker.meter.count(make_record(provider_id=f"provider-{number}"))
    told = await worker.told()
    assert told.of("aigateway_requests_total") == 50
    assert told.of("aigateway_requests_total", dialect="other", status="2xx") == 40
    assert len(told.labels("aigateway_requests_total", "provider")) == 11


async def test_where_the_records_of_requests_are_is_told(clock: FakeClock) -> None:
    worker = Worker(clock, calls=3)
    worker.records = RecorderCounts(queued=7, spooled=11, written=13, dropped=17, refused=19)
    worker.is_database_well = False
    told = await worker.told()
    assert told.of("aigateway_records_queued") == 7
    assert told.of("aigateway_records_spooled") == 11
    assert told.of("aigateway_records_written_total") == 13
    assert told.of("aigateway_records_lost_total", reason="no_room") == 17
    assert told.of("aigateway_records_lost_total", reason="refused") == 19
    assert told.of("aigateway_component_up", component="database", worker="0") == 0
    assert told.of("aigateway_requests_in_flight") == told.of("aigateway_streams_in_flight") == 3
    assert told.of("aigateway_requests_refused_total") == 4
    assert told.of("aigateway_build_info", version="1.2.3") == 1


async def test_the_process_is_told_as_the_kernel_sees_it(clock: FakeClock) -> None:
    told = await Worker(clock).told()
    prefix = "aigateway_process"
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    rss_bytes = int(status["VmRSS"].split()[0]) * 1024
    assert told.of(f"{prefix}_resident_memory_bytes") == pytest.approx(rss_bytes, rel=0.05)
    assert 0 < told.of(f"{prefix}_cpu_seconds_total", worker="0") <= time.process_time()
    assert told.of(f"{prefix}_open_fds") == pytest.approx(_open_files(), abs=3)
    started_at = Path(f"/proc/{os.getpid()}").stat().st_ctime
    assert told.of(f"{prefix}_start_time_seconds") == pytest.approx(started_at, abs=60)


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_a_late_event_loop_shows(clock: FakeClock) -> None:
    worker = Worker(clock)
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(worker.metrics.run())
    late_s = 0.3
    loop.call_later(BEAT_S - 0.1, _stop_the_clock, loop.time() + BEAT_S + late_s)
    await asyncio.sleep(BEAT_S + late_s)
    running.cancel()
    told = await worker.told()
    assert told.of("aigateway_event_loop_lag_seconds_count") == 1
    assert told.of("aigateway_event_loop_lag_seconds_bucket", le="0.1") == 0
    assert told.of("aigateway_event_loop_lag_seconds_sum") > 0.1


def _stop_the_clock(until: float) -> None:
    loop = asyncio.get_running_loop()
    while loop.time() < until:
        pass


# --- several workers -------------------------------------------------------------------------


async def test_any_worker_answers_for_all(clock: FakeClock, tmp_path: Path) -> None:
    workers = [await begun(clock, tmp_path, number=number, calls=number) for number in range(3)]
    for number, worker in enumerate(workers, start=1):
        await worker.serve(number, dialect="chat")
    for worker in workers:
        told = await worker.told()
        assert told.of("aigateway_requests_total", dialect="chat") == 6
        assert told.of("aigateway_requests_in_flight") == 3
        assert told.of("aigateway_workers") == 3
        assert told.labels("aigateway_process_open_fds", "worker") == {"0", "1", "2"}


async def test_sums_never_go_back_whoever_is_asked(clock: FakeClock, tmp_path: Path) -> None:
    """What one worker has counted and not told yet must not show in some answers only."""
    first, second = [await begun(clock, tmp_path, number=number) for number in range(2)]
    seen = []
    for _ in range(5):
        for worker in (first, second):
            for one in (first, second):
                one.meter.count(make_record())
            seen.append(await worker.requests())
    assert seen == sorted(seen)
    assert seen[-1] >= 19


async def test_a_scrape_that_was_overtaken_brings_nothing_old_back(
    clock: FakeClock, tmp_path: Path
) -> None:
    first, second = [await begun(clock, tmp_path, number=number) for number in range(2)]
    files = first.files
    assert files is not None
    old = first.metrics._page()
    await first.serve(3)
    await asyncio.to_thread(files.write, old)
    assert await second.requests() == 3


async def test_what_a_killed_worker_counted_stays(clock: FakeClock, tmp_path: Path) -> None:
    first, second = [await begun(clock, tmp_path, number=number, calls=5) for number in range(2)]
    await first.serve(4)
    await second.serve(2)
    clock.advance(FRESH_S + 1)  # the first is dead
    told = await second.told()
    assert told.of("aigateway_requests_total") == 6
    # How it was when it died says nothing.
    assert told.of("aigateway_requests_in_flight") == 5
    assert told.of("aigateway_workers") == 1
    assert told.labels("aigateway_process_open_fds", "worker") == {"1"}


async def test_a_worker_started_anew_goes_on_where_the_killed_one_was(
    clock: FakeClock, tmp_path: Path
) -> None:
    first, second = [await begun(clock, tmp_path, number=number) for number in range(2)]
    first.records = RecorderCounts(queued=0, spooled=0, written=4, dropped=0, refused=0)
    await first.serve(4)
    await second.serve(2)
    again = await begun(clock, tmp_path, number=0)
    assert await second.requests() == 6
    again.records = RecorderCounts(queued=0, spooled=0, written=1, dropped=0, refused=0)
    await again.serve(1)
    for worker in (second, again):
        told = await worker.told()
        assert told.of("aigateway_requests_total") == 7
        assert told.of("aigateway_records_written_total") == 5
    # However often that happens.
    for _ in range(5):
        await (await begun(clock, tmp_path, number=0)).metrics.tell()
    assert await second.requests() == 7
    assert len(list(tmp_path.rglob("*.json"))) == 2


async def test_a_gateway_started_anew_begins_at_zero_and_tidies_up(tmp_path: Path) -> None:
    clock = FakeClock(time.time())
    await (await begun(clock, tmp_path, crew="before")).serve(9)
    clock.advance(3_600)
    worker = await begun(clock, tmp_path, crew="now")
    await worker.serve(1)
    assert await worker.requests() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["now"]


async def test_another_gateway_on_the_same_folder_is_left_alone(tmp_path: Path) -> None:
    clock = FakeClock(time.time())
    other = await begun(clock, tmp_path, crew="other")
    await other.serve(9)
    worker = await begun(clock, tmp_path, crew="this")
    assert (tmp_path / "other" / "0.json").exists()
    await worker.serve(1)
    assert (await worker.requests(), await other.requests()) == (1, 9)


async def test_nobody_else_on_the_machine_reads_the_files(clock: FakeClock, tmp_path: Path) -> None:
    worker = await begun(clock, tmp_path)
    await worker.serve(1)
    (file,) = tmp_path.rglob("*.json")
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_a_folder_that_somebody_empties_costs_nothing(
    clock: FakeClock, tmp_path: Path
) -> None:
    worker = await begun(clock, tmp_path / "metrics")
    await worker.serve(3)
    for path in (tmp_path / "metrics").rglob("*.json"):
        path.unlink()
    (tmp_path / "metrics" / "crew").rmdir()
    await worker.serve(1)
    assert await worker.requests() == 4


async def test_a_disk_that_takes_nothing_makes_counts_stand_still_not_jump(
    clock: FakeClock, tmp_path: Path
) -> None:
    first, second = [await begun(clock, tmp_path, number=number) for number in range(2)]
    await first.serve(3)
    await second.serve(3)

    (tmp_path / "crew" / "0.new").mkdir()  # nobody can write a file of that name
    await first.serve(2)
    assert [await worker.requests() for worker in (first, second, first)] == [6, 6, 6]
    (tmp_path / "crew" / "0.new").rmdir()
    assert [await worker.requests() for worker in (first, second)] == [8, 8]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b'{"number":1}',
        b'{"number":1,"at":2e9,"calls":{},"counts":{},"state":{}}',
        b'{"number":1,"at":2e9,"calls":[["chat",[1]]],"counts":{},"state":{}}',
        b'{"number":1,"at":2e9,"calls":[[["chat"],[1,2]]],"counts":'
        b'{"aigateway_of_tomorrow":[[[],[1]]],"aigateway_records_lost_total":[[[],[1]]]},"state":{}}',
    ],
)
async def test_a_file_that_is_not_understood_is_passed_over(
    clock: FakeClock, tmp_path: Path, damage: bytes
) -> None:
    worker = await begun(clock, tmp_path)
    await worker.serve(1)
    (tmp_path / "crew" / "1.json").write_bytes(damage)
    told = await worker.told()
    assert told.of("aigateway_requests_total") == 1
    assert told.of("aigateway_records_lost_total") == 0


# --- the families ------------------------------------------------------------------------------


async def test_names_are_as_prometheus_wants_them() -> None:
    for family in FAMILIES.values():
        assert family.name.startswith("aigateway_")
        assert (family.kind == "counter") == family.name.endswith("_total")
        assert family.help.endswith(".")
        assert sorted(family.bounds) == list(family.bounds)


async def test_docs_list_every_metric_with_its_labels() -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:4] for line in page.splitlines() if line.startswith("| `aigateway_")]
    told = {
        name.strip(" `"): (kind.strip(), tuple(labels_in(labels))) for name, kind, labels in rows
    }
    assert told == {family.name: (family.kind, family.labels) for family in FAMILIES.values()}


def labels_in(cell: str) -> list[str]:
    return [part.strip(" `") for part in cell.split(",") if part.strip()]
