import asyncio
from dataclasses import replace

import pytest

from models.account import EgressPolicy
from models.errors import Conflict, NotFound
from repositories.base import Added, EgressChange, EgressCheck
from repositories.open import Repositories
from tests.fakes.clock import FakeClock
from tests.repositories.build import add_accounts, places, proxy


async def test_a_proxy_reads_back_as_it_was_created(stores: Repositories, clock: FakeClock) -> None:
    wanted = proxy("one", 7, priority=-2, provider_id="openai", is_active=False)
    created = await stores.egress.create(wanted)
    assert created == replace(wanted, created_at=clock.now(), updated_at=clock.now())
    assert await stores.egress.get(wanted.id) == created
    assert await stores.egress.all() == [created]


async def test_one_address_is_one_proxy(stores: Repositories) -> None:
    first = await stores.egress.create(proxy("one"))
    second = await stores.egress.create(proxy("two"))
    with pytest.raises(Conflict, match=first.id):
        await stores.egress.create(proxy("one"))
    with pytest.raises(Conflict, match=first.id):
        await stores.egress.update(second.id, EgressChange(url=first.url))
    same = await stores.egress.update(first.id, EgressChange(url=first.url, label="again"))
    assert (same.url, same.label) == (first.url, "again")
    await stores.egress.delete(first.id)
    assert (await stores.egress.update(second.id, EgressChange(url=first.url))).url == first.url


async def test_what_does_not_exist(stores: Repositories) -> None:
    assert await stores.egress.get("0" * 32) is None
    created = await stores.egress.create(proxy("one"))
    for refused in (
        stores.egress.update("0" * 32, EgressChange(label="x")),
        stores.egress.delete("0" * 32),
        stores.egress.assignments("0" * 32),
        stores.egress.create(proxy("two", provider_id="nobody")),
        stores.egress.update(created.id, EgressChange(provider_id="nobody")),
    ):
        with pytest.raises(NotFound):
            await refused


async def test_a_change_touches_what_it_names_and_nothing_else(
    stores: Repositories, clock: FakeClock
) -> None:
    created = await stores.egress.create(proxy("one", 3, provider_id="openai"))
    clock.advance(5)
    changed = await stores.egress.update(created.id, EgressChange(priority=8))
    assert changed == replace(created, priority=8, updated_at=clock.now())
    changed = await stores.egress.update(created.id, EgressChange(provider_id=None))
    assert changed.provider_id is None


async def test_pages_are_in_id_order_and_filtered(stores: Repositories) -> None:
    first = await stores.egress.create(proxy("one"))
    second = await stores.egress.create(proxy("two", provider_id="openai"))
    third = await stores.egress.create(proxy("three", is_active=False))
    page = await stores.egress.page(limit=2, offset=1)
    assert (list(page.data), page.total) == ([second, third], 3)
    page = await stores.egress.page(limit=5, offset=0, provider_id="openai")
    assert (list(page.data), page.total) == ([second], 1)
    page = await stores.egress.page(limit=5, offset=0, is_active=True)
    assert (list(page.data), page.total) == ([first, second], 2)


async def test_assignments_are_the_accounts_in_id_order(stores: Repositories) -> None:
    created = await stores.egress.create(proxy("one", 2))
    placed = await add_accounts(stores, 3)
    assert await stores.egress.assignments(created.id) == placed[:2]


async def test_what_a_probe_found_is_kept_and_no_snapshot_is_loaded_for_it(
    stores: Repositories, clock: FakeClock
) -> None:
    created = await stores.egress.create(proxy("one"))
    before, at = await stores.revisions.current(), clock.now()
    good = EgressCheck(at, None, 12.5, "203.0.113.7", "DE")
    await stores.egress.store_check(created.id, good)
    found = replace(
        created,
        checked_at=at,
        latency_ms=12.5,
        exit_address="203.0.113.7",
        exit_country="DE",
    )
    assert await stores.egress.get(created.id) == found
    await stores.egress.store_check(created.id, EgressCheck(at + 5, "refused"))
    failed = replace(found, checked_at=at + 5, check_error="refused")
    assert await stores.egress.get(created.id) == failed
    # One that took longer and began before says nothing new.
    await stores.egress.store_check(created.id, good)
    assert await stores.egress.get(created.id) == failed
    await stores.egress.store_check("0" * 32, good)
    assert await stores.revisions.current() == before


async def test_of_many_new_proxies_those_come_whose_address_is_new(stores: Repositories) -> None:
    old = await stores.egress.create(proxy("one", 1))
    await add_accounts(stores, 4, EgressPolicy.REQUIRED)
    twin, second, third = proxy("one"), proxy("two", 1), proxy("three", 1)
    before = await stores.revisions.current()
    added = await stores.egress.create_many([twin, second, third])
    assert added == [Added(old.id, False), Added(second.id, True), Added(third.id, True)]
    assert await stores.revisions.current() == before + 1
    assert await places(stores) == ["one", "two", "three", "WAITING"]
    urls = [twin.url, third.url, "http://nobody.example:1"]
    assert await stores.egress.known(urls) == {old.url: old.id, third.url: third.id}
    some = await stores.egress.some([third.id, old.id, "0" * 32])
    assert [found.url for found in some] == [old.url, third.url]
    with pytest.raises(NotFound):
        await stores.egress.create_many([proxy("four", provider_id="nobody")])


async def test_the_same_list_stored_twice_at_once_is_stored_once(stores: Repositories) -> None:
    hosts = [f"h{number}" for number in range(40)]
    both = await asyncio.gather(
        *(stores.egress.create_many([proxy(host) for host in hosts]) for _ in range(2))
    )
    assert sorted(sum(one.is_new for one in added) for added in both) == [0, 40]
    assert [one.proxy_id for one in both[0]] == [one.proxy_id for one in both[1]]
    assert len(await stores.egress.all()) == 40
