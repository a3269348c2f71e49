"""A pool whose accounts, rests and time are the test's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeAlias

from models.account import StoredAccount, Strategy
from models.errors import ErrorKind
from models.rest import EVERY_MODEL, Rest
from providers.base import Route
from repositories.base import SharedState
from repositories.shared_memory import MemoryState
from services.cooldown import Cooldowns
from services.pauses import Pauses
from services.pool import Lease, Pool
from services.snapshot import Snapshot
from services.strategies import Known, unknown
from tests.builders import make_provider, make_snapshot, make_stored
from tests.fakes.clock import FakeClock

ROUTE = Route(make_provider(), "gpt-x")

Names: TypeAlias = list[int | None]


def account_id(number: int) -> str:
    return f"{number:032x}"


def route_of(strategy: Strategy, model: str = "gpt-x") -> Route:
    return Route(replace(make_provider(), strategy=strategy), model)


class Counting(MemoryState):
    """Shared state that counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def increment(self, key: str, by: int = 1) -> int:
        self.asked.append(f"increment {key}")
        return await super().increment(key, by)

    async def take_slot(self, account_id: str, holder: str, limit: int, ttl_s: float) -> int:
        self.asked.append(f"take {int(account_id, 16)}")
        return await super().take_slot(account_id, holder, limit, ttl_s)

    async def claim(self, key: str, ttl_s: float) -> bool:
        self.asked.append("claim")
        return await super().claim(key, ttl_s)


class House:
    """Accounts 1, 2, 3... of one provider, and their pool."""

    def __init__(
        self,
        accounts: int | list[StoredAccount],
        *,
        snapshot: Snapshot | None = None,
        shared: SharedState | None = None,
        strategy: Strategy = Strategy.ROUND_ROBIN,
        resets_at: Known = unknown,
        used_ratio: Known = unknown,
        **changes: object,
    ) -> None:
        if isinstance(accounts, int):
            accounts = [make_stored(number, **changes) for number in range(1, accounts + 1)]
        self.snapshot = snapshot or make_snapshot(accounts)
        self.clock = FakeClock()
        self.shared = shared or Counting()
        self.cooldowns = Cooldowns(Pauses(), self.clock, self.shared)
        self.pool = Pool(
            lambda: self.snapshot,
            self.shared,
            self.cooldowns,
            self.clock,
            strategy=strategy,
            resets_at=resets_at,
            used_ratio=used_ratio,
            slot_ttl_s=1.0,
            slot_renew_every_s=0.3,
        )

    @property
    def asked(self) -> list[str]:
        """What the shared state was asked."""
        assert isinstance(self.shared, Counting)
        return self.shared.asked

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self.pool._waiting) + len(self.pool._at_homes)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Places are renewed and given back for so long."""
        keeper = asyncio.create_task(self.pool.slots.keep())
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.wait([keeper])

    async def lease(self, route: Route = ROUTE, home: int | None = None) -> Lease | None:
        """One request's first account."""
        turn = self.pool.desk(route).walk(home=None if home is None else account_id(home))
        return await turn.next()

    async def next(self, route: Route = ROUTE, home: int | None = None) -> int | None:
        """The number of the account that serves one request, which ends at once."""
        lease = await self.lease(route, home)
        if lease is None:
            return None
        lease.release()
        return number_of(lease)

    async def walk(self, route: Route = ROUTE, limit: int = 100) -> Names:
        """Who is asked by one request that everybody fails."""
        turn, walked = self.pool.desk(route).walk(), list[int | None]()
        while (lease := await turn.next()) is not None and len(walked) < limit:
            walked.append(number_of(lease))
            turn.failed(lease)
            lease.release()
        return walked

    def rest(
        self,
        subject: int | str,
        seconds: float,
        *,
        scope: str = EVERY_MODEL,
        reason: ErrorKind = ErrorKind.RATE_LIMIT,
        trial_after_s: float | None = None,
    ) -> None:
        """Let an account (by number) or a proxy (by id) rest."""
        now = self.clock.now()
        trial_at = None if trial_after_s is None else now + trial_after_s
        name = account_id(subject) if isinstance(subject, int) else subject
        self.cooldowns.begin(Rest(name, scope, now, now + seconds, reason, trial_at=trial_at))


def number_of(lease: Lease) -> int:
    return int(lease.account.id, 16)
