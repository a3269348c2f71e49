"""One request's walk through the accounts of one route: who is asked first, and who after it."""

import asyncio
from collections.abc import Coroutine, Sequence, Set
from itertools import islice
from typing import Final, Protocol

from models.attempt import Choice, Decision
from models.rest import Rest
from services.candidates import Candidates, Spot, Standing
from services.seats import Key, Seat
from services.slots import Lease

_ROUNDS: Final = 8
"""Accounts that turn out to be full one by one, until many are looked at together."""

_LOOKS: Final = 4
"""So often, until the request is told that all are full."""

_LOOKED_AT: Final = 500
"""Accounts that are looked at together."""

_COMPARED: Final = 8
"""Accounts among which failover prefers one that has not failed lately."""

_NOBODY: Final = frozenset[str]()

_COUNTED: Final = frozenset({"strategy", "borrowed", "failover"})
"""Choices that the shared counter may have decided."""

_GONE_S: Final = 3_600.0
"""A conversation whose account rests for longer has nothing to come back to: no provider keeps a
prompt cache for more than an hour."""


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

    def begin(self, seat: Seat, /) -> Lease:
        """Begin a request of an account that has no limit."""
        ...

    def take(self, seat: Seat) -> Coroutine[object, object, Lease | None]: ...

    def look_at(self, seats: Sequence[Seat]) -> Coroutine[object, object, None]:
        """Find out by one round trip which of these are full."""
        ...

    def count(self) -> Coroutine[object, object, int]:
        """Count this request; return how many there are now, over all replicas."""
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
        self._counter = counter
        self._place: int | None = None
        """Where its walk begins, where the shared counter does not say so."""
        self._borrows = False
        self._has_begun = False
        self._last: Key | None = None
        self._tried: Set[str] = _NOBODY

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
            if half_open is not None:
                if (lease := await self._tried_out(candidates, half_open)) is not None:
                    return lease
            elif not candidates.limited:
                if self._is_to_count(candidates):
                    self._counter = await self._desk.count() - 1
                    candidates = self._desk.candidates()
                if (lease := self._at_once(candidates)) is not None:
                    return lease
        return await self._in_turn() or await self._last_resort()

    def failed(self, lease: Lease) -> None:
        """The account is not asked again for this request."""
        self._tried |= {lease.account.id}

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
                choice: Choice = "borrowed" if self._is_lent else "affinity"
                if seat.limit <= 0:
                    return self._begun(seat, choice)
                if (lease := await self._lend(seat, choice)) is not None:
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

    def _at_once(self, candidates: Candidates) -> Lease | None:
        """Lend whose turn it is, if that has no limit: nobody waits for that."""
        seat = candidates.order.one(self._number_in(candidates), self._tried)
        return None if seat is None or seat.limit > 0 else self._begun(seat, self._choice())

    async def _in_turn(self) -> Lease | None:
        """Lend whose turn it is, or who follows those that were asked before."""
        desk = self._desk
        for at in range(_ROUNDS * (_LOOKS + 1)):
            candidates = desk.candidates()
            if at and at % _ROUNDS == 0:
                # Other replicas may have filled a long row of them, and somebody behind it is free.
                await desk.look_at(self._coming(candidates, _LOOKED_AT))
                candidates = desk.candidates()
            if not candidates.well.seats:
                return None
            if self._counter is None and self._is_to_count(candidates):
                lease = await self._counted(candidates)
            elif (seat := self._chosen(candidates)) is None:
                return None
            else:
                lease = await self._lend(seat, self._choice())
            if lease is not None:
                return lease
        return None

    def _is_to_count(self, candidates: Candidates) -> bool:
        """Whether the shared counter decides: not after a failure, nor where it has no say."""
        if self._counter is not None or self._last is not None or self._is_local:
            return False
        return candidates.order.counts and candidates.well.top > 1

    def _choice(self) -> Choice:
        if self._last is not None:
            return "failover"
        return "borrowed" if self._borrows or self._is_lent else "strategy"

    def _chosen(self, candidates: Candidates) -> Seat | None:
        """Return whose turn it is; after a failure the next one, if possible one that has not
        failed lately."""
        if self._last is None:
            return candidates.order.one(self._number_in(candidates), self._tried)
        found = self._coming(candidates, _COMPARED)
        for seat in found:
            if seat.key[0] == found[0].key[0] and not self._desk.strikes(seat):
                return seat
        return found[0] if found else None

    def _coming(self, candidates: Candidates, wanted: int) -> list[Seat]:
        """Return whose turns come now."""
        return candidates.order.few(self._number_in(candidates), self._last, self._tried, wanted)

    def _number_in(self, candidates: Candidates) -> int:
        """Return the number that says where to begin; without the shared counter each such walk
        begins one further."""
        if self._counter is not None:
            return self._counter
        if self._place is None:
            candidates.cursor += self._is_local
            self._place = candidates.cursor if self._is_local else 0
        return self._place

    async def _counted(self, candidates: Candidates) -> Lease | None:
        """Take this request's number; and at the same time a place at the account whose turn it
        will be if no other replica comes between."""
        guessed = candidates.order.one(candidates.guess(), self._tried)
        if guessed is None or guessed.limit <= 0:
            self._counter = await self._number(candidates)
            return None
        choice, picture = self._choice(), self._desk.picture()
        taking = asyncio.create_task(self._desk.take(guessed), name="pool.take")
        try:
            self._counter = await self._number(candidates)
            lease = await taking
        except BaseException:
            taking.cancel()
            taking.add_done_callback(_give_back)
            raise
        return None if lease is None else self._lent(lease, choice, picture)

    async def _number(self, candidates: Candidates) -> int:
        number: int | None = None
        try:
            number = await self._desk.count() - 1
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

    def _begun(self, seat: Seat, choice: Choice) -> Lease:
        """Lend an account that has no limit, in the moment in which it was looked at."""
        picture = self._desk.picture()
        return self._noted(self._desk.begin(seat), choice, picture)

    async def _lend(self, seat: Seat, choice: Choice) -> Lease | None:
        """Lend an account if it has a place, and is still there then."""
        picture = self._desk.picture()
        lease = await self._desk.take(seat)
        return None if lease is None else self._lent(lease, choice, picture)

    def _lent(self, lease: Lease, choice: Choice, picture: Decision) -> Lease | None:
        if lease.seat.is_gone:
            # While it asked for a place; whose proxy was switched off would now go direct.
            lease.release()
            return None
        return self._noted(lease, choice, picture)

    def _noted(self, lease: Lease, choice: Choice, picture: Decision) -> Lease:
        """Say in a lease why it was lent."""
        self._last = lease.seat.key
        lease.choice, lease.decision = choice, picture
        lease.counter = self._counter if choice in _COUNTED else None
        return lease


def _give_back(taking: asyncio.Task[Lease | None]) -> None:
    """Whoever asked for a place has left."""
    if not taking.cancelled() and taking.exception() is None:
        lease = taking.result()
        if lease is not None:
            lease.release()
