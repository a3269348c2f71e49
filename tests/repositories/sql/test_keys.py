from dataclasses import replace

import pytest

from auth.keys import hash_key, hint, new_key
from models.errors import Conflict, NotFound
from models.ids import new_id
from models.principal import ApiKey
from repositories.open import Repositories
from tests.fakes.clock import FakeClock


def _key(name: str = "a key", *, is_admin: bool = False) -> ApiKey:
    secret = new_key()
    return ApiKey(new_id(), name, hash_key(secret, b"pepper"), hint(secret), is_admin)


async def test_a_key_reads_back_as_it_was_created(stores: Repositories, clock: FakeClock) -> None:
    wanted = replace(_key("Schl\u00fcssel", is_admin=True), expires_at=1_900_000_000.125)
    before = await stores.revisions.current()
    created = await stores.keys.create(wanted)
    assert created == replace(wanted, created_at=clock.now())
    assert await stores.keys.get(wanted.id) == created
    assert await stores.keys.all() == [created]
    assert await stores.revisions.current() == before + 1


async def test_a_hash_belongs_to_one_key(stores: Repositories) -> None:
    created = await stores.keys.create(_key())
    with pytest.raises(Conflict):
        await stores.keys.create(replace(created, id=new_id()))
    with pytest.raises(Conflict):
        await stores.keys.create(replace(_key(), id=created.id))
    assert len(await stores.keys.all()) == 1


async def test_a_change_touches_what_it_names_and_is_seen_by_every_replica(
    stores: Repositories,
) -> None:
    created = await stores.keys.create(_key())
    before = await stores.revisions.current()
    changed = await stores.keys.update(created.id, name="new", expires_at=1_900_000_000.0)
    assert changed == replace(created, name="new", expires_at=1_900_000_000.0)
    changed = await stores.keys.update(created.id, is_admin=True, is_active=False, expires_at=None)
    assert (changed.is_admin, changed.is_active, changed.expires_at) == (True, False, None)
    assert await stores.keys.update(created.id) == changed
    await stores.keys.delete(created.id)
    assert await stores.keys.all() == []
    assert await stores.revisions.current() == before + 4


async def test_what_does_not_exist(stores: Repositories) -> None:
    assert await stores.keys.get("0" * 32) is None
    with pytest.raises(NotFound):
        await stores.keys.update("0" * 32, name="x")
    with pytest.raises(NotFound):
        await stores.keys.delete("0" * 32)


async def test_pages_are_in_id_order(stores: Repositories) -> None:
    created = [await stores.keys.create(_key(f"key {number}")) for number in range(4)]
    page = await stores.keys.page(limit=2, offset=1)
    assert (list(page.data), page.total) == (created[1:3], 4)
