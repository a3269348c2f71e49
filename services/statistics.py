"""What operators ask about the past."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from models.errors import NotFound
from models.exchange import RequestRecord
from models.ports import Clock
from repositories.base import (
    EgressRepository,
    LogFilter,
    Page,
    ProxyDay,
    SharedState,
    StatsRepository,
    Summary,
)
from services.day_counts import DAY_S, read_today


@dataclass(frozen=True, slots=True)
class ProxyStatistics:
    """What went through one proxy."""

    proxy_id: str
    requests_today: int
    errors_today: int
    days: Sequence[ProxyDay]
    """One for each day and provider with requests, oldest first."""


@dataclass(frozen=True, slots=True)
class SpanSummary:
    """Totals, and the span that they are of (epoch seconds, the end excluded)."""

    since: float
    until: float
    totals: Summary


class Statistics:
    """Queries behind `/api/v1/stats`."""

    def __init__(
        self, stats: StatsRepository, egress: EgressRepository, shared: SharedState, clock: Clock
    ) -> None:
        self._stats = stats
        self._egress = egress
        self._shared = shared
        self._clock = clock

    async def logs(self, log_filter: LogFilter, *, limit: int, offset: int) -> Page[RequestRecord]:
        """Return requests that match, newest first."""
        return await self._stats.logs(log_filter, limit=limit, offset=offset)

    async def proxy(self, proxy_id: str, *, days: int) -> ProxyStatistics:
        """Return the last days (UTC, today included) of a proxy, also of a deleted one.

        Raises NotFound when there is no such proxy and never was one in these days.
        """
        now = self._clock.now()
        found = await self._stats.proxy_days(proxy_id, days=days, now=now)
        if not found and await self._egress.get(proxy_id) is None:
            raise NotFound(f"there is no proxy {proxy_id}")
        # The counters run ahead of the ledger, and start anew with the store that holds them.
        requests, errors = (await read_today(self._shared, [proxy_id]))[proxy_id]
        today = datetime.fromtimestamp(now, UTC).date().isoformat()
        of_today = [day for day in found if day.day == today]
        return ProxyStatistics(
            proxy_id,
            max(requests, sum(day.requests for day in of_today)),
            max(errors, sum(day.errors for day in of_today)),
            found,
        )

    async def summary(
        self, *, since: float | None = None, until: float | None = None
    ) -> SpanSummary:
        """Return totals from `since` (a day before the end by default) up to before `until`."""
        end = self._clock.now() if until is None else until
        begin = end - DAY_S if since is None else since
        return SpanSummary(begin, end, await self._stats.summary(since=begin, until=end))
