"""A worker that dies in the middle of a refresh, or a frozen Redis, costs no account.

AIGATEWAY_TEST_KILLS says how often each is tried (1).
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, open_cluster
from tests.fakes.idp import FakeIdp
from tests.fakes.private_servers import private_redis
from tests.fakes.provider import FakeProvider
from tests.fault.whole_program import AT_ONCE, Load, everywhere, steady_load
from tests.waiting import until

KILLS = int(os.environ.get("AIGATEWAY_TEST_KILLS", "1"))
POINTS = ("refresh.after_journal", "refresh.after_commit", "refresh.after_publish")
WORKERS = 4
REQUESTS = 200

pytestmark = pytest.mark.timeout(60 + 90 * KILLS)


@dataclass
class Scene:
    """A cluster, the providers around it, and where traps are laid."""

    cluster: Cluster
    provider: FakeProvider
    idp: FakeIdp
    traps: Path

    async def new_account(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Make an account whose token has expired the only one there is."""
        for account in (await self.cluster.api("GET", "/accounts"))["data"]:
            await self.cluster.api("DELETE", f"/accounts/{account['id']}")
        account = await self.cluster.add_account(
            "anthropic",
            name,
            auth_type="oauth",
            auth_data={
                "refresh_token": self.idp.add_family(name),
                "access_token": "expired",
                "expires_at": time.time() - 60,
                "token_url": f"{self.idp.url}/token",
                "client_id": "client",
            },
        )
        self.idp.counts.clear()
        self.provider.by_key.clear()
        await everywhere()
        return account

    async def check(self, account_id: str, name: str) -> None:
        """The account has the tokens that the token server gave last, and used each once."""
        assert self.idp.counts == {"calls": 1, "refreshed": 1}
        assert set(self.provider.by_key) == {f"access-{name}-1"}
        account = await self.cluster.api("GET", f"/accounts/{account_id}")
        assert (account["token_state"], account["token_error"]) == ("ok", None)

    def died(self) -> int:
        return self.cluster.log.read_bytes().count(b"worker died")


@asynccontextmanager
async def open_scene(folder: Path, database_url: str, redis_url: str) -> AsyncIterator[Scene]:
    traps = folder / "traps"
    traps.mkdir()
    async with open_cluster(
        folder,
        workers=WORKERS,
        database_url=database_url,
        redis_url=redis_url,
        program="tests.fault.dying_gateway",
        environment={"AIGATEWAY_TEST_TRAPS": str(traps)},
    ) as cluster:
        # A list of models that is not known yet would be fetched with the new account's token.
        provider = await cluster.add_provider("messages", accounts=1)
        await _listed(cluster)
        idp = FakeIdp(latency_s=0.3)
        runner = await idp.start()
        cluster.stack.push_async_callback(runner.cleanup)
        yield Scene(cluster, provider, idp, traps)


async def _listed(cluster: Cluster) -> None:
    headers = {"authorization": f"Bearer {cluster.key}"}
    async with asyncio.timeout(30):
        while True:
            async with cluster.http.get(f"{cluster.url}/v1/models", headers=headers) as response:
                if (await response.json())["data"]:
                    return
            await asyncio.sleep(0.1)


async def _kill_and_go_on(scene: Scene, point: str, name: str) -> None:
    """Let a worker die in a refresh under load; account and requests must not care."""
    cluster, died, listening = scene.cluster, scene.died(), scene.cluster.listening()
    account = await scene.new_account(name)
    (scene.traps / point).touch()
    load = Load()
    await steady_load(cluster, REQUESTS, load, rate_per_s=AT_ONCE)
    assert not list(scene.traps.iterdir()), "nobody came by"
    # What was on its way in the dead worker broke; everybody else's was answered.
    assert set(load.statuses) <= {0, 200}
    assert load.statuses[200] >= REQUESTS // 2
    await until(lambda: cluster.listening() == listening + 1, 60)
    assert scene.died() == died + 1
    again = Load()
    await steady_load(cluster, REQUESTS, again, rate_per_s=AT_ONCE)
    assert again.statuses == {200: REQUESTS}
    await scene.check(account["id"], name)


async def test_a_worker_that_dies_in_a_refresh_costs_no_account(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    async with open_scene(tmp_path, mysql_url, redis_url) as scene:
        for number in range(KILLS):
            for point in POINTS:
                await _kill_and_go_on(scene, point, f"{point}-{number}")


async def test_a_frozen_redis_disturbs_no_refresh(tmp_path: Path, mysql_url: str) -> None:
    """Neither one that all workers see, nor one whose worker dies with the answer."""
    with private_redis(tmp_path) as redis:
        async with open_scene(tmp_path, mysql_url, redis.url) as scene:
            account = await scene.new_account("calm")
            redis.freeze()
            load = Load()
            await steady_load(scene.cluster, REQUESTS, load, rate_per_s=AT_ONCE)
            assert load.statuses == {200: REQUESTS}
            await scene.check(account["id"], "calm")
            await _kill_and_go_on(scene, "refresh.after_journal", "storm")
            redis.thaw()
            again = Load()
            await steady_load(scene.cluster, REQUESTS, again, rate_per_s=AT_ONCE)
            assert again.statuses == {200: REQUESTS}
            await scene.check((await _only(scene.cluster))["id"], "storm")


async def _only(cluster: Cluster) -> Any:  # noqa: ANN401 - JSON
    (account,) = (await cluster.api("GET", "/accounts"))["data"]
    return account
