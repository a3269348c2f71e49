"""Who has no admin key learns nothing of accounts, proxies and addresses, however it fails."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from tests.e2e.harness import Rig, open_rig
from tests.fakes.provider import Failure
from tests.fakes.proxies import FakeProxy
from tests.security.requests import PATHS, PLAIN

LABEL, PROXY_LABEL, NOTE = "houselabel", "housexit", "housenote"
HEADERS = {
    "x-session-id": "conversation of somebody",
    "x-aigateway-fallback": "claude-other, gpt-fake, nobody/nothing",
}
ADMINS_ONLY = ("x-aigateway-account",)


async def test_a_failing_pool_tells_its_clients_nothing_of_itself(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        provider = await rig.add_provider("messages", accounts=0)
        proxy = FakeProxy("houseuser", "housepassword")
        await proxy.start()
        rig.stack.push_async_callback(proxy.stop)
        way = {"label": PROXY_LABEL, "url": proxy.url, "max_accounts": 2}
        hidden = [LABEL, PROXY_LABEL, NOTE, "houseuser", "127.0.0.1", str(proxy.port)]
        hidden += [(await rig.api("POST", "/proxies", way))["id"], provider.url]
        for number in range(2):
            made = await rig.add_account(
                "anthropic", f"housekey-{number}", label=LABEL, metadata={"note": NOTE}
            )
            hidden += [made["id"], f"housekey-{number}"]
        seen = await everything(rig)
        for status in (401, 403, 429, 500):
            body = {"type": "error", "error": {"type": "api_error", "message": "no"}}
            provider.failures = [Failure(status, json.dumps(body).encode())] * 40
            seen += await everything(rig)
            provider.failures = []
            await rested(rig)
        for mode in ("drop", "refuse"):
            proxy.mode = mode
            seen += await everything(rig)
            await rested(rig)
        await proxy.stop()
        seen += await everything(rig)
        seen += await everything(rig)  # everybody rests now
        await rested(rig)
        for account in (await rig.api("GET", "/accounts"))["data"]:
            await rig.api("POST", f"/accounts/{account['id']}/disable", {"reason": NOTE})
        seen += await everything(rig)
        told = {status for status, _ in seen}
        assert {200, 502, 503} <= told
        leaks = {(word, text) for _, text in seen for word in hidden if word in text}
        assert leaks == set()


async def test_an_operator_who_calls_is_told_which_account(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        provider = await rig.add_provider("messages")
        provider.failures = [Failure(500, b"{}")] * 9
        account = (await rig.api("GET", "/accounts"))["data"][0]["id"]
        body = {**PLAIN["messages"], "model": "claude-fake"}
        for key, is_told in ((rig.admin_key, True), (rig.key, False)):
            answer = await rig.post("/v1/messages", body, key=key)
            assert answer.status >= 500
            assert (account in await shown(answer)) is is_told


async def everything(rig: Rig) -> list[tuple[int, str]]:
    """Ask in every dialect, whole and streamed; return all that a client sees."""
    seen = []
    for dialect, path in PATHS.items():
        for stream in (False, True):
            body: dict[str, Any] = {**PLAIN[dialect], "model": "claude-fake", "stream": stream}
            for mode in ("sequential", "race"):
                headers = {**HEADERS, "x-aigateway-fallback-mode": mode}
                answer = await rig.post(path, body, headers=headers)
                assert [name for name in ADMINS_ONLY if name in answer.headers] == []
                seen.append((answer.status, await shown(answer)))
    return seen


async def shown(answer: aiohttp.ClientResponse) -> str:
    return f"{dict(answer.headers)} {await answer.text()}"


async def rested(rig: Rig) -> None:
    """Let everybody serve again."""
    for subject in {rest["subject"] for rest in (await rig.api("GET", "/rests"))["data"]}:
        await rig.api("DELETE", f"/rests?subject={quote(subject, safe='')}")
