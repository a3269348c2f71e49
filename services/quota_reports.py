"""What operators ask of limits: by account, by provider, and when a pool runs dry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from models.account import Account, AccountState, StoredAccount
from models.errors import NotFound
from models.ports import Clock
from models.quota import QuotaWindow
from models.rest import EVERY_MODEL, Rest
from openapi.quotas import QuotaQuery
from repositories.base import Page, QuotaRepository, Use
from services.account_states import SERVING, in_force, state_of
from services.forecast import SPAN_S, Tank, dry_at
from services.quota_windows import is_rate, length_s
from services.quotas import RATE_KINDS, Quotas, Release
from services.snapshot import Snapshot

Health: TypeAlias = Literal["healthy", "degraded", "critical"]

_HEALTHY: Final = 0.5
_DEGRADED: Final = 0.2
_HORIZON_S: Final = 86_400.0
_USE_FOR_S: Final = 60.0
"""How long a sum of the ledger is used again."""


@dataclass(frozen=True, slots=True)
class AccountQuota:
    """One account with its limits."""

    account: Account
    state: AccountState
    rests: Sequence[Rest]
    windows: Sequence[QuotaWindow]


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a pool runs dry, and how that is known."""

    dry_at: float | None
    not_before: float | None
    """Where it does not run dry that is known: it lasts until then at least."""
    per_hour: float | None
    unit: str
    """`requests`, `tokens` or `share`: of one account's limit."""
    basis: str


@dataclass(frozen=True, slots=True)
class WindowTotals:
    """One limit over the accounts of a pool that have it."""

    scope: str
    window: str
    accounts: int
    used_up: int
    used_ratio: float | None
    """Mean over the accounts of which it is known."""
    limit: int | None
    remaining: int | None
    unit: str | None
    earliest_reset: float | None
    confidence: float
    """The least sure one's."""
    forecast: Forecast | None
    """None for limits on the pace."""


@dataclass(frozen=True, slots=True)
class PoolSummary:
    """How a provider's accounts are."""

    provider_id: str
    accounts: int
    available: int
    health: Health
    states: Mapping[str, int]
    windows: Sequence[WindowTotals]
    forecast: Forecast | None
    """Of the account-wide limit that ends first; where there is none, of any. None when nothing
    is known of limits."""


class QuotaReports:
    """Use cases behind `/api/v1/quota`."""

    def __init__(
        self,
        quotas: Quotas,
        repository: QuotaRepository,
        snapshot: Callable[[], Snapshot],
        rests: Callable[[float], Sequence[Rest]],
        release: Release,
        clock: Clock,
    ) -> None:
        """`rests` returns those in force or half-open at a moment."""
        self._quotas = quotas
        self._repository = repository
        self._snapshot = snapshot
        self._rests = rests
        self._release = release
        self._clock = clock
        self._use: dict[str, tuple[float, Sequence[Use]]] = {}

    def accounts(self, query: QuotaQuery) -> Page[AccountQuota]:
        """Return accounts that match, in id order, with their limits."""
        snapshot = self._snapshot()
        rests, state_of = self._in_force(), self.states()
        found = [
            stored
            for account_id, stored in sorted(snapshot.accounts.items())
            if query.account_id in (None, account_id)
            and query.provider_id in (None, stored.account.provider_id)
            and (query.state is None or query.state == state_of(stored.account))
        ]
        shown = found[query.offset : query.offset + query.limit]
        data = [self._quota_of(snapshot, stored, rests) for stored in shown]
        return Page(data, len(found), query.limit, query.offset)

    def states(self) -> Callable[[Account], AccountState]:
        """Return what tells how an account is now."""
        proxies, rests = self._snapshot().proxies, self._in_force()
        return lambda account: state_of(account, proxies, rests)

    async def reset(self, account_id: str) -> AccountQuota:
        """Forget what is known of an account's limits, and end the rests that they began.

        Raises NotFound.
        """
        snapshot = self._snapshot()
        stored = snapshot.accounts.get(account_id)
        if stored is None:
            raise NotFound(f"there is no account {account_id}")
        row = self._quotas.forget(account_id)
        await self._repository.delete(account_id)
        await self._repository.store([row])
        for rest in self._rests(self._clock.now()):
            if rest.subject == account_id:
                self._release(account_id, rest.scope, "an operator's reset", reasons=RATE_KINDS)
        return self._quota_of(snapshot, stored, self._in_force())

    async def summary(self, provider_id: str) -> PoolSummary:
        """Return how the pool of a provider is. Raises NotFound."""
        snapshot = self._snapshot()
        if provider_id not in snapshot.providers and provider_id not in snapshot.by_provider:
            raise NotFound(f"there is no provider {provider_id}")
        rests = self._in_force()
        accounts = [stored.account for stored in snapshot.by_provider.get(provider_id, ())]
        states = [state_of(account, snapshot.proxies, rests) for account in accounts]
        windows = await self._windows(provider_id, [one for one in accounts if one.is_active])
        available = sum(state in SERVING for state in states)
        return PoolSummary(
            provider_id,
            len(accounts),
            available,
            _health(available, len(accounts)),
            {state: states.count(state) for state in sorted(set(states))},
            windows,
            _first(windows),
        )

    def _in_force(self) -> Mapping[str, Sequence[Rest]]:
        now = self._clock.now()
        return in_force(self._rests(now), now)

    def _quota_of(
        self, snapshot: Snapshot, stored: StoredAccount, rests: Mapping[str, Sequence[Rest]]
    ) -> AccountQuota:
        account = stored.account
        return AccountQuota(
            account,
            state_of(account, snapshot.proxies, rests),
            rests.get(account.id, ()),
            self._quotas.windows(account.id),
        )

    # --- pools ---

    async def _windows(
        self, provider_id: str, accounts: Sequence[Account]
    ) -> Sequence[WindowTotals]:
        groups: dict[tuple[str, str], list[QuotaWindow]] = {}
        for account in accounts:
            for window in self._quotas.windows(account.id):
                groups.setdefault((window.model, window.window), []).append(window)
        is_counted = any(_is_counted(_known(group)) for group in groups.values())
        uses = await self._uses(provider_id) if is_counted else ()
        return [_totals(group, self._forecast(group, uses)) for _, group in sorted(groups.items())]

    async def _uses(self, provider_id: str) -> Sequence[Use]:
        """Sum up the last hour, at most once a minute for each provider."""
        now = self._clock.now()
        at, uses = self._use.get(provider_id, (0.0, ()))
        if now - at >= _USE_FOR_S:
            uses = await self._repository.use(since=now - SPAN_S, provider_id=provider_id)
            providers = self._snapshot().providers
            self._use = {one: use for one, use in self._use.items() if one in providers}
            self._use[provider_id] = (now, uses)
        return uses

    def _forecast(self, group: Sequence[QuotaWindow], uses: Sequence[Use]) -> Forecast | None:
        if is_rate(group[0]):
            return None
        known = _known(group)
        if not known:
            return Forecast(None, None, None, "share", "how much is used is not known")
        if _is_counted(known):
            return self._counted(known, uses)
        return self._shared(known)

    def _counted(self, group: Sequence[QuotaWindow], uses: Sequence[Use]) -> Forecast:
        """Where limits are told in requests or tokens: what the ledger of the last hour says."""
        ids, scope = {window.account_id for window in group}, group[0].model
        meant = [use for use in uses if use.account_id in ids and scope in (EVERY_MODEL, use.model)]
        unit = group[0].unit or "requests"
        used = sum(use.tokens if unit == "tokens" else use.requests for use in meant)
        tanks = [
            Tank(
                float(window.remaining or 0),
                float(window.limit or 0),
                window.resets_at,
                length_s(window.window),
            )
            for window in group
        ]
        basis = f"{used} {unit} of {len(group)} accounts in the last hour, from the request log"
        if group[0].source == "learned":
            basis += "; the limits are learned"
        return self._told(tanks, used / SPAN_S, unit, basis)

    def _shared(self, group: Sequence[QuotaWindow]) -> Forecast:
        """Where only shares are told: how far they rose in the last hour, as this process saw."""
        now = self._clock.now()
        per_s = sum(
            self._quotas.rises.per_s((window.account_id, window.model, window.window), now)
            for window in group
        )
        tanks = [
            Tank(
                max(1.0 - (window.used_ratio or 0.0), 0.0),
                1.0,
                window.resets_at,
                length_s(window.window),
            )
            for window in group
        ]
        basis = f"how far the used shares of {len(group)} accounts rose in the last hour"
        return self._told(tanks, per_s, "share", basis)

    def _told(self, tanks: Sequence[Tank], per_s: float, unit: str, basis: str) -> Forecast:
        now = self._clock.now()
        lengths = [tank.length_s for tank in tanks if tank.length_s is not None]
        horizon_s = max([_HORIZON_S, *(1.1 * length for length in lengths)])
        at = dry_at(tanks, per_s, now, horizon_s)
        if at is None and per_s <= 0:
            return Forecast(None, None, 0.0, unit, f"{basis}; nothing was used")
        not_before = now + horizon_s if at is None else None
        return Forecast(at, not_before, per_s * 3_600.0, unit, basis)


def _known(group: Sequence[QuotaWindow]) -> list[QuotaWindow]:
    return [window for window in group if window.used_ratio is not None]


def _is_counted(group: Sequence[QuotaWindow]) -> bool:
    """Whether a lasting limit is told in requests or tokens for every account that has it."""
    return (
        bool(group)
        and not is_rate(group[0])
        and all(
            window.unit is not None and window.limit and window.remaining is not None
            for window in group
        )
    )


def _totals(group: Sequence[QuotaWindow], forecast: Forecast | None) -> WindowTotals:
    ratios = [window.used_ratio for window in group if window.used_ratio is not None]
    resets = [window.resets_at for window in group if window.resets_at is not None]
    return WindowTotals(
        scope=group[0].model,
        window=group[0].window,
        accounts=len(group),
        used_up=sum(ratio >= 1.0 for ratio in ratios),
        used_ratio=sum(ratios) / len(ratios) if ratios else None,
        limit=_sum([window.limit for window in group]),
        remaining=_sum([window.remaining for window in group]),
        unit=group[0].unit,
        earliest_reset=min(resets, default=None),
        confidence=min(window.confidence for window in group),
        forecast=forecast,
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _health(available: int, accounts: int) -> Health:
    share = available / accounts if accounts else 0.0
    if share >= _HEALTHY:
        return "healthy"
    return "degraded" if share >= _DEGRADED else "critical"


def _first(windows: Sequence[WindowTotals]) -> Forecast | None:
    """Return the forecast of the limit that ends first; limits of all models come before others."""
    forecasts = [(one.scope, one.forecast) for one in windows if one.forecast is not None]
    wide = [forecast for scope, forecast in forecasts if scope == EVERY_MODEL]
    chosen = wide or [forecast for _, forecast in forecasts]
    return min(chosen, key=_order, default=None)


def _order(forecast: Forecast) -> tuple[bool, float]:
    at = forecast.dry_at
    return at is None, at if at is not None else forecast.not_before or float("inf")
