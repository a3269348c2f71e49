"""Today's counters of each proxy, as the shared state keeps them until midnight UTC."""

from collections import Counter
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
        self._requests: Counter[tuple[int, str]] = Counter()
        """By day since the epoch and proxy."""
        self._errors: Counter[tuple[int, str]] = Counter()

    def add(self, record: RequestRecord) -> None:
        """Count one request; cheap, on the way of every request."""
        if record.proxy_id is not None:
            self._requests[int(record.at // DAY_S), record.proxy_id] += 1
        if record.egress_errors:
            day = int(record.at // DAY_S)
            self._errors.update((day, proxy_id) for proxy_id in record.egress_errors)

    async def publish(self, shared: SharedState, *, now: float) -> None:
        """Hand over what was counted of today; what is of yesterday is over."""
        requests, self._requests = self._requests, Counter()
        errors, self._errors = self._errors, Counter()
        day = int(now // DAY_S)
        today = {
            key(proxy_id): by
            for key, counts in ((requests_key, requests), (errors_key, errors))
            for (of_day, proxy_id), by in counts.items()
            if of_day == day
        }
        if today:
            await shared.count_today(today, now=now)


async def read_today(shared: SharedState, proxy_ids: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return requests and errors of today by proxy id."""
    ids = list(proxy_ids)
    counts = await shared.read_counts(
        [key(proxy_id) for proxy_id in ids for key in (requests_key, errors_key)]
    )
    pairs = zip(counts[::2], counts[1::2], strict=True)
    return dict(zip(ids, pairs, strict=True))
