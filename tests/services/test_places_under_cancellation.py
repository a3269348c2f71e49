"""Whatever is cancelled, wherever it waits: nobody serves more at once than it may, and afterwards
nothing is under way and every place is free."""

import asyncio
import random
from collections import Counter

import pytest

from models.account import StoredAccount, Strategy
from models.errors import ErrorKind
from repositories.shared_memory import MemoryState
from tests.builders import make_snapshot, make_stored
from tests.services.pool_rig import ROUTE, House, account_id, number_of
from tests.waiting import until

_ACCOUNTS = range(1, 5)


class Winding(MemoryState):
    """Shared state whose every answer takes some turns of the loop."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    async def _wind(self) -> None:
        for _ in range(self._chance.randrange(3)):
            await asyncio.sleep(0)

    async def increment(self, key: str, by: int = 1) -> int:
        await self._wind()
        number = await super().increment(key, by)
        await self._wind()
        return number

    async def claim(self, key: str, ttl_s: float) -> bool:
        await self._wind()
        return await super().claim(key, ttl_s)

    async def take_slot(self, account_id: str, holder: str, limit: int, ttl_s: float) -> int:
        await self._wind()
        taken = await super().take_slot(account_id, holder, limit, ttl_s)
        try:
            await self._wind()
        except asyncio.CancelledError:
            await super().free_slot(account_id, holder)  # as the one on Redis does
            raise
        return taken

    async def free_slot(self, account_id: str, holder: str) -> None:
        await self._wind()
        await super().free_slot(account_id, holder)


class Crowd:
    """Requests that come, are served, fail, move on and leave at any moment."""

    def __init__(self, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.limits = {number: chance.choice((0, 1, 1, 2, 3)) for number in _ACCOUNTS}
        self.house = House(
            [self._stored(number) for number in _ACCOUNTS],
            shared=Winding(chance),
            strategy=chance.choice(list(Strategy)),
        )
        self.now: Counter[int] = Counter()
        self.served = 0
        self.running: list[asyncio.Task[None]] = []

    def _stored(self, number: int) -> StoredAccount:
        return make_stored(number, max_concurrent=self.limits[number])

    def held(self, number: int) -> int:
        """Return how many places of an account this process believes to hold."""
        seat = self.house.pool._rosters.seat(account_id(number))
        return 0 if seat is None else seat.held

    async def request(self) -> None:
        home = self.chance.choice((None, None, *_ACCOUNTS, 99))
        turn = self.house.pool.desk(ROUTE).walk(
            home=None if home is None else account_id(home), home_wait_s=0.01
        )
        for _ in range(6):
            lease = await turn.next()
            if lease is None:
                await self.house.pool.until_able(ROUTE, 0.01)
                continue
            number = number_of(lease)
            self.now[number] += 1
            self.served += 1
            assert self.now[number] <= (self.limits[number] or 1_000)
            try:
                for _ in range(self.chance.randrange(4)):
                    await asyncio.sleep(0)
            finally:
                self.now[number] -= 1
                lease.release()
                lease.release()
            turn.failed(lease)

    async def live(self, steps: int) -> None:
        for step in range(steps):
            self.running = [task for task in self.running if not task.done()]
            match self.chance.randrange(8):
                case 0 | 1 | 2 | 3:
                    self.running.append(asyncio.create_task(self.request()))
                case 4 | 5 if self.running:
                    self.chance.choice(self.running).cancel()
                case 6:
                    self.house.rest(
                        self.chance.choice(_ACCOUNTS),
                        self.chance.choice((0.1, 5.0, 4_000.0)),
                        reason=self.chance.choice((ErrorKind.RATE_LIMIT, ErrorKind.OVERLOADED)),
                        trial_after_s=self.chance.choice((None, 1.0)),
                    )
                case _:
                    self.house.clock.advance(self.chance.choice((0.01, 0.2, 6.0)))
                    self.house.snapshot = make_snapshot(
                        [self._stored(n) for n in _ACCOUNTS if self.chance.random() < 0.9],
                        revision=step + 2,
                    )
            await asyncio.sleep(0)

    async def end(self) -> None:
        for task in self.running:
            if self.chance.random() < 0.5:
                task.cancel()
        for outcome in await asyncio.gather(*self.running, return_exceptions=True):
            if outcome is not None and not isinstance(outcome, asyncio.CancelledError):
                raise outcome


@pytest.mark.parametrize("seed", range(25))
async def test_nothing_is_left_of_requests_that_are_cancelled_anywhere(seed: int) -> None:
    crowd = Crowd(seed)
    house = crowd.house
    async with house.kept(), asyncio.timeout(20):
        await crowd.live(200)
        await crowd.end()
        await until(lambda: not house.pool.slots._held and not any(map(crowd.held, _ACCOUNTS)))
        ids = [account_id(number) for number in _ACCOUNTS]
        assert [house.pool.inflight(one) for one in ids] == [0] * len(ids)
        assert await house.shared.slots_taken(ids) == [0] * len(ids)
    assert crowd.served > 0
    assert house.waiting == 0
