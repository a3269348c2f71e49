"""A provider fails for everybody for half a minute: afterwards nobody is the worse for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import pytest

from models.errors import NoCapacity, UpstreamError
from models.rest import origin
from providers.base import Route
from services.breaker import Breaker, Thresholds
from services.cooldown import scopes_of
from tests.builders import make_provider
from tests.services.pool_rig import House, account_id
from tests.services.resting_rig import broken, cut, overloaded, silent

ROUTE: Final = Route(make_provider(), "gpt-x")
HERE: Final = origin("openai", "https://api.example.com")

OUTAGE_S: Final = 30.0
RECOVERED_S: Final = 10.0
ATTEMPTS: Final = 3


@dataclass
class Outage:
    """Requests at a steady rate to a provider that is unwell for a while, asked as the executor
    asks it: breaker, accounts in turn, what came of each."""

    house: House
    breaker: Breaker
    error: Callable[[], UpstreamError]
    is_out: bool = False
    asked: int = 0
    refused: int = 0
    failed: list[float] = field(default_factory=list)

    async def request(self) -> bool:
        pool, clock = self.house.pool, self.house.clock
        try:
            turn = pool.desk(ROUTE).walk()
            for _ in range(ATTEMPTS):
                lease = await turn.next()
                if lease is None:
                    return False
                try:
                    await self.breaker.admit(HERE)
                    self.asked += 1
                    if not self.is_out:
                        self.breaker.saw(HERE, None)
                        pool.succeeded(lease, ROUTE, since=clock.now())
                        return True
                    error = self.error()
                    self.breaker.saw(HERE, error)
                    pool.report(lease, ROUTE, error)
                    turn.failed(lease)
                finally:
                    lease.release()
        except NoCapacity:
            self.refused += 1
        return False

    async def run(self, seconds: float, per_s: float) -> int:
        """Ask for so long; return how many requests failed."""
        failures = 0
        for _ in range(round(seconds * per_s)):
            failures += not await self.request()
            self.house.clock.advance(1 / per_s)
        return failures

    def benched(self, accounts: int) -> list[int]:
        """Who may not be asked now."""
        now, scopes = self.house.clock.now(), scopes_of(ROUTE)
        found = []
        for number in range(1, accounts + 1):
            rest = self.house.cooldowns.found(account_id(number), scopes, now)
            if rest is not None and rest.opens_at > now:
                found.append(number)
        return found


def outage(
    accounts: int, error: Callable[[], UpstreamError], thresholds: Thresholds | None = None
) -> Outage:
    house = House(accounts)
    return Outage(house, Breaker(house.cooldowns, house.clock, thresholds or Thresholds()), error)


@pytest.mark.parametrize(
    "thresholds",
    [
        pytest.param(Thresholds(), id="with the breaker"),
        pytest.param(Thresholds(failures=10**9), id="by shared fate alone"),
    ],
)
@pytest.mark.parametrize("per_s", [0.2, 1, 20])
@pytest.mark.parametrize("accounts", [1, 2, 3, 20])
@pytest.mark.parametrize("error", [overloaded, broken, silent, cut])
async def test_ten_seconds_after_recovery_nobody_is_benched(
    error: Callable[[], UpstreamError], accounts: int, per_s: float, thresholds: Thresholds
) -> None:
    scene = outage(accounts, error, thresholds)
    assert await scene.run(20, per_s) == 0
    scene.is_out = True
    await scene.run(OUTAGE_S, per_s)
    scene.is_out = False
    await scene.run(RECOVERED_S, per_s)
    assert scene.benched(accounts) == []
    assert await scene.run(60, per_s) == 0


@pytest.mark.parametrize("hint_s", [20.0, 3_600.0])
async def test_nor_when_the_provider_asked_for_longer(hint_s: float) -> None:
    scene = outage(10, lambda: overloaded(retry_after_s=hint_s))
    scene.is_out = True
    await scene.run(OUTAGE_S, 10)
    scene.is_out = False
    await scene.run(RECOVERED_S, 10)
    assert scene.benched(10) == []


async def test_during_the_outage_the_provider_is_hardly_asked() -> None:
    scene = outage(20, overloaded)
    scene.is_out = True
    failures = await scene.run(OUTAGE_S, 100)
    assert failures == 3_000
    assert scene.asked < 40
    assert scene.refused > 2_900


async def test_one_account_of_many_that_always_fails_is_benched_and_the_provider_is_not() -> None:
    scene = outage(10, broken)
    bad, failures = account_id(3), 0
    for _ in range(1_200):
        turn = scene.house.pool.desk(ROUTE).walk()
        while (lease := await turn.next()) is not None:
            await scene.breaker.admit(HERE)
            if lease.account.id != bad:
                scene.breaker.saw(HERE, None)
                scene.house.pool.succeeded(lease, ROUTE)
                lease.release()
                break
            failures += 1
            scene.breaker.saw(HERE, broken())
            scene.house.pool.report(lease, ROUTE, broken())
            turn.failed(lease)
            lease.release()
        scene.house.clock.advance(0.1)
    assert scene.benched(10) == [3]
    assert failures < 8
    assert not scene.breaker.is_open(HERE, scene.house.clock.now())
