"""Half of a pool is ill in five ways: those who are well serve, and the ill are hardly asked."""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from models.errors import UpstreamError
from models.rest import EVERY_MODEL
from providers.base import Route
from services.pool import Lease
from tests.builders import assigned, make_egress, make_provider, make_snapshot, make_stored
from tests.services.pool_rig import House, account_id
from tests.services.resting_rig import broken, rejected, silent, unreachable, used_up

ROUTE: Final = Route(make_provider(), "gpt-x")
ATTEMPTS: Final = 20
LIMITED, FLAKY, SILENT, REVOKED = range(1, 6), range(6, 9), range(9, 11), range(11, 12)
DEAD: Final = make_egress(4).id


@dataclass
class Pool20:
    """Accounts 1 to 20 behind four proxies; account n is behind proxy (n mod 4) + 1."""

    dice: random.Random = field(default_factory=lambda: random.Random(11))
    attempts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        proxies = [make_egress(number, f"http://127.0.0.1:{number}") for number in range(1, 5)]
        accounts = [assigned(make_stored(n), proxies[n % 4]) for n in range(1, 21)]
        self.house = House(accounts, snapshot=make_snapshot(accounts, proxies))
        self.is_proxy_dead = False

    def answer(self, lease: Lease) -> UpstreamError | None:
        number = int(lease.account.id, 16)
        if self.is_proxy_dead and lease.egress is not None and lease.egress.id == DEAD:
            return unreachable()
        if number in LIMITED:
            return used_up(3_600)
        if number in FLAKY:
            return broken() if self.dice.random() < 0.5 else None
        if number in SILENT:
            return silent()
        return rejected() if number in REVOKED else None

    async def request(self) -> bool:
        pool, now = self.house.pool, self.house.clock.now()
        turn = pool.desk(ROUTE).walk()
        for _ in range(ATTEMPTS):
            lease = await turn.next()
            if lease is None:
                return False
            error = self.answer(lease)
            is_ill = int(lease.account.id, 16) <= 11 or isinstance(error, UpstreamError)
            self.attempts["ill" if is_ill else "well"] += 1
            if error is None:
                pool.succeeded(lease, ROUTE, since=now)
                lease.release()
                return True
            pool.report(lease, ROUTE, error)
            turn.failed(lease)
            lease.release()
        return False

    async def run(self, requests: int, per_s: float = 100.0) -> int:
        """Return how many requests failed."""
        failures = 0
        for _ in range(requests):
            failures += not await self.request()
            self.house.clock.advance(1 / per_s)
        return failures


async def test_no_request_fails_and_within_a_minute_the_ill_are_hardly_asked() -> None:
    pool = Pool20()
    assert await pool.run(3_000) == 0
    pool.is_proxy_dead = True
    assert await pool.run(3_000) == 0
    pool.attempts.clear()
    assert await pool.run(4_000) == 0
    assert pool.attempts["ill"] < 0.01 * pool.attempts.total()


async def test_the_ill_are_known_for_what_they_have() -> None:
    pool = Pool20()
    await pool.run(3_000)
    pool.is_proxy_dead = True
    await pool.run(3_000)
    cooldowns, now = pool.house.cooldowns, pool.house.clock.now()
    reasons = {rest.subject: rest.reason.value for rest in cooldowns.active(now)}
    expected = {account_id(number): "quota" for number in LIMITED}
    expected |= {account_id(number): "timeout" for number in SILENT}
    expected |= {account_id(number): "upstream_auth" for number in REVOKED}
    assert expected.items() <= reasons.items()
    assert reasons[DEAD] == "egress_error"
    revoked = cooldowns.found(account_id(11), (EVERY_MODEL,), now)
    assert revoked is not None
    assert revoked.needs_operator
    well = {account_id(number) for number in range(12, 21)}
    assert not well & reasons.keys()
