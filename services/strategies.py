"""How an account is chosen among equals: one class for each strategy of `models.account.Strategy`.

All look at nothing but the seats that are well (a `Shelf`) and are told who comes and goes, so that
a choice costs the same for ten accounts and for ten thousand.
"""

import heapq
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, islice
from math import inf
from typing import Final, TypeAlias

from models.account import Strategy
from services.seats import Key, Seat
from services.shelf import Shelf

Known: TypeAlias = Callable[[str, str], float | None]
"""(account id, model) -> a fact about its limits; None where it is not known."""

_RANKED_S: Final = 1.0
_STEPS: Final = 20
_GOLDEN: Final = 0.6180339887498949
_NEAR: Final = 24


def unknown(_account_id: str, _model: str) -> None:
    """Nothing is known of anybody's limits."""
    return


@dataclass(frozen=True, slots=True)
class Facts:
    """What strategies ask of the world."""

    monotonic: Callable[[], float]
    resets_at: Known = unknown
    """When the account's limit begins anew, in epoch seconds."""
    used_ratio: Known = unknown
    """How much of its limit is used, 0 to 1."""


class Order:
    """What the strategies have in common: unless they say otherwise, all take turns."""

    counts = True
    """Whether a number that all replicas share decides."""
    wants_use = False
    """Whether it is to be told of requests that begin or end."""

    def __init__(self, well: Shelf) -> None:
        self._well = well

    def few(self, turn: int, after: Key | None, skip: Container[str], wanted: int) -> list[Seat]:
        """Return up to `wanted` seats that are not to be skipped, the first choice first.

        `turn` is the shared number, `after` the key of who was chosen before: those that follow
        it come next.
        """
        return _few(self._walk(turn, after), skip, wanted)

    def one(self, turn: int, skip: Container[str]) -> Seat | None:
        """Return the first choice of those that are not to be skipped."""
        found = self.few(turn, None, skip, 1)
        return found[0] if found else None

    def first(self, turn: int) -> Seat | None:
        """Return whose turn it is, and take nobody's."""
        return self.one(turn, ())

    def came(self, seat: Seat) -> None:
        """A seat is well now."""

    def went(self, seat: Seat) -> None:
        """A seat is not well any more."""

    def used(self, seat: Seat) -> None:
        """A request of a seat that is well began or ended."""

    def _walk(self, turn: int, after: Key | None) -> Iterable[Seat]:
        return self._well.walk(turn, after)


class RoundRobin(Order):
    """The accounts of the best tier take turns."""

    def one(self, turn: int, skip: Container[str]) -> Seat | None:
        well = self._well
        if well.seats:
            seat = well.seats[turn % well.top]
            if seat.id not in skip:
                return seat
        return super().one(turn, skip)


class FillFirst(Order):
    """The first account serves as much as it may, then the second."""

    counts = False

    def _walk(self, turn: int, after: Key | None) -> Iterable[Seat]:
        return self._well.walk(0)


class Weighted(Order):
    """Each account serves its share of every cycle exactly, spread over the cycle.

    A cycle has as many turns as the weights of the best tier sum up to. Its turns are dealt in
    steps of about the golden ratio of it, which has no common divisor with it: so each place of
    the cycle comes up once, and those of one account are far apart.
    """

    def __init__(self, well: Shelf, everybody: Sequence[Seat]) -> None:
        """`everybody`: all seats, well or not, sorted."""
        super().__init__(well)
        self._seats = everybody
        self._at = {seat.id: at for at, seat in enumerate(everybody)}
        self._tiers = _tiers(everybody)
        self._sums = _Sums([0] * len(everybody))
        for seat in well.seats:
            self.came(seat)

    def came(self, seat: Seat) -> None:
        self._sums.add(self._at[seat.id], max(seat.weight, 1))

    def went(self, seat: Seat) -> None:
        self._sums.add(self._at[seat.id], -max(seat.weight, 1))

    def _walk(self, turn: int, after: Key | None) -> Iterable[Seat]:
        if after is not None or not self._well.seats:
            return self._well.walk(turn, after)
        begin, end = self._tiers[self._well.seats[0].key[0]]
        before = self._sums.before(begin)
        cycle = self._sums.before(end) - before
        point = turn % cycle * _stride(cycle) % cycle
        chosen = self._seats[self._sums.find(before + point)]
        return self._well.walk(turn, chosen.key)


class LeastInflight(Order):
    """Whoever has the fewest requests of this process under way; of equals who waited longest."""

    counts = False
    wants_use = True

    def __init__(self, well: Shelf) -> None:
        super().__init__(well)
        self._now = {seat.id: _load(seat) for seat in well.seats}
        self._heap = list(self._now.values())
        heapq.heapify(self._heap)

    def few(self, turn: int, after: Key | None, skip: Container[str], wanted: int) -> list[Seat]:
        heap, seen, found = self._heap, list[_Load](), list[Seat]()
        while heap and len(found) < wanted:
            load = heapq.heappop(heap)
            seat = load[4]
            if self._now.get(seat.id) is not load:
                continue
            seen.append(load)
            if seat.id not in skip:
                found.append(seat)
        for load in seen:
            heapq.heappush(heap, load)
        return found

    def came(self, seat: Seat) -> None:
        self.used(seat)

    def went(self, seat: Seat) -> None:
        del self._now[seat.id]

    def used(self, seat: Seat) -> None:
        self._now[seat.id] = load = _load(seat)
        heapq.heappush(self._heap, load)
        if len(self._heap) > 64 + 4 * len(self._now):
            self._heap = list(self._now.values())
            heapq.heapify(self._heap)


class Ranked(Order):
    """Whoever comes first by something that changes slowly; it is looked up about once a second.

    Equals take turns, counted by this process.
    """

    counts = False

    def __init__(
        self, well: Shelf, rank: Callable[[Seat], float], monotonic: Callable[[], float]
    ) -> None:
        super().__init__(well)
        self._rank = rank
        self._monotonic = monotonic
        self._rankings: dict[int, tuple[float, list[list[Seat]]]] = {}
        self._gone: set[str] = set()
        self._taken = 0
        """Turns of equals."""

    def first(self, turn: int) -> Seat | None:
        taken = self._taken
        found = super().first(turn)
        self._taken = taken
        return found

    def came(self, seat: Seat) -> None:
        self._gone.discard(seat.id)

    def went(self, seat: Seat) -> None:
        self._gone.add(seat.id)

    def _walk(self, turn: int, after: Key | None) -> Iterable[Seat]:
        turn = self._taken
        self._taken += 1
        for begin, end in self._well.tiers():
            for group in self._groups(begin, end):
                yield from self._present(group, turn)
            # Who came back a moment ago has no rank yet.
            yield from islice(self._well.seats, begin, end)

    def _present(self, group: list[Seat], turn: int) -> Iterator[Seat]:
        """Yield a group's seats from the one whose turn it is; who has gone leaves the group."""
        yielded, at = 0, turn % len(group) if group else 0
        while yielded < len(group):
            at %= len(group)
            if group[at].id in self._gone:
                del group[at]
            else:
                yield group[at]
                yielded, at = yielded + 1, at + 1

    def _groups(self, begin: int, end: int) -> list[list[Seat]]:
        tier, now = self._well.seats[begin].key[0], self._monotonic()
        made_at, groups = self._rankings.get(tier, (-inf, []))
        while groups and not groups[0]:
            del groups[0]
        if not groups or not 0 <= now - made_at < _RANKED_S:
            ranked = sorted(
                ((self._rank(seat), seat) for seat in self._well.seats[begin:end]), key=_rank
            )
            groups = [[seat for _, seat in equals] for _, equals in groupby(ranked, key=_rank)]
            if begin == 0:
                self._rankings.clear()
            self._rankings[tier] = (now, groups)
        return groups


def order_of(
    strategy: Strategy, model: str, well: Shelf, everybody: Sequence[Seat], facts: Facts
) -> Order:
    """Return the order in which a strategy takes those who are well."""
    match strategy:
        case Strategy.ROUND_ROBIN:
            return RoundRobin(well)
        case Strategy.WEIGHTED:
            return Weighted(well, everybody)
        case Strategy.LEAST_INFLIGHT:
            return LeastInflight(well)
        case Strategy.FILL_FIRST:
            return FillFirst(well)
        case Strategy.SOONEST_RESET:
            return Ranked(well, lambda seat: _soon(facts, seat, model), facts.monotonic)
        case Strategy.LEAST_USED:
            return Ranked(well, lambda seat: _share(facts, seat, model), facts.monotonic)


def _few(walk: Iterable[Seat], skip: Container[str], wanted: int) -> list[Seat]:
    found: dict[str, Seat] = {}
    for seat in walk:
        if seat.id not in skip:
            if wanted == 1:
                return [seat]
            found[seat.id] = seat
            if len(found) >= wanted:
                break
    return list(found.values())


# --- weighted ---


class _Sums:
    """Sums over the beginning of a list whose entries change: a Fenwick tree."""

    def __init__(self, values: Sequence[int]) -> None:
        self._size = len(values)
        self._tree = [0] * (self._size + 1)
        self._highest = 1 << self._size.bit_length()

    def add(self, at: int, by: int) -> None:
        at += 1
        while at <= self._size:
            self._tree[at] += by
            at += at & -at

    def before(self, at: int) -> int:
        """Return the sum of the entries before a place."""
        total = 0
        while at > 0:
            total += self._tree[at]
            at &= at - 1
        return total

    def find(self, point: int) -> int:
        """Return the place whose entry holds a point of the whole sum."""
        at, step = 0, self._highest
        while step:
            if at + step <= self._size and self._tree[at + step] <= point:
                at += step
                point -= self._tree[at]
            step >>= 1
        return at


def _tiers(seats: Sequence[Seat]) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for at, seat in enumerate(seats):
        begin, _ = found.get(seat.key[0], (at, at))
        found[seat.key[0]] = (begin, at + 1)
    return found


@lru_cache(maxsize=1024)
def _stride(cycle: int) -> int:
    """Return about the golden ratio of a cycle: of the steps near it the one that spreads best."""
    golden = round(cycle * _GOLDEN)
    near = range(max(golden - _NEAR, 1), min(golden + _NEAR, cycle) + 1)
    return min(near, key=lambda stride: (_clumping(stride, cycle), abs(stride - golden)))


def _clumping(stride: int, cycle: int) -> float:
    """Return the greatest quotient of Euclid's algorithm: the greater, the more the turns of one
    account come in clumps. Infinite for a step that does not reach every place."""
    worst = 0
    while stride:
        worst = max(worst, cycle // stride)
        cycle, stride = stride, cycle % stride
    return worst if cycle == 1 else inf


# --- least_inflight ---

_Load: TypeAlias = tuple[int, int, int, str, Seat]


def _load(seat: Seat) -> _Load:
    return (seat.key[0], seat.inflight, seat.used, seat.id, seat)


# --- soonest_reset, least_used ---


def _rank(ranked: tuple[float, Seat]) -> float:
    return ranked[0]


def _soon(facts: Facts, seat: Seat, model: str) -> float:
    """What is not used before a reset is lost: whose limit begins anew soonest comes first."""
    resets_at = facts.resets_at(seat.id, model)
    return inf if resets_at is None else resets_at


def _share(facts: Facts, seat: Seat, model: str) -> float:
    """In steps, so that the least used one does not get everything for a second."""
    ratio = facts.used_ratio(seat.id, model)
    return 0.0 if ratio is None else float(int(ratio * _STEPS))
