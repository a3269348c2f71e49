"""What changes while a request waits for its place counts: nobody is served by what was before."""

import asyncio

import pytest

from models.account import StoredAccount
from models.egress import EgressProxy
from repositories.shared_memory import MemoryState
from services.slots import Lease
from tests.builders import assigned, make_egress, make_snapshot, make_stored
from tests.services.pool_rig import ROUTE, House, number_of
from tests.waiting import until


class Slow(MemoryState):
    """Shared state that answers about places when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()
        self.asked = 0

    async def take_slot(self, account_id: str, holder: str, limit: int, ttl_s: float) -> int:
        self.asked += 1
        await self.may_answer.wait()
        return await super().take_slot(account_id, holder, limit, ttl_s)


PROXY = make_egress(1)


async def lent(
    before: list[StoredAccount], after: list[StoredAccount], proxies: list[EgressProxy]
) -> tuple[House, Lease | None]:
    """Let a request ask for its place, and things change meanwhile; return what it was lent."""
    shared = Slow()
    house = House(before, snapshot=make_snapshot(before, [PROXY]), shared=shared)
    asking = asyncio.create_task(house.lease())
    await until(lambda: shared.asked == 1)
    house.snapshot = make_snapshot(after, proxies, revision=2)
    house.pool.picture(ROUTE)  # another request takes the change in
    shared.may_answer.set()
    return house, await asking


async def test_an_account_whose_proxy_is_switched_off_meanwhile_never_goes_direct() -> None:
    account = assigned(make_stored(1, max_concurrent=2), PROXY)
    house, lease = await lent([account], [account], [])
    assert lease is None
    assert house.pool.inflight(account.account.id) == 0


@pytest.mark.parametrize(
    "after",
    [
        pytest.param([make_stored(2)], id="deleted"),
        pytest.param([make_stored(1, is_active=False), make_stored(2)], id="switched off"),
    ],
)
async def test_who_is_gone_meanwhile_does_not_serve_and_another_does(
    after: list[StoredAccount],
) -> None:
    before = [make_stored(1, max_concurrent=2), make_stored(2)]
    house, lease = await lent(before, after, [])
    assert lease is not None
    assert number_of(lease) == 2
    lease.release()
    async with house.kept():
        await until(lambda: not house.pool.slots._leaving)
    assert await house.shared.slots_taken([before[0].account.id]) == [0]
