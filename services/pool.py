"""Which account serves next: exact round robin over the accounts that may serve now."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from models.account import Account, AuthType, StoredAccount, TokenState
from models.egress import EgressProxy
from models.errors import ErrorKind, NoCapacity, UpstreamError
from models.ports import Clock
from models.rest import EVERY_MODEL, Rest
from providers.base import Route
from repositories.base import SharedState
from services.cooldown import Attempted, Cooldowns, scopes_of
from services.snapshot import Snapshot

RATE_KINDS: Final = frozenset({ErrorKind.RATE_LIMIT, ErrorKind.QUOTA})
STANDING_REASONS: Final = frozenset({"inactive", "model_not_allowed", "needs_login"})
"""Why an account does not serve until an operator changes something."""
_MIN_RETRY_S: Final = 1.0
_NO_ACCOUNT_RETRY_S: Final = 30.0
_WAITING_RETRY_S: Final = 5.0
_MAX_CACHED: Final = 4096


@dataclass(frozen=True, slots=True)
class Lease:
    """An account lent to one attempt, with its way out."""

    stored: StoredAccount
    egress: EgressProxy | None

    @property
    def account(self) -> Account:
        return self.stored.account


@dataclass(frozen=True, slots=True)
class _Eligible:
    """Accounts that may serve one model of one provider, best priority first, then by id."""

    until: float
    """Epoch seconds at which the first rest ends and the answer may change."""
    tiers: tuple[tuple[StoredAccount, ...], ...]


class Turn:
    """One request's walk through the accounts of one route: one increment, then onwards."""

    __slots__ = ("_counter", "_pool", "_route", "tried")

    def __init__(self, pool: "Pool", route: Route, counter: int) -> None:
        self._pool = pool
        self._route = route
        self._counter = counter
        self.tried: set[str] = set()
        """Ids of the accounts that this request may not take again."""

    def next(self) -> Lease | None:
        """Lend the next account that may serve and was not tried; None when there is none."""
        for tier in self._pool.tiers(self._route):
            size = len(tier)
            for step in range(size):
                stored = tier[(self._counter + step) % size]
                if stored.account.id not in self.tried:
                    return self._pool.lend(stored)
        return None


class Pool:
    """The accounts of this process's snapshot, and who of them rests."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        shared: SharedState,
        cooldowns: Cooldowns,
        clock: Clock,
    ) -> None:
        self._snapshot = snapshot
        self._shared = shared
        self.cooldowns = cooldowns
        self._clock = clock
        self._cache: dict[tuple[str, str], _Eligible] = {}
        self._cached_for: tuple[Snapshot | None, int] = (None, 0)
        self._rests_version = 0
        cooldowns.listeners.append(self._rests_changed)

    async def turn(self, route: Route) -> Turn:
        """Begin a walk by one increment of the shared counter.

        With one candidate the counter decides nothing and is left alone.
        """
        tiers = self.tiers(route)
        counter = 0
        if tiers and len(tiers[0]) > 1:
            key = f"account:rr:{route.provider.id}:{route.model}"
            counter = await self._shared.increment(key) - 1
        return Turn(self, route, counter)

    def tiers(self, route: Route) -> tuple[tuple[StoredAccount, ...], ...]:
        """Return the accounts that may serve now, in tiers of falling priority."""
        snapshot, now = self._snapshot(), self._clock.now()
        cached_for, version = self._cached_for
        if cached_for is not snapshot or version != self._rests_version:
            self._cached_for = (snapshot, self._rests_version)
            self._cache.clear()
        key = (route.provider.id, route.model)
        found = self._cache.get(key)
        if found is None or found.until <= now:
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
            found = self._cache[key] = self._eligible(snapshot, route, now)
        return found.tiers

    def lend(self, stored: StoredAccount) -> Lease:
        """Lend an account with the proxy it holds a place at."""
        return Lease(stored, self.egress_of(stored.account))

    def egress_of(self, account: Account) -> EgressProxy | None:
        """Return the account's way out, None for direct.

        Raises NoCapacity for an account that has none now: it never goes direct instead.
        """
        if account.goes_direct:
            return None
        proxy = _open_proxy(account, self._snapshot().proxies)
        if proxy is not None:
            return proxy
        raise NoCapacity("the account waits for an outbound proxy", retry_after_s=_WAITING_RETRY_S)

    def report(self, lease: Lease, route: Route, error: UpstreamError) -> Rest | None:
        """Let the one to blame rest."""
        return self.cooldowns.failed(self._attempted(lease, route), error)

    def succeeded(self, lease: Lease, route: Route) -> None:
        """An account has shown that it is well."""
        what = self._attempted(lease, route)
        self.cooldowns.succeeded(what.account_id, what.proxy_id, scopes_of(route))

    def _attempted(self, lease: Lease, route: Route) -> Attempted:
        account = lease.account
        proxy_id = lease.egress.id if lease.egress is not None else None
        peers = sum(len(tier) for tier in self.tiers(route))
        return Attempted(account.id, account.auth_type, proxy_id, route, peers)

    def _rests_changed(self, _subject: str) -> None:
        self._rests_version += 1

    def refusal(self, route: Route) -> NoCapacity:
        """Say why no account of the route can serve, and when one may."""
        snapshot, now = self._snapshot(), self._clock.now()
        reasons: Counter[str] = Counter()
        ends: list[float] = []
        only_rates = True
        for stored in snapshot.by_provider.get(route.provider.id, ()):
            reason, rest = self._obstacle(snapshot, stored.account, route, now)
            reasons[reason or "available"] += 1
            if rest is not None:
                ends.append(rest.opens_at)
                only_rates = only_rates and rest.reason in RATE_KINDS
        return _refusal(route, reasons, ends, now, only_rates=only_rates)

    def _eligible(self, snapshot: Snapshot, route: Route, now: float) -> _Eligible:
        tiers: dict[int, list[StoredAccount]] = {}
        until = float("inf")
        for stored in snapshot.by_provider.get(route.provider.id, ()):
            reason, rest = self._obstacle(snapshot, stored.account, route, now)
            if reason is None:
                tiers.setdefault(stored.account.priority, []).append(stored)
            elif rest is not None:
                until = min(until, rest.opens_at)
        ordered = tuple(tuple(tiers[priority]) for priority in sorted(tiers, reverse=True))
        return _Eligible(until, ordered)

    def _obstacle(
        self, snapshot: Snapshot, account: Account, route: Route, now: float
    ) -> tuple[str | None, Rest | None]:
        """Return why an account cannot serve now, and the rest that is the cause if one is."""
        if reason := _standing_obstacle(account, route.model, snapshot.proxies):
            return reason, None
        if not len(self.cooldowns):
            return None, None
        rest = self.cooldowns.found(account.id, scopes_of(route), now)
        if rest is not None and rest.opens_at > now:
            return f"cooling_{rest.reason.value}", rest
        if account.proxy_id is not None:
            rest = self.cooldowns.found(account.proxy_id, (EVERY_MODEL,), now)
            if rest is not None and rest.opens_at > now:
                return "proxy_down", rest
        return None, None


def _standing_obstacle(
    account: Account, model: str, proxies: Mapping[str, EgressProxy]
) -> str | None:
    """Return what keeps an account from serving until somebody changes something."""
    if not account.is_active:
        return "inactive"
    if account.token_state is TokenState.NEEDS_REAUTH and account.auth_type is AuthType.OAUTH:
        return "needs_login"
    if account.models is not None and model not in account.models:
        return "model_not_allowed"
    if not account.goes_direct and _open_proxy(account, proxies) is None:
        return "waiting_for_proxy"
    return None


def _open_proxy(account: Account, proxies: Mapping[str, EgressProxy]) -> EgressProxy | None:
    proxy = proxies.get(account.proxy_id or "")
    return proxy if proxy is not None and proxy.is_active else None


def _refusal(
    route: Route, reasons: Counter[str], ends: list[float], now: float, *, only_rates: bool
) -> NoCapacity:
    counted = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    message = (
        f"no account of provider {route.provider.id!r} can serve model {route.model!r} now: "
        f"{counted or 'it has no accounts'}"
    )
    is_limited = bool(ends) and only_rates
    retry_after_s = min(ends) - now if ends else _NO_ACCOUNT_RETRY_S
    if reasons["available"]:
        retry_after_s = _MIN_RETRY_S
    return NoCapacity(
        message,
        kind=ErrorKind.RATE_LIMIT if is_limited else ErrorKind.UNAVAILABLE,
        status=429 if is_limited else 503,
        retry_after_s=max(retry_after_s, _MIN_RETRY_S),
        details={"reasons": dict(reasons)},
    )
