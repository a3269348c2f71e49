from dataclasses import replace

import pytest

from models.exchange import RequestRecord
from models.ids import new_id
from models.usage import Usage
from services.day_counts import errors_key, requests_key
from tests.handlers.api import UNKNOWN_ID, Api, proxy_body

LOGS = "/api/v1/stats/logs"
SUMMARY = "/api/v1/stats/summary"
PROXY = "a" * 32
DAY_S = 86_400


def record(at: float, **changes: object) -> RequestRecord:
    made = RequestRecord(
        new_id(),
        at,
        key_id="b" * 32,
        dialect="chat",
        model="gpt-5",
        stream=False,
        provider_id="openai",
        upstream_model="gpt-5",
        account_id="c" * 32,
        proxy_id=PROXY,
        status=200,
        attempts=1,
        usage=Usage(10, 5, 3, None, 2),
        first_byte_ms=12.5,
        latency_ms=40.0,
    )
    return replace(made, **changes)  # type: ignore[arg-type] # names are checked at run time


async def test_a_request_is_shown_with_every_field(api: Api) -> None:
    turn = {"affinity": "borrowed", "cached_tokens_lost": 900}
    one = record(api.clock.now(), client_request_id="mine-1", stream=True, **turn)
    await api.stores.stats.store([one])
    told = await api.get(LOGS)
    assert told.json == {
        "data": [
            {
                "id": one.id,
                "client_request_id": "mine-1",
                "at": "2027-01-15T08:00:00Z",
                "key_id": "b" * 32,
                "dialect": "chat",
                "model": "gpt-5",
                "stream": True,
                "provider_id": "openai",
                "upstream_model": "gpt-5",
                "account_id": "c" * 32,
                "proxy_id": PROXY,
                "status": 200,
                "error_code": None,
                "attempts": 1,
                "mode": "raw",
                "input_tokens": 10,
                "output_tokens": 5,
                "cache_read_tokens": 3,
                "cache_write_tokens": None,
                "reasoning_tokens": 2,
                "first_byte_ms": 12.5,
                "latency_ms": 40.0,
                "affinity": "borrowed",
                "cached_tokens_lost": 900,
            }
        ],
        "total": 1,
        "limit": 50,
        "offset": 0,
    }


async def test_requests_are_listed_newest_first_in_pages(api: Api) -> None:
    rows = [record(api.clock.now() + n) for n in range(5)]
    await api.stores.stats.store(rows)
    told = await api.get(f"{LOGS}?limit=2&offset=1")
    assert [entry["id"] for entry in told.data] == [rows[3].id, rows[2].id]
    assert told.json["total"] == 5


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("provider_id=anthropic", 1),
        (f"account_id={'d' * 32}", 1),
        (f"proxy_id={PROXY}", 2),
        (f"key_id={'b' * 32}", 3),
        ("key_id=external-admin", 0),
        ("model=claude-x", 1),
        ("model=CLAUDE-X", 0),
        ("model=claude%25", 0),
        ("status=429", 1),
        ("error_code=rate_limit", 1),
        ("since=2027-01-15T08:00:01Z", 2),
        ("since=1800000001", 2),
        ("since=2027-01-15T09:00:01%2B01:00", 2),
        ("since=2027-01-15T09:00:01+01:00", 2),
        ("until=2027-01-15T08:00:01Z", 1),
        ("since=1800000001&until=1800000001.5", 1),
        ("model=gpt-5&status=429", 0),
    ],
)
async def test_requests_are_found_by_what_they_were(api: Api, query: str, count: int) -> None:
    now = api.clock.now()
    await api.stores.stats.store(
        [
            record(now),
            record(now + 1, provider_id="anthropic", model="claude-x", account_id="d" * 32),
            record(now + 2, status=429, error_code="rate_limit", model="o3", proxy_id=None),
        ]
    )
    assert (await api.get(f"{LOGS}?{query}")).json["total"] == count


@pytest.mark.parametrize(
    ("path", "query", "blamed"),
    [
        (LOGS, "status=42", "status"),
        (LOGS, "status=abc", "status"),
        (LOGS, "account_id=1", "account_id"),
        (LOGS, "model=" + "m" * 257, "model"),
        (LOGS, "model=a%00", "model"),
        (LOGS, "since=yesterday", "since"),
        (LOGS, "since=2027-01-15T08:00:00", "since"),
        (LOGS, "since=nan", "since"),
        (LOGS, "since=1e400", "since"),
        (LOGS, "since=20&until=10", "until"),
        (LOGS, "sort=at", "sort"),
        (SUMMARY, "since=20&until=10", "until"),
        (SUMMARY, "days=3", "days"),
        (f"/api/v1/stats/proxies/{PROXY}", "days=0", "days"),
        (f"/api/v1/stats/proxies/{PROXY}", "days=367", "days"),
        (f"/api/v1/stats/proxies/{PROXY}", "days=x", "days"),
    ],
)
async def test_a_wrong_question_is_refused(api: Api, path: str, query: str, blamed: str) -> None:
    told = await api.get(f"{path}?{query}")
    assert (told.status, told.fields) == (422, [blamed])


async def test_the_summary_adds_up_the_last_day(api: Api) -> None:
    now = api.clock.now()
    await api.stores.stats.store(
        [
            record(now - 2 * DAY_S, latency_ms=999.0),
            record(now - 10, latency_ms=20.0, affinity="kept"),
            record(
                now - 5,
                latency_ms=40.0,
                provider_id="anthropic",
                model="claude-x",
                affinity="borrowed",
                cached_tokens_lost=900,
            ),
            record(now - 1, latency_ms=60.0, status=502, error_code="upstream_error"),
        ]
    )
    told = await api.get(SUMMARY)
    assert told.json == {
        "since": "2027-01-14T08:00:00Z",
        "until": "2027-01-15T08:00:00Z",
        "requests": 3,
        "errors": 1,
        "input_tokens": 30,
        "output_tokens": 15,
        "cache_read_tokens": 9,
        "cache_write_tokens": 0,
        "reasoning_tokens": 6,
        "mean_latency_ms": 40.0,
        "by_provider": {"openai": 2, "anthropic": 1},
        "by_model": {"gpt-5": 2, "claude-x": 1},
        "by_status": {"2xx": 2, "5xx": 1},
        "affinity": {
            "turns": 2,
            "kept": 1,
            "borrowed": 1,
            "moved": 0,
            "cached_tokens_kept": 3,
            "cached_tokens_lost": 900,
        },
    }
    longer = await api.get(f"{SUMMARY}?since={now - 3 * DAY_S}&until={now - 9}")
    assert longer.json["requests"] == 2


async def test_a_proxy_is_shown_day_by_day_and_today_ahead_of_the_ledger(api: Api) -> None:
    proxy = await api.made("/api/v1/proxies", proxy_body())
    now = api.clock.now()
    await api.stores.stats.store(
        [
            record(now - DAY_S, proxy_id=proxy.id, latency_ms=10.0),
            record(now - DAY_S, proxy_id=proxy.id, latency_ms=30.0),
            record(now, proxy_id=proxy.id),
            record(now - 20 * DAY_S, proxy_id=proxy.id),
        ]
    )
    counts = {requests_key(proxy.id): 3, errors_key(proxy.id): 1}
    await api.shared.count_today(counts, now=now)
    told = await api.get(f"/api/v1/stats/proxies/{proxy.id}")
    assert told.json == {
        "proxy_id": proxy.id,
        "today": {"requests": 3, "errors": 1},
        "data": [
            {
                "day": "2027-01-14",
                "provider_id": "openai",
                "requests": 2,
                "errors": 0,
                "input_tokens": 20,
                "output_tokens": 10,
                "mean_latency_ms": 20.0,
            },
            {
                "day": "2027-01-15",
                "provider_id": "openai",
                "requests": 1,
                "errors": 0,
                "input_tokens": 10,
                "output_tokens": 5,
                "mean_latency_ms": 40.0,
            },
        ],
    }
    month = await api.get(f"/api/v1/stats/proxies/{proxy.id}?days=30")
    assert len(month.data) == 3
    today = await api.get(f"/api/v1/stats/proxies/{proxy.id}?days=1")
    assert [day["day"] for day in today.data] == ["2027-01-15"]


@pytest.mark.parametrize("proxy_id", [UNKNOWN_ID, "1", "%27--"])
async def test_an_unknown_proxy_is_not_found(api: Api, proxy_id: str) -> None:
    assert (await api.get(f"/api/v1/stats/proxies/{proxy_id}")).status == 404


@pytest.mark.parametrize("model", ["a\ud800b", "\u001b[31mred", "' OR 1=1 --", "m" * 5000])
async def test_whatever_a_client_called_a_model_can_be_listed(api: Api, model: str) -> None:
    await api.stores.stats.store([record(api.clock.now() - 1, model=model)])
    assert (await api.get(LOGS)).json["total"] == 1
    assert (await api.get(SUMMARY)).json["requests"] == 1
