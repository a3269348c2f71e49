"""Every account leaves through the proxy it holds a place at, and through nothing else."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Rig, open_rig
from tests.fakes.idp import FakeIdp
from tests.fakes.provider import FakeProvider
from tests.fakes.proxies import FakeProxy, FakeSocks

ASK: dict[str, Any] = {
    "model": "claude-fake",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hello"}],
}


CANARY = "127.0.0.2"
"""An address of loopback where only canaries listen."""


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        yield opened


async def add_proxy(rig: Rig, proxy: FakeProxy, **fields: object) -> Any:  # noqa: ANN401 - JSON
    await proxy.start()
    rig.stack.push_async_callback(proxy.stop)
    return await rig.api("POST", "/proxies", {"label": "p", "url": proxy.url, **fields})


async def test_places_are_filled_in_order_of_priority_and_age(rig: Rig) -> None:
    proxies = [FakeProxy(), FakeProxy("u", "p"), FakeSocks()]
    rows = [
        await add_proxy(rig, proxy, max_accounts=capacity)
        for proxy, capacity in zip(proxies, (2, 3, 0), strict=True)
    ]
    await rig.add_provider("messages", accounts=10)
    counts = [
        len((await rig.api("GET", f"/proxies/{row['id']}/assignments"))["data"]) for row in rows
    ]
    assert counts == [2, 3, 5]
    for _ in range(10):
        assert (await rig.post("/v1/messages", ASK)).status == 200
    assert [bool(proxy.targets) for proxy in proxies] == [True, True, True]


async def test_a_proxy_sees_the_calls_of_its_accounts_and_nobody_goes_direct(rig: Rig) -> None:
    http, socks = FakeProxy("user", "pass"), FakeSocks("user", "pass")
    await add_proxy(rig, http, max_accounts=1)
    await add_proxy(rig, socks, max_accounts=1)
    provider = await rig.add_provider("messages", accounts=2)
    for _ in range(6):
        assert (await rig.post("/v1/messages", ASK)).status == 200
    host, port = provider.url.removeprefix("http://").split(":")
    assert set(http.targets) == set(socks.targets) == {(host, int(port))}
    rows = await rig.logs(6)
    assert len({row["proxy_id"] for row in rows}) == 2
    assert all(row["proxy_id"] for row in rows)


async def test_an_account_that_waits_for_a_place_serves_nobody(rig: Rig) -> None:
    proxy = await add_proxy(rig, FakeProxy(), max_accounts=1)
    provider = await rig.add_provider("messages", accounts=0)
    await rig.add_account("anthropic", "key-0", egress_policy="required", models=["claude-other"])
    waiting = await rig.add_account("anthropic", "key-1", egress_policy="required")
    assert waiting["egress_status"] == "waiting"
    for path in ("/v1/messages", "/v1/chat/completions"):
        response = await rig.post(path, ASK)
        assert response.status == 503
        assert "waiting_for_proxy" in (await response.json())["error"]["message"]
    assert provider.by_key["key-1"] == 0
    await rig.api("PATCH", f"/proxies/{proxy['id']}", {"max_accounts": 2})
    assert (await rig.post("/v1/messages", ASK)).status == 200


async def test_a_bound_account_never_goes_direct_when_its_proxy_is_gone(rig: Rig) -> None:
    proxy = await add_proxy(rig, FakeProxy())
    provider = await rig.add_provider("messages")
    assert (await rig.post("/v1/messages", ASK)).status == 200
    await rig.api("DELETE", f"/proxies/{proxy['id']}")
    (account,) = (await rig.api("GET", "/accounts"))["data"]
    assert (account["egress_status"], account["egress_bound"]) == ("waiting", True)
    assert (await rig.post("/v1/messages", ASK)).status == 503
    assert len(provider.seen) == 1
    await rig.api("PATCH", f"/accounts/{account['id']}", {"egress_policy": "direct"})
    assert (await rig.post("/v1/messages", ASK)).status == 200


async def test_a_dead_proxy_is_charged_and_its_accounts_are_not(rig: Rig) -> None:
    dead, alive = FakeProxy(), FakeProxy()
    row = await add_proxy(rig, dead, max_accounts=1)
    await add_proxy(rig, alive)
    await rig.add_provider("messages", accounts=2)
    await dead.stop()
    for _ in range(4):
        assert (await rig.post("/v1/messages", ASK)).status == 200
    rows = await rig.logs(4)
    assert max(entry["attempts"] for entry in rows) == 2
    days = (await rig.api("GET", f"/stats/proxies/{row['id']}?days=1"))["data"]
    assert sum(day["errors"] for day in days) >= 1
    message = (await rig.api("GET", "/accounts"))["data"]
    assert all(account["is_active"] for account in message)


async def test_with_every_proxy_in_quarantine_one_is_tried_all_the_same_and_nobody_goes_direct(
    rig: Rig,
) -> None:
    """Pain 39: the whole group went dark for ten minutes."""
    dead = FakeProxy()
    row = await add_proxy(rig, dead)
    provider = await rig.add_provider("messages", accounts=1)
    port = dead.port
    await dead.stop()
    for _ in range(5):
        told = await rig.post("/v1/messages", ASK)
        assert told.status == 502
        assert (await told.json())["error"]["type"] == "api_error"
    shown = await rig.api("GET", f"/proxies/{row['id']}")
    assert (shown["health"], provider.seen) == ("quarantined", [])
    await dead.start(port)
    assert (await rig.post("/v1/messages", ASK)).status == 200
    assert (await rig.api("GET", f"/proxies/{row['id']}"))["health"] == "suspect"
    assert len(dead.targets) == 1


@pytest.mark.parametrize("kind", [FakeProxy, FakeSocks])
async def test_nothing_of_a_bound_account_ever_takes_the_direct_path(
    rig: Rig, kind: type[FakeProxy]
) -> None:
    """Calls, token refreshes and model lists: a canary listens where the direct path would lead."""
    reached: list[str] = []
    provider, idp = FakeProvider("messages"), FakeIdp()
    for name, fake in (("provider", provider), ("token server", idp)):
        runner = await fake.start()
        rig.stack.push_async_callback(runner.cleanup)
        port = int(fake.url.rsplit(":", 1)[1])
        await rig.stack.enter_async_context(canary(port, partial(reached.append, name)))
    # Only the proxy knows that the real servers are elsewhere.
    proxy = kind("user", "pass", hosts={CANARY: "127.0.0.1"})
    await add_proxy(rig, proxy)
    direct = {"base_url": provider.url.replace("127.0.0.1", CANARY)}
    await rig.api("PATCH", "/providers/anthropic", direct)
    await rig.add_account(
        "anthropic",
        "oauth",
        auth_type="oauth",
        auth_data={
            "refresh_token": idp.add_family("one"),
            "token_url": f"{idp.url}/token".replace("127.0.0.1", CANARY),
            "client_id": "client",
        },
    )
    for _ in range(3):
        assert (await rig.post("/v1/messages", ASK)).status == 200
    assert provider.by_key["access-one-1"] >= 3
    assert idp.counts == {"calls": 1, "refreshed": 1}
    async with asyncio.timeout(10):
        while not await _models(rig):  # noqa: ASYNC110 - fetched in the background
            await asyncio.sleep(0.05)
    assert reached == []


@asynccontextmanager
async def canary(port: int, tell: Callable[[], None]) -> AsyncGenerator[None, None]:
    def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tell()
        writer.close()

    server = await asyncio.start_server(accept, CANARY, port)
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()


async def _models(rig: Rig) -> list[Any]:
    headers = {"authorization": f"Bearer {rig.key}"}
    async with rig.http.get(f"{rig.url}/v1/models", headers=headers) as response:
        found: list[Any] = (await response.json())["data"]
        return found
