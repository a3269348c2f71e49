"""Which account serves next."""

from collections import Counter

import pytest

from models.account import AuthType, EgressPolicy, EgressStatus, TokenState
from models.errors import Blame, ConnectFailed, ErrorKind, NoCapacity, TimedOut, UpstreamError
from providers.base import Route
from repositories.shared_memory import MemoryState
from services.cooldown import Cooldowns
from services.pauses import Pauses
from services.pool import Lease, Pool
from services.snapshot import Snapshot
from tests.builders import (
    assigned,
    make_egress,
    make_provider,
    make_snapshot,
    make_stored,
)
from tests.fakes.clock import FakeClock

ROUTE = Route(make_provider(), "gpt-x")
LIMITED = UpstreamError("slow down", kind=ErrorKind.RATE_LIMIT, retry_after_s=60)


class House:
    """A pool whose snapshot can be exchanged."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.clock = FakeClock()
        self.cooldowns = Cooldowns(Pauses(), self.clock)
        self.pool = Pool(lambda: self.snapshot, MemoryState(), self.cooldowns, self.clock)

    async def next(self) -> str | None:
        turn = await self.pool.turn(ROUTE)
        lease = turn.next()
        return lease.account.label if lease is not None else None


def house(count: int, **changes: object) -> House:
    return House(make_snapshot([make_stored(n, **changes) for n in range(1, count + 1)]))


async def test_every_account_serves_the_same_number_of_requests() -> None:
    pool = house(7)
    served = Counter([await pool.next() for _ in range(7 * 30)])
    assert set(served.values()) == {30}


async def test_failover_takes_the_following_account_without_another_turn() -> None:
    pool = house(3)
    turn = await pool.pool.turn(ROUTE)
    walked = []
    while (lease := turn.next()) is not None:
        walked.append(lease.account.label)
        turn.tried.add(lease.account.id)
    assert walked == ["account 1", "account 2", "account 3"]
    assert await pool.next() == "account 2"


@pytest.mark.parametrize(
    "change",
    [
        {"is_active": False},
        {"models": ("gpt-other",)},
        {"egress_status": EgressStatus.WAITING, "egress_policy": EgressPolicy.REQUIRED},
        {"proxy_id": "gone", "egress_status": EgressStatus.ASSIGNED},
        {"proxy_id": "gone", "egress_status": EgressStatus.DIRECT},
        {"egress_bound": True, "egress_status": EgressStatus.DIRECT},
    ],
)
async def test_an_account_that_may_not_serve_is_passed_over(change: dict[str, object]) -> None:
    pool = House(make_snapshot([make_stored(1, **change), make_stored(2)]))
    assert {await pool.next() for _ in range(4)} == {"account 2"}


async def test_an_account_that_needs_a_login_is_passed_over() -> None:
    dead = make_stored(1, auth_type=AuthType.OAUTH, token_state=TokenState.NEEDS_REAUTH)
    pool = House(make_snapshot([dead, make_stored(2)]))
    assert {await pool.next() for _ in range(4)} == {"account 2"}


async def test_a_resting_account_returns_when_its_time_is_over() -> None:
    pool = house(2)
    first = pool.snapshot.by_provider["openai"][0]
    pool.pool.report(Lease(first, None), ROUTE, LIMITED)
    assert {await pool.next() for _ in range(4)} == {"account 2"}
    pool.clock.advance(60.1)
    assert {await pool.next() for _ in range(4)} == {"account 1", "account 2"}


async def test_the_best_priority_serves_alone_until_nobody_of_it_can() -> None:
    low, high = make_stored(1, priority=0), make_stored(2, priority=5)
    pool = House(make_snapshot([low, high]))
    assert {await pool.next() for _ in range(4)} == {"account 2"}
    pool.pool.report(Lease(high, None), ROUTE, LIMITED)
    assert await pool.next() == "account 1"


async def test_accounts_behind_a_dead_proxy_wait_and_the_others_serve() -> None:
    egress = make_egress()
    behind = assigned(make_stored(1), egress)
    pool = House(make_snapshot([behind, make_stored(2)], [egress]))
    dead = ConnectFailed("dead", blame=Blame.EGRESS)
    pool.pool.report(Lease(behind, egress), ROUTE, dead)
    assert {await pool.next() for _ in range(4)} == {"account 2"}
    assert "1 proxy_down" in pool.pool.refusal(ROUTE).message


async def test_a_bound_account_never_goes_direct() -> None:
    egress = make_egress(is_active=False)
    pool = House(make_snapshot([assigned(make_stored(1), egress)], [egress]))
    account = pool.snapshot.by_provider["openai"][0].account
    with pytest.raises(NoCapacity):
        pool.pool.egress_of(account)
    assert await pool.next() is None


async def test_a_passing_fault_never_benches_the_last_account() -> None:
    pool = house(1)
    lease = Lease(pool.snapshot.by_provider["openai"][0], None)
    for _ in range(5):
        pool.pool.report(lease, ROUTE, TimedOut("slow"))
    assert await pool.next() == "account 1"


async def test_all_resting_for_rates_is_429_with_the_earliest_end() -> None:
    pool = house(2)
    for number, stored in enumerate(pool.snapshot.by_provider["openai"]):
        error = UpstreamError("x", kind=ErrorKind.RATE_LIMIT, retry_after_s=30 + number)
        pool.pool.report(Lease(stored, None), ROUTE, error)
    refusal = pool.pool.refusal(ROUTE)
    assert (refusal.status, refusal.retry_after_s) == (429, 30)
    assert refusal.details == {"reasons": {"cooling_rate_limit": 2}}


async def test_other_obstacles_are_503_with_the_reasons_counted() -> None:
    pool = House(make_snapshot([make_stored(1, is_active=False), make_stored(2)]))
    stored = pool.snapshot.by_provider["openai"][1]
    error = UpstreamError("x", kind=ErrorKind.UPSTREAM_AUTH, blame=Blame.ACCOUNT)
    pool.pool.report(Lease(stored, None), ROUTE, error)
    refusal = pool.pool.refusal(ROUTE)
    assert refusal.status == 503
    assert refusal.details == {"reasons": {"inactive": 1, "cooling_upstream_auth": 1}}
    assert refusal.retry_after_s is not None


async def test_a_new_snapshot_counts_at_once() -> None:
    pool = house(1)
    assert await pool.next() == "account 1"
    pool.snapshot = make_snapshot([make_stored(5)], revision=2)
    assert await pool.next() == "account 5"
