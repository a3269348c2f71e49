import asyncio
from dataclasses import replace

import pytest

from models.exchange import RequestRecord
from models.ids import new_id
from models.usage import Usage
from repositories.base import AffinitySummary, LogFilter, ProxyDay, Summary
from repositories.open import Repositories

NOON = 1_800_014_400.0  # 2027-01-15 12:00 UTC
DAY = 86_400.0
USAGE = Usage(10, 20, 3, 4, 5)


def record(**changes: object) -> RequestRecord:
    plain = RequestRecord(
        id=new_id(),
        at=NOON,
        key_id="k1",
        dialect="chat",
        model="gpt-5",
        stream=False,
        provider_id="openai",
        status=200,
        attempts=1,
        usage=USAGE,
        latency_ms=100.0,
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # names are checked at run time


async def _logged(stores: Repositories, **wanted: object) -> list[RequestRecord]:
    log_filter = LogFilter(**wanted)  # type: ignore[arg-type] # names are checked at run time
    page = await stores.stats.logs(log_filter, limit=50, offset=0)
    assert page.total == len(page.data)
    return list(page.data)


async def test_a_record_reads_back_as_it_was_stored(stores: Repositories) -> None:
    full = record(
        client_request_id="their-id",
        stream=True,
        upstream_model="gpt-5-2026",
        account_id=new_id(),
        proxy_id=new_id(),
        status=502,
        error_code="upstream_error",
        attempts=3,
        mode="translated",
        usage=Usage(0, 7, None, None, None),
        first_byte_ms=12.5,
        latency_ms=1234.0625,
        affinity="moved",
        cached_tokens_lost=12_345,
    )
    bare = RequestRecord(new_id(), NOON + 1, "k1", "messages", "nothing", False)
    assert await stores.stats.store([full, bare]) == 2
    assert await _logged(stores) == [bare, full]


async def test_records_that_exist_are_passed_over_and_not_counted_again(
    stores: Repositories,
) -> None:
    batch = [record(proxy_id="p1") for _ in range(700)]
    assert await stores.stats.store(batch[:300]) == 300
    assert await stores.stats.store([*batch, batch[0]]) == 400
    assert await stores.stats.store(batch) == 0
    assert await stores.stats.store([]) == 0
    (day,) = await stores.stats.proxy_days("p1", days=1, now=NOON)
    assert (day.requests, day.input_tokens, day.output_tokens) == (700, 7000, 14000)


async def test_batches_of_several_writers_add_up(stores: Repositories) -> None:
    shared = [record(proxy_id="p1", egress_errors=("p2",)) for _ in range(50)]
    own = [[record(proxy_id=f"p{1 + n % 2}") for _ in range(50)] for n in range(6)]
    stored = await asyncio.gather(*(stores.stats.store([*batch, *shared]) for batch in own))
    assert sum(stored) == 350
    (first,) = await stores.stats.proxy_days("p1", days=1, now=NOON)
    (second,) = await stores.stats.proxy_days("p2", days=1, now=NOON)
    assert (first.requests, first.errors) == (200, 0)
    assert (second.requests, second.errors) == (150, 50)


async def test_proxy_days_count_requests_tokens_and_failures_of_proxies(
    stores: Repositories,
) -> None:
    await stores.stats.store(
        [
            record(proxy_id="p1"),
            record(proxy_id="p1", provider_id="anthropic", usage=Usage(), latency_ms=50.0),
            record(proxy_id="p1", egress_errors=("p2", "p3", "p2"), latency_ms=25.5),
            record(proxy_id="p2", status=502, egress_errors=("p2",)),
            record(at=NOON - DAY, proxy_id="p1"),
            record(at=NOON - 2 * DAY, proxy_id="p1"),
            record(provider_id=None, status=404),
        ]
    )
    assert await stores.stats.proxy_days("p1", days=2, now=NOON) == [
        ProxyDay("p1", "openai", "2027-01-14", 1, 0, 10, 20, 100.0),
        ProxyDay("p1", "anthropic", "2027-01-15", 1, 0, 0, 0, 50.0),
        ProxyDay("p1", "openai", "2027-01-15", 2, 0, 20, 40, 125.5),
    ]
    assert await stores.stats.proxy_days("p2", days=9, now=NOON) == [
        ProxyDay("p2", "openai", "2027-01-15", 1, 3, 10, 20, 100.0)
    ]
    assert await stores.stats.proxy_days("p3", days=1, now=NOON) == [
        ProxyDay("p3", "openai", "2027-01-15", 0, 1, 0, 0, 0.0)
    ]
    assert await stores.stats.proxy_days("p4", days=1, now=NOON) == []


async def test_a_day_ends_at_midnight_utc(stores: Repositories) -> None:
    midnight = NOON + DAY / 2
    await stores.stats.store(
        [record(at=midnight - 0.000_01, proxy_id="p1"), record(at=midnight, proxy_id="p1")]
    )
    days = await stores.stats.proxy_days("p1", days=2, now=midnight)
    assert [(day.day, day.requests) for day in days] == [("2027-01-15", 1), ("2027-01-16", 1)]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"provider_id": "anthropic"}, [1]),
        ({"account_id": "a2"}, [2]),
        ({"proxy_id": "p3"}, [3]),
        ({"key_id": "k4"}, [4]),
        ({"model": "GPT-5"}, [5]),
        ({"status": 429}, [6]),
        ({"error_code": "rate_limit"}, [6]),
        ({"since": NOON + 5}, [6, 5]),
        ({"until": NOON + 2}, [1, 0]),
        ({"since": NOON + 1, "until": NOON + 3, "model": "gpt-5"}, [2, 1]),
        ({"model": "gpt"}, []),
        ({"status": 0}, []),
        ({"since": float("inf")}, []),
        ({"until": float("-inf")}, []),
    ],
)
async def test_logs_are_filtered_and_newest_first(
    stores: Repositories, wanted: dict[str, object], found: list[int]
) -> None:
    differences: list[dict[str, object]] = [
        {},
        {"provider_id": "anthropic"},
        {"account_id": "a2"},
        {"proxy_id": "p3"},
        {"key_id": "k4"},
        {"model": "GPT-5"},
        {"status": 429, "error_code": "rate_limit"},
    ]
    records = [record(at=NOON + n, **differing) for n, differing in enumerate(differences)]
    await stores.stats.store(records)
    assert [records.index(one) for one in await _logged(stores, **wanted)] == found


async def test_logs_come_in_pages(stores: Repositories) -> None:
    records = [record(at=NOON + number // 3) for number in range(9)]
    await stores.stats.store(records)
    page = await stores.stats.logs(LogFilter(), limit=4, offset=3)
    assert (list(page.data), page.total) == (records[5:1:-1], 9)


async def test_a_summary_adds_up_its_span(stores: Repositories) -> None:
    await stores.stats.store(
        [
            record(latency_ms=100.0),
            record(latency_ms=200.0, usage=Usage(1, None, None, None, 7)),
            record(model="claude-x", provider_id="anthropic", status=429, latency_ms=0.0),
            record(model="?", provider_id=None, status=404, usage=Usage(), latency_ms=0.0),
            record(status=502, latency_ms=0.0, usage=Usage()),
            record(at=NOON - 1),
            record(at=NOON + 10),
        ]
    )
    assert await stores.stats.summary(since=NOON, until=NOON + 10) == Summary(
        requests=5,
        errors=3,
        input_tokens=21,
        output_tokens=40,
        cache_read_tokens=6,
        cache_write_tokens=8,
        reasoning_tokens=17,
        mean_latency_ms=60.0,
        by_provider={"openai": 3, "anthropic": 1, "": 1},
        by_model={"gpt-5": 3, "?": 1, "claude-x": 1},
        by_status={"2xx": 2, "4xx": 2, "5xx": 1},
    )


async def test_a_summary_tells_which_turns_stayed_with_their_account(stores: Repositories) -> None:
    turns: list[tuple[str | None, int | None]] = [
        ("new", None),
        ("kept", None),
        ("kept", None),
        ("borrowed", 700),
        ("borrowed", None),
        ("moved", 50),
        (None, None),
    ]
    await stores.stats.store(
        [
            record(affinity=affinity, cached_tokens_lost=lost, usage=Usage(1, 1, 100))
            for affinity, lost in turns
        ]
    )
    summary = await stores.stats.summary(since=NOON, until=NOON + 1)
    assert summary.affinity == AffinitySummary(
        turns=6, kept=2, borrowed=2, moved=1, cached_tokens_kept=200, cached_tokens_lost=750
    )
    assert summary.cache_read_tokens == 700


async def test_an_empty_span_sums_to_nothing(stores: Repositories) -> None:
    assert await stores.stats.summary(since=0, until=NOON) == Summary(0, 0, 0, 0, 0, 0, 0, 0.0)


async def test_old_rows_go_in_batches_oldest_first(stores: Repositories) -> None:
    records = [record(at=NOON + number) for number in range(1300)]
    await stores.stats.store(records)
    assert await stores.stats.delete_before(NOON + 1290, batch=1200) == 1200
    assert await stores.stats.delete_before(NOON + 1290, batch=1200) == 90
    assert await stores.stats.delete_before(NOON + 1290, batch=1200) == 0
    assert await _logged(stores) == records[:1289:-1]


async def test_whatever_clients_and_upstreams_send_can_be_stored(stores: Repositories) -> None:
    odd = record(
        client_request_id="x" * 5000,
        model="\udce9\U0001f600\x00'" + "m" * 500,
        error_code="e" * 500,
        usage=Usage(2**70, -5),
        proxy_id="p1",
        first_byte_ms=float("inf"),
        latency_ms=float("nan"),
    )
    assert await stores.stats.store([odd, record()]) == 2
    assert await stores.stats.store([odd]) == 0
    (_, found) = sorted(await _logged(stores), key=lambda one: one.client_request_id or "")
    assert found.client_request_id == "x" * 255
    assert found.model == "?\U0001f600\x00'" + "m" * 251
    assert found.usage == Usage(10**12, 0)
    (day,) = await stores.stats.proxy_days("p1", days=1, now=NOON)
    assert (day.requests, day.input_tokens, day.latency_ms) == (1, 10**12, 0.0)


async def test_a_request_is_found_by_its_id_or_as_its_client_called_it_last(
    stores: Repositories,
) -> None:
    first, last = (record(at=NOON + n, client_request_id="build-7") for n in range(2))
    other = record(client_request_id=first.id)
    await stores.stats.store([last, first, other])
    assert await stores.stats.find(first.id) == first
    assert await stores.stats.find("build-7") == last
    assert await stores.stats.find("BUILD-7") is None
    assert await stores.stats.find(new_id()) is None
