"""Probes, moves and lists of proxies under `/api/v1/proxies` (pain 39: hundreds done by hand)."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from models.errors import Blame, ConnectFailed
from models.json_types import JsonObject
from tests.fakes.proxies import FakeProxy, FakeSocks
from tests.handlers.api import UNKNOWN_ID, Api, Told, account_body, proxy_body, running_api
from tests.services.egress_rig import Target

ALL = "/api/v1/proxies"
ACCOUNTS = "/api/v1/accounts"
SECRET = "s3cr3t-Canary"
BROKEN = ConnectFailed("no way", blame=Blame.EGRESS)


def quarantine(api: Api, proxy_id: str, failures: int = 3) -> None:
    for _ in range(failures):
        api.gateway.egress_care.conditions.failed(proxy_id, BROKEN)


# --- health ---


async def test_a_proxy_is_shown_with_its_health(api: Api) -> None:
    proxy = await api.made(ALL, proxy_body())
    shown = {name: proxy.json[name] for name in ("health", "quarantined_until", "failures")}
    assert shown == {"health": "healthy", "quarantined_until": None, "failures": 0}
    quarantine(api, proxy.id, 1)
    told = (await api.get(f"{ALL}/{proxy.id}")).json
    assert (told["health"], told["failures"]) == ("suspect", 1)
    quarantine(api, proxy.id, 2)
    told = (await api.get(f"{ALL}/{proxy.id}")).json
    assert (told["health"], told["quarantined_until"]) == ("quarantined", "2027-01-15T08:00:30Z")


async def test_proxies_are_listed_by_health_page_by_page(api: Api) -> None:
    ids = [(await api.made(ALL, proxy_body(number))).id for number in range(1, 7)]
    await api.call("PATCH", f"{ALL}/{ids[5]}", {"provider_id": "openai"})
    quarantine(api, ids[1])
    quarantine(api, ids[3], 1)

    async def listed(query: str) -> tuple[list[object], object]:
        told = await api.get(f"{ALL}?{query}")
        return [entry["id"] for entry in told.data], told.json["total"]

    assert await listed("health=quarantined") == ([ids[1]], 1)
    assert await listed("health=suspect") == ([ids[3]], 1)
    assert await listed("health=healthy&limit=2&offset=1") == ([ids[2], ids[4]], 4)
    assert await listed("health=healthy&provider_id=openai") == ([ids[5]], 1)
    assert await listed("health=healthy&is_active=false") == ([], 0)
    wrong = await api.get(f"{ALL}?health=fine")
    assert (wrong.status, wrong.fields) == (422, ["health"])


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    found = Target()
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
async def probing(target: Target) -> AsyncIterator[Api]:
    async with running_api(networks=["127.0.0.0/8"], probe_urls=(target.url,)) as opened:
        yield opened


@pytest.mark.parametrize("kind", [FakeProxy, FakeSocks])
async def test_a_probe_on_demand_tells_exit_and_latency_and_ends_a_quarantine(
    probing: Api, stack: AsyncExitStack, kind: type[FakeProxy]
) -> None:
    fake = kind("user", SECRET)
    await fake.start()
    stack.push_async_callback(fake.stop)
    proxy = await probing.made(ALL, proxy_body(url=fake.url))
    quarantine(probing, proxy.id)
    probing.clock.advance(1)
    told = await probing.call("POST", f"{ALL}/{proxy.id}/test")
    body = told.json
    latency_ms = body.pop("latency_ms")
    assert body == {
        "proxy_id": proxy.id,
        "is_reachable": True,
        "fault": None,
        "error": None,
        "exit_address": "203.0.113.7",
        "exit_country": "DE",
        "checked_at": "2027-01-15T08:00:01Z",
        "health": "suspect",  # until it has served for a while
        "quarantined_until": None,
    }
    assert isinstance(latency_ms, float)
    shown = (await probing.get(f"{ALL}/{proxy.id}")).json
    assert shown["exit_address"] == "203.0.113.7"
    assert (shown["exit_country"], shown["check_error"]) == ("DE", None)
    assert shown["checked_at"] == "2027-01-15T08:00:01Z"


async def test_a_probe_that_fails_tells_whose_fault_it_is_and_no_password(
    probing: Api, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fake = FakeProxy("user", "right")
    await fake.start()
    stack.push_async_callback(fake.stop)
    url = fake.url.replace("right", SECRET)
    proxy = await probing.made(ALL, proxy_body(url=url))
    told = await probing.call("POST", f"{ALL}/{proxy.id}/test")
    assert (told.status, told.json["is_reachable"]) == (200, False)
    assert told.json["fault"] == "proxy"
    assert told.json["error"] == "proxy: the proxy refused our credentials"
    assert told.json["health"] == "suspect"
    shown = await probing.get(f"{ALL}/{proxy.id}")
    assert shown.json["check_error"] == "proxy: the proxy refused our credentials"
    assert SECRET not in told.text + shown.text + caplog.text


async def test_without_a_target_there_is_nothing_to_probe_with(api: Api) -> None:
    proxy = await api.made(ALL, proxy_body())
    told = await api.call("POST", f"{ALL}/{proxy.id}/test")
    assert (told.status, told.error["code"]) == (409, "conflict")
    assert "egress.probe_urls" in str(told.error["message"])


# --- moves ---


async def test_a_dry_run_shows_who_would_go_where_and_is_the_default(api: Api) -> None:
    first = await api.made(ALL, proxy_body(1, max_accounts=2))
    ids = [(await api.made(ACCOUNTS, account_body(label=f"a{n}"))).id for n in range(2)]
    second = await api.made(ALL, proxy_body(2, max_accounts=1))
    told = await api.call("POST", f"{ALL}/{first.id}/rehome", {})
    shown = [
        {"account_id": ids[0], "label": "a0", "provider_id": "openai", "proxy_id": second.id},
        {"account_id": ids[1], "label": "a1", "provider_id": "openai", "proxy_id": None},
    ]
    wanted = {"proxy_id": first.id, "moved": 1, "stayed": 1, "moves": shown}
    assert told.json == {"dry_run": True, **wanted}
    assert (await api.get(f"{ALL}/{first.id}")).json["assigned"] == 2
    told = await api.call("POST", f"{ALL}/{first.id}/rehome", {"dry_run": False})
    assert told.json == {"dry_run": False, **wanted}
    assert (await api.get(f"{ALL}/{first.id}")).json["assigned"] == 1
    assert (await api.get(f"{ACCOUNTS}/{ids[0]}")).json["proxy_id"] == second.id


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{ALL}/{UNKNOWN_ID}/test", None),
        ("POST", f"{ALL}/{UNKNOWN_ID}/rehome", {"dry_run": True}),
        ("POST", f"{ALL}/{UNKNOWN_ID}/rehome", {"dry_run": False}),
        ("DELETE", f"{ALL}/import", None),
    ],
)
async def test_an_unknown_proxy_is_not_found(
    api: Api, method: str, path: str, body: object
) -> None:
    told = await api.call(method, path, body)
    assert (told.status, told.error["code"]) == (404, "not_found")


# --- lists ---


def lines_of(told: Told) -> list[JsonObject]:
    lines = told.json["lines"]
    assert isinstance(lines, list)
    return [line for line in lines if isinstance(line, dict)]


def results(told: Told) -> list[tuple[object, object]]:
    return [(line["line"], line["result"]) for line in lines_of(told)]


async def test_a_list_creates_what_is_new_and_says_of_each_line_what_became_of_it(api: Api) -> None:
    known = await api.made(ALL, proxy_body(9, url="http://u:p@192.0.2.9:3128"))
    lines = [
        "# exits",
        f"192.0.2.1:3128:user:{SECRET}",
        "",
        f"socks5h://user:{SECRET}@192.0.2.2:1080",
        f"user:{SECRET}@192.0.2.1:3128",
        "u:p:192.0.2.9:3128",
        f"{SECRET}",
        f"127.0.0.1:80:user:{SECRET}",
        "http://u:***@192.0.2.3:80",
    ]
    body = {"lines": "\r\n".join(lines), "label_prefix": "dc-", "priority": 3, "max_accounts": 2}
    told = await api.call("POST", f"{ALL}/import", body)
    assert told.status == 200, told.text
    assert results(told) == [
        (2, "created"),
        (4, "created"),
        (5, "exists"),
        (6, "exists"),
        (7, "invalid"),
        (8, "invalid"),
        (9, "invalid"),
    ]
    counts = {name: told.json[name] for name in ("created", "exists", "invalid", "dry_run")}
    assert counts == {"created": 2, "exists": 2, "invalid": 3, "dry_run": False}
    assert SECRET not in told.text
    lines_told = lines_of(told)
    assert lines_told[0]["url"] == "http://user:***@192.0.2.1:3128"
    assert lines_told[2]["reason"] == "the same as line 2"
    assert lines_told[3]["proxy_id"] == known.id
    assert "private or reserved" in str(lines_told[5]["reason"])
    stored = [await api.stores.egress.get(str(lines_told[number]["proxy_id"])) for number in (0, 1)]
    assert [(one.label, one.url, one.priority, one.max_accounts) for one in stored if one] == [
        ("dc-2", f"http://user:{SECRET}@192.0.2.1:3128", 3, 2),
        ("dc-4", f"socks5h://user:{SECRET}@192.0.2.2:1080", 3, 2),
    ]


async def test_a_dry_run_of_a_list_tells_the_same_and_creates_nothing(api: Api) -> None:
    await api.made(ALL, proxy_body(1))
    before = await api.stores.revisions.current()
    body = {"lines": "192.0.2.1:3128\n192.0.2.2:3128\nnothing", "dry_run": True}
    told = await api.call("POST", f"{ALL}/import", body)
    assert results(told) == [(1, "exists"), (2, "created"), (3, "invalid")]
    assert (await api.get(ALL)).json["total"] == 1
    assert await api.stores.revisions.current() == before
    again = await api.call("POST", f"{ALL}/import", {**body, "dry_run": False})
    assert results(again) == results(told)
    assert (await api.get(ALL)).json["total"] == 2


async def test_a_list_twice_is_there_once(api: Api) -> None:
    body = {"lines": "192.0.2.1:3128\nHTTP://192.0.2.1:3128/\n192.0.2.2:3128"}
    for created in (2, 0):
        told = await api.call("POST", f"{ALL}/import", body)
        assert told.json["created"] == created
    assert (await api.get(ALL)).json["total"] == 2


async def test_a_list_lets_waiting_accounts_in_and_is_stored_piece_by_piece(api: Api) -> None:
    for _ in range(3):
        await api.made(ACCOUNTS, account_body(egress_policy="required"))
    before = await api.stores.revisions.current()
    lines = "\n".join(f"192.0.2.{number % 250}:{3000 + number}" for number in range(450))
    body = {"lines": lines, "max_accounts": 1, "scheme": "socks5"}
    told = await api.call("POST", f"{ALL}/import", body)
    assert told.json["created"] == 450
    # Three transactions: nobody else waits for all of them.
    assert await api.stores.revisions.current() == before + 3
    assert (await api.get(f"{ACCOUNTS}?egress_status=waiting")).json["total"] == 0


async def test_ten_thousand_lines_come_in_while_others_are_served(api: Api) -> None:
    lines = "\n".join(f"192.0.2.{n % 250}:{1 + n}:user{n}:{SECRET}" for n in range(10_000))
    importing = asyncio.create_task(api.call("POST", f"{ALL}/import", {"lines": lines}))
    served = 0
    while not importing.done():
        assert (await api.made(ACCOUNTS, account_body(label=f"a{served}"))).status == 201
        served += 1
    told = importing.result()
    assert (told.status, told.json["created"]) == (200, 10_000)
    assert served >= 3
    over = await api.call("POST", f"{ALL}/import", {"lines": lines + "\n\n1"})
    assert (over.status, over.fields) == (422, ["lines"])
    assert SECRET not in over.text


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "lines"),
        ({"lines": ""}, "lines"),
        ({"lines": 5}, "lines"),
        ({"lines": "192.0.2.1:1", "scheme": "ftp"}, "scheme"),
        ({"lines": "192.0.2.1:1", "provider_id": "nobody"}, "provider_id"),
        ({"lines": "192.0.2.1:1", "label_prefix": "a\nb"}, "label_prefix"),
        ({"lines": "192.0.2.1:1", "max_accounts": -1}, "max_accounts"),
        ({"lines": "192.0.2.1:1", "secret": 1}, "secret"),
    ],
)
async def test_a_wrong_list_is_refused_whole(api: Api, body: object, path: str) -> None:
    told = await api.call("POST", f"{ALL}/import", body)
    assert (told.status, told.fields) == (422, [path])
    assert (await api.get(ALL)).json["total"] == 0


async def test_what_goes_out_has_no_passwords_and_cannot_come_in_again(api: Api) -> None:
    await api.made(ALL, proxy_body(url=f"http://user:{SECRET}@192.0.2.1:3128"))
    await api.made(ALL, proxy_body(url="socks5://192.0.2.2:1080"))
    told = await api.get(f"{ALL}/export")
    lines = "http://user:***@192.0.2.1:3128\nsocks5://192.0.2.2:1080\n"
    assert told.json == {"total": 2, "lines": lines}
    back = await api.call("POST", f"{ALL}/import", {"lines": told.json["lines"]})
    assert results(back) == [(1, "invalid"), (2, "exists")]
