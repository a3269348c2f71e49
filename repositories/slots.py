"""Places for requests at once, of this process: the whole truth without Redis, the way on when it
is away."""


class Slots:
    """Who holds a place of which account, and until when. Times are the caller's."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, float]] = {}

    def take(self, account_id: str, holder: str, limit: int, *, now: float, ttl_s: float) -> int:
        """Take a place; return how many are taken then, or 0 when all are."""
        held = self._alive(account_id, now)
        if holder not in held and len(held) >= limit:
            return 0
        self._held.setdefault(account_id, held)[holder] = now + ttl_s
        return len(held)

    def renew(self, account_id: str, holder: str, *, now: float, ttl_s: float) -> None:
        """Keep a place, or have it again."""
        self._held.setdefault(account_id, {})[holder] = now + ttl_s

    def free(self, account_id: str, holder: str) -> None:
        held = self._held.get(account_id)
        if held is not None:
            held.pop(holder, None)
            if not held:
                del self._held[account_id]

    def held(self, now: float) -> dict[str, dict[str, float]]:
        """Return who holds places: account id -> holder -> for how many seconds yet."""
        return {
            account_id: {holder: until - now for holder, until in alive.items()}
            for account_id in list(self._held)
            if (alive := self._alive(account_id, now))
        }

    def taken(self, account_id: str, now: float) -> int:
        """Return how many places are taken."""
        return len(self._alive(account_id, now))

    def _alive(self, account_id: str, now: float) -> dict[str, float]:
        held = self._held.get(account_id, {})
        for holder in [holder for holder, until in held.items() if until <= now]:
            del held[holder]
        return held
