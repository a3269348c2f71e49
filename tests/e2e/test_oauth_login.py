"""Logins end to end: an operator with curl and a browser, a strict identity provider, a proxy.

The provider's own name for the gateway's calls is an address of loopback where only a canary
listens; just the outbound proxy knows the way. So a call that went direct would be seen.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.e2e.browser import Browser, open_browser
from tests.e2e.harness import Rig, open_rig
from tests.e2e.test_egress import CANARY, add_proxy, canary
from tests.fakes.login_idp import LoginIdp
from tests.fakes.proxies import FakeProxy

pytestmark = pytest.mark.timeout(120)


@dataclass
class House:
    """Everything of a login."""

    rig: Rig
    idp: LoginIdp
    browser: Browser
    proxy: FakeProxy
    proxy_id: str
    reached: list[str]
    """Who called the canary."""

    async def begin(self, **fields: object) -> Any:  # noqa: ANN401 - JSON
        body = {"provider_id": "openai", "label": "mine", **fields}
        return await self.rig.api("POST", "/oauth/init", body)

    async def consent(self, user: str = "ann", answer: str = "allow") -> None:
        """Be a person: log in at the provider and answer its question."""
        await self.browser.fill(user=user, password=f"pw-{user}")
        await self.browser.press("login")
        assert await self.browser.text("scope") == "openid offline_access"
        await self.browser.press(answer)

    async def exchange(self, text: str, *, expect: int | None = None, **fields: object) -> Any:  # noqa: ANN401 - JSON
        body = {"text": text, **fields}
        return await self.rig.api("POST", "/oauth/exchange", body, expect=expect)

    async def flow(self, begun: Any) -> Any:  # noqa: ANN401 - JSON
        return await self.rig.api("GET", f"/oauth/flows/{begun['flow_id']}")

    def check_ways(self, *paths: str) -> None:
        """Every call of the gateway went through the proxy, and only there."""
        port = int(self.idp.url.rsplit(":", 1)[1])
        assert self.idp.asked_paths == list(paths)
        assert set(self.proxy.targets) == {(CANARY, port)}
        assert self.reached == []

    async def check_account(self, account_id: str, *, label: str = "mine") -> None:
        """The account is at the proxy that its login went through."""
        account = await self.rig.api("GET", f"/accounts/{account_id}")
        assert (account["label"], account["auth_type"]) == (label, "oauth")
        assert (account["proxy_id"], account["egress_status"]) == (self.proxy_id, "assigned")
        assert (account["token_state"], account["identity"]) == ("ok", "ann@example.com")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    idp, proxy = LoginIdp(interval=1), FakeProxy("user", "pass", hosts={CANARY: "127.0.0.1"})
    runner = await idp.start()
    port = int(idp.url.rsplit(":", 1)[1])
    # The browser is at another site than the gateway, as in life.
    site, inside = f"http://localhost:{port}", f"http://{CANARY}:{port}"
    client = {
        "client_id": idp.client_id,
        "authorize_url": f"{site}/authorize",
        "token_url": f"{inside}/token",
        "device_url": f"{inside}/device",
        "userinfo_url": f"{inside}/userinfo",
        "scopes": ["openid", "offline_access"],
    }
    shown = {**client, "redirect_uri": f"{site}/show"}
    environment = {"AIGATEWAY_OAUTH__CLIENTS": json.dumps({"openai": client, "anthropic": shown})}
    reached: list[str] = []
    try:
        async with (
            open_rig(tmp_path, environment) as rig,
            open_browser(tmp_path / "browser") as browser,
            canary(port, partial(reached.append, "direct")),
        ):
            idp.redirect_uris = {f"{rig.url}/oauth/callback/openai", f"{site}/show"}
            for provider_id in ("openai", "anthropic"):  # asked for its models, once it can be
                await rig.api("PATCH", f"/providers/{provider_id}", {"base_url": inside})
            row = await add_proxy(rig, proxy)
            yield House(rig, idp, browser, proxy, row["id"], reached)
    finally:
        await runner.cleanup()


async def test_a_login_ends_by_itself_in_the_browser_that_opened_it(house: House) -> None:
    begun = await house.begin()
    assert begun["proxy_id"] == house.proxy_id
    await house.browser.open(begun["start_url"])
    await house.consent()
    assert "Logged in" in await house.browser.text()
    assert await house.browser.complaints(house.rig.url) == []
    assert await house.browser.cookies() == []
    flow = await house.flow(begun)
    assert flow["status"] == "done"
    await house.check_account(flow["account_id"])
    house.check_ways("/token", "/userinfo")
    # The state is in our start page's address: it must not go on to the provider.
    assert set(house.idp.referers_seen[:1]) == {""}
    assert all("aigateway-login" not in cookie for cookie in house.idp.cookies_seen)

    # Replayed: the page again, and what its address holds by hand.
    back = await house.browser.address()
    await house.browser.open(back)
    assert "This login is over" in await house.browser.text()
    await house.exchange(back, expect=400)
    await house.browser.open(begun["start_url"])
    assert "This login is over" in await house.browser.text()
    house.check_ways("/token", "/userinfo")


async def test_a_login_ends_by_pasting_the_address(house: House) -> None:
    begun = await house.begin()
    await house.browser.open(begun["authorize_url"])
    await house.consent()
    # Not opened by its start page: this browser proves nothing, so the page only says what to do.
    assert "Copy the whole address" in await house.browser.text()
    assert await house.browser.complaints(house.rig.url) == []
    assert (await house.flow(begun))["status"] == "pending"
    assert house.idp.asked_paths == []
    address = await house.browser.address()
    told = await house.exchange(f"  {address}\n")
    await house.check_account(told["account_id"])
    house.check_ways("/token", "/userinfo")
    await house.exchange(address, expect=400)


async def test_a_login_ends_by_pasting_what_the_provider_s_page_shows(house: House) -> None:
    begun = await house.begin(provider_id="anthropic", redirect="manual")
    assert begun["start_url"] is None
    await house.browser.open(begun["authorize_url"])
    await house.consent()
    shown = await house.browser.text("shown")
    code, state = shown.split("#")
    assert (code[:5], len(state)) == ("code/", 56)
    # The page shows the code as it is; percent signs are decoded once, so they are written so.
    told = await house.exchange(f"{code.replace('%', '%25')}#{state}")
    await house.check_account(told["account_id"])
    house.check_ways("/token", "/userinfo")


async def test_a_login_ends_on_another_device(house: House) -> None:
    begun = await house.rig.api("POST", "/oauth/device", {"provider_id": "openai", "label": "mine"})
    assert begun["proxy_id"] == house.proxy_id
    poll = {"flow_id": begun["flow_id"]}
    told = await house.rig.api("POST", "/oauth/device/poll", poll)
    assert (told["status"], told["retry_after_s"]) == ("pending", house.idp.interval)
    await house.browser.open(begun["verification_uri"])
    await house.browser.fill(user_code=begun["user_code"], user="ann", password="pw-ann")
    await house.browser.press("allow")
    assert await house.browser.text("over") == "You may go back."
    while told["status"] == "pending":
        await asyncio.sleep(told["retry_after_s"])
        told = await house.rig.api("POST", "/oauth/device/poll", poll)
    assert told["status"] == "done"
    await house.check_account(told["account_id"])
    house.check_ways("/device", "/token", "/token", "/userinfo")


async def test_a_person_who_refuses_ends_the_login(house: House) -> None:
    begun = await house.begin()
    await house.browser.open(begun["start_url"])
    await house.consent(answer="deny")
    text = await house.browser.text()
    assert ("Not logged in" in text, "canary" in text) == (True, False)
    flow = await house.flow(begun)
    assert (flow["status"], flow["reason"]) == ("denied", "access_denied")
    assert house.idp.asked_paths == []


async def test_foreign_unknown_and_swapped_states_are_refused(house: House) -> None:
    begun = await house.begin()
    await house.browser.open(begun["authorize_url"])
    await house.consent()
    address = await house.browser.address()
    # Another administrator.
    other = await house.rig.api("POST", "/api-keys", {"name": "other", "is_admin": True})
    ours, house.rig.admin_key = house.rig.admin_key, other["key"]
    told = await house.exchange(address, expect=403)
    assert told["error"]["code"] == "permission"
    house.rig.admin_key = ours
    # A state that nobody made, in the browser and by hand.
    state = parse_qs(urlsplit(address).query)["state"][0]
    swapped = address.replace(state, "A" * 56)
    await house.exchange(swapped, expect=404)
    await house.browser.open(swapped)
    assert "This login is over" in await house.browser.text()
    # The code of one login in another one: its verifier is not the right one.
    second = await house.begin()
    code = parse_qs(urlsplit(address).query)["code"][0].replace("%", "%25")
    told = await house.exchange(code, flow_id=second["flow_id"], expect=400)
    assert told["error"]["details"] == {"reason": "invalid_grant"}
    assert (await house.rig.api("GET", "/accounts"))["total"] == 0


async def test_logging_in_again_renews_the_account_through_its_own_proxy(house: House) -> None:
    begun = await house.begin()
    first = await house.exchange(house.idp.redirected(begun["authorize_url"]))
    better = FakeProxy(hosts={CANARY: "127.0.0.1"})
    await add_proxy(house.rig, better, priority=9)
    again = await house.begin(account_id=first["account_id"], label="another")
    assert again["proxy_id"] == house.proxy_id
    await house.browser.open(again["start_url"])
    await house.consent()
    flow = await house.flow(again)
    assert (flow["status"], flow["account_id"]) == ("done", first["account_id"])
    await house.check_account(flow["account_id"])
    assert better.targets == []
    house.check_ways("/token", "/userinfo", "/token", "/userinfo")
    # A new account would go where there is room first, and so does its login.
    begun = await house.begin()
    await house.exchange(house.idp.redirected(begun["authorize_url"], "bob"))
    assert len(better.targets) > 0


async def test_expired_states_are_refused(tmp_path: Path) -> None:
    """The shortest time that a login may have is a minute: here the clock is what is moved."""
    idp = LoginIdp()
    runner = await idp.start()
    client = {
        "client_id": idp.client_id,
        "authorize_url": f"{idp.url}/authorize",
        "token_url": f"{idp.url}/token",
    }
    environment = {
        "AIGATEWAY_OAUTH__CLIENTS": json.dumps({"openai": client}),
        "AIGATEWAY_OAUTH__FLOW_TTL_S": "60",
    }
    try:
        async with (
            open_rig(tmp_path, environment) as rig,
            open_browser(tmp_path / "browser") as browser,
        ):
            idp.redirect_uris = {f"{rig.url}/oauth/callback/openai"}
            begun = await rig.api("POST", "/oauth/init", {"provider_id": "openai"})
            await browser.open(begun["start_url"])
            await _age(tmp_path, seconds=61)
            await browser.fill(user="ann", password="pw-ann")
            await browser.press("login")
            await browser.press("allow")
            assert "This login is over" in await browser.text()
            text = await browser.address()
            told = await rig.api("POST", "/oauth/exchange", {"text": text}, expect=400)
            assert "expired" in told["error"]["message"]
            flow = await rig.api("GET", f"/oauth/flows/{begun['flow_id']}")
            assert flow["status"] == "expired"
            assert idp.asked_paths == []
    finally:
        await runner.cleanup()


async def _age(folder: Path, *, seconds: float) -> None:
    """Let every login be older, as if time had passed."""

    def work() -> None:
        with sqlite3.connect(folder / "data" / "aigateway.db") as connection:
            connection.execute(
                "UPDATE oauth_flows SET expires_at = datetime(expires_at, ?) || '.000000'",
                (f"-{seconds} seconds",),
            )
        connection.close()

    await asyncio.to_thread(work)
