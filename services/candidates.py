"""Who may serve one model of one provider, kept up to date by what happens.

Nothing is searched for when a request comes: whoever begins or ends a rest, becomes full or free,
or is changed by an operator is looked at once and put on the shelf where it belongs; a heap of
times says who is to be looked at again because a rest opens. So a choice costs the same for ten
accounts and for ten thousand.
"""

import heapq
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Final, Protocol, TypeAlias

from models.rest import EVERY_MODEL, Rest
from services.pauses import SHARED_FATE
from services.rest_book import FORGOTTEN_S
from services.seats import Roster, Seat
from services.shelf import Shelf
from services.strategies import Order

MANY: Final = 1 << 30
"""As many openings as anybody may ask for."""
_EVERYTHING: Final = (EVERY_MODEL,)
_SPARE: Final = 64
_COMPARED: Final = 64
_LOOKED_AT: Final = 64


class Rests(Protocol):
    """Who rests: `services.cooldown.Cooldowns`."""

    def found(self, subject: str, scopes: Sequence[str], now: float) -> Rest | None: ...


class Standing(StrEnum):
    """Why a seat is not simply well."""

    BARRED = "barred"
    """Until somebody changes something."""
    DRAINING = "draining"
    """It serves only the conversations that live there."""
    FULL = "full"
    """No place is left for the moment."""
    RESTING = "resting"
    TRIAL = "trial"
    """It rests, and one request may try."""
    ENDED = "ended"
    """Its rest is over, and nobody has tried yet."""
    QUARANTINED = "quarantined"
    """Its proxy rests, and that is all that speaks against it."""


@dataclass(frozen=True, slots=True)
class Spot:
    """What keeps a seat from serving like any other."""

    standing: Standing
    reason: str
    due: float | None = None
    """When time alone changes it, epoch seconds UTC."""
    rests: tuple[Rest, ...] = ()
    is_peer: bool = False
    """Whether it could serve if nobody rested for what the provider itself may be the cause of."""


FULL: Final = Spot(Standing.FULL, "at_limit", is_peer=True)
_DRAINING: Final = Spot(Standing.DRAINING, "draining")
_DRAINING_FULL: Final = Spot(Standing.FULL, "draining")
_NOT_ALLOWED: Final = Spot(Standing.BARRED, "model_not_allowed")
_NEEDS_OPERATOR: Final = Spot(Standing.BARRED, "needs_operator")

MakeOrder: TypeAlias = Callable[[Shelf, Sequence[Seat]], Order]
"""(those who are well, everybody) -> how they take turns."""


class Candidates:
    """The accounts of one provider, sorted by whether they may serve one model."""

    well: Shelf
    order: Order
    """How those who are well take turns."""

    def __init__(
        self,
        roster: Roster,
        model: str,
        scopes: Sequence[str],
        rests: Rests,
        make_order: MakeOrder,
        now: float,
    ) -> None:
        self.roster = roster
        self._model = model
        self._scopes = scopes
        self._rests = rests
        self._make_order = make_order
        self.version = 0
        """Grows with every change but those of `fullness`."""
        self.fullness = 0
        """Grows when somebody becomes full, or is so no more."""
        self.cursor = 0
        """For those who take turns without the shared counter."""
        self._next = 0
        self._asked = 0
        self.end = 0
        """Up to which change of the roster everything is taken in."""
        self._begin(now)

    def refresh(self, now: float) -> None:
        """Take in what happened since the last time: nothing, if the roster has no later `end`
        and no rest is `due`."""
        roster = self.roster
        if roster.end != self.end:
            changed = roster.since(self.end)
            self.end = roster.end
            if changed is None:
                self._begin(now)
            else:
                for seat in changed:
                    # A request of an account that was deleted meanwhile may have ended.
                    if roster.by_id.get(seat.id) is seat:
                        self._look_at(seat, now)
        while self.due and self.due[0][0] <= now:
            at, account_id = heapq.heappop(self.due)
            if self._dues.get(account_id) == at:
                del self._dues[account_id]
                self._look_at(roster.by_id[account_id], now)

    def spot(self, seat: Seat) -> Spot | None:
        """Return what keeps a seat from serving; None when it is well."""
        return self._spots.get(seat.id)

    def reason(self, account_id: str) -> str | None:
        """Return what keeps an account from serving, in a word; None when nothing does."""
        spot = self._spots.get(account_id)
        return None if spot is None else spot.reason

    def on(self, standing: Standing) -> Shelf:
        """Return those who stand so: TRIAL, ENDED or QUARANTINED."""
        return self._shelves[standing]

    def half_open(self) -> Seat | None:
        """Return somebody whom a request may try, if nobody well has a better priority; each time
        another one."""
        if not self._spots:
            return None
        best = self.well.priority
        for standing in (Standing.ENDED, Standing.TRIAL):
            shelf = self._shelves[standing]
            priority = shelf.priority
            if priority is not None and (best is None or priority >= best):
                self.cursor += 1
                return next(shelf.walk(self.cursor))
        return None

    def guess(self) -> int:
        """Return the number that the shared counter will very likely give to who asks now."""
        self._asked += 1
        return self._next + self._asked - 1

    def counted(self, number: int | None) -> None:
        """Note the number that was given to who guessed; None when none was."""
        self._asked -= 1
        if number is not None:
            self._next = number + 1

    def openings(self) -> int:
        """Return how many requests may hope to be served now, about."""
        if self.limited < len(self.well.seats):
            return MANY
        # Who has no place is no hope, whatever its standing: to wake for it would wake for ever.
        shelves = (self.well, self.on(Standing.ENDED), self.on(Standing.QUARANTINED))
        return sum(seat.places for one in shelves for seat in islice(one.seats, _LOOKED_AT))

    def earliest(self) -> float | None:
        """Return when the first rest opens by itself, epoch seconds; None when none does."""
        due = self.due
        while due and self._dues.get(due[0][1]) != due[0][0]:
            heapq.heappop(due)
        return due[0][0] if due else None

    def recovery(self) -> float | None:
        """Return when the first rest is over, epoch seconds: a trial before its end is one
        request's chance, and nothing to come back for. Of very many some are looked at."""
        if self.earliest() is None:
            return None
        # A heap: the first of the list opens first, and those that follow it soon.
        return min(self._over_at(account_id, at) for at, account_id in self.due[:_COMPARED])

    def _over_at(self, account_id: str, opens_at: float) -> float:
        spot = self._spots.get(account_id)
        ends = [rest.until for rest in spot.rests] if spot is not None else []
        return max([opens_at, *ends])

    # --- everybody ------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        """Look at everybody."""
        roster = self.roster
        self.end = roster.end
        self._spots: dict[str, Spot] = {}  # of those who are not well
        self._shelves = {
            standing: Shelf() for standing in (Standing.TRIAL, Standing.ENDED, Standing.QUARANTINED)
        }
        self.due: list[tuple[float, str]] = []
        """A heap of times at which somebody is to be looked at again, epoch seconds."""
        self._dues: dict[str, float] = {}
        self.reasons: Counter[str] = Counter()
        """Why those who are not well are not: how many there are of each."""
        self.excluded: list[str] = []
        """Ids of those who are not well, in order."""
        well: list[Seat] = []
        for seat in roster.seats:
            spot = self._judged(seat, now)
            if spot is None:
                well.append(seat)
            else:
                self._note(seat, spot)
        self.well = Shelf(well)
        self.limited = sum(seat.limit > 0 for seat in well)
        """How many of those who are well serve only so many requests at once."""
        self.peers = len(well) + sum(spot.is_peer for spot in self._spots.values())
        """How many could serve if nobody rested for what the provider may be the cause of."""
        self.order = self._make_order(self.well, roster.seats)
        roster.tells_use = roster.tells_use or self.order.wants_use
        self.version += 1

    # --- one seat -------------------------------------------------------------------------

    def _look_at(self, seat: Seat, now: float) -> None:
        """Put a seat where it belongs now."""
        before, after = self._spots.get(seat.id), self._judged(seat, now)
        if before == after:
            if after is None and self.order.wants_use:
                self.order.used(seat)
            elif after is not None and after.due is not None and seat.id not in self._dues:
                self._expect(seat, after.due)
            return
        self._leave(seat, before)
        self._enter(seat, after)
        if (before is None or before is FULL) and (after is None or after is FULL):
            self.fullness += 1
        else:
            self.version += 1

    def _judged(self, seat: Seat, now: float) -> Spot | None:
        """Return what keeps a seat from serving now."""
        if seat.obstacle is not None:
            return Spot(Standing.BARRED, seat.obstacle)
        if seat.models is not None and self._model not in seat.models:
            return _NOT_ALLOWED
        rest = self._rests.found(seat.id, self._scopes, now)
        way = None
        if seat.egress is not None:
            way = self._rests.found(seat.egress.id, _EVERYTHING, now)
        if rest is not None or way is not None:
            return _resting(rest, way, now, is_draining=seat.account.is_draining)
        if seat.account.is_draining:
            return _DRAINING_FULL if seat.is_full else _DRAINING
        return FULL if seat.is_full else None

    def _enter(self, seat: Seat, spot: Spot | None) -> None:
        if spot is not None:
            self._note(seat, spot)
            self.peers += spot.is_peer
            return
        self.well.put(seat)
        self.order.came(seat)
        self.limited += seat.limit > 0
        self.peers += 1

    def _note(self, seat: Seat, spot: Spot) -> None:
        self._spots[seat.id] = spot
        self.reasons[spot.reason] += 1
        insort(self.excluded, seat.id)
        if (shelf := self._shelves.get(spot.standing)) is not None:
            shelf.put(seat)
        if spot.due is not None:
            self._expect(seat, spot.due)

    def _leave(self, seat: Seat, spot: Spot | None) -> None:
        if spot is None:
            self.well.remove(seat)
            self.order.went(seat)
            self.limited -= seat.limit > 0
            self.peers -= 1
            return
        del self._spots[seat.id]
        del self.excluded[bisect_left(self.excluded, seat.id)]
        self._dues.pop(seat.id, None)
        self.reasons[spot.reason] -= 1
        self.peers -= spot.is_peer
        if (shelf := self._shelves.get(spot.standing)) is not None:
            shelf.remove(seat)

    def _expect(self, seat: Seat, at: float) -> None:
        """Look at a seat again then."""
        self._dues[seat.id] = at
        heapq.heappush(self.due, (at, seat.id))
        if len(self.due) > _SPARE + 4 * len(self._dues):
            self.due = [(at, account_id) for account_id, at in self._dues.items()]
            heapq.heapify(self.due)


def _resting(rest: Rest | None, way: Rest | None, now: float, *, is_draining: bool) -> Spot:
    """Return where a rest of the account or of its proxy puts it."""
    if rest is not None and rest.opens_at > now:
        if rest.needs_operator:
            return _NEEDS_OPERATOR
        is_peer = rest.reason in SHARED_FATE
        reason = f"cooling_{rest.reason.value}"
        return Spot(Standing.RESTING, reason, rest.opens_at, (rest,), is_peer)
    if way is not None and way.opens_at > now:
        is_only = rest is None and not is_draining
        standing = Standing.QUARANTINED if is_only else Standing.RESTING
        return Spot(standing, "proxy_down", way.opens_at, (way,))
    if is_draining:
        return _DRAINING
    rests = tuple(one for one in (rest, way) if one is not None)
    standing = Standing.TRIAL if any(one.until > now for one in rests) else Standing.ENDED
    due = min(one.until if one.until > now else one.until + FORGOTTEN_S for one in rests)
    return Spot(standing, "half_open", due, rests, is_peer=True)
