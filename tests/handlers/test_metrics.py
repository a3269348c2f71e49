"""`/metrics` as a scraper calls it."""

import re

import pytest

from models.errors import ErrorKind
from models.rest import EVERY_MODEL, Rest, origin
from tests.handlers.api import Api, account_body, proxy_body
from tests.scraped import scraped


async def test_a_scraper_brings_an_admin_key_as_a_bearer_token(api: Api) -> None:
    told = await api.call("GET", "/metrics")
    assert told.status == 200
    assert told.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert told.headers["cache-control"] == "no-store"
    assert scraped(told.text).of("aigateway_workers") == 1


@pytest.mark.parametrize("key", ["", "wrong", "ak_" + "0" * 40])
async def test_nobody_else_is_told_anything(api: Api, key: str) -> None:
    told = await api.call("GET", "/metrics", headers={"x-api-key": key})
    assert (told.status, told.error["code"]) == (401, "authentication")
    assert "aigateway_" not in told.text


async def test_a_key_for_models_is_not_enough(api: Api) -> None:
    key = (await api.made("/api/v1/api-keys", {"name": "laptop"})).json["key"]
    told = await api.call("GET", "/metrics", headers={"x-api-key": str(key)})
    assert (told.status, told.error["code"]) == (403, "permission")
    assert "aigateway_" not in told.text


async def test_nothing_of_an_account_is_told_but_that_it_is_there(api: Api) -> None:
    made = await api.made("/api/v1/accounts", account_body(label="canary label"))
    text = (await api.get("/metrics")).text
    assert 'aigateway_accounts{provider="openai",state="available"} 1\n' in text
    assert not re.search(f"canary|sk-plain|{made.id}", text)


async def test_accounts_and_proxies_are_counted_by_how_they_are_now(api: Api) -> None:
    ids = [
        (await api.made("/api/v1/accounts", account_body(label=f"a{number}"))).id
        for number in range(4)
    ]
    proxies = [(await api.made("/api/v1/proxies", proxy_body(number))).id for number in (1, 2)]
    await api.call("PATCH", f"/api/v1/accounts/{ids[0]}", {"is_active": False})
    await api.call("PATCH", f"/api/v1/proxies/{proxies[0]}", {"is_active": False})
    told = scraped((await api.get("/metrics")).text)
    accounts = "aigateway_accounts"
    assert told.of(accounts, provider="openai", state="inactive") == 1
    assert told.of(accounts, provider="openai") == 4
    assert told.of("aigateway_egress_proxies", state="inactive") == 1
    assert told.of("aigateway_egress_proxies", state="healthy") == 1


async def test_what_rests_is_told_until_it_is_over(api: Api) -> None:
    await api.made("/api/v1/accounts", account_body(label="a"))
    resting = (await api.made("/api/v1/accounts", account_body(label="b"))).id
    limited = (await api.made("/api/v1/accounts", account_body(label="c"))).id
    proxy = (await api.made("/api/v1/proxies", proxy_body())).id
    cooldowns, now = api.gateway.egress_care.conditions._cooldowns, api.clock.now()
    cooldowns.begin(Rest(resting, EVERY_MODEL, now, now + 60, ErrorKind.RATE_LIMIT))
    cooldowns.begin(Rest(limited, "gpt-x", now, now + 60, ErrorKind.RATE_LIMIT))
    cooldowns.begin(Rest(proxy, EVERY_MODEL, now, now + 60, ErrorKind.EGRESS))
    address = origin("openai", "https://api.example.com")
    cooldowns.begin(Rest(address, EVERY_MODEL, now, now + 60, ErrorKind.UPSTREAM))

    told = scraped((await api.get("/metrics")).text)
    states = {
        state: told.of("aigateway_accounts", provider="openai", state=state)
        for state in told.labels("aigateway_accounts", "state")
    }
    # The proxy took them all, as they go by it where there is one.
    assert {state: count for state, count in states.items() if count} == {
        "cooling": 1,
        "proxy_down": 2,
    }
    kinds = {kind: told.of("aigateway_rests", kind=kind) for kind in ("account", "proxy")}
    assert kinds == {"account": 2, "proxy": 1}
    assert told.of("aigateway_breakers_open", provider="openai") == 1
    assert told.of("aigateway_egress_proxies", state="quarantined") == 1

    cooldowns.release(proxy, EVERY_MODEL, "over")
    told = scraped((await api.get("/metrics")).text)
    assert told.of("aigateway_accounts", state="limited") == 1
    assert told.of("aigateway_accounts", state="available") == 1

    api.clock.advance(61)
    told = scraped((await api.get("/metrics")).text)
    assert told.of("aigateway_accounts", provider="openai", state="available") == 3
    assert told.of("aigateway_rests") == told.of("aigateway_breakers_open") == 0
