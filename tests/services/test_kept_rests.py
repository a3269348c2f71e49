"""A restart neither meets limits again nor forgets who needs an operator."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest

from auth.vault import Vault
from dialects.base import ModelEntry
from models.errors import ErrorKind, StorageUnavailable, Unprocessable
from models.event import EventKind
from models.rest import Rest
from repositories.open import Repositories, open_repositories
from repositories.shared_memory import MemoryState
from services.background import open_background
from services.kept_rests import KeptRests
from services.pauses import Pauses
from services.resting import Resting, open_resting
from services.snapshot import Snapshot
from tests.builders import make_egress, make_snapshot, make_stored
from tests.fakes.clock import FakeClock
from tests.services.resting_rig import PROVIDER, Desk, disabled, limited, missing, used_up
from tests.waiting import until

HOUR = 3_600.0
ONE = make_stored(1).account.id


class Table:
    """Rests in memory, or a database that is away."""

    def __init__(self) -> None:
        self.rests: dict[tuple[str, str], Rest] = {}
        self.error: Exception | None = None
        self.cleaned: list[float] = []

    async def all(self, now: float) -> list[Rest]:
        self._check()
        return list(self.rests.values())

    async def store(self, rests: Sequence[Rest]) -> None:
        self._check()
        self.rests |= {(rest.subject, rest.scope): rest for rest in rests}

    async def delete(self, ended: Mapping[tuple[str, str], float]) -> None:
        self._check()
        for key, began_at in ended.items():
            if key in self.rests and self.rests[key].began_at <= began_at:
                del self.rests[key]

    async def delete_before(self, at: float) -> int:
        self.cleaned.append(at)
        return 0

    def _check(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture
def table() -> Table:
    return Table()


def keeping(table: Table, clock: FakeClock | None = None) -> tuple[Desk, KeptRests]:
    desk = Desk(clock)
    kept = KeptRests(table, desk.cooldowns, desk.clock)
    desk.cooldowns.followers.append(kept)
    return desk, kept


async def test_long_rests_are_there_after_a_restart_and_short_ones_are_not(table: Table) -> None:
    desk, kept = keeping(table)
    desk.failed(used_up(HOUR), "acc-1")
    desk.failed(disabled(), "acc-2")
    desk.failed(limited(retry_after_s=30), "acc-3")
    await kept.flush()
    again, kept_again = keeping(table, desk.clock)
    assert await kept_again.load() == 2
    assert again.rest("acc-1") == desk.rest("acc-1")
    assert again.is_benched("acc-2")
    assert not again.is_benched("acc-3")


async def test_strikes_go_on_after_a_restart(table: Table) -> None:
    desk, kept = keeping(table)
    for lasts_s in (1, 2, 4, 8, 16, 32, 64):
        desk.failed(limited())
        await kept.flush()
        desk.clock.advance(lasts_s)
    again, kept_again = keeping(table, desk.clock)
    await kept_again.load()
    assert again.lasts_s(again.failed(limited())) == 128


async def test_what_ended_is_deleted(table: Table) -> None:
    desk, kept = keeping(table)
    desk.failed(used_up(HOUR))
    await kept.flush()
    assert len(table.rests) == 1
    desk.clock.advance(900)
    desk.succeeded()
    await kept.flush()
    assert table.rests == {}


async def test_what_began_and_ended_before_it_was_written_never_is(table: Table) -> None:
    desk, kept = keeping(table)
    desk.failed(used_up(HOUR))
    desk.succeeded(since=desk.clock.now() + 1)
    await kept.flush()
    assert table.rests == {}


async def test_what_another_replica_ended_meanwhile_is_not_written(table: Table) -> None:
    clock = FakeClock()
    desk, kept = keeping(table, clock)
    rest = desk.failed(used_up(HOUR))
    assert rest is not None
    there, _ = keeping(table, clock)
    there.cooldowns.take(rest)
    clock.advance(900)
    there.succeeded()
    desk.cooldowns.take_end(there.cooldowns.ends(clock.now())[0])
    await kept.flush()
    assert table.rests == {}


async def test_a_new_rest_replaces_the_one_that_ended(table: Table) -> None:
    desk, kept = keeping(table)
    desk.failed(used_up(HOUR))
    await kept.flush()
    desk.clock.advance(900)
    desk.succeeded()
    again = desk.failed(limited(retry_after_s=600))
    await kept.flush()
    assert list(table.rests.values()) == [
        rest for rest in desk.cooldowns.active(desk.clock.now()) if rest == again
    ]


async def test_a_database_that_is_away_costs_nothing(table: Table) -> None:
    desk, kept = keeping(table)
    table.error = StorageUnavailable("away")
    desk.failed(used_up(HOUR), "acc-1")
    desk.failed(used_up(HOUR), "acc-2")
    await kept.flush()
    desk.clock.advance(900)
    desk.succeeded("acc-1")
    await kept.flush()
    table.error = None
    await kept.flush()
    assert [subject for subject, _ in table.rests] == ["acc-2"]


async def test_an_end_that_the_database_did_not_take_is_not_forgotten(table: Table) -> None:
    desk, kept = keeping(table)
    desk.failed(used_up(HOUR))
    await kept.flush()
    table.error = StorageUnavailable("away")
    desk.clock.advance(900)
    desk.succeeded()
    await kept.flush()
    table.error = None
    assert len(table.rests) == 1
    await kept.flush()
    assert table.rests == {}


async def test_a_rest_that_the_database_refuses_holds_up_nobody(table: Table) -> None:
    desk, kept = keeping(table)
    table.error = Unprocessable("too long")
    desk.failed(used_up(HOUR), "acc-1")
    await kept.flush()
    table.error = None
    desk.failed(used_up(HOUR), "acc-2")
    await kept.flush()
    assert [subject for subject, _ in table.rests] == ["acc-2"]


async def test_a_name_that_no_column_holds_is_left_out(table: Table) -> None:
    desk, kept = keeping(table)
    desk.failed(missing(), model="m" * 300)
    await kept.flush()
    assert table.rests == {}


# --- the whole, on a real table ---


@pytest.fixture
async def stores() -> AsyncIterator[Repositories]:
    async with open_repositories("sqlite://", Vault.of(bytes(32))) as opened:
        yield opened


class World:
    """A gateway's rests with a snapshot that can be changed, and what was told."""

    def __init__(self, stores: Repositories) -> None:
        self.stores = stores
        self.clock = FakeClock()
        self.snapshot: Snapshot = make_snapshot(
            [make_stored(1), make_stored(2)], [make_egress(1)], [PROVIDER]
        )
        self.told: list[tuple[EventKind, str | None]] = []

    def tell(self, kind: EventKind, message: str, **about: object) -> None:
        subject = about.get("account_id") or about.get("proxy_id")
        self.told.append((kind, str(subject) if subject else None))

    def open(self) -> AbstractAsyncContextManager[Resting]:
        return open_resting(
            lambda: self.snapshot,
            MemoryState(self.clock),
            self.stores.rests,
            Pauses(),
            self.clock,
            self.tell,
        )


def bench(resting: Resting, account_id: str, clock: FakeClock, *, scope: str = "*") -> Rest:
    now = clock.now()
    reason = ErrorKind.QUOTA if scope == "*" else ErrorKind.MODEL_NOT_FOUND
    return resting.cooldowns.begin(Rest(account_id, scope, now, now + HOUR, reason))


async def test_a_restart_of_an_embedded_gateway_remembers(stores: Repositories) -> None:
    world = World(stores)
    async with world.open() as resting:
        rest = bench(resting, ONE, world.clock)
    async with world.open() as resting:
        assert resting.cooldowns.found(ONE, ("*",), world.clock.now()) == rest


async def test_a_reset_while_it_was_down_holds(stores: Repositories) -> None:
    world = World(stores)
    async with world.open() as resting:
        bench(resting, ONE, world.clock)
    stored = make_stored(1, cooldown_reset_at=world.clock.now() + 1)
    world.snapshot = make_snapshot([stored, make_stored(2)], [], [PROVIDER])
    async with world.open() as resting:
        assert len(resting.cooldowns) == 0


async def test_a_reset_ends_everything_of_the_account_here_and_in_the_table(
    stores: Repositories,
) -> None:
    world = World(stores)
    async with world.open() as resting, open_background() as background:
        resting.run(background)
        bench(resting, ONE, world.clock)
        bench(resting, ONE, world.clock, scope="m")
        await resting._kept.flush()
        assert len(await stores.rests.all(0.0)) == 2
        reset = make_stored(1, cooldown_reset_at=world.clock.now())
        resting.follow(make_snapshot([reset], [], [PROVIDER]))
        assert len(resting.cooldowns) == 0
        async with asyncio.timeout(10):
            while await stores.rests.all(0.0):  # noqa: ASYNC110 - the loop writes
                await asyncio.sleep(0.02)
    assert world.told == [(EventKind.ACCOUNT_COOLED, ONE)]


async def test_who_is_deleted_is_forgotten_after_a_moment(stores: Repositories) -> None:
    world = World(stores)
    async with world.open() as resting:
        bench(resting, ONE, world.clock)
        world.snapshot = make_snapshot([make_stored(2)], [], [PROVIDER])
        resting.follow(world.snapshot)
        assert len(resting.cooldowns) == 1
        world.clock.advance(61)
        resting.follow(world.snapshot)
        assert len(resting.cooldowns) == 0
    assert await stores.rests.all(0.0) == []


async def test_a_model_that_is_new_in_the_list_is_tried_again(stores: Repositories) -> None:
    world = World(stores)
    async with world.open() as resting:
        bench(resting, ONE, world.clock, scope="new")
        bench(resting, ONE, world.clock, scope="other")
        listed = (ModelEntry("new", PROVIDER.id),)
        world.snapshot = replace(world.snapshot, models={PROVIDER.id: listed})
        resting.follow(world.snapshot)
        left = [rest.scope for rest in resting.cooldowns.active(world.clock.now())]
        assert left == ["other"]
        bench(resting, ONE, world.clock, scope="new")
        resting.follow(world.snapshot)
        assert len(resting.cooldowns) == 2


async def test_a_database_that_is_away_at_the_start_costs_only_what_was_kept() -> None:
    world, table = World(None), Table()  # type: ignore[arg-type] # only its table is used
    table.error = StorageUnavailable("away")
    opened = open_resting(
        lambda: world.snapshot, MemoryState(), table, Pauses(), world.clock, world.tell
    )
    async with opened as resting:
        bench(resting, ONE, world.clock)
        table.error = None
    assert [subject for subject, _ in table.rests] == [ONE]
    await until(lambda: world.told)
