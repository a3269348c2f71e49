"""Learns limits that no provider tells, from how much an account had used when it was refused.

A sample is what was used, over all replicas, from the begin of the window until the refusal: it
is summed from the ledger of requests, off the request path. The first one sets the estimate; later
ones move it the less the surer it is. What is learned is marked so, with its confidence.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal, TypeAlias

from models.ports import Clock
from models.quota import QuotaWindow
from models.rest import EVERY_MODEL
from repositories.base import QuotaRepository, SharedState, Use
from services.estimates import sampled
from services.quotas import Quotas
from services.window_ends import WINDOW_S, WindowEnd

logger = logging.getLogger(__name__)

Unit: TypeAlias = Literal["requests", "tokens"]

_UNITS: Final[tuple[Unit, ...]] = ("requests", "tokens")
_MAX_COUNTED: Final = 200
"""Accounts whose use is summed at once; the others wait for the next time."""
_MIN_NEW_SHARE: Final = 0.25
"""Of what was used must have been used since the last sample: a refusal that is repeated while the
window is closed is the same one."""
_CLAIM_S: Final = 60.0


class Learner:
    """Takes samples, and counts what was used since."""

    def __init__(
        self, quotas: Quotas, repository: QuotaRepository, shared: SharedState, clock: Clock
    ) -> None:
        self._quotas = quotas
        self._repository = repository
        self._shared = shared
        self._clock = clock
        self._counted_at: dict[str, float] = {}

    async def learn(self) -> None:
        """Take a sample of each end that was met, once over all replicas."""
        while (end := self._quotas.ends.first()) is not None:
            if await self._shared.claim(f"quota:sample:{end.account_id}:{end.scope}", _CLAIM_S):
                await self._sample(end)
            self._quotas.ends.done(end)

    async def count(self) -> None:
        """Sum up what was used of the learned windows; of so many accounts at once, those first
        that were counted longest ago."""
        windows: dict[str, list[QuotaWindow]] = {}
        for window in self._quotas.learned():
            windows.setdefault(window.account_id, []).append(window)
        self._counted_at = {one: at for one, at in self._counted_at.items() if one in windows}
        due = sorted(windows, key=lambda one: self._counted_at.get(one, 0.0))[:_MAX_COUNTED]
        for account_id in due:
            self._counted_at[account_id] = self._clock.now()
            await self._count(windows[account_id])

    async def _count(self, windows: Sequence[QuotaWindow]) -> None:
        now = self._clock.now()
        by_begin: dict[float, Sequence[Use]] = {}
        for window in windows:
            begin = _began(window, now)
            if begin not in by_begin:
                by_begin[begin] = await self._use(window.account_id, begin)
            unit: Unit = "tokens" if window.unit == "tokens" else "requests"
            self._quotas.counted(window, _sums(by_begin[begin], window.model)[unit])

    async def _sample(self, end: WindowEnd) -> None:
        known = {
            window.unit: window
            for window in self._quotas.known(end.account_id)
            if window.source == "learned" and window.model == end.scope
        }
        began = max((_began(one, end.at) for one in known.values()), default=end.at - WINDOW_S)
        used = _sums(await self._use(end.account_id, began), end.scope)
        if known:
            last = max(window.updated_at for window in known.values())
            new = _sums(await self._use(end.account_id, last), end.scope)
            if new["requests"] < _MIN_NEW_SHARE * used["requests"]:
                return
        for unit in _UNITS:
            if used[unit] > 0:
                self._take(end, unit, used[unit], known.get(unit))

    def _take(self, end: WindowEnd, unit: Unit, used: int, known: QuotaWindow | None) -> None:
        window = replace(
            sampled(known, used, end.at),
            account_id=end.account_id,
            model=end.scope,
            window=f"5h-{unit}",
            unit=unit,
            resets_at=end.opens_at,
        )
        if self._quotas.take(window):
            self._quotas.counted(window, used)
            facts = {"account": end.account_id, "scope": end.scope, "limit": window.limit}
            logger.info("a limit was learned", extra={**facts, "unit": unit})

    async def _use(self, account_id: str, since: float) -> Sequence[Use]:
        return await self._repository.use(since=since, account_id=account_id)


def _began(window: QuotaWindow, now: float) -> float:
    """Return since when use counts: it rolls, and begins anew when a window opened."""
    opened_at, rolling = window.resets_at, now - WINDOW_S
    return rolling if opened_at is None or opened_at > now else max(rolling, opened_at)


def _sums(uses: Sequence[Use], scope: str) -> Mapping[Unit, int]:
    meant = [use for use in uses if scope in (EVERY_MODEL, use.model)]
    return {
        "requests": sum(use.requests for use in meant),
        "tokens": sum(use.tokens for use in meant),
    }
