"""A draining account is switched off once it is idle everywhere, and not before."""

from collections.abc import Mapping
from typing import cast

import pytest

from models.account import Account
from models.rest import NEVER
from repositories.base import SharedState
from repositories.shared_memory import MemoryState
from services.account_actions import AccountActions
from services.draining import Draining
from tests.builders import make_snapshot, make_stored
from tests.fakes.clock import FakeClock
from tests.services.quota_rig import ONE, Ledger

TTL_S = 3600.0
SETTLED_S = TTL_S + 30.0


class Off:
    """What was switched off, and why."""

    def __init__(self) -> None:
        self.why: dict[str, str] = {}

    async def drained(self, account: Account, why: str) -> None:
        self.why[account.id] = why


class House:
    """One replica, or several of them over one shared state."""

    def __init__(
        self,
        *,
        inflight: Mapping[str, int] | None = None,
        other: "House | None" = None,
        remembered_s: float = TTL_S,
        account: Mapping[str, object] = {},
    ) -> None:
        self.clock: FakeClock = other.clock if other else FakeClock()
        self.shared: SharedState = other.shared if other else MemoryState(self.clock)
        self.ledger: Ledger = other.ledger if other else Ledger()
        self.off = Off()
        began = self.clock.now()
        facts = {"is_draining": True, "draining_since": began, "drain_until": NEVER, **account}
        self.snapshot = make_snapshot([make_stored(1, **facts)])
        self.inflight = dict(inflight or {})
        self.draining = Draining(
            lambda: self.snapshot,
            lambda account_id: self.inflight.get(account_id, 0),
            self.shared,
            self.ledger,
            cast(AccountActions, self.off),
            self.clock,
            remembered_s=remembered_s,
        )

    async def why(self) -> str | None:
        await self.draining.end()
        return self.off.why.get(ONE)


async def test_an_idle_account_is_switched_off_when_its_conversations_have_ended() -> None:
    house = House()
    assert await house.why() is None
    house.clock.advance(SETTLED_S - 1)
    assert await house.why() is None
    house.clock.advance(1)
    assert await house.why() == "idle"


async def test_without_homes_for_conversations_it_is_soon() -> None:
    house = House(remembered_s=0.0)
    house.clock.advance(29)
    assert await house.why() is None
    house.clock.advance(1)
    assert await house.why() == "idle"


async def test_a_conversation_that_went_on_keeps_it() -> None:
    house = House()
    house.clock.advance(SETTLED_S)
    house.ledger.asked.append((house.clock.now() - TTL_S + 5, ONE, "gpt-x", 10))
    assert await house.why() is None
    house.clock.advance(6)
    assert await house.why() == "idle"


async def test_a_stream_that_runs_here_keeps_it() -> None:
    house = House(inflight={ONE: 1})
    house.clock.advance(10 * TTL_S)
    assert await house.why() is None
    house.inflight.clear()
    assert await house.why() == "idle"


async def test_a_stream_that_runs_on_another_replica_keeps_it() -> None:
    here = House()
    there = House(inflight={ONE: 1}, other=here)
    here.clock.advance(SETTLED_S)
    await there.draining.tell()
    here.clock.advance(29)
    assert await here.why() is None
    there.inflight.clear()
    await there.draining.tell()
    here.clock.advance(1)
    assert await here.why() == "idle"


async def test_a_deadline_ends_it_whatever_runs() -> None:
    house = House(inflight={ONE: 1})
    at = house.clock.now() + 60
    house = House(inflight={ONE: 1}, account={"drain_until": at})
    house.clock.advance(59)
    assert await house.why() is None
    house.clock.advance(1)
    assert await house.why() == "deadline"


@pytest.mark.parametrize(
    "account",
    [
        pytest.param({"drain_until": None}, id="until an operator says so"),
        pytest.param({"is_draining": False}, id="it does not drain"),
        pytest.param({"is_active": False}, id="it is off"),
    ],
)
async def test_others_are_left_alone(account: dict[str, object]) -> None:
    house = House(account=account)
    house.clock.advance(100 * TTL_S)
    assert await house.why() is None
