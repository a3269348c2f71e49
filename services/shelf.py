"""Seats in the order of tiers, to take one out by its number in constant time."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from services.seats import Key, Seat


class Shelf:
    """Seats, best priority first, then by id."""

    def __init__(self, seats: Iterable[Seat] = ()) -> None:
        """`seats` come sorted."""
        self.seats = list(seats)
        self._keys = [seat.key for seat in self.seats]
        self.top = self._top()
        """How many seats the best tier has."""

    def __len__(self) -> int:
        return len(self.seats)

    @property
    def priority(self) -> int | None:
        """Of the best tier."""
        return -self._keys[0][0] if self._keys else None

    def put(self, seat: Seat) -> None:
        """Put in who is not in it."""
        at = bisect_left(self._keys, seat.key)
        self._keys.insert(at, seat.key)
        self.seats.insert(at, seat)
        self.top = self._top()

    def remove(self, seat: Seat) -> None:
        """Take out who is in it."""
        at = bisect_left(self._keys, seat.key)
        del self._keys[at], self.seats[at]
        self.top = self._top()

    def tiers(self) -> Iterator[tuple[int, int]]:
        """Yield where each tier begins and ends, the best first."""
        begin = 0
        while begin < len(self._keys):
            end = self._tier_end(begin)
            yield begin, end
            begin = end

    def walk(self, turn: int, after: Key | None = None) -> Iterator[Seat]:
        """Yield every seat, tier by tier: from the one whose turn it is, or from this key on."""
        seats, keys = self.seats, self._keys
        end = 0
        while end < len(keys):
            begin, end = end, self._tier_end(end)
            if after is not None and after[0] == keys[begin][0]:
                start = bisect_left(keys, after, begin, end)
            else:
                start = begin + turn % (end - begin)
            for at in range(start, end):
                yield seats[at]
            for at in range(begin, start):
                yield seats[at]

    def _top(self) -> int:
        return self._tier_end(0) if self._keys else 0

    def _tier_end(self, begin: int) -> int:
        keys = self._keys
        worst = keys[begin][0]
        if keys[-1][0] == worst:
            return len(keys)
        return bisect_left(keys, (worst + 1, ""), begin)
