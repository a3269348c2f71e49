"""Several processes on one Redis and one MariaDB serve as one gateway."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.e2e.cluster import Cluster, open_cluster
from tests.e2e.harness import Rig
from tests.fakes.idp import FakeIdp
from tests.fakes.proxies import FakeProxy, FakeSocks

ASK: dict[str, Any] = {
    "model": "claude-fake",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hello"}],
}
LANES = 64


async def ask_many(rig: Rig, count: int) -> Counter[int]:
    """Send single-turn requests over many connections; return how often each status came."""
    statuses: Counter[int] = Counter()
    left = iter(range(count))

    async def lane() -> None:
        for _ in left:
            response = await rig.post("/v1/messages", ASK)
            statuses[response.status] += 1

    await asyncio.gather(*[lane() for _ in range(LANES)])
    return statuses


async def test_four_processes_share_out_4000_requests_exactly(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    async with open_cluster(
        tmp_path, workers=4, database_url=mysql_url, redis_url=redis_url
    ) as cluster:
        provider = await cluster.add_provider("messages", accounts=10)
        await everywhere(cluster)
        before = Counter(provider.by_key)
        assert await ask_many(cluster, 4000) == {200: 4000}
        assert provider.by_key - before == {f"key-{number}": 400 for number in range(10)}


async def everywhere(cluster: Cluster) -> None:
    """Wait until every process has seen the last change: they look every 0.4 s."""
    await asyncio.sleep(1.0)


async def test_one_process_shares_out_4000_requests_exactly(tmp_path: Path) -> None:
    async with open_cluster(tmp_path) as cluster:
        provider = await cluster.add_provider("messages", accounts=10)
        assert await ask_many(cluster, 4000) == {200: 4000}
        assert provider.by_key == {f"key-{number}": 400 for number in range(10)}


async def test_sixty_accounts_created_through_two_processes_never_oversubscribe_a_proxy(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    async with open_cluster(
        tmp_path, workers=2, database_url=mysql_url, redis_url=redis_url
    ) as cluster:
        provider = await cluster.add_provider("messages", accounts=0)
        http = FakeProxy()
        await http.start()
        cluster.stack.push_async_callback(http.stop)
        proxy = await cluster.api(
            "POST", "/proxies", {"label": "p", "url": http.url, "max_accounts": 10}
        )
        await asyncio.gather(
            *[
                cluster.add_account("anthropic", f"key-{number}", egress_policy="required")
                for number in range(60)
            ]
        )
        assert await statuses(cluster) == {"assigned": 10, "waiting": 50}
        held = (await cluster.api("GET", f"/proxies/{proxy['id']}/assignments"))["data"]
        for account in held[:3]:
            await cluster.api("DELETE", f"/accounts/{account['id']}")
        assert await statuses(cluster) == {"assigned": 10, "waiting": 47}
        assert (await cluster.api("GET", f"/proxies/{proxy['id']}"))["assigned"] == 10
        found = await cluster.api("POST", "/proxies/recalculate")
        assert (found["corrected"], found["placed"]) == (0, 0)
        await everywhere(cluster)
        assert await ask_many(cluster, 50) == {200: 50}
        assert len(provider.by_key) == 10


async def statuses(cluster: Cluster) -> Counter[str]:
    accounts = (await cluster.api("GET", "/accounts?limit=100"))["data"]
    return Counter(account["egress_status"] for account in accounts)


async def test_a_thousand_requests_on_an_expired_token_refresh_it_once(
    tmp_path: Path, mysql_url: str, redis_url: str
) -> None:
    async with open_cluster(
        tmp_path, workers=4, database_url=mysql_url, redis_url=redis_url
    ) as cluster:
        provider = await cluster.add_provider("messages", accounts=0)
        idp = FakeIdp(latency_s=0.2)
        runner = await idp.start()
        cluster.stack.push_async_callback(runner.cleanup)
        socks = FakeSocks("user", "pass")
        await socks.start()
        cluster.stack.push_async_callback(socks.stop)
        await cluster.api("POST", "/proxies", {"label": "s", "url": socks.url})
        await cluster.add_account(
            "anthropic",
            "oauth",
            auth_type="oauth",
            auth_data={
                "refresh_token": idp.add_family("one"),
                "access_token": "expired",
                "expires_at": time.time() - 60,
                "token_url": f"{idp.url}/token",
                "client_id": "client",
            },
        )
        await everywhere(cluster)
        seen = await asyncio.gather(*[cluster.post("/v1/messages", ASK) for _ in range(1000)])
        assert Counter(response.status for response in seen) == {200: 1000}
        assert idp.counts == {"calls": 1, "refreshed": 1}
        assert provider.by_key == {"access-one-1": 1000}
        # The refresh left through the account's own proxy, as every call did.
        port = int(idp.url.rsplit(":", 1)[1])
        assert ("127.0.0.1", port) in socks.targets
