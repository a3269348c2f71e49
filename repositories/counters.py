"""Counters of this process: the whole truth without Redis, the way on when Redis is away."""

from collections import OrderedDict

# A model's name comes from the client, so counters must not grow without limit. Forgetting the
# one unused for longest only begins its round anew.
MAX_COUNTERS = 10_000

DAY_S = 86_400


class Counters:
    """Numbers by key; the key unused for longest is forgotten beyond `limit`."""

    def __init__(self, limit: int = MAX_COUNTERS) -> None:
        self._limit = limit
        self._values: OrderedDict[str, int] = OrderedDict()

    def add(self, key: str, by: int) -> int:
        """Add and return the new value; an unknown key begins at 0."""
        values = self._values
        known = values.get(key)
        if known is None:
            self.saw(key, by)
            return by
        values[key] = value = known + by
        values.move_to_end(key)
        return value

    def get(self, key: str) -> int | None:
        """Return the value; None for an unknown key."""
        return self._values.get(key)

    def saw(self, key: str, value: int) -> None:
        """Go on from this value."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._limit:
            self._values.popitem(last=False)

    def __len__(self) -> int:
        return len(self._values)


def midnight_after(now: float) -> int:
    """Return the end of the UTC day that holds `now`; both in epoch seconds."""
    return (int(now) // DAY_S + 1) * DAY_S
