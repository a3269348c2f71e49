"""`/api/v1/requests`: one request explained, attempt by attempt."""

from dataclasses import replace

import pytest

from models.attempt import Attempt, Decision
from models.exchange import RequestRecord
from models.ids import new_id
from models.rest import NEVER
from tests.handlers.api import UNKNOWN_ID, Api, account_body, proxy_body
from tests.handlers.test_explain import items
from tests.handlers.test_stats import record

GONE = "c" * 32
IDLE = "d" * 32


def url(name: str) -> str:
    return f"/api/v1/requests/{name}"


async def made_request(api: Api, **changes: object) -> tuple[RequestRecord, str, str, str]:
    """Store a request that one account refused and another served; return it, their ids and that
    of the proxy."""
    proxy = (await api.made("/api/v1/proxies", proxy_body())).id
    first, second = [
        (await api.made("/api/v1/accounts", account_body(label=label, egress_policy="direct"))).id
        for label in ("first", "second")
    ]
    now = api.clock.now()
    decision = Decision(
        "1" * 32,
        now,
        "openai",
        "gpt-5",
        "round_robin",
        (first, second, GONE),
        {IDLE: "cooling_rate_limit"},
        {"cooling_rate_limit": 1},
    )
    refused = Attempt(
        1,
        now,
        "openai",
        "gpt-5",
        first,
        proxy,
        "strategy",
        counter=6,
        decision=decision,
        base_url="https://api.openai.com/v1",
        status=429,
        error_kind="rate_limit",
        blame="account_model",
        message="too many requests",
        rest_scope=f"{first} gpt-5",
        rest_until=now + 60,
        first_byte_ms=12.5,
        latency_ms=13.0,
    )
    served = replace(
        Attempt(2, now + 1, "openai", "gpt-5", second, None, "failover", counter=6),
        decision=decision,
        status=200,
        first_byte_ms=20.0,
        latency_ms=400.0,
    )
    one = record(now, attempts=2, tries=[refused, served], **changes)
    await api.stores.stats.store([one])
    return one, first, second, proxy


async def test_a_trace_tells_each_attempt_and_why_each_account_was_taken_or_not(api: Api) -> None:
    one, first, second, proxy = await made_request(api)
    told = await api.get(f"{url(one.id)}/trace")
    assert told.status == 200, told.text
    refused, served = items(told.json["attempts"])
    assert told.json["is_complete"] is True
    assert refused.pop("decision") == {
        "strategy": "round_robin",
        "candidates": [
            {
                "account_id": first,
                "account_label": "first",
                "outcome": "taken",
                "reason": "strategy",
            },
            {
                "account_id": second,
                "account_label": "second",
                "outcome": "passed_over",
                "reason": "not_its_turn",
            },
            {
                "account_id": GONE,
                "account_label": None,
                "outcome": "passed_over",
                "reason": "not_its_turn",
            },
            {
                "account_id": IDLE,
                "account_label": None,
                "outcome": "excluded",
                "reason": "cooling_rate_limit",
            },
        ],
        "counts": {"cooling_rate_limit": 1},
    }
    assert refused == {
        "number": 1,
        "at": "2027-01-15T08:00:00Z",
        "provider_id": "openai",
        "model": "gpt-5",
        "account_id": first,
        "account_label": "first",
        "proxy_id": proxy,
        "proxy_label": "proxy 1",
        "base_url": "https://api.openai.com/v1",
        "choice": "strategy",
        "counter": 6,
        "sent": True,
        "status": 429,
        "first_byte_ms": 12.5,
        "latency_ms": 13.0,
        "error_kind": "rate_limit",
        "blame": "account_model",
        "message": "too many requests",
        "rest": {"subject": first, "scope": "gpt-5", "until": "2027-01-15T08:01:00Z"},
    }
    decision = served["decision"]
    assert isinstance(decision, dict)
    candidates = items(decision["candidates"])
    assert [(one["outcome"], one["reason"]) for one in candidates] == [
        ("passed_over", "tried_in_attempt_1"),
        ("taken", "failover"),
        ("passed_over", "not_its_turn"),
        ("excluded", "cooling_rate_limit"),
    ]
    assert (served["proxy_id"], served["rest"], served["account_label"]) == (None, None, "second")


async def test_pain_38_a_request_is_found_by_its_id(api: Api) -> None:
    one, *_ = await made_request(api)
    told = await api.get(url(one.id))
    assert (told.status, told.id) == (200, one.id)
    assert (told.json["input_tokens"], told.json["output_tokens"]) == (10, 5)
    assert (await api.get(f"{url(one.id)}/trace")).json["request"] == told.json


async def test_a_request_is_found_by_what_its_client_called_it_the_latest_first(api: Api) -> None:
    first, *_ = await made_request(api, client_request_id="build-17:retry.1")
    assert (await api.get(url("build-17:retry.1"))).id == first.id
    later = record(api.clock.now() + 5, client_request_id="build-17:retry.1", attempts=0)
    await api.stores.stats.store([later])
    assert (await api.get(url("build-17:retry.1"))).id == later.id
    trace = await api.get(f"{url('build-17:retry.1')}/trace")
    assert (trace.json["attempts"], trace.json["is_complete"]) == ([], True)


@pytest.mark.parametrize("name", [UNKNOWN_ID, "nobody-called-it-so"])
async def test_an_unknown_request_is_not_found_and_the_answer_says_when_it_may_be(
    api: Api, name: str
) -> None:
    for told in (await api.get(url(name)), await api.get(f"{url(name)}/trace")):
        assert (told.status, told.error["code"]) == (404, "not_found")
        assert "recorded when it has ended" in str(told.error["message"])


@pytest.mark.parametrize(
    "name", ["%00", "a%20b", "%27%20OR%201=1", "-x", "x" * 200, "%F0%9F%92%A3"]
)
async def test_what_can_be_no_id_does_not_reach_the_database(api: Api, name: str) -> None:
    assert (await api.get(url(name))).status == 404


async def test_attempts_that_are_not_kept_any_more_are_missed(api: Api) -> None:
    one, *_ = await made_request(api)
    await api.stores.attempts.delete_before(api.clock.now() + 1, batch=10)
    told = await api.get(f"{url(one.id)}/trace")
    assert (told.json["attempts"], told.json["is_complete"]) == ([], False)


async def test_a_rest_that_only_an_operator_ends_has_no_end(api: Api) -> None:
    attempt = Attempt(
        1, api.clock.now(), "openai", "gpt-5", GONE, None, "strategy", rest_until=NEVER
    )
    one = record(api.clock.now(), tries=[attempt])
    await api.stores.stats.store([one])
    told = await api.get(f"{url(one.id)}/trace")
    (shown,) = items(told.json["attempts"])
    assert shown["rest"] == {"subject": None, "scope": None, "until": None}


async def test_a_request_that_is_not_stored_yet_is_found_in_memory(api: Api) -> None:
    waiting = record(
        api.clock.now(),
        client_request_id="fresh",
        tries=[Attempt(1, api.clock.now(), "openai", "gpt-5", GONE, None, "strategy")],
    )
    traces = api.gateway.traces
    traces._waiting = {waiting.id: waiting, "fresh": waiting}.get
    for name in (waiting.id, "fresh"):
        told = await api.get(f"{url(name)}/trace")
        assert told.json["request"] == (await api.get(url(name))).json
        assert len(items(told.json["attempts"])) == 1
    assert (await api.get(url(new_id()))).status == 404
