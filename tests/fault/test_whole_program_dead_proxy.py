"""F-08: a proxy dies in the middle of traffic (pains 31, 32 and 39).

Clients notice nothing, nobody goes direct, nobody else's place changes, the proxy is left alone
and is back in use when it is well.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, open_cluster
from tests.fakes.provider import FakeProvider
from tests.fakes.proxies import FakeProxy, FakeSocks
from tests.fault.whole_program import Load, everywhere, steady_load, tell
from tests.services.egress_rig import Target

pytestmark = pytest.mark.timeout(180)

CANARY = "127.0.0.2"
"""Where the provider is said to be. Only the proxies know better; directly, a canary listens."""
PLACES = 2
RATE_PER_S = 60.0
SHORT = {
    "AIGATEWAY_COOLDOWN__EGRESS_S": "1",
    "AIGATEWAY_EGRESS__LONGEST_QUARANTINE_S": "2",
    "AIGATEWAY_RETRY__CONNECT_TIMEOUT_S": "0.5",
}


@dataclass
class House:
    """A gateway whose accounts all leave through proxies."""

    cluster: Cluster
    provider: FakeProvider
    proxies: list[FakeProxy]
    ids: list[str]
    direct: list[str] = field(default_factory=list)
    """Who went past the proxies."""

    async def proxy(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = await self.cluster.api("GET", f"/proxies/{self.ids[number]}")
        return found

    async def homes(self) -> dict[str, str]:
        """Return the proxy of each account."""
        accounts = (await self.cluster.api("GET", "/accounts?limit=500"))["data"]
        return {account["label"]: account["proxy_id"] for account in accounts}

    async def errors(self, number: int) -> int:
        """Return how many attempts a proxy has failed."""
        path = f"/stats/proxies/{self.ids[number]}?days=2"
        return sum(day["errors"] for day in (await self.cluster.api("GET", path))["data"])

    async def wait(self, number: int, *healths: str) -> None:
        """Wait until a proxy is in one of these states."""
        async with asyncio.timeout(30):
            while (await self.proxy(number))["health"] not in healths:  # noqa: ASYNC110 - elsewhere
                await asyncio.sleep(0.05)


@asynccontextmanager
async def open_house(
    folder: Path,
    environment: Mapping[str, str] = {},
    *,
    workers: int = 1,
    redis_url: str = "",
    mysql_url: str = "",
) -> AsyncGenerator[House, None]:
    """Two HTTP and two SOCKS proxies, with two accounts behind each."""
    async with open_cluster(
        folder,
        workers=workers,
        redis_url=redis_url,
        database_url=mysql_url,
        environment={**SHORT, **environment},
    ) as cluster:
        proxies = [FakeProxy(), FakeSocks(), FakeProxy(), FakeSocks()]
        ids = []
        for number, proxy in enumerate(proxies):
            proxy.hosts[CANARY] = "127.0.0.1"
            await proxy.start()
            cluster.stack.push_async_callback(proxy.stop)
            body = {"label": f"p{number}", "url": proxy.url, "max_accounts": PLACES}
            ids.append((await cluster.api("POST", "/proxies", body))["id"])
        provider = FakeProvider("messages", delay_s=0.03)
        runner = await provider.start()
        cluster.stack.push_async_callback(runner.cleanup)
        house = House(cluster, provider, proxies, ids)
        port = int(provider.url.rsplit(":", 1)[1])
        await cluster.stack.enter_async_context(_canary(port, partial(house.direct.append, "!")))
        base_url = provider.url.replace("127.0.0.1", CANARY)
        await cluster.api("PATCH", "/providers/anthropic", {"base_url": base_url})
        for number in range(PLACES * len(proxies)):
            await cluster.add_account("anthropic", f"key-{number}")
        await everywhere()
        yield house


@asynccontextmanager
async def _canary(port: int, reached: Callable[[], None]) -> AsyncGenerator[None, None]:
    def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached()
        writer.close()

    server = await asyncio.start_server(accept, CANARY, port)
    try:
        yield
    finally:
        server.close()


@pytest.mark.parametrize(
    ("victim", "workers"),
    [pytest.param(0, 1, id="http, one process"), pytest.param(1, 2, id="socks, two processes")],
)
async def test_a_proxy_that_dies_is_left_alone_until_it_is_well_and_clients_notice_nothing(
    tmp_path: Path, redis_url: str, mysql_url: str, victim: int, workers: int
) -> None:
    async with open_house(
        tmp_path, workers=workers, redis_url=redis_url, mysql_url=mysql_url
    ) as house:
        proxy, homes, load = house.proxies[victim], await house.homes(), Load()
        traffic = asyncio.create_task(steady_load(house.cluster, 900, load, rate_per_s=RATE_PER_S))
        await _answered(load, 150)
        port = proxy.port
        await proxy.stop()
        await house.wait(victim, "quarantined")
        await _answered(load, load.count + 200)
        assert await house.homes() == homes
        targets, served = len(proxy.targets), Counter(house.provider.by_key)
        await proxy.start(port)
        await house.wait(victim, "suspect", "healthy")
        await _answered(load, load.count + 100)
        await traffic
        errors = await house.errors(victim)
        tell(slowest_s=load.slowest_s, errors=errors, requests=load.count)
        assert load.statuses == {200: 900}
        assert house.direct == []
        assert await house.homes() == homes
        assert len(proxy.targets) > targets
        behind = [f"key-{number}" for number in range(PLACES * victim, PLACES * (victim + 1))]
        assert all(house.provider.by_key[key] > served[key] for key in behind)
        # A quarter of the traffic would have met it. Each process finds out for itself, at most
        # with what it had on the way; then one request tries at the end of each pause.
        assert errors <= 12 * workers


async def test_a_proxy_that_hangs_costs_nobody_an_answer(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        load = Load()
        traffic = asyncio.create_task(steady_load(house.cluster, 600, load, rate_per_s=RATE_PER_S))
        await _answered(load, 100)
        for proxy in house.proxies[1:2]:
            proxy.mode = "hang"
            port = proxy.port
            await proxy.stop()  # what is open goes on otherwise
            await proxy.start(port)
        await house.wait(1, "quarantined")
        await traffic
        assert load.statuses == {200: 600}
        assert house.direct == []


async def test_probes_find_a_dead_proxy_without_any_request_and_tell_when_it_is_well(
    tmp_path: Path,
) -> None:
    target = Target()
    await target.start()
    probing = {
        "AIGATEWAY_EGRESS__PROBE_URLS": f'["{target.url}"]',
        "AIGATEWAY_EGRESS__PROBE_INTERVAL_S": "0.5",
        "AIGATEWAY_EGRESS__PROBE_TIMEOUT_S": "1",
    }
    async with open_house(tmp_path, probing) as house:
        house.cluster.stack.push_async_callback(target.stop)
        async with asyncio.timeout(30):
            while (await house.proxy(3))["exit_address"] is None:  # noqa: ASYNC110 - elsewhere
                await asyncio.sleep(0.05)
        shown = await house.proxy(3)
        assert (shown["exit_address"], shown["exit_country"]) == ("203.0.113.7", "DE")
        port = house.proxies[3].port
        await house.proxies[3].stop()
        await house.wait(3, "quarantined")
        assert (await house.proxy(3))["check_error"] == "proxy: no connection to the proxy"
        assert (await house.proxy(0))["health"] == "healthy"
        await house.proxies[3].start(port)
        await house.wait(3, "suspect", "healthy")
        async with asyncio.timeout(30):
            while (await house.proxy(3))["check_error"]:  # noqa: ASYNC110 - elsewhere
                await asyncio.sleep(0.05)
        assert house.provider.seen == []


async def test_accounts_of_a_dead_proxy_go_where_there_is_room_and_nobody_else_moves(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path) as house:
        before, load = await house.homes(), Load()
        room, spare = await _spare(house)
        await house.proxies[0].stop()
        path = f"/proxies/{house.ids[0]}/rehome"
        dry = await house.cluster.api("POST", path, {"dry_run": True})
        traffic = asyncio.create_task(steady_load(house.cluster, 600, load, rate_per_s=RATE_PER_S))
        await house.wait(0, "quarantined")
        assert await house.homes() == before
        done = await house.cluster.api("POST", path, {"dry_run": False})
        await traffic
        assert [move["proxy_id"] for move in dry["moves"]] == [room, None]
        assert done["moves"] == dry["moves"]
        assert await house.homes() == {**before, dry["moves"][0]["label"]: room}
        assert load.statuses == {200: 600}
        assert house.direct == []
        assert spare.targets
        events = (await house.cluster.api("GET", "/events?kind=account.rehomed"))["data"]
        assert [event["account_id"] for event in events] == [dry["moves"][0]["account_id"]]


async def test_by_the_policy_that_was_set_they_go_by_themselves(tmp_path: Path) -> None:
    async with open_house(tmp_path, {"AIGATEWAY_EGRESS__REHOME_AFTER_S": "1"}) as house:
        before, load = await house.homes(), Load()
        room, spare = await _spare(house)
        traffic = asyncio.create_task(steady_load(house.cluster, 600, load, rate_per_s=RATE_PER_S))
        await _answered(load, 100)
        await house.proxies[0].stop()
        async with asyncio.timeout(30):
            while (after := await house.homes()) == before:  # noqa: ASYNC110 - elsewhere
                await asyncio.sleep(0.05)
        await traffic
        moved = [label for label, home in after.items() if home != before[label]]
        assert [(before[label], after[label]) for label in moved] == [(house.ids[0], room)]
        assert await house.homes() == after
        assert load.statuses == {200: 600}
        assert house.direct == []
        assert spare.targets


async def _spare(house: House) -> tuple[str, FakeProxy]:
    """Add a proxy with a place for one account."""
    spare = FakeSocks(hosts={CANARY: "127.0.0.1"})
    await spare.start()
    house.cluster.stack.push_async_callback(spare.stop)
    body = {"label": "spare", "url": spare.url, "max_accounts": 1}
    return (await house.cluster.api("POST", "/proxies", body))["id"], spare


async def _answered(load: Load, count: int) -> None:
    async with asyncio.timeout(60):
        while load.count < count:  # noqa: ASYNC110 - counted by others
            await asyncio.sleep(0.01)
