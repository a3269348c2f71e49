"""An operator tries accounts, lets them drain, and carries them from one gateway to another."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import MODELS, PROVIDER_IDS, Rig, open_rig
from tests.fakes.formats.messages import messages_json
from tests.fakes.provider import Failure, FakeProvider, Kind, Seen
from tests.fakes.proxies import FakeProxy
from tests.fakes.scenarios import Scenario, compact

ASK: dict[str, Any] = {
    "model": "claude-fake",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hello"}],
}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        yield opened


async def accounts(rig: Rig) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await rig.api("GET", "/accounts"))["data"]
    return found


async def only_account(rig: Rig) -> dict[str, Any]:
    (account,) = await accounts(rig)
    return account


async def tried(rig: Rig, account_id: str, **body: object) -> dict[str, Any]:
    found: dict[str, Any] = await rig.api("POST", f"/accounts/{account_id}/test", body)
    return found


# --- test -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["messages", "chat", "glm", "gemini", "antigravity"])
async def test_an_account_of_each_provider_is_tried_with_one_small_real_call(
    rig: Rig, kind: Kind
) -> None:
    provider = await rig.add_provider(kind)
    account = await only_account(rig)
    model = MODELS[kind].removeprefix(f"{PROVIDER_IDS[kind]}/")
    told = await tried(rig, account["id"], model=model)
    assert (told["ok"], told["status"], told["error"], told["exit"]) == (True, 200, None, "direct")
    assert told["model"] == model
    (seen,) = [one for one in provider.seen if model in one.path + one.body.decode()]
    assert seen.key == "key-0"
    assert len(seen.body) < 400


async def test_a_provider_with_two_formats_is_tried_in_the_one_that_is_asked_for(rig: Rig) -> None:
    provider = await rig.add_provider("messages")
    account = await only_account(rig)
    assert (await tried(rig, account["id"], model="claude-fake", dialect="messages"))["ok"]
    assert provider.seen[-1].path.endswith("/v1/messages")
    refused = await rig.api(
        "POST", f"/accounts/{account['id']}/test", {"dialect": "gemini"}, expect=422
    )
    assert refused["error"]["details"]["fields"][0]["path"] == "dialect"


async def test_a_list_of_models_is_asked_for_at_no_cost(rig: Rig) -> None:
    provider = await rig.add_provider("messages")
    account = await only_account(rig)
    told = await tried(rig, account["id"], kind="models")
    assert (told["ok"], told["model"]) == (True, None)
    assert all(seen.path.endswith("/models") for seen in provider.seen)


async def test_a_test_goes_through_the_accounts_own_proxy(rig: Rig) -> None:
    proxy = FakeProxy("user", "pass")
    await proxy.start()
    rig.stack.push_async_callback(proxy.stop)
    row = await rig.api("POST", "/proxies", {"label": "p", "url": proxy.url})
    await rig.add_provider("messages")
    account = await only_account(rig)
    before = len(proxy.targets)
    told = await tried(rig, account["id"], model="claude-fake")
    assert (told["ok"], told["exit"], told["proxy_id"]) == (True, "proxy", row["id"])
    assert len(proxy.targets) > before or proxy.connections


async def test_an_account_that_is_switched_off_is_tried_through_the_proxy_it_would_have(
    rig: Rig,
) -> None:
    proxy = FakeProxy()
    await proxy.start()
    rig.stack.push_async_callback(proxy.stop)
    row = await rig.api("POST", "/proxies", {"label": "p", "url": proxy.url})
    await rig.add_provider("messages")
    account = await only_account(rig)
    await rig.api("POST", f"/accounts/{account['id']}/disable", {"reason": "holidays"})
    told = await tried(rig, account["id"], model="claude-fake")
    assert (told["ok"], told["proxy_id"]) == (True, row["id"])
    await rig.api("PATCH", f"/proxies/{row['id']}", {"is_active": False})
    told = await tried(rig, account["id"], model="claude-fake")
    assert (told["ok"], told["exit"], told["status"]) == (False, "none", None)


@pytest.mark.parametrize(
    ("failure", "error", "blame"),
    [
        pytest.param(Failure(401), "upstream_auth", "account", id="revoked"),
        pytest.param(Failure(429), "rate_limit", "account_model", id="limited"),
        pytest.param(Failure(529), "overloaded", None, id="overloaded"),
        pytest.param(Failure(200, b"<html>"), None, None, id="no answer"),
    ],
)
async def test_a_failed_test_is_told_and_benches_nobody(
    rig: Rig, failure: Failure, error: str | None, blame: str | None
) -> None:
    provider = await rig.add_provider("messages")
    account = await only_account(rig)
    provider.failures_by_key["key-0"] = failure
    told = await tried(rig, account["id"], model="claude-fake")
    assert (told["ok"], told["status"]) == (False, failure.status)
    assert told["message"]
    if error is not None:
        assert told["error"] == error
    if blame is not None:
        assert told["blame"] == blame
    provider.failures_by_key.clear()
    assert (await rig.post("/v1/messages", ASK)).status == 200


async def test_a_test_that_succeeds_ends_the_rest(rig: Rig) -> None:
    provider = await rig.add_provider("messages")
    account = await only_account(rig)
    provider.failures_by_key["key-0"] = Failure(429, headers={"retry-after": "300"})
    assert (await rig.post("/v1/messages", ASK)).status == 429
    provider.failures_by_key.clear()
    assert (await rig.post("/v1/messages", ASK)).status == 429
    (shown,) = (await rig.api("GET", "/quota/accounts"))["data"]
    assert [rest["reason"] for rest in shown["rests"]] == ["rate_limit"]
    assert (await tried(rig, account["id"], model="claude-fake"))["ok"]
    assert (await rig.post("/v1/messages", ASK)).status == 200
    (shown,) = (await rig.api("GET", "/quota/accounts"))["data"]
    assert (shown["state"], shown["rests"]) == ("available", [])


async def test_a_provider_that_repeats_the_key_does_not_show_it(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider = await rig.add_provider("messages")
    account = await only_account(rig)
    body = {"type": "error", "error": {"type": "authentication_error", "message": "bad key-0"}}
    provider.failures_by_key["key-0"] = Failure(401, json.dumps(body).encode())
    told = await tried(rig, account["id"], model="claude-fake")
    assert "key-0" not in json.dumps(told)
    assert "bad key-0" not in caplog.text


# --- switching and draining -----------------------------------------------------------------------


async def test_an_account_that_is_switched_off_says_why_until_it_is_switched_on(rig: Rig) -> None:
    provider = await rig.add_provider("messages", accounts=2)
    account_id = (await accounts(rig))[0]["id"]
    off = await rig.api("POST", f"/accounts/{account_id}/disable", {"reason": "card expired"})
    assert (off["is_active"], off["status_reason"]) == (False, "card expired")
    for _ in range(4):
        assert (await rig.post("/v1/messages", ASK)).status == 200
    assert provider.by_key["key-0"] == 0
    on = await rig.api("POST", f"/accounts/{account_id}/enable")
    assert (on["is_active"], on["status_reason"]) == (True, None)
    for _ in range(4):
        assert (await rig.post("/v1/messages", ASK)).status == 200
    assert provider.by_key["key-0"] == 2
    kinds = [one["kind"] for one in await events(rig, 2)]
    assert {"account.enabled", "account.disabled"} <= set(kinds)


async def events(rig: Rig, count: int) -> list[dict[str, Any]]:
    """The newest first, once there are so many."""
    async with asyncio.timeout(10):
        while (page := await rig.api("GET", "/events"))["total"] < count:  # noqa: ASYNC110 - written by a task
            await asyncio.sleep(0.02)
    found: list[dict[str, Any]] = page["data"]
    return found


async def test_switching_on_ends_a_rest_that_only_an_operator_ends(rig: Rig) -> None:
    provider = await rig.add_provider("messages")
    account = await only_account(rig)
    body = {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "This organization has been disabled.",
        },
    }
    provider.failures_by_key["key-0"] = Failure(400, json.dumps(body).encode())
    await rig.post("/v1/messages", ASK)
    (shown,) = (await rig.api("GET", "/quota/accounts"))["data"]
    assert (shown["state"], shown["rests"][0]["until"]) == ("needs_operator", None)
    provider.failures_by_key.clear()
    assert (await rig.post("/v1/messages", ASK)).status == 503
    await rig.api("POST", f"/accounts/{account['id']}/enable")
    assert (await rig.post("/v1/messages", ASK)).status == 200


async def test_a_draining_account_begins_nothing_and_is_switched_off_at_its_deadline(
    rig: Rig,
) -> None:
    provider = await rig.add_provider("messages", accounts=2)
    account_id = (await accounts(rig))[0]["id"]
    told = await rig.api(
        "POST", f"/accounts/{account_id}/drain", {"reason": "moves", "deadline_s": 0}
    )
    assert (told["is_active"], told["is_draining"], told["status_reason"]) == (True, True, "moves")
    for _ in range(4):
        assert (await rig.post("/v1/messages", ASK)).status == 200
    assert provider.by_key["key-0"] == 0


async def test_a_draining_account_with_a_deadline_shows_it(rig: Rig) -> None:
    await rig.add_provider("messages")
    account = await only_account(rig)
    path = f"/accounts/{account['id']}/drain"
    assert (await rig.api("POST", path, {"deadline_s": 60}))["drain_until"] is not None
    assert (await rig.api("POST", path, {}))["drain_until"] is None
    # Whoever sets whether it is active has decided.
    changed = await rig.api("PATCH", f"/accounts/{account['id']}", {"is_active": True})
    assert changed["is_draining"] is False


# --- limits ---------------------------------------------------------------------------------------


def with_windows(five_hours: float, opus: float, status: int = 200) -> Failure:
    """An answer of a subscription."""
    soon, late = int(time.time()) + 3600, int(time.time()) + 86_400
    told = "anthropic-ratelimit-unified"
    return Failure(
        status,
        compact(messages_json(Scenario())).encode(),
        {
            f"{told}-5h-utilization": str(five_hours),
            f"{told}-5h-status": "allowed",
            f"{told}-5h-reset": str(soon),
            f"{told}-7d_opus-utilization": str(opus),
            f"{told}-7d_opus-reset": str(late),
        },
    )


async def answer_with(provider: FakeProvider, key: str, answer: Failure) -> None:
    async def behave(_seen: Seen) -> Failure:
        return answer

    provider.behaviours[key] = behave


async def test_what_headers_tell_is_listed_by_account_and_summed_by_pool(rig: Rig) -> None:
    provider = await rig.add_provider("messages", accounts=2)
    await answer_with(provider, "key-0", with_windows(0.25, 0.5))
    await answer_with(provider, "key-1", with_windows(0.75, 1.0))
    for _ in range(2):
        assert (await rig.post("/v1/messages", ASK)).status == 200
    shown = (await rig.api("GET", "/quota/accounts?provider_id=anthropic"))["data"]
    told = [
        {(one["model"], one["window"]): one["used_ratio"] for one in account["windows"]}
        for account in shown
    ]
    assert told == [
        {("*", "5h"): 0.25, ("family:opus", "7d_opus"): 0.5},
        {("*", "5h"): 0.75, ("family:opus", "7d_opus"): 1.0},
    ]
    summary = await rig.api("GET", "/quota/providers/anthropic/summary")
    assert (summary["accounts"], summary["available"], summary["health"]) == (2, 2, "healthy")
    pools = {
        one["window"]: (one["accounts"], one["used_up"], one["used_ratio"])
        for one in summary["windows"]
    }
    assert pools == {"5h": (2, 0, 0.5), "7d_opus": (2, 1, 0.75)}
    assert summary["forecast"]["dry_at"] is None
    assert summary["forecast"]["basis"]


async def test_limits_survive_a_restart_and_are_forgotten_on_demand(tmp_path: Path) -> None:
    same = {"AIGATEWAY_SECURITY__MASTER_KEY": "A" * 43}
    async with open_rig(tmp_path, same) as rig:
        provider = await rig.add_provider("messages")
        account_id = (await only_account(rig))["id"]
        await answer_with(provider, "key-0", with_windows(0.25, 0.5))
        assert (await rig.post("/v1/messages", ASK)).status == 200
        await rig.api("PATCH", "/providers/anthropic", {"base_url": "http://127.0.0.1:9"})
    async with open_rig(tmp_path, same) as rig:
        await windows_of(rig, 2)
        told = await rig.api("POST", f"/quota/accounts/{account_id}/reset")
        assert told["windows"] == []
        assert await windows_of(rig, 0) == []


async def windows_of(rig: Rig, count: int) -> list[dict[str, Any]]:
    """What is told of the one account, once there are so many windows."""
    async with asyncio.timeout(10):
        while True:
            data = (await rig.api("GET", "/quota/accounts"))["data"]
            if data and len(data[0]["windows"]) == count:
                found: list[dict[str, Any]] = data[0]["windows"]
                return found
            await asyncio.sleep(0.02)


async def test_a_critical_pool_is_told_as_one(rig: Rig) -> None:
    await rig.add_provider("messages", accounts=6)
    ids = [account["id"] for account in await accounts(rig)]
    summary: dict[str, Any] = {}
    for disabled, health in ((3, "healthy"), (1, "degraded"), (1, "critical")):
        for _ in range(disabled):
            await rig.api("POST", f"/accounts/{ids.pop()}/disable", {})
        summary = await rig.api("GET", "/quota/providers/anthropic/summary")
        assert summary["health"] == health
    assert summary["states"] == {"available": 1, "inactive": 5}
    await rig.api("GET", "/quota/providers/nobody/summary", expect=404)


# --- carrying -------------------------------------------------------------------------------------


async def test_accounts_are_carried_to_a_gateway_with_another_master_key(tmp_path: Path) -> None:
    passphrase = "correct horse battery staple"
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(open_rig(tmp_path / "first"))
        second = await stack.enter_async_context(open_rig(tmp_path / "second"))
        provider = await first.add_provider("messages", accounts=3)
        await first.api(
            "PATCH",
            f"/accounts/{(await accounts(first))[0]['id']}",
            {"identity": "ann@example.com", "priority": 5, "metadata": {"owner": "ann"}},
        )
        file = await first.api("POST", "/accounts/export", {"passphrase": passphrase})
        assert "key-0" not in json.dumps(file)
        await second.api("PATCH", "/providers/anthropic", {"base_url": provider.url})
        body = {"file": file, "passphrase": passphrase}
        planned = await second.api("POST", "/accounts/import", {**body, "dry_run": True})
        assert (planned["created"], await accounts(second)) == (3, [])
        told = await second.api("POST", "/accounts/import", body)
        assert (
            told["created"],
            told["invalid"],
            "key-" in json.dumps(told["data"][0]["reason"]),
        ) == (
            3,
            0,
            False,
        )
        first_shown, second_shown = [await accounts(one) for one in (first, second)]
        for name in ("label", "identity", "priority", "metadata", "auth_type", "provider_id"):
            assert [one[name] for one in first_shown] == [one[name] for one in second_shown]
        for _ in range(3):
            assert (await second.post("/v1/messages", ASK)).status == 200
        assert provider.by_key["key-0"] == 3  # of the highest priority
        again = await second.api("POST", "/accounts/import", body)
        assert (again["created"], again["exists"]) == (0, 3)
        wrong = {"file": file, "passphrase": "another horse"}
        refused = await second.api("POST", "/accounts/import", wrong, expect=400)
        assert "passphrase" in refused["error"]["message"]
        assert "another horse" not in json.dumps(refused)


# --- two gateways on one database -----------------------------------------------------------------


async def test_two_gateways_show_the_same_limits_and_drain_an_account_once(
    tmp_path: Path, mysql_url: str
) -> None:
    same = {
        "AIGATEWAY_DATABASE__URL": mysql_url,
        "AIGATEWAY_SECURITY__MASTER_KEY": "A" * 43,
    }
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(open_rig(tmp_path / "first", same))
        second = await stack.enter_async_context(open_rig(tmp_path / "second", same))
        provider = await first.add_provider("messages")
        account_id = (await only_account(first))["id"]
        await answer_with(provider, "key-0", with_windows(0.25, 0.5))
        assert (await first.post("/v1/messages", ASK)).status == 200
        told = [await windows_of(one, 2) for one in (first, second)]
        assert [window["used_ratio"] for window in told[1]] == [0.25, 0.5]
        for name in ("model", "window", "resets_at", "source"):
            assert [one[name] for one in told[0]] == [one[name] for one in told[1]]
        await second.api("POST", f"/quota/accounts/{account_id}/reset")
        for one in (first, second):
            assert await windows_of(one, 0) == []
        await first.api("POST", f"/accounts/{account_id}/drain", {"deadline_s": 0})
        async with asyncio.timeout(30):
            while (await only_account(second))["is_active"]:  # noqa: ASYNC110 - a job does it
                await asyncio.sleep(0.1)
        messages = [one["message"] for one in await events(first, 2)]
        assert messages == [
            "account 'account key-0' was drained (deadline)",
            "account 'account key-0' drains",
        ]
