import asyncio
from dataclasses import replace

from sqlalchemy import text

from models.event import Event, EventKind
from models.ids import new_id
from repositories.open import Repositories, open_repositories

NOON = 1_800_014_400.0
ACCOUNT, PROXY = "a" * 32, "b" * 32


def event(**changes: object) -> Event:
    plain = Event(new_id(), NOON, EventKind.ACCOUNT_COOLED, "account 'a' cools for 60 s")
    return replace(plain, **changes)  # type: ignore[arg-type] # names are checked at run time


async def test_an_event_reads_back_as_it_was_stored(stores: Repositories) -> None:
    full = event(
        provider_id="openai",
        account_id=ACCOUNT,
        proxy_id=PROXY,
        details={"seconds": 60.5, "reason": "rate_limit", "models": ["*"]},
    )
    await stores.events.store([full, event()])
    assert await stores.events.after(0, limit=1) == [replace(full, position=1)]
    assert await stores.events.last_position() == 2


async def test_events_stored_twice_are_there_once_and_keep_their_position(
    stores: Repositories,
) -> None:
    batch = [event() for _ in range(3)]
    await stores.events.store(batch[:2])
    await stores.events.store(batch)
    await stores.events.store([])
    found = await stores.events.after(0, limit=10)
    assert [one.id for one in found] == [one.id for one in batch]
    assert [one.position for one in found][:2] == [1, 2]
    assert found[2].position > 2


async def test_a_reader_misses_nothing_of_replicas_that_store_at_once(
    stores: Repositories, database_url: str
) -> None:
    """Ids are made before events are stored: a slower replica's come later and are smaller."""
    seen: list[str] = []

    async def read(total: int) -> None:
        position = 0
        while len(seen) < total:
            for one in await stores.events.after(position, limit=7):
                assert one.position > position
                position = one.position
                seen.append(one.id)

    async with open_repositories(database_url, stores.vault, clock=stores.clock) as other:
        batches = [[event() for _ in range(5)] for _ in range(40)]

        replicas = [stores, other] * 20
        writing = [
            one.events.store(batch) for one, batch in zip(replicas, reversed(batches), strict=True)
        ]
        await asyncio.gather(read(200), *writing)
    assert len(seen) == 200
    assert set(seen) == {one.id for batch in batches for one in batch}


async def test_events_are_listed_newest_first_and_by_what_they_are_about(
    stores: Repositories,
) -> None:
    cooled = event(account_id=ACCOUNT)
    dead = event(at=NOON + 1, kind=EventKind.PROXY_QUARANTINED, proxy_id=PROXY)
    other = event(at=NOON + 2)
    await stores.events.store([other, cooled, dead])

    async def ids(**wanted: object) -> list[str]:
        page = await stores.events.page(limit=10, offset=0, **wanted)  # type: ignore[arg-type] # names are checked at run time
        assert page.total == len(page.data)
        return [one.id for one in page.data]

    assert await ids() == [other.id, dead.id, cooled.id]
    assert await ids(kind="proxy.quarantined") == [dead.id]
    assert await ids(account_id=ACCOUNT) == [cooled.id]
    assert await ids(proxy_id=PROXY) == [dead.id]
    assert await ids(since=NOON + 1) == [other.id, dead.id]


async def test_hostile_texts_are_cut_and_the_event_is_kept(stores: Repositories) -> None:
    hostile = "\ud800'; DROP TABLE events; --\x00\U0001f4a3\r\n" * 50
    await stores.events.store(
        [event(message=hostile, account_id=hostile, details={hostile: hostile})]
    )
    (kept,) = await stores.events.after(0, limit=10)
    assert len(kept.message) == 255
    assert kept.details == {hostile: hostile}


async def test_a_kind_that_a_newer_version_stored_is_passed_over(stores: Repositories) -> None:
    first, second = event(), event()
    await stores.events.store([first, second])
    change = text("UPDATE events SET kind = 'moon.eclipsed' WHERE id = :id")
    await stores.db.run(lambda connection: connection.execute(change, {"id": first.id}).rowcount)
    assert [one.id for one in await stores.events.after(0, limit=10)] == [second.id]
    assert (await stores.events.page(limit=10, offset=0)).total == 1


async def test_old_events_are_deleted_and_positions_go_on(stores: Repositories) -> None:
    await stores.events.store([event(at=NOON + n) for n in range(5)])
    assert await stores.events.delete_before(NOON + 4, batch=3) == 3
    assert await stores.events.delete_before(NOON + 4, batch=3) == 1
    assert await stores.events.delete_before(NOON + 9, batch=3) == 1
    assert await stores.events.delete_before(NOON + 9, batch=3) == 0
    await stores.events.store([event()])
    assert [one.position for one in await stores.events.after(5, limit=9)] == [6]
