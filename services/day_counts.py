"""Today's counters of each proxy, as the shared state keeps them until midnight UTC."""

from collections.abc import Iterable

from models.exchange import RequestRecord
from repositories.base import SharedState

DAY_S = 86_400


def requests_key(proxy_id: str) -> str:
    """Return the key under which a proxy's requests of today are counted."""
    return f"stats:proxy:{proxy_id}:requests:today"


def errors_key(proxy_id: str) -> str:
    """Return the key under which the attempts are counted that a proxy failed today."""
    return f"stats:proxy:{proxy_id}:errors:today"


class DayCounts:
    """Counts since the last `publish`. Counted as `proxy_stats` counts: a request at the proxy
    through which it was answered, an error at each proxy that failed on the way."""

    def __init__(self) -> None:
        self._counts: dict[tuple[int, str], int] = {}

    def add(self, record: RequestRecord) -> None:
        """Count one request; cheap, on the way of every request."""
        if record.proxy_id is None and not record.egress_errors:
            return
        day = int(record.at // DAY_S)
        if record.proxy_id is not None:
            self._raise(day, requests_key(record.proxy_id))
        for proxy_id in record.egress_errors:
            self._raise(day, errors_key(proxy_id))

    async def publish(self, shared: SharedState, *, now: float) -> None:
        """Hand over what was counted of today; what is of yesterday is over."""
        counts, self._counts = self._counts, {}
        today = {key: by for (day, key), by in counts.items() if day == int(now // DAY_S)}
        if today:
            await shared.count_today(today, now=now)

    def _raise(self, day: int, key: str) -> None:
        self._counts[day, key] = self._counts.get((day, key), 0) + 1


async def read_today(shared: SharedState, proxy_ids: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return requests and errors of today by proxy id."""
    ids = list(proxy_ids)
    counts = await shared.read_counts(
        [key(proxy_id) for proxy_id in ids for key in (requests_key, errors_key)]
    )
    pairs = zip(counts[::2], counts[1::2], strict=True)
    return dict(zip(ids, pairs, strict=True))
