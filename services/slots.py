"""What is under way with each account, and its places where it may serve only so many at once.

A place is a lease over all replicas: it ends by itself unless it is renewed, so that those of a
process that was killed are free again after `ttl_s`. One task renews all that are held and gives
back those that are not needed any more.
"""

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

from models.account import Account
from models.attempt import Choice, Decision
from models.ports import Clock
from repositories.base import SharedState
from services.seats import Seat

FULL_S: Final = 0.1
"""So long nobody asks for a place again after all were taken: a thousand requests that wait must
not ask Redis a thousand times."""

_LAST_S: Final = 1.0


class Lease:
    """An account lent to one attempt, as it was in that moment, with its way out."""

    __slots__ = ("_slots", "choice", "counter", "decision", "egress", "holder", "seat", "stored")

    choice: Choice
    """Why this account; whoever lends it says so."""
    counter: int | None
    """The shared counter's value, where it decided."""
    decision: Decision | None
    """The picture that it was chosen on."""

    def __init__(self, seat: Seat, holder: str | None, slots: "Slots") -> None:
        self.seat = seat
        self.stored = seat.stored
        self.egress = seat.egress
        self.holder = holder
        """Who holds the place; None where the account has no limit."""
        self._slots: Slots | None = slots

    @property
    def account(self) -> Account:
        return self.stored.account

    def release(self) -> None:
        """Give it back. A second time does nothing."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.end(self.seat, self.holder)


class Slots:
    """Counts what is under way, and holds the places that this process has."""

    def __init__(
        self,
        shared: SharedState,
        clock: Clock,
        freed: Callable[[Seat], None],
        *,
        ttl_s: float = 60.0,
        renew_every_s: float = 20.0,
    ) -> None:
        """`freed` hears of accounts that may have a place to give."""
        self._shared = shared
        self._clock = clock
        self._freed = freed
        self._ttl_s = ttl_s
        self._renew_every_s = renew_every_s
        self._process = uuid.uuid4().hex
        self._numbers = count(1)
        self._held: dict[str, Seat] = {}
        self._leaving: list[tuple[Seat, str]] = []
        self._wake = asyncio.Event()
        self.full: deque[tuple[float, Seat]] = deque()
        """Accounts that nobody asks for a place for a moment, and when that is over."""

    def begin(self, seat: Seat, holder: str | None = None) -> Lease:
        """Begin a request of an account that has no limit, or whose place `holder` has taken."""
        roster = seat.roster
        seat.inflight += 1
        if roster.tells_use:
            roster.uses = seat.used = roster.uses + 1
            roster.changed(seat)
        return Lease(seat, holder, self)

    def end(self, seat: Seat, holder: str | None) -> None:
        """End a request that has begun."""
        seat.inflight -= 1
        if seat.roster.tells_use:
            seat.roster.changed(seat)
        if holder is not None and self._held.pop(holder, None) is not None:
            self._leaving.append((seat, holder))
            self._wake.set()

    async def take(self, seat: Seat) -> Lease | None:
        """Begin a request; None when the account has no place for it."""
        if seat.limit <= 0:
            return self.begin(seat)
        if seat.is_full:
            return None
        holder = f"{self._process}:{next(self._numbers)}"
        _hold(seat, 1)
        try:
            taken = await self._shared.take_slot(seat.id, holder, seat.limit, self._ttl_s)
        except BaseException:
            _hold(seat, -1)
            raise
        seat.others = max((taken or seat.limit) - seat.held, 0)
        if taken == 0:
            _hold(seat, -1)
            self._note_full(seat)
            return None
        self._held[holder] = seat
        if taken >= seat.limit:
            self._note_full(seat)
        else:
            self._freed(seat)
        return self.begin(seat, holder)

    async def look_at(self, seats: Sequence[Seat]) -> None:
        """Find out which accounts are full, by one round trip for all."""
        limited = [seat for seat in seats if seat.limit > 0]
        taken = await self._shared.slots_taken([seat.id for seat in limited])
        for seat, places in zip(limited, taken, strict=True):
            seat.others = max(places - seat.held, 0)
            if places >= seat.limit:
                self._note_full(seat)

    def look(self) -> None:
        """Let those be asked again who were full a moment ago."""
        while self.full and self.full[0][0] <= self._clock.monotonic():
            until, seat = self.full.popleft()
            if seat.full_until == until:
                seat.full_until = 0.0
                seat.roster.changed(seat)

    async def keep(self) -> None:
        """Renew and give back until cancelled; then give everything back."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._renew_every_s
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._wake.wait()
                await self._give_back()
                if loop.time() >= due:
                    await self._renew()
                    due = loop.time() + self._renew_every_s
        except asyncio.CancelledError:
            self._leaving += [(seat, holder) for holder, seat in self._held.items()]
            self._held.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_S):
                    await self._give_back()
            raise

    async def _give_back(self) -> None:
        """Free what is not needed any more; only then somebody here may hope for it."""
        self._wake.clear()
        leaving, self._leaving = self._leaving, []
        try:
            # At once: they go as one pipeline.
            await asyncio.gather(*(self._shared.free_slot(seat.id, who) for seat, who in leaving))
        except BaseException:
            self._leaving += leaving
            self._wake.set()
            raise
        for seat, _ in leaving:
            _hold(seat, -1)
            seat.others = max(min(seat.others, seat.limit - seat.held - 1), 0)
            if seat.full_until > 0:
                seat.full_until = 0.0
                seat.roster.changed(seat)
        for seat in dict.fromkeys(seat for seat, _ in leaving):
            self._freed(seat)

    async def _renew(self) -> None:
        held = [(seat.id, holder) for holder, seat in self._held.items()]
        if held:
            await self._shared.renew_slots(held, self._ttl_s)

    def _note_full(self, seat: Seat) -> None:
        """All places are taken: nobody needs to ask for a moment."""
        if seat.full_until <= 0:
            seat.full_until = self._clock.monotonic() + FULL_S
            self.full.append((seat.full_until, seat))
            seat.roster.changed(seat)


def _hold(seat: Seat, by: int) -> None:
    was_full = seat.is_full
    seat.held += by
    if seat.is_full is not was_full:
        seat.roster.changed(seat)
