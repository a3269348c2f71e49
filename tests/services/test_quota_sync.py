"""Every replica shows the same limits, within seconds and over restarts."""

import logging

import pytest

from models.rest import EVERY_MODEL
from tests.fakes.clock import FakeClock
from tests.services.quota_rig import ONE, Ledger, Replica


@pytest.fixture
def two() -> tuple[Replica, Replica]:
    clock, ledger = FakeClock(), Ledger()
    return Replica(clock, ledger), Replica(clock, ledger)


async def test_what_one_replica_sees_the_other_shows(two: tuple[Replica, Replica]) -> None:
    first, second = two
    first.saw({"5h": "0.4/1800"})
    await first.sync.step()
    await second.sync.step()
    assert second.shown() == first.shown() == {(EVERY_MODEL, "5h"): 0.4}
    second.saw({"5h": "0.5/1800"})
    await second.sync.step()
    await first.sync.step()
    assert first.shown() == {(EVERY_MODEL, "5h"): 0.5}


async def test_a_restart_forgets_nothing() -> None:
    before = Replica()
    before.saw({"5h": "0.4/1800"})
    await before.sync.step()
    after = Replica(before.clock, before.ledger)
    await after.sync.step()
    assert after.shown() == {(EVERY_MODEL, "5h"): 0.4}
    assert after.quotas.unsaved(10) == []


async def test_what_changed_little_is_not_written_with_every_answer() -> None:
    replica = Replica()
    for number in range(50):
        replica.saw({"5h": f"{0.4 + number / 100_000}/{1800 - number}"})
        await replica.sync.step()
    assert replica.ledger.stored == 1
    replica.clock.advance(60)
    replica.saw({"5h": "0.4005/1700"})
    await replica.sync.step()
    assert replica.ledger.stored == 2


@pytest.mark.parametrize(
    "told",
    [
        pytest.param("0.42/1799", id="a share"),
        pytest.param("0.4/9000", id="an end"),
        pytest.param("1.0/1799", id="used up"),
    ],
)
async def test_what_others_would_decide_by_is_written_at_once(told: str) -> None:
    replica = Replica()
    for headers in ({"5h": "0.4/1800"}, {"5h": told}):
        replica.saw(headers)
        await replica.sync.step()
    assert replica.ledger.stored == 2


async def test_a_database_that_is_away_is_told_once_and_costs_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    replica = Replica()
    replica.ledger.is_away = True
    replica.saw({"5h": "0.4/1800"})
    for _ in range(3):
        await replica.sync.step()
    assert replica.shown() == {(EVERY_MODEL, "5h"): 0.4}
    assert [record.message for record in caplog.records] == ["limits are not shared"]
    replica.ledger.is_away = False
    await replica.sync.step()
    assert replica.ledger.stored == 1


async def test_a_reset_forgets_on_every_replica(two: tuple[Replica, Replica]) -> None:
    first, second = two
    first.saw({"5h": "0.9/1800"})
    await first.sync.step()
    await second.sync.step()
    first.clock.advance(1)
    row = first.quotas.forget(ONE)
    await first.ledger.delete(ONE)
    await first.ledger.store([row])
    await second.sync.step()
    assert (first.shown(), second.shown()) == ({}, {})
    after = Replica(first.clock, first.ledger)
    await after.sync.step()
    assert after.shown() == {}


async def test_what_clocks_or_late_writes_hid_is_found_within_minutes(
    two: tuple[Replica, Replica],
) -> None:
    first, second = two
    await second.sync.step()
    first.saw({"5h": "0.4/1800"})
    second.clock.advance(100)
    second.saw({"requests": "0.1/30"})
    await second.sync.step()
    await first.sync.store()  # a hundred seconds late
    await second.sync.step()
    second.clock.advance(300)
    await second.sync.step()
    assert (EVERY_MODEL, "5h") in second.shown()
