"""Accounts leave a proxy by an operator's will only, and never without a place elsewhere."""

import asyncio
from collections import Counter

import pytest

from models.account import EgressPolicy
from models.errors import NotFound
from repositories.base import AccountChange, Move
from repositories.open import Repositories
from tests.repositories.build import add_accounts, counters, places, proxy

REQUIRED, AUTO = EgressPolicy.REQUIRED, EgressPolicy.AUTO


async def test_accounts_move_in_order_to_the_first_proxies_with_room_and_the_rest_stays(
    stores: Repositories,
) -> None:
    dead = await stores.egress.create(proxy("dead", 5, priority=9))
    placed = await add_accounts(stores, 5, AUTO)
    first = await stores.egress.create(proxy("first", 1, priority=5))
    second = await stores.egress.create(proxy("second", 2))
    moves = await stores.egress.rehome(dead.id, dry_run=False)
    went = [first.id, second.id, second.id, None, None]
    assert moves == [
        Move(account.id, proxy_id) for account, proxy_id in zip(placed, went, strict=True)
    ]
    assert await places(stores) == ["first", "second", "second", "dead", "dead"]
    assert await counters(stores) == {"dead": 2, "first": 1, "second": 2}


async def test_a_dry_run_tells_what_would_happen_and_changes_nothing(stores: Repositories) -> None:
    dead = await stores.egress.create(proxy("dead", 3, priority=9))
    await add_accounts(stores, 3, AUTO)
    await stores.egress.create(proxy("other", 2))
    before = await stores.revisions.current()
    told = await stores.egress.rehome(dead.id, dry_run=True)
    assert await places(stores) == ["dead"] * 3
    assert await stores.revisions.current() == before
    assert await stores.egress.rehome(dead.id, dry_run=False) == told
    assert await stores.revisions.current() == before + 1


async def test_nobody_moves_to_a_proxy_that_is_avoided_inactive_or_of_another_provider(
    stores: Repositories,
) -> None:
    dead = await stores.egress.create(proxy("dead", 0, priority=9))
    await add_accounts(stores, 2, REQUIRED)
    sick = await stores.egress.create(proxy("sick", priority=8))
    await stores.egress.create(proxy("off", priority=7, is_active=False))
    await stores.egress.create(proxy("theirs", priority=6, provider_id="anthropic"))
    moves = await stores.egress.rehome(dead.id, dry_run=False, avoiding=[sick.id])
    assert [move.proxy_id for move in moves] == [None, None]
    assert await places(stores) == ["dead", "dead"]


async def test_accounts_elsewhere_keep_their_places_and_freed_ones_are_not_given_away(
    stores: Repositories,
) -> None:
    dead = await stores.egress.create(proxy("dead", 1, priority=9))
    await stores.egress.create(proxy("full", 1, priority=8))
    await add_accounts(stores, 2, AUTO)
    direct = await add_accounts(stores, 1, AUTO)
    assert await places(stores) == ["dead", "full", "DIRECT"]
    # A place for exactly one, and somebody who goes direct by chance.
    await stores.accounts.update(direct[0].id, AccountChange(egress_policy=EgressPolicy.DIRECT))
    await stores.egress.create(proxy("free", 1))
    await stores.accounts.update(direct[0].id, AccountChange(label="unmoved"))
    await stores.egress.rehome(dead.id, dry_run=False)
    assert await places(stores) == ["free", "full", "DIRECT"]
    assert await counters(stores) == {"dead": 0, "full": 1, "free": 1}


async def test_rehoming_two_proxies_at_once_while_accounts_come_keeps_capacities(
    stores: Repositories,
) -> None:
    one = await stores.egress.create(proxy("one", 6, priority=9))
    two = await stores.egress.create(proxy("two", 6, priority=8))
    await add_accounts(stores, 12, REQUIRED)
    await stores.egress.create(proxy("room", 5))
    await asyncio.gather(
        stores.egress.rehome(one.id, dry_run=False, avoiding=[two.id]),
        stores.egress.rehome(two.id, dry_run=False, avoiding=[one.id]),
        *(add_accounts(stores, 1, REQUIRED) for _ in range(4)),
    )
    found = await counters(stores)
    assert found["room"] == 5
    assert found["one"] <= 6
    assert found["two"] <= 6
    held = Counter(await places(stores))
    assert sum(held.values()) == 16
    assert held["DIRECT"] == 0


async def test_an_unknown_proxy_cannot_be_left(stores: Repositories) -> None:
    for dry_run in (True, False):
        with pytest.raises(NotFound):
            await stores.egress.rehome("0" * 32, dry_run=dry_run)
