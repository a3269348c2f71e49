"""What choosing an account costs: CPU microseconds per request, for few accounts and for many.

Pools of both sizes take turns, so that a busy machine slows both. With failures each request
meets one: its account begins a rest, another one is chosen, and the rest ends. Shared state is in
this process: what is measured is our own code, not a round trip. What the steps around the choice
cost tells `benchmarks.path`.
"""

import argparse
import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from models.account import Account, AuthType, Credentials, StoredAccount, Strategy
from models.clock import SystemClock
from models.errors import ErrorKind
from models.rest import EVERY_MODEL, Rest
from providers import BUILTIN
from providers.base import Route
from repositories.shared_memory import MemoryState
from services.cooldown import Cooldowns
from services.pauses import Pauses
from services.pool import Pool
from services.router import Router
from services.snapshot import Snapshot

FEW: Final = 10
MANY: Final = 10_000
REQUESTS: Final = 500
WINDOWS: Final = 9
LIMIT: Final = 4
_REST_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU microseconds per request: medians over the windows."""

    strategy: str
    how: str
    few_us: float
    many_us: float

    @property
    def ratio(self) -> float:
        return self.many_us / self.few_us


class Bench:
    """A pool of so many accounts, and how requests go through it."""

    def __init__(self, accounts: int, strategy: Strategy, *, limit: int, fails: bool) -> None:
        provider = replace(BUILTIN[0], strategy=strategy)
        entries = [stored(provider.id, number, limit) for number in range(accounts)]
        snapshot = Snapshot(
            1,
            {one.account.id: one for one in entries},
            {provider.id: tuple(entries)},
            {},
            {},
            Router({provider.id: provider}, {}),
            {provider.id: provider},
            {},
        )
        clock, shared = SystemClock(), MemoryState()
        self._route = Route(provider, "a-model")
        self._fails = fails
        self._cooldowns = Cooldowns(Pauses(), clock, shared)
        self.pool = Pool(lambda: snapshot, shared, self._cooldowns, clock)

    async def window(self) -> float:
        """Return the CPU microseconds of one request, over many."""
        began = time.process_time()
        for _ in range(REQUESTS):
            await self._request()
        return (time.process_time() - began) / REQUESTS * 1e6

    async def _request(self) -> None:
        turn = self.pool.desk(self._route).walk()
        while (lease := await turn.next()) is None:  # noqa: ASYNC110 - a task gives places back
            await asyncio.sleep(0)
        if not self._fails:
            lease.release()
            return
        now, account_id = time.time(), lease.account.id
        self._cooldowns.begin(
            Rest(account_id, EVERY_MODEL, now, now + _REST_S, ErrorKind.OVERLOADED)
        )
        turn.failed(lease)
        lease.release()
        other = await turn.next()
        assert other is not None
        other.release()
        self._cooldowns.release(account_id, EVERY_MODEL, "the benchmark goes on")


def stored(provider_id: str, number: int, limit: int) -> StoredAccount:
    """Return one account of many."""
    account = Account(
        f"{number:032x}",
        provider_id,
        f"account {number}",
        AuthType.API_KEY,
        max_concurrent=limit,
        weight=1 + number % 5,
    )
    return StoredAccount(account, Credentials("key"))


async def cost(strategy: Strategy, how: str, *, limit: int = 0, fails: bool = False) -> Cost:
    """Measure one strategy."""
    few, many = (Bench(accounts, strategy, limit=limit, fails=fails) for accounts in (FEW, MANY))
    keepers = [asyncio.create_task(bench.pool.slots.keep()) for bench in (few, many)]
    measured: list[tuple[float, float]] = []
    for _ in range(WINDOWS + 1):
        measured.append((await few.window(), await many.window()))
    for keeper in keepers:
        keeper.cancel()
    await asyncio.wait(keepers)
    # The first window finds everybody out.
    of_few, of_many = zip(*measured[1:], strict=True)
    return Cost(strategy.value, how, statistics.median(of_few), statistics.median(of_many))


async def costs(strategies: Sequence[Strategy], tell: Callable[[Cost], None]) -> None:
    """Measure strategies, with and without limits and failures."""
    for strategy in strategies:
        tell(await cost(strategy, "plain"))
        tell(await cost(strategy, "limited", limit=LIMIT))
        tell(await cost(strategy, "failing", fails=True))


def _print(one: Cost) -> None:
    figures = f"{one.few_us:8.1f} {one.many_us:8.1f} {one.ratio:7.2f}"
    print(f"{one.strategy:15} {one.how:8} {figures}", flush=True)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("strategies", nargs="*", type=Strategy)
    chosen = parser.parse_args().strategies or list(Strategy)
    gc.disable()
    print(f"{'strategy':15} {'how':8} {FEW:>8} {MANY:>8} {'ratio':>7}   CPU us per request")
    asyncio.run(costs(chosen, _print))


if __name__ == "__main__":
    main()
