"""Accounts leave a proxy by an operator's word or policy only (pain 39)."""

from collections.abc import AsyncIterator

import pytest

from models.errors import NotFound
from models.event import EventKind
from tests.fakes.proxies import FakeProxy
from tests.services.egress_rig import EgressRig, open_egress_rig


@pytest.fixture
async def rig() -> AsyncIterator[EgressRig]:
    async with open_egress_rig() as opened:
        yield opened


async def test_an_operator_sees_who_would_go_where_and_then_it_happens_so(rig: EgressRig) -> None:
    dead = await rig.add_proxy(FakeProxy(), max_accounts=3)
    await rig.add_accounts(3)
    other = await rig.add_proxy(FakeProxy(), max_accounts=2)
    rehoming = rig.rehoming()
    told = await rehoming.rehome(dead, dry_run=True)
    assert [(move.account.label, move.proxy_id) for move in told] == [
        ("a0", other),
        ("a1", other),
        ("a2", None),
    ]
    assert set((await rig.homes()).values()) == {dead}
    assert rig.told == []
    done = await rehoming.rehome(dead, dry_run=False)
    assert [(move.account.id, move.proxy_id) for move in done] == [
        (move.account.id, move.proxy_id) for move in told
    ]
    assert await rig.homes() == {"a0": other, "a1": other, "a2": dead}
    assert [(event.kind, event.account_id, event.details) for event in rig.told] == [
        (EventKind.ACCOUNT_REHOMED, move.account.id, {"from": dead, "to": other})
        for move in done[:2]
    ]


async def test_nobody_moves_to_a_proxy_in_quarantine(rig: EgressRig) -> None:
    dead = await rig.add_proxy(FakeProxy())
    await rig.add_accounts(2)
    sick, well = await rig.add_proxy(FakeProxy()), await rig.add_proxy(FakeProxy())
    rig.fail(sick, 3)
    moves = await rig.rehoming().rehome(dead, dry_run=False)
    assert [move.proxy_id for move in moves] == [well, well]


async def test_without_a_policy_nobody_ever_moves(rig: EgressRig) -> None:
    dead = await rig.add_proxy(FakeProxy())
    await rig.add_accounts(2)
    await rig.add_proxy(FakeProxy())
    rig.fail(dead, 3)
    rig.clock.advance(25)
    await rig.rehoming(after_s=0).overdue()
    assert set((await rig.homes()).values()) == {dead}


async def test_the_policy_moves_accounts_when_a_quarantine_has_lasted_long_enough(
    rig: EgressRig,
) -> None:
    dead = await rig.add_proxy(FakeProxy(), max_accounts=2)
    well = await rig.add_proxy(FakeProxy(), max_accounts=2)
    third = await rig.add_proxy(FakeProxy())
    await rig.add_accounts(4)
    before = await rig.homes()
    rehoming = rig.rehoming(after_s=100)
    rig.fail(dead, 3)
    for moment in range(0, 100, 10):  # one quarantine follows the other: together they count
        rest = rig.conditions.rest(dead)
        assert rest is not None
        if rest.opens_at <= rig.clock.now():
            rig.fail(dead)
        await rehoming.overdue()
        assert await rig.homes() == before, moment
        rig.clock.advance(10)
    await rehoming.overdue()
    after = await rig.homes()
    assert [before[label] for label in sorted(before)] == [dead, dead, well, well]
    assert [after[label] for label in sorted(after)] == [third, third, well, well]
    assert len(rig.told) == 2


async def test_a_proxy_that_recovered_in_between_keeps_its_accounts(rig: EgressRig) -> None:
    dead = await rig.add_proxy(FakeProxy())
    await rig.add_accounts(1)
    await rig.add_proxy(FakeProxy())
    rig.fail(dead, 3)
    rig.clock.advance(90)
    rig.conditions.succeeded(dead, since=rig.clock.now())
    rig.fail(dead, 3)
    rig.clock.advance(20)
    await rig.rehoming(after_s=100).overdue()
    assert set((await rig.homes()).values()) == {dead}


async def test_with_no_room_anywhere_they_stay_and_nothing_is_written_each_minute(
    rig: EgressRig,
) -> None:
    dead = await rig.add_proxy(FakeProxy())
    await rig.add_accounts(1)
    rig.fail(dead, 3)
    rig.clock.advance(200)
    before = await rig.stores.revisions.current()
    await rig.rehoming(after_s=100).overdue()
    assert set((await rig.homes()).values()) == {dead}
    assert await rig.stores.revisions.current() == before


async def test_an_unknown_proxy_is_not_found(rig: EgressRig) -> None:
    with pytest.raises(NotFound):
        await rig.rehoming().rehome("0" * 32, dry_run=True)
