import asyncio

from repositories.open import Repositories

NOW = 1_800_000_000.0


async def test_a_cursor_is_where_it_was_put(stores: Repositories) -> None:
    assert await stores.cursors.get("webhook") is None
    await stores.cursors.put("webhook", "17", now=NOW)
    await stores.cursors.put("webhook", "18", now=NOW)
    await stores.cursors.put("other", "1", now=NOW)
    assert await stores.cursors.get("webhook") == "18"


async def test_one_of_many_leads(stores: Repositories) -> None:
    owners = [f"replica {n}" for n in range(8)]

    async def lead(owner: str, now: float = NOW) -> bool:
        return await stores.cursors.lead("l", owner, now=now, lease_s=45)

    won = await asyncio.gather(*map(lead, owners))
    assert won.count(True) == 1
    leader = owners[won.index(True)]
    follower = next(owner for owner in owners if owner != leader)
    assert await lead(leader, NOW + 40)
    assert not await lead(follower, NOW + 80)
    assert await lead(follower, NOW + 86)
    assert not await lead(leader, NOW + 87)


async def test_a_lease_that_is_given_back_is_free_at_once(stores: Repositories) -> None:
    assert await stores.cursors.lead("l", "one", now=NOW, lease_s=45)
    await stores.cursors.free("l", "two")
    assert not await stores.cursors.lead("l", "two", now=NOW, lease_s=45)
    await stores.cursors.free("l", "one")
    assert await stores.cursors.lead("l", "two", now=NOW, lease_s=45)
