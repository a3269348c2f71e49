"""F-05 and F-08: what breaks on the way to a provider is paid by the proxy, and by nobody else."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.harness import Rig, open_rig
from tests.fakes.faults import FaultyProvider
from tests.fakes.proxies import FakeProxy, FakeSocks
from tests.fault import upstream_faults as faults
from tests.fault.fault_cases import ACCOUNTS, FINE
from tests.fault.fault_scenes import check, in_turn, open_scene

SETTINGS: Final = {"AIGATEWAY_RETRY__CONNECT_TIMEOUT_S": "0.3"}
IN_A_ROW: Final = 3
"""Failures until a proxy rests."""


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path, SETTINGS) as opened:
        yield opened


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        pytest.param(kind, how, id=f"{kind.scheme} {how}")
        for kind in (FakeProxy, FakeSocks)
        for how in ("dead", "hang", "wrong password", "refuse", "drop")
        # Without TLS an HTTP proxy that says nothing or hangs up looks like a provider that does.
        if kind is FakeSocks or how not in ("hang", "drop")
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_the_other_account_serves_and_the_proxy_rests_at_its_third_failure(
    rig: Rig, kind: type[FakeProxy], how: str, stream: bool
) -> None:
    async with FaultyProvider(faults.well).running() as provider, AsyncExitStack() as stack:
        proxies = [kind() for _ in range(ACCOUNTS)]
        ids = []
        for proxy in proxies:
            await proxy.start()
            stack.push_async_callback(proxy.stop)
            body = {"label": f"proxy {proxy.port}", "url": proxy.url, "max_accounts": 1}
            ids.append((await rig.api("POST", "/proxies", body))["id"])
        scene = await open_scene(rig, provider.url)
        await spoil(proxies[0], how)
        for _ in range(IN_A_ROW):
            assert (await rig.api("GET", "/rests"))["data"] == []
            for met in in_turn(scene, replace(FINE, attempts=ACCOUNTS), FINE):
                asked = await scene.ask("messages", stream=stream)
                check(asked, "messages", met)
                paid = [(call["blame"], call["proxy_id"]) for call in asked.attempts]
                assert paid == [("egress", ids[0]), (None, ids[1])][-met.attempts :]
        (rest,) = (await rig.api("GET", "/rests"))["data"]
        assert (rest["subject"], rest["kind"], rest["scope"]) == (ids[0], "proxy", "*")
        for _ in range(ACCOUNTS):
            check(await scene.ask("messages", stream=stream), "messages", FINE)
        assert len(provider.requests) == IN_A_ROW * ACCOUNTS + ACCOUNTS


async def spoil(proxy: FakeProxy, how: str) -> None:
    match how:
        case "dead":
            await proxy.stop()
        case "wrong password":
            proxy.username, proxy.password = "somebody", "else"
        case mode:
            proxy.mode = mode
