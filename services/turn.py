"""One request's walk through the accounts of one route: who is asked first, and who after it."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol

from models.account import Account, StoredAccount
from models.attempt import Choice, Decision
from models.egress import EgressProxy
from models.rest import Rest
from services.candidates import Candidates, Spot, Standing
from services.seats import Key, Seat
from services.slots import Holding

_ROUNDS: Final = 8
"""Accounts that turn out to be full one by one, until many are looked at together."""

_LOOKS: Final = 4
"""So often, until the request is told that all are full."""

_LOOKED_AT: Final = 500
"""Accounts that are looked at together."""

_COMPARED: Final = 8
"""Accounts among which failover prefers one that has not failed lately."""

_GONE_S: Final = 3_600.0
"""A conversation whose account rests for longer has nothing to come back to: no provider keeps a
prompt cache for more than an hour."""


def _nothing() -> None:
    """There is nothing to give back."""


@dataclass(frozen=True, slots=True)
class Lease:
    """An account lent to one attempt, with its way out."""

    stored: StoredAccount
    egress: EgressProxy | None
    choice: Choice = "strategy"
    counter: int | None = None
    """The shared counter's value, where it decided."""
    decision: Decision | None = None
    release: Callable[[], None] = field(default=_nothing, repr=False, compare=False)
    """Gives it back; a second time does nothing."""

    @property
    def account(self) -> Account:
        return self.stored.account


class Desk(Protocol):
    """What a walk needs of the pool, for its route."""

    def candidates(self) -> Candidates: ...

    def picture(self) -> Decision:
        """Return what the candidates were like when they were last asked for."""
        ...

    def strikes(self, seat: Seat) -> int:
        """Return how badly an account did lately."""
        ...

    async def claim(self, rests: Sequence[Rest]) -> bool:
        """True when this request may try during these rests."""
        ...

    def take(self, seat: Seat) -> Coroutine[object, object, Holding | None]: ...

    def look_at(self, seats: Sequence[Seat]) -> Coroutine[object, object, None]:
        """Find out by one round trip which of these are full."""
        ...

    def count(self) -> Coroutine[object, object, int]:
        """Return this request's number, over all replicas."""
        ...

    def place_at(self, seat: Seat, limit_s: float) -> Coroutine[object, object, bool]:
        """Wait until an account that is full may have a place; False when it has none for so
        long."""
        ...

    def now(self) -> float: ...

    def monotonic(self) -> float: ...


class Turn:
    """One request's walk: its home, a trial, its turn, then onwards."""

    __slots__ = (
        "_borrows",
        "_counter",
        "_desk",
        "_has_begun",
        "_home",
        "_home_wait_s",
        "_is_lent",
        "_is_local",
        "_last",
        "_place",
        "_tried",
    )

    def __init__(
        self,
        desk: Desk,
        home: str | None,
        home_wait_s: float,
        *,
        is_lent: bool = False,
        is_local: bool = False,
        counter: int | None = None,
    ) -> None:
        self._desk = desk
        self._home = home
        self._is_lent = is_lent
        self._home_wait_s = home_wait_s
        self._is_local = is_local
        self._place: int | None = None
        """Where its walk begins, where the shared counter does not say so."""
        self._borrows = False
        self._has_begun = False
        self._counter = counter
        self._last: Key | None = None
        self._tried: set[str] = set()

    async def next(self) -> Lease | None:
        """Lend the next account that may serve and has not failed here; None when there is none.

        Whoever gets a lease releases it.
        """
        if not self._has_begun:
            self._has_begun = True
            if self._home is not None and (lease := await self._at_home(self._home)):
                return lease
            candidates = self._desk.candidates()
            half_open = None if self._borrows else candidates.half_open()
            if half_open is not None and (lease := await self._tried_out(candidates, half_open)):
                return lease
        return await self._in_turn() or await self._last_resort()

    def failed(self, lease: Lease) -> None:
        """The account is not asked again for this request."""
        self._tried.add(lease.account.id)

    # --- home -----------------------------------------------------------------------------

    async def _at_home(self, home: str) -> Lease | None:
        """Lend the account where the conversation lives; wait for a place there, but not long."""
        desk = self._desk
        deadline = desk.monotonic() + self._home_wait_s
        while True:
            candidates = desk.candidates()
            seat = candidates.roster.by_id.get(home)
            if seat is None:
                return None
            spot = candidates.spot(seat)
            if spot is None or spot.standing is Standing.DRAINING:
                lease = await self._lend(seat, "borrowed" if self._is_lent else "affinity")
                if lease is not None:
                    return lease
            elif spot.standing is not Standing.FULL:
                return await self._at_a_resting_home(seat, spot)
            if not await desk.place_at(seat, deadline - desk.monotonic()):
                self._borrows = True
                return None

    async def _at_a_resting_home(self, seat: Seat, spot: Spot) -> Lease | None:
        if spot.standing is Standing.BARRED:
            return None
        self._borrows = spot.due is None or spot.due - self._desk.now() < _GONE_S
        is_half_open = spot.standing in {Standing.TRIAL, Standing.ENDED}
        if is_half_open and await self._desk.claim(spot.rests):
            return await self._lend(seat, "trial")
        return None

    # --- trials ---------------------------------------------------------------------------

    async def _tried_out(self, candidates: Candidates, seat: Seat) -> Lease | None:
        """Lend somebody whose rest has opened, if this request is the one that may try."""
        spot = candidates.spot(seat)
        if spot is None or seat.is_full or not await self._desk.claim(spot.rests):
            return None
        return await self._lend(seat, "trial")

    # --- its turn -------------------------------------------------------------------------

    async def _in_turn(self) -> Lease | None:
        """Lend whose turn it is, or who follows those that were asked before."""
        for at in range(_ROUNDS * (_LOOKS + 1)):
            candidates = self._desk.candidates()
            if at and at % _ROUNDS == 0:
                # Other replicas may have filled a long row of them, and somebody behind it is free.
                await self._desk.look_at(self._coming(candidates, _LOOKED_AT))
                candidates = self._desk.candidates()
            if not candidates.well.seats:
                return None
            if self._is_to_count(candidates):
                lease = await self._counted(candidates)
            elif (seat := self._chosen(candidates)) is not None:
                lease = await self._lend(seat, self._choice)
            else:
                return None
            if lease is not None:
                return lease
        return None

    def _is_to_count(self, candidates: Candidates) -> bool:
        """Whether the shared counter decides: not after a failure, nor where it has no say."""
        is_begun = self._counter is not None or self._last is not None or self._is_local
        return not is_begun and candidates.order.counts and candidates.well.top > 1

    @property
    def _choice(self) -> Choice:
        if self._last is not None:
            return "failover"
        return "borrowed" if self._borrows or self._is_lent else "strategy"

    def _chosen(self, candidates: Candidates) -> Seat | None:
        """Return whose turn it is; after a failure the next one, if possible one that has not
        failed lately."""
        wanted = 1 if self._last is None else _COMPARED
        found = self._coming(candidates, wanted)
        for seat in found if wanted > 1 else ():
            if seat.key[0] == found[0].key[0] and not self._desk.strikes(seat):
                return seat
        return found[0] if found else None

    def _coming(self, candidates: Candidates, wanted: int) -> list[Seat]:
        """Return whose turns come now."""
        place = self._own_place(candidates) if self._counter is None else self._counter
        return candidates.order.few(place, self._last, self._tried, wanted)

    def _own_place(self, candidates: Candidates) -> int:
        """Return where to begin without the shared counter: each such walk one further."""
        if self._place is None:
            candidates.cursor += self._is_local
            self._place = candidates.cursor if self._is_local else 0
        return self._place

    async def _counted(self, candidates: Candidates) -> Lease | None:
        """Take this request's number; and at the same time, where accounts have limits, a place
        at the one whose turn it will be if no other replica comes between."""
        if candidates.unlimited == len(candidates.well):
            self._counter = await self._desk.count()
            return None
        guess = candidates.guess()
        found = candidates.order.few(guess, None, self._tried, 1)
        if not found or found[0].limit <= 0:
            self._counter = await self._number(candidates)
            return None
        choice, picture = self._choice, self._desk.picture()
        taking = asyncio.create_task(self._desk.take(found[0]), name="pool.take")
        try:
            self._counter = await self._number(candidates)
            holding = await taking
        except BaseException:
            taking.cancel()
            taking.add_done_callback(_give_back)
            raise
        return None if holding is None else self._lease(holding, choice, picture)

    async def _number(self, candidates: Candidates) -> int:
        number: int | None = None
        try:
            number = await self._desk.count()
        finally:
            candidates.counted(number)
        return number

    # --- nobody well is left --------------------------------------------------------------

    async def _last_resort(self) -> Lease | None:
        """Lend whose rest is over, who may be tried, or who is kept away by its proxy alone.

        Nobody is refused because of a rest that has ended, and some way out is always kept open;
        but whoever rests for a limit or a credential is left alone until the rest opens.
        """
        candidates = self._desk.candidates()
        for seat in self._left(candidates, Standing.ENDED):
            if (lease := await self._lend(seat, "last_resort")) is not None:
                return lease
        for seat in self._left(candidates, Standing.TRIAL):
            if (lease := await self._tried_out(candidates, seat)) is not None:
                return lease
        for seat in self._left(candidates, Standing.QUARANTINED):
            if (lease := await self._lend(seat, "last_resort")) is not None:
                return lease
        return None

    def _left(self, candidates: Candidates, standing: Standing) -> list[Seat]:
        candidates.cursor += 1
        walk = candidates.on(standing).walk(candidates.cursor)
        return list(islice((seat for seat in walk if seat.id not in self._tried), _ROUNDS))

    # --- lending --------------------------------------------------------------------------

    async def _lend(self, seat: Seat, choice: Choice) -> Lease | None:
        picture = self._desk.picture()
        holding = await self._desk.take(seat)
        return None if holding is None else self._lease(holding, choice, picture)

    def _lease(self, holding: Holding, choice: Choice, picture: Decision) -> Lease | None:
        seat = holding.seat
        if seat.is_gone:
            # While it asked for a place; whose proxy was switched off would now go direct.
            holding.release()
            return None
        self._last = seat.key
        is_counted = choice in {"strategy", "borrowed", "failover"}
        counter = self._counter if is_counted else None
        return Lease(seat.stored, seat.egress, choice, counter, picture, holding.release)


def _give_back(taking: asyncio.Task[Holding | None]) -> None:
    """Whoever asked for a place has left."""
    if not taking.cancelled() and taking.exception() is None:
        holding = taking.result()
        if holding is not None:
            holding.release()
