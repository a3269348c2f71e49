"""The picture that requests read: new after every change, old through every outage."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from auth.vault import Vault
from models.errors import StorageUnavailable
from models.json_types import JsonObject
from models.principal import ApiKey
from models.provider import StoredProvider
from providers.compatible import operator_provider
from repositories.open import Repositories, open_repositories
from repositories.shared_memory import MemoryState
from services.snapshot import CHANGES_CHANNEL, Snapshot, Snapshots
from tests.builders import make_account, make_egress, make_stored
from tests.fakes.clock import FakeClock
from tests.waiting import until


class Revisions:
    """The revision, with an outage, a delay, and a count of how often it was read."""

    def __init__(self, stores: Repositories) -> None:
        self._stores = stores
        self.asked = 0
        self.is_away = False
        self.before: Callable[[], Awaitable[None]] | None = None
        self.after: Callable[[], Awaitable[None]] | None = None

    async def current(self) -> int:
        self.asked += 1
        if self.before is not None:
            await self.before()
        if self.is_away:
            raise StorageUnavailable("the database is away")
        revision = await self._stores.revisions.current()
        if self.after is not None:
            await self.after()
        return revision


class House:
    """Snapshots of one process over a database."""

    def __init__(self, stores: Repositories, shared: MemoryState, poll_s: float = 60.0) -> None:
        self.stores = stores
        self.revisions = Revisions(stores)
        self.clock = FakeClock()
        self.snapshots = Snapshots(
            accounts=stores.accounts,
            egress=stores.egress,
            keys=stores.keys,
            providers=stores.providers,
            revisions=self.revisions,
            shared=shared,
            assemble=lambda rows: {row.id: operator_provider(row) for row in rows},
            prefixes={"gpt-": ["mine"]},
            clock=self.clock,
            poll_s=poll_s,
        )

    @property
    def current(self) -> Snapshot:
        return self.snapshots.current

    async def add_key(self, number: int) -> bytes:
        """Make a key as another process would: nobody here is told."""
        key_hash = bytes([number]) * 32
        await self.stores.keys.create(ApiKey(f"{number:032x}", f"key {number}", key_hash))
        return key_hash


@pytest.fixture
async def stores() -> AsyncIterator[Repositories]:
    async with open_repositories("sqlite://", Vault.of(b"k" * 32), clock=FakeClock()) as opened:
        await opened.providers.create(StoredProvider("mine", "Mine", "chat", "http://127.0.0.1:1"))
        yield opened


@pytest.fixture
async def house(stores: Repositories) -> House:
    made = House(stores, MemoryState())
    await made.snapshots.load()
    return made


async def test_a_picture_holds_what_the_database_holds(house: House) -> None:
    stores = house.stores
    proxy = await stores.egress.create(make_egress(url="http://192.0.2.1:1"))
    for number in (2, 1):
        account = make_account(number, provider_id="mine")
        await stores.accounts.create(account, make_stored(number).credentials)
    await stores.providers.store_models("mine", [{"id": "gpt-x", "created": 5}], now=1.0)
    key = await house.add_key(7)
    await house.snapshots.refresh()
    current = house.current
    assert [entry.account.id for entry in current.by_provider["mine"]] == sorted(current.accounts)
    assert [entry.credentials.access for entry in current.by_provider["mine"]] == ["key-1", "key-2"]
    assert list(current.proxies) == [proxy.id]
    assert current.keys[key].name == "key 7"
    assert [route.provider.id for route in current.router.resolve("gpt-x")] == ["mine"]
    assert [(entry.id, entry.created) for entry in current.models["mine"]] == [("gpt-x", 5)]
    assert current.revision == await stores.revisions.current()


async def test_nothing_is_loaded_while_nothing_changed(house: House) -> None:
    before = house.current
    await house.snapshots.refresh()
    assert house.current is before


async def test_a_change_during_a_load_is_seen_by_the_next_look(house: House) -> None:
    async def change() -> None:
        house.revisions.after = None
        await house.add_key(2)

    await house.add_key(1)
    house.revisions.after = change
    await house.snapshots.refresh()
    assert house.current.revision < await house.stores.revisions.current()
    await house.snapshots.refresh()
    assert house.current.revision == await house.stores.revisions.current()
    assert len(house.current.keys) == 2


async def test_many_changes_at_once_are_loaded_together(house: House) -> None:
    loads: list[int] = []
    house.snapshots.listeners.append(lambda snapshot: loads.append(snapshot.revision))
    for number in range(1, 11):
        await house.add_key(number)
    await asyncio.gather(*[house.snapshots.changed() for _ in range(10)])
    assert len(house.current.keys) == 10
    assert len(loads) == 1


async def test_a_change_here_is_told_to_the_others(stores: Repositories) -> None:
    shared = MemoryState()
    here, there = House(stores, shared), House(stores, shared)
    for process in (here, there):
        await process.snapshots.load()
    tasks = [asyncio.create_task(work()) for work in (there.snapshots.poll, there.snapshots.listen)]
    await until(lambda: shared._listeners.get(CHANGES_CHANNEL))
    key = await here.add_key(1)
    await here.snapshots.changed()
    assert key in here.current.keys
    await until(lambda: key in there.current.keys)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_without_a_message_the_poll_finds_the_change(stores: Repositories) -> None:
    house = House(stores, MemoryState(), poll_s=0.01)
    await house.snapshots.load()
    task = asyncio.create_task(house.snapshots.poll())
    key = await house.add_key(1)
    await until(lambda: key in house.current.keys)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_outage_keeps_the_old_picture_and_is_told_once(
    stores: Repositories, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(stores, MemoryState(), poll_s=0.001)
    await house.snapshots.load()
    before = house.current
    house.revisions.is_away = True
    task = asyncio.create_task(house.snapshots.poll())
    await until(lambda: house.revisions.asked > 10)
    states = {house.snapshots.is_fresh}
    assert house.current is before
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    house.revisions.is_away = False
    key = await house.add_key(1)
    await until(lambda: key in house.current.keys)
    states |= {house.snapshots.is_fresh}
    assert states == {False, True}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_change_that_was_made_is_no_failure_because_it_cannot_be_read_back(
    house: House,
) -> None:
    house.revisions.is_away = True
    await house.snapshots.changed()
    assert not house.snapshots.is_fresh


async def test_something_unknown_is_looked_for_at_most_once_a_second(house: House) -> None:
    asked = house.revisions.asked
    for _ in range(50):
        await house.snapshots.look_again()
    assert house.revisions.asked == asked + 1
    house.clock.advance(1.0)
    key = await house.add_key(1)
    await house.snapshots.look_again()
    assert house.revisions.asked == asked + 2
    assert key in house.current.keys


async def test_all_who_ask_for_something_unknown_wait_for_one_look(house: House) -> None:
    key = await house.add_key(1)
    hold = asyncio.Event()

    async def held() -> None:
        await hold.wait()

    house.revisions.before = held
    asked = house.revisions.asked
    looks = [asyncio.create_task(house.snapshots.look_again()) for _ in range(50)]
    await until(lambda: house.revisions.asked == asked + 1)
    assert not any(look.done() for look in looks)
    house.clock.advance(30.0)  # a database that hangs
    hold.set()
    await asyncio.gather(*looks)
    assert house.revisions.asked == asked + 1
    assert key in house.current.keys


async def test_an_outage_while_looking_is_not_the_callers_failure(house: House) -> None:
    house.revisions.is_away = True
    await house.snapshots.look_again()
    assert not house.snapshots.is_fresh


async def test_a_listener_that_fails_stops_neither_the_others_nor_the_poll(house: House) -> None:
    heard: list[int] = []

    def broken(_: Snapshot) -> None:
        raise ValueError("x")

    house.snapshots.listeners += [broken, lambda snapshot: heard.append(snapshot.revision)]
    await house.add_key(1)
    await house.snapshots.refresh()
    assert heard == [house.current.revision]


async def test_odd_rows_of_a_model_list_do_no_harm(house: House) -> None:
    rows: list[JsonObject] = [{"id": "m", "created": "x", "display_name": 5}]
    await house.stores.providers.store_models("mine", rows, now=1.0)
    await house.snapshots.refresh()
    (entry,) = house.current.models["mine"]
    assert (entry.id, entry.created, entry.display_name) == ("m", 0, None)
