import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import pytest

from auth.vault import Vault
from models.errors import GatewayError, StorageUnavailable, Unprocessable
from models.event import Event, EventKind
from repositories.base import Page
from repositories.open import Repositories, open_repositories
from repositories.shared_memory import MemoryState
from services import event_feed as feed_module
from services import events as events_module
from services.event_feed import EventFeed
from services.events import CHANNEL, Events, open_events
from tests.fakes.clock import FakeClock
from tests.waiting import until

ACCOUNT = "a" * 32


class Table:
    """A table in memory that can be away, or refuse."""

    def __init__(self) -> None:
        self.rows: list[Event] = []
        self.is_away = False
        self.refused = ""

    async def store(self, batch: Sequence[Event]) -> None:
        await asyncio.sleep(0)
        if self.is_away:
            raise StorageUnavailable("the database is unavailable")
        if any(one.message == self.refused for one in batch):
            raise Unprocessable("a value does not fit into the database")
        known = {one.id for one in self.rows}
        self.rows += [one for one in batch if one.id not in known]

    @property
    def told(self) -> list[str]:
        return [one.message for one in self.rows]

    async def page(self, **_: object) -> Page[Event]:
        raise NotImplementedError

    async def after(self, position: int, *, limit: int) -> list[Event]:
        raise NotImplementedError

    async def last_position(self) -> int:
        raise NotImplementedError

    async def delete_before(self, at: float, *, batch: int) -> int:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "_RETRY_S", 0.01)
    monkeypatch.setattr(events_module, "_GATHER_S", 0.01)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def stores(clock: FakeClock) -> AsyncIterator[Repositories]:
    async with open_repositories("sqlite://", Vault.of(bytes(32)), clock=clock) as opened:
        yield opened


async def test_what_is_told_is_in_the_table_at_once(stores: Repositories, clock: FakeClock) -> None:
    async with open_events(stores.events, MemoryState(), clock) as events:
        events.tell(
            EventKind.ACCOUNT_NEEDS_LOGIN,
            "account 'a' needs a login",
            provider_id="openai",
            account_id=ACCOUNT,
            details={"reason": "invalid_grant"},
        )
        feed = EventFeed(stores.events, MemoryState(), look_every_s=0.01)
        (found,) = await feed.after(0, 10)
    assert (found.kind, found.account_id) == (EventKind.ACCOUNT_NEEDS_LOGIN, ACCOUNT)
    assert (found.at, found.details) == (clock.now(), {"reason": "invalid_grant"})


async def test_what_is_told_last_is_in_the_table_after_the_end() -> None:
    table = Table()
    async with open_events(table, MemoryState(), FakeClock()) as events:
        for n in range(500):
            events.tell(EventKind.ACCOUNT_COOLED, f"{n}")
    assert table.told == [f"{n}" for n in range(500)]


async def test_events_outlive_an_outage_in_their_order() -> None:
    table = Table()
    table.is_away = True
    async with open_events(table, MemoryState(), FakeClock()) as events:
        for n in range(300):
            events.tell(EventKind.ACCOUNT_COOLED, f"{n}")
            if n % 100 == 0:
                await asyncio.sleep(0.02)
        table.is_away = False
        await until(lambda: len(table.rows) == 300)
    assert table.told == [f"{n}" for n in range(300)]
    assert events.dropped == 0


async def test_a_full_queue_drops_the_oldest_counts_them_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = Table()
    events = Events(table, MemoryState(), FakeClock(), queue_size=10)
    for n in range(25):
        events.tell(EventKind.ACCOUNT_COOLED, f"{n}")
    task = asyncio.create_task(events.run())
    await until(lambda: len(table.rows) == 10)
    await events.aclose(task)
    assert table.told == [f"{n}" for n in range(15, 25)]
    assert events.dropped == 15
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_an_event_that_the_database_refuses_holds_up_no_other() -> None:
    table = Table()
    table.refused = "7"
    async with open_events(table, MemoryState(), FakeClock()) as events:
        for n in range(20):
            events.tell(EventKind.ACCOUNT_COOLED, f"{n}")
    assert table.told == [f"{n}" for n in range(20) if n != 7]
    assert events.dropped == 1


async def test_a_database_that_stays_away_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = Table()
    table.is_away = True
    async with asyncio.timeout(5), open_events(table, MemoryState(), FakeClock()) as events:
        events.tell(EventKind.ACCOUNT_COOLED, "lost")
    assert events.dropped == 1


@pytest.mark.parametrize(
    "details",
    [
        pytest.param({"n": float("nan")}, id="not a number"),
        pytest.param({"text": "\ud800"}, id="half a surrogate pair"),
        pytest.param({"text": "x" * 100_000}, id="too long"),
        pytest.param({"thing": object()}, id="no JSON"),
    ],
)
async def test_tell_never_raises_and_keeps_what_a_row_can_hold(
    stores: Repositories, details: dict[str, object]
) -> None:
    async with open_events(stores.events, MemoryState(), FakeClock()) as events:
        events.tell(EventKind.ACCOUNT_COOLED, "\ud800" * 1000, details=details)  # type: ignore[arg-type] # on purpose
    (kept,) = await stores.events.after(0, limit=9)
    assert len(kept.message) == 255
    assert len(str(kept.details)) < 100


# --- listening ------------------------------------------------------------------------------


async def test_a_listener_hears_of_an_event_by_the_message_of_another_replica(
    stores: Repositories,
) -> None:
    shared = MemoryState()
    feed = EventFeed(stores.events, shared, look_every_s=3600)
    listening = asyncio.create_task(feed.listen())
    heard = asyncio.create_task(feed.after(0, 3600))
    await asyncio.sleep(0)
    async with open_events(stores.events, shared, FakeClock()) as events:
        events.tell(EventKind.PROXY_RECOVERED, "back")
        async with asyncio.timeout(10):
            assert [one.message for one in await heard] == ["back"]
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening


async def test_a_listener_that_missed_the_message_looks_by_itself(stores: Repositories) -> None:
    feed = EventFeed(stores.events, MemoryState(), look_every_s=0.01)
    heard = asyncio.create_task(feed.after(0, 3600))
    async with open_events(stores.events, MemoryState(), FakeClock()) as events:
        events.tell(EventKind.PROXY_RECOVERED, "back")
    async with asyncio.timeout(10):
        assert [one.message for one in await heard] == ["back"]


async def test_a_listener_gets_a_bounded_part_at_a_time_and_goes_on(
    stores: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "AT_ONCE", 7)
    async with open_events(stores.events, MemoryState(), FakeClock()) as events:
        for n in range(20):
            events.tell(EventKind.ACCOUNT_COOLED, f"{n}")
    feed, told, position = EventFeed(stores.events, MemoryState()), list[str](), 0
    while found := await feed.after(position, 0.01):
        assert len(found) <= 7
        told += [one.message for one in found]
        position = found[-1].position
    assert told == [f"{n}" for n in range(20)]


async def test_hanging_up_ends_every_wait_and_lets_nobody_in(stores: Repositories) -> None:
    feed = EventFeed(stores.events, MemoryState(), look_every_s=3600)
    heard = [asyncio.create_task(feed.after(0, 3600)) for _ in range(3)]
    await asyncio.sleep(0.05)
    feed.hang_up()
    async with asyncio.timeout(10):
        assert await asyncio.gather(*heard) == [[], [], []]
    with pytest.raises(GatewayError), feed.listening():
        pass


async def test_listeners_are_counted_and_limited(
    stores: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "MAX_LISTENERS", 2)
    feed = EventFeed(stores.events, MemoryState())
    with feed.listening(), feed.listening():
        with pytest.raises(GatewayError) as refusal, feed.listening():
            pass
        assert (refusal.value.status, refusal.value.retry_after_s) == (503, 5.0)
    with feed.listening():
        pass


def test_the_channel_is_ours() -> None:
    assert CHANNEL.startswith("aigateway:")
