"""Twenty accounts of which eleven are ill, behind four proxies of which one dies."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from tests.e2e.cluster import Cluster
from tests.fakes.formats.base import Seen
from tests.fakes.provider import Behaviour, Failure, FakeProvider, Served
from tests.fakes.proxies import FakeProxy
from tests.fault.whole_program import ASK, everywhere

ACCOUNTS: Final = 20
PROXIES: Final = 4
LIMITED: Final = frozenset({"key-1", "key-5", "key-9", "key-13", "key-17"})
FLAKY: Final = frozenset({"key-3", "key-10", "key-16"})
HANGING: Final = frozenset({"key-6", "key-19"})
REVOKED: Final = frozenset({"key-12"})
ILL: Final = LIMITED | FLAKY | HANGING | REVOKED
RESET_S: Final = 300


@dataclass
class SickPool:
    """The provider, its proxies, and who is behind which."""

    provider: FakeProvider
    proxies: list[FakeProxy] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    """Account id -> its key."""
    behind: dict[str, int] = field(default_factory=dict)
    """Key -> which proxy."""

    def attempts(self, since: float, dead_proxy: int | None = None) -> tuple[int, int]:
        """Return how many calls came since then, and how many of them to ill accounts."""
        calls = [served for served in self.provider.served if served.at >= since]
        return len(calls), sum(call.key in ILL for call in calls)


async def furnish(cluster: Cluster) -> SickPool:
    """Add the proxies and the accounts behind them, five each."""
    pool = SickPool(FakeProvider("messages"))
    for number in range(PROXIES):
        proxy = FakeProxy()
        await proxy.start()
        cluster.stack.push_async_callback(proxy.stop)
        pool.proxies.append(proxy)
        places = ACCOUNTS // PROXIES
        body = {"label": f"proxy {number}", "url": proxy.url, "max_accounts": places}
        await cluster.api("POST", "/proxies", body)
    provider = await cluster.add_provider("messages")  # key-0
    pool.provider = provider
    for number in range(1, ACCOUNTS):
        await cluster.add_account("anthropic", f"key-{number}")
    accounts = (await cluster.api("GET", "/accounts?limit=100"))["data"]
    order = [proxy["id"] for proxy in (await cluster.api("GET", "/proxies"))["data"]]
    for account in accounts:
        key = account["label"].removeprefix("account ")
        pool.keys[account["id"]] = key
        pool.behind[key] = order.index(account["proxy_id"])
    provider.behaviours |= behaviours(random.Random(7))
    await everywhere()
    return pool


def behaviours(chance: random.Random) -> dict[str, Behaviour]:
    """Return what each ill account does."""

    async def limited(_seen: Seen) -> Failure:
        return Failure(429, headers={"retry-after": str(RESET_S)})

    async def flaky(_seen: Seen) -> Failure | None:
        return Failure(500) if chance.random() < 0.5 else None

    async def hanging(_seen: Seen) -> None:
        await asyncio.sleep(3600)

    async def revoked(_seen: Seen) -> Failure:
        return Failure(401)

    ways = ((LIMITED, limited), (FLAKY, flaky), (HANGING, hanging), (REVOKED, revoked))
    return {key: way for keys, way in ways for key in keys}


def question(number: int) -> dict[str, Any]:
    """Return a request whose text says which one it is."""
    return {**ASK, "messages": [{"role": "user", "content": f"request {number}."}]}


def by_request(served: Sequence[Served]) -> dict[int, list[Served]]:
    """Return the provider's journal by the number in the text."""
    found: dict[int, list[Served]] = {}
    for call in served:
        number = int(call.text.partition("request ")[2].partition(".")[0])
        found.setdefault(number, []).append(call)
    return found


async def naive_round_robin(pool: SickPool, count: int, patience_s: float) -> Counter[int]:
    """Ask the accounts in turn as a gateway does that only counts: no rest, no second account.

    Returns how often which status came; 0 stands for no answer.
    """
    statuses: Counter[int] = Counter()
    limit = aiohttp.ClientTimeout(patience_s)
    async with aiohttp.ClientSession(timeout=limit) as http:

        async def ask(number: int) -> None:
            headers = {"x-api-key": f"key-{number % ACCOUNTS}", "anthropic-version": "2023-06-01"}
            try:
                url = f"{pool.provider.url}/v1/messages"
                async with http.post(url, json=question(number), headers=headers) as response:
                    statuses[response.status] += 1
            except TimeoutError:
                statuses[0] += 1

        await asyncio.gather(*[ask(number) for number in range(count)])
    return statuses


def now() -> float:
    """Return seconds on the provider's clock."""
    return time.monotonic()
