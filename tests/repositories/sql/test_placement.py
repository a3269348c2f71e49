from dataclasses import replace

import pytest
from sqlalchemy import update

from models.account import EgressPolicy, EgressStatus
from repositories.base import AccountChange, EgressChange, Recalculated
from repositories.open import Repositories
from repositories.sql.tables import proxy_pool
from tests.repositories.build import OPEN, account, add_accounts, counters, places, proxy

REQUIRED, AUTO, DIRECT = EgressPolicy.REQUIRED, EgressPolicy.AUTO, EgressPolicy.DIRECT


async def test_capacities_two_three_and_unlimited_take_two_three_and_five_of_ten(
    stores: Repositories,
) -> None:
    for host, capacity in (("a", 2), ("b", 3), ("c", 0)):
        await stores.egress.create(proxy(host, capacity))
    await add_accounts(stores, 10)
    assert await counters(stores) == {"a": 2, "b": 3, "c": 5}
    assert await places(stores) == ["a"] * 2 + ["b"] * 3 + ["c"] * 5


async def test_proxies_fill_by_priority_then_age(stores: Repositories) -> None:
    await stores.egress.create(proxy("old", 1))
    await stores.egress.create(proxy("high", 1, priority=5))
    await stores.egress.create(proxy("young", 1))
    await stores.egress.create(proxy("low", 1, priority=-1))
    await add_accounts(stores, 5)
    assert await places(stores) == ["high", "old", "young", "low", "DIRECT"]


async def test_an_inactive_or_foreign_proxy_takes_nobody(stores: Repositories) -> None:
    await stores.egress.create(proxy("off", is_active=False))
    await stores.egress.create(proxy("theirs", provider_id="anthropic"))
    await add_accounts(stores, 1, REQUIRED)
    await add_accounts(stores, 1, REQUIRED, provider_id="anthropic")
    assert await places(stores) == ["WAITING", "theirs"]


@pytest.mark.parametrize(
    ("policy", "is_active", "expected"),
    [
        (REQUIRED, True, EgressStatus.WAITING),
        (AUTO, True, EgressStatus.DIRECT),
        (DIRECT, True, EgressStatus.DIRECT),
        (REQUIRED, False, EgressStatus.WAITING),
    ],
)
async def test_status_without_any_proxy(
    stores: Repositories, policy: EgressPolicy, is_active: bool, expected: EgressStatus
) -> None:
    created = await stores.accounts.create(account(policy, is_active=is_active), OPEN)
    assert (created.egress_status, created.egress_bound) == (expected, False)


async def test_a_direct_account_never_takes_a_place(stores: Repositories) -> None:
    await stores.egress.create(proxy("a"))
    await add_accounts(stores, 1, DIRECT)
    await stores.egress.create(proxy("b"))
    assert await places(stores) == ["DIRECT"]
    assert await counters(stores) == {"a": 0, "b": 0}


async def test_an_inactive_account_holds_no_place_and_takes_one_when_enabled(
    stores: Repositories,
) -> None:
    await stores.egress.create(proxy("a", 1))
    first, second = await add_accounts(stores, 2, REQUIRED)
    await stores.accounts.update(first.id, AccountChange(is_active=False))
    assert await places(stores) == ["WAITING", "a"]
    enabled = await stores.accounts.update(first.id, AccountChange(is_active=True))
    assert enabled.egress_status is EgressStatus.WAITING
    await stores.accounts.delete(second.id)
    assert await places(stores) == ["a"]
    assert await counters(stores) == {"a": 1}


async def test_a_new_proxy_lets_the_oldest_waiting_accounts_in_as_many_as_fit(
    stores: Repositories,
) -> None:
    await add_accounts(stores, 5, REQUIRED)
    await stores.egress.create(proxy("a", 2))
    assert await places(stores) == ["a", "a", "WAITING", "WAITING", "WAITING"]


async def test_waiting_accounts_come_before_older_ones_that_may_go_direct(
    stores: Repositories,
) -> None:
    await add_accounts(stores, 2, AUTO)
    await add_accounts(stores, 2, REQUIRED)
    await stores.egress.create(proxy("a", 3))
    assert await places(stores) == ["a", "DIRECT", "a", "a"]


async def test_an_auto_account_binds_to_its_first_proxy_and_then_never_goes_direct(
    stores: Repositories,
) -> None:
    created = await stores.egress.create(proxy("a", 1))
    (bound,) = await add_accounts(stores, 1, AUTO)
    assert bound.egress_bound
    await stores.egress.delete(created.id)
    assert await places(stores) == ["WAITING"]
    changed = await stores.accounts.update(bound.id, AccountChange(is_active=False))
    assert (changed.egress_status, changed.egress_bound) == (EgressStatus.WAITING, True)
    changed = await stores.accounts.update(bound.id, AccountChange(is_active=True, label="x"))
    assert (changed.egress_status, changed.egress_bound) == (EgressStatus.WAITING, True)


async def test_only_the_policy_direct_unbinds(stores: Repositories) -> None:
    created = await stores.egress.create(proxy("a", 1))
    (bound,) = await add_accounts(stores, 1, REQUIRED)
    await stores.egress.update(created.id, EgressChange(is_active=False))
    changed = await stores.accounts.update(bound.id, AccountChange(egress_policy=AUTO))
    assert changed.egress_status is EgressStatus.WAITING
    changed = await stores.accounts.update(bound.id, AccountChange(egress_policy=DIRECT))
    assert (changed.egress_status, changed.egress_bound) == (EgressStatus.DIRECT, False)
    changed = await stores.accounts.update(bound.id, AccountChange(egress_policy=AUTO))
    assert (changed.egress_status, changed.egress_bound) == (EgressStatus.DIRECT, False)


async def test_a_change_of_policy_to_direct_gives_the_place_to_the_next(
    stores: Repositories,
) -> None:
    await stores.egress.create(proxy("a", 1))
    first, _ = await add_accounts(stores, 2, REQUIRED)
    await stores.accounts.update(first.id, AccountChange(egress_policy=DIRECT))
    assert await places(stores) == ["DIRECT", "a"]
    assert await counters(stores) == {"a": 1}


async def test_deleting_three_assigned_accounts_lets_exactly_three_in(
    stores: Repositories,
) -> None:
    await stores.egress.create(proxy("a", 4))
    created = await add_accounts(stores, 10, REQUIRED)
    for gone in created[:3]:
        await stores.accounts.delete(gone.id)
    assert await places(stores) == ["a"] * 4 + ["WAITING"] * 3
    assert await counters(stores) == {"a": 4}


async def test_accounts_of_a_deleted_proxy_move_or_wait(stores: Repositories) -> None:
    first = await stores.egress.create(proxy("a", 3, priority=1))
    await stores.egress.create(proxy("b", 2))
    await add_accounts(stores, 3, AUTO)
    await stores.egress.delete(first.id)
    assert await places(stores) == ["b", "b", "WAITING"]
    assert await counters(stores) == {"b": 2}


async def test_switching_a_proxy_off_moves_its_accounts_and_on_lets_them_in(
    stores: Repositories,
) -> None:
    first = await stores.egress.create(proxy("a", 2, priority=1))
    await stores.egress.create(proxy("b", 1))
    await add_accounts(stores, 2, REQUIRED)
    await stores.egress.update(first.id, EgressChange(is_active=False))
    assert await places(stores) == ["b", "WAITING"]
    await stores.egress.update(first.id, EgressChange(is_active=True))
    assert await places(stores) == ["b", "a"]
    assert await counters(stores) == {"a": 1, "b": 1}


async def test_another_provider_of_a_proxy_sends_away_those_that_no_longer_fit(
    stores: Repositories,
) -> None:
    created = await stores.egress.create(proxy("a", 2))
    await add_accounts(stores, 1, REQUIRED)
    await add_accounts(stores, 2, REQUIRED, provider_id="anthropic")
    assert await places(stores) == ["a", "a", "WAITING"]
    await stores.egress.update(created.id, EgressChange(provider_id="anthropic"))
    assert await places(stores) == ["WAITING", "a", "a"]
    await stores.egress.update(created.id, EgressChange(provider_id=None, max_accounts=3))
    assert await places(stores) == ["a", "a", "a"]


async def test_a_smaller_capacity_moves_nobody_and_a_larger_one_lets_in(
    stores: Repositories,
) -> None:
    created = await stores.egress.create(proxy("a", 2))
    all_accounts = await add_accounts(stores, 4, REQUIRED)
    await stores.egress.update(created.id, EgressChange(max_accounts=1))
    assert await counters(stores) == {"a": 2}
    await stores.accounts.delete(all_accounts[0].id)
    assert await places(stores) == ["a", "WAITING", "WAITING"]
    await stores.egress.update(created.id, EgressChange(max_accounts=0))
    assert await places(stores) == ["a", "a", "a"]


async def test_another_priority_or_address_moves_nobody(stores: Repositories) -> None:
    await stores.egress.create(proxy("a", 1, priority=1))
    second = await stores.egress.create(proxy("b", 1))
    await add_accounts(stores, 2, AUTO)
    url = "socks5://elsewhere.example:1080"
    changed = await stores.egress.update(second.id, EgressChange(priority=9, url=url))
    assert (changed.url, changed.assigned) == (url, 1)
    assert await places(stores) == ["a", "b"]


async def test_recalculate_mends_counters_and_fills(stores: Repositories) -> None:
    first = await stores.egress.create(proxy("a", 2))
    await stores.egress.create(proxy("b", 1))
    await add_accounts(stores, 1, REQUIRED)
    wrong = update(proxy_pool).where(proxy_pool.c.id == first.id).values(assigned=2)
    await stores.db.run(lambda connection: connection.execute(wrong).rowcount)
    await add_accounts(stores, 2, REQUIRED)
    assert await places(stores) == ["a", "b", "WAITING"]
    assert await stores.egress.recalculate() == Recalculated(proxies=2, corrected=1, placed=1)
    assert await places(stores) == ["a", "b", "a"]
    assert await counters(stores) == {"a": 2, "b": 1}
    assert await stores.egress.recalculate() == Recalculated(proxies=2, corrected=0, placed=0)


async def test_every_placement_raises_the_revision(stores: Repositories) -> None:
    before = await stores.revisions.current()
    created = await stores.egress.create(proxy("a", 1))
    (placed,) = await add_accounts(stores, 1)
    await stores.accounts.update(placed.id, AccountChange(is_active=False))
    await stores.egress.update(created.id, EgressChange(max_accounts=3))
    await stores.egress.delete(created.id)
    await stores.accounts.delete(placed.id)
    assert await stores.revisions.current() == before + 6


async def test_a_failed_change_leaves_places_and_revision_alone(stores: Repositories) -> None:
    await stores.egress.create(proxy("a", 1))
    (placed,) = await add_accounts(stores, 1)
    before = await stores.revisions.current()
    with pytest.raises(Exception, match="already"):
        await stores.accounts.create(replace(placed, label="again"), OPEN)
    with pytest.raises(Exception, match="no provider"):
        await stores.accounts.create(account(provider_id="nobody"), OPEN)
    assert await stores.revisions.current() == before
    assert await counters(stores) == {"a": 1}


async def test_an_account_takes_the_proxy_it_wishes_for_and_the_first_free_one_otherwise(
    stores: Repositories,
) -> None:
    """A login left through a proxy: the account belongs there, if there still is room."""
    await stores.egress.create(proxy("first"))
    wished = await stores.egress.create(proxy("wished", 1))
    foreign = await stores.egress.create(proxy("theirs", provider_id="anthropic"))
    off = await stores.egress.create(proxy("off", is_active=False))
    for proxy_id in (wished.id, wished.id, foreign.id, off.id, "f" * 32, None):
        await stores.accounts.create(account(AUTO, proxy_id=proxy_id), OPEN)
    await stores.accounts.create(account(DIRECT, proxy_id=wished.id), OPEN)
    assert await places(stores) == ["wished", *["first"] * 5, "DIRECT"]
    assert await counters(stores) == {"first": 5, "wished": 1, "theirs": 0, "off": 0}
