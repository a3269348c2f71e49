"""The accounts of all providers: who serves next, who rests, who waits."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Final, TypeAlias

from models.account import Account, Strategy
from models.attempt import Decision
from models.egress import EgressProxy
from models.errors import NoCapacity, UpstreamError
from models.ports import Clock
from models.rest import Rest
from providers.base import Route
from repositories.base import SharedState
from services.candidates import MANY, Candidates, Standing
from services.cooldown import Attempted, Cooldowns, scopes_of
from services.pictures import RATE_KINDS, STANDING_REASONS, Pictures, refusal_of
from services.seats import Rosters, Seat, open_proxy
from services.slots import Lease, Slots
from services.snapshot import Snapshot
from services.strategies import Facts, Known, order_of, unknown
from services.turn import Turn
from services.waiting import WaitingRoom

__all__ = ["RATE_KINDS", "STANDING_REASONS", "Lease", "Pool", "Turn"]

_WAITING_RETRY_S: Final = 5.0

_MAX_KNOWN: Final = 4096
_MAX_SEATS: Final = 500_000
"""Candidates that are kept, and seats in them: clients name the models. Those unused for longest
are forgotten; they are found out anew."""

_MAX_GOALS: Final = 200
"""Routes that requests wait for at the same time. Each event looks at all of them; a client that
waits for very many models that it made up would keep this process busy with nothing else."""

_Key: TypeAlias = tuple[str, str, Strategy | None]
"""`providers.base.Route.key`."""


@dataclass(frozen=True, slots=True)
class _Goal:
    """What requests wait for: anybody of a route."""

    key: _Key
    route: Route = field(compare=False)


class Pool:
    """The accounts of this process's snapshot, and what is known of each."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        shared: SharedState,
        cooldowns: Cooldowns,
        clock: Clock,
        *,
        strategy: Strategy = Strategy.ROUND_ROBIN,
        resets_at: Known = unknown,
        used_ratio: Known = unknown,
        slot_ttl_s: float = 60.0,
        slot_renew_every_s: float = 20.0,
    ) -> None:
        """`strategy` is for providers that name none of their own."""
        self._snapshot = snapshot
        self._shared = shared
        self.cooldowns = cooldowns
        self.clock = clock
        self._strategy = strategy
        self._facts = Facts(clock.monotonic, resets_at, used_ratio)
        self._rosters = Rosters()
        self._seen: Snapshot | None = None
        self._known: OrderedDict[_Key, Desk] = OrderedDict()
        self._seats = 0
        self._waiting = WaitingRoom(self._openings, max_queues=_MAX_GOALS)
        self._at_homes = WaitingRoom(self._places_at)
        self.slots = Slots(
            shared, clock, self._freed, ttl_s=slot_ttl_s, renew_every_s=slot_renew_every_s
        )
        """`slots.keep` must run for as long as requests are served."""
        cooldowns.listeners.append(self._rested)

    def desk(self, route: Route) -> "Desk":
        """Return where the accounts of a route are lent; requests share it."""
        key = route.key
        known = self._known.get(key)
        if known is None:
            self._look()
            return self._begin(route, self.clock.now())
        self._known.move_to_end(key)
        return known

    async def until_able(self, route: Route, limit_s: float, *, since: float | None = None) -> bool:
        """Wait until somebody may be able to serve; False when nobody is for so long, or it is
        known already that nobody will be.

        The oldest request goes first: `since` is its age, monotonic seconds at which it came.
        """
        candidates = self.candidates(route)
        opens_at = candidates.earliest()
        is_soon = opens_at is not None and opens_at - self.clock.now() <= limit_s
        if not (is_soon or candidates.reasons["at_limit"] or _may_serve(candidates)):
            return False
        goal = _Goal(route.key, route)
        since = self.clock.monotonic() if since is None else since
        return await self._waiting.wait(goal, limit_s, since)

    def away_until(self, account_id: str, route: Route) -> float | None:
        """Return None for an account that may serve its conversations or be tried, even if it is
        full now; else when it is expected back: infinite when only somebody's change helps."""
        candidates = self.candidates(route)
        seat = candidates.roster.by_id.get(account_id)
        if seat is None:
            return inf
        spot = candidates.spot(seat)
        if spot is None:
            return None
        match spot.standing:
            case Standing.BARRED:
                return inf
            case Standing.RESTING | Standing.QUARANTINED:
                return max(rest.until for rest in spot.rests)
            case _:
                return None

    def inflight(self, account_id: str) -> int:
        """Return how many requests of this process are under way with an account."""
        seat = self._rosters.seat(account_id)
        return 0 if seat is None else seat.inflight

    def egress_of(self, account: Account) -> EgressProxy | None:
        """Return the account's way out, None for direct.

        Raises NoCapacity for an account that has none now: it never goes direct instead.
        """
        if account.goes_direct:
            return None
        proxy = open_proxy(account, self._snapshot().proxies)
        if proxy is not None:
            return proxy
        raise NoCapacity("the account waits for an outbound proxy", retry_after_s=_WAITING_RETRY_S)

    def report(self, lease: Lease, route: Route, error: UpstreamError) -> Rest | None:
        """Let the one to blame rest."""
        account, egress = lease.account, lease.egress
        what = Attempted(
            account.id,
            account.auth_type,
            egress.id if egress is not None else None,
            route,
            max(self.candidates(route).peers, 1),
        )
        return self.cooldowns.failed(what, error)

    def succeeded(self, lease: Lease, route: Route, *, since: float | None = None) -> None:
        """An account served, and so did its proxy; `since` is when the request was sent, in epoch
        seconds."""
        if self.cooldowns.is_quiet:
            return
        egress = lease.egress
        proxy_id = egress.id if egress is not None else None
        scopes = self.desk(route).scopes
        self.cooldowns.succeeded(lease.account.id, proxy_id, scopes, since=since)

    def refusal(self, route: Route) -> NoCapacity:
        """Say why no account of the route can serve, and when one may."""
        return refusal_of(route, self.candidates(route), self.clock.now())

    def picture(self, route: Route) -> Decision:
        """Return what the route's accounts look like now; requests share it until it changes."""
        desk = self.desk(route)
        desk.candidates()
        return desk.picture()

    def candidates(self, route: Route) -> Candidates:
        """Return who may serve a route now."""
        return self.desk(route).candidates()

    def refreshed(self, candidates: Candidates) -> Candidates:
        """Return candidates that have taken in what happened since the last time."""
        if self._snapshot() is not self._seen or self.slots.full:
            self._look()
        # Most of the time nothing happened, and nobody rests.
        if candidates.end != candidates.roster.end or candidates.due:
            candidates.refresh(self.clock.now())
        return candidates

    async def count_early(self, route: Route) -> int | None:
        """Return the number of a request that looks for its home by the same round trip; None
        where no number decides."""
        candidates = self.candidates(route)
        decides = candidates.order.counts and candidates.well.top > 1
        return await self.count(route) if decides else None

    async def count(self, route: Route) -> int:
        """Raise the counter that all replicas share; return its value before, from 0."""
        return await self.desk(route).count() - 1

    async def place_at(self, seat: Seat, limit_s: float) -> bool:
        """Wait until an account that is full may have a place; False when it had none so long."""
        return await self._at_homes.wait(seat.id, limit_s, self.clock.monotonic())

    # --- what is known of routes ---

    def _look(self) -> None:
        """Take in what happened since the last time."""
        snapshot = self._snapshot()
        if snapshot is not self._seen:
            self._seen = snapshot
            self._rosters.take(snapshot)
        self.slots.look()

    def _begin(self, route: Route, now: float) -> "Desk":
        provider_id, model = route.provider.id, route.model
        strategy = route.provider.strategy or self._strategy
        roster, scopes = self._rosters.of(provider_id), scopes_of(route)
        candidates = Candidates(
            roster,
            model,
            scopes,
            self.cooldowns,
            lambda well, everybody: order_of(strategy, model, well, everybody, self._facts),
            now,
        )
        known = Desk(
            self,
            self._shared,
            scopes,
            f"account:rr:{provider_id}:{model}",
            candidates,
            Pictures(provider_id, model, strategy.value, candidates, self.clock.now),
        )
        self._known[route.key] = known
        self._seats += known.size
        while len(self._known) > _MAX_KNOWN or (self._seats > _MAX_SEATS and len(self._known) > 1):
            _, forgotten = self._known.popitem(last=False)
            self._seats -= forgotten.size
        return known

    # --- what happens ---

    def _rested(self, subject: str) -> None:
        """Rests of somebody began or ended."""
        for seat in self._rosters.touched(subject):
            seat.roster.changed(seat)
        if len(self._waiting):
            self._waiting.wake_all()

    def _freed(self, seat: Seat) -> None:
        """An account may have a place to give."""
        if len(self._at_homes):
            self._at_homes.wake(seat.id)
        if len(self._waiting):
            self._waiting.wake_all()

    def _openings(self, goal: _Goal, in_doubt: bool) -> int:
        """Return for how many of those who wait for anybody of a route there is hope."""
        candidates = self.candidates(goal.route)
        found = candidates.openings()
        return max(found, 1) if in_doubt and candidates.on(Standing.TRIAL).seats else found

    def _places_at(self, account_id: str, _in_doubt: bool) -> int:
        """Return for how many of those who wait at home there is hope."""
        self._look()
        seat = self._rosters.seat(account_id)
        return MANY if seat is None else seat.places


def _may_serve(candidates: Candidates) -> bool:
    """Whether somebody could, now or as soon as it has a place."""
    doubtful = (Standing.TRIAL, Standing.ENDED, Standing.QUARANTINED)
    return bool(candidates.well.seats or any(candidates.on(one).seats for one in doubtful))


class Desk:
    """Lends the accounts of one route: what this process keeps of it, and what `services.turn.Turn`
    asks for there."""

    __slots__ = (
        "_cooldowns",
        "begin",
        "candidates",
        "count",
        "look_at",
        "monotonic",
        "now",
        "picture",
        "place_at",
        "scopes",
        "size",
        "take",
    )

    def __init__(
        self,
        pool: Pool,
        shared: SharedState,
        scopes: tuple[str, ...],
        counter: str,
        candidates: Candidates,
        pictures: Pictures,
    ) -> None:
        """`counter`: key of the number that all replicas share."""
        slots = pool.slots
        self._cooldowns = pool.cooldowns
        self.scopes = scopes
        self.size = len(candidates.roster.seats)
        # Bound once: each request asks several times.
        self.begin, self.take, self.look_at = slots.begin, slots.take, slots.look_at
        self.place_at = pool.place_at
        self.candidates = partial(pool.refreshed, candidates)
        self.picture = pictures.newest
        self.count = partial(shared.increment, counter)
        self.now, self.monotonic = pool.clock.now, pool.clock.monotonic

    def is_able(self) -> bool:
        """Whether a walk may lead somewhere, if only home: a glance before it."""
        candidates = self.candidates()
        if candidates.well.seats:
            return True
        reasons = candidates.reasons
        return _may_serve(candidates) or reasons["at_limit"] > 0 or reasons["draining"] > 0

    def walk(
        self,
        home: str | None = None,
        home_wait_s: float = 0.0,
        *,
        is_lent: bool = False,
        is_local: bool = False,
        counter: int | None = None,
    ) -> Turn:
        """Begin a walk through the accounts. `home` is the account where the conversation lives,
        `home_wait_s` how long it may wait there for a place. `is_lent`: it lives elsewhere, where
        nobody can serve it now; `home` is who lends itself. `is_local`: this request has made its
        round trip, so turns are counted in this process; `counter` is the number it got on that
        trip, if it asked for one."""
        return Turn(self, home, home_wait_s, is_lent=is_lent, is_local=is_local, counter=counter)

    # --- for its walks ---

    def strikes(self, seat: Seat) -> int:
        return self._cooldowns.strikes(seat.id, self.scopes)

    async def claim(self, rests: Sequence[Rest]) -> bool:
        for rest in rests:
            if not await self._cooldowns.claim_trial(rest):
                return False
        return True
