"""Where a request would go, and why: a dry run that changes nothing.

Everything is read from what this process knows, but for the shared counter and the account of the
conversation, which are looked at. Requests that come in between may change the answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, TypeAlias

from dialects.base import Dialect
from models.attempt import Choice, Decision
from models.errors import NoCapacity, NoRoute
from models.ports import Clock
from models.rest import EVERY_MODEL, origin
from providers.base import Offer, Route
from repositories.base import SharedState
from services.affinity import Affinity
from services.bindings import Binding
from services.breaker import left_alone
from services.candidates import Candidates, Standing
from services.pool import Pool
from services.refusals import refused
from services.seats import Seat
from services.snapshot import Snapshot

State: TypeAlias = Literal["closed", "open", "half_open"]
Way: TypeAlias = Literal["raw", "translated", "not_offered"]

_EVERYTHING: Final = (EVERY_MODEL,)
_MAX_ROUTES: Final = 16


@dataclass(frozen=True, slots=True)
class Question:
    """A request that nobody makes."""

    model: str
    dialect: str | None = None
    session: str | None = None
    key_id: str | None = None
    fallbacks: tuple[str, ...] | None = None
    """None means as configured."""
    is_stream: bool = False


@dataclass(frozen=True, slots=True)
class Address:
    """One address of a provider, and whether it is left alone."""

    base_url: str
    state: State
    opens_at: float | None
    """When it is tried again, epoch seconds; None where it is not left alone."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Who would serve."""

    account_id: str
    choice: Choice


@dataclass(frozen=True, slots=True)
class RouteView:
    """One provider that the request might go to."""

    route: Route
    way: Way | None
    """None where the question names no dialect."""
    addresses: Sequence[Address]
    picture: Decision
    counter: int | None
    """The number that the next request gets; None where none decides."""
    home: Binding | None
    would_be: Chosen | None
    """None when nobody could serve now."""
    is_trial_due: bool
    """Somebody's rest has opened: one request tries it, and that may be this one."""
    refusal: NoCapacity | None


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model that might serve."""

    model: str
    is_fallback: bool
    problem: str | None
    """Why there is no route."""
    routes: Sequence[RouteView]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a request would go."""

    is_race: bool
    hedge_after_s: float | None
    models: Sequence[ModelView]
    snapshot: Snapshot
    """The picture that it was read from: names of accounts and proxies."""


class Explain:
    """Answers questions about requests that nobody makes."""

    def __init__(
        self,
        *,
        snapshot: Callable[[], Snapshot],
        pool: Pool,
        affinity: Affinity,
        shared: SharedState,
        dialects: Mapping[str, Dialect],
        clock: Clock,
        fallbacks: Mapping[str, Sequence[str]],
        is_race: bool = False,
        hedge_after_s: float = 0.0,
    ) -> None:
        """`fallbacks`: as configured, by model."""
        self._snapshot = snapshot
        self._pool = pool
        self._affinity = affinity
        self._shared = shared
        self._dialects = dialects
        self._clock = clock
        self._fallbacks = fallbacks
        self._is_race = is_race
        self._hedge_after_s = hedge_after_s

    async def explain(self, question: Question) -> Explanation:
        """Return where the request would go. Raises Unprocessable for an unknown dialect."""
        client = self._client(question.dialect)
        others = question.fallbacks
        if others is None:
            others = tuple(self._fallbacks.get(question.model, ()))
        models = [await self._model(question.model, question, client, is_fallback=False)]
        models += [await self._model(one, question, client, is_fallback=True) for one in others]
        hedges = question.is_stream and self._hedge_after_s > 0
        return Explanation(
            self._is_race and len(models) > 1,
            self._hedge_after_s if hedges else None,
            models,
            self._snapshot(),
        )

    def _client(self, name: str | None) -> Dialect | None:
        if name is not None and name not in self._dialects:
            raise refused("dialect", f"must be one of {', '.join(sorted(self._dialects))}")
        return self._dialects[name] if name is not None else None

    async def _model(
        self, model: str, question: Question, client: Dialect | None, *, is_fallback: bool
    ) -> ModelView:
        try:
            routes = self._snapshot().router.resolve(model)[:_MAX_ROUTES]
        except NoRoute as error:
            return ModelView(model, is_fallback, error.message, ())
        views = [await self._route(route, question, client) for route in routes]
        return ModelView(model, is_fallback, None, views)

    async def _route(self, route: Route, question: Question, client: Dialect | None) -> RouteView:
        home = None
        if question.session is not None and question.key_id is not None:
            home = await self._affinity.known(question.key_id, question.session, route)
        counter = await self._counter(route)
        # From here on nothing is awaited: all that follows is of one moment.
        candidates = self._pool.candidates(route)
        addresses = self._addresses(route, client)
        outage = self._outage(addresses)
        would_be = _chosen(candidates, home, counter) if outage is None else None
        refusal = self._pool.refusal(route) if would_be is None else None
        return RouteView(
            route,
            None if client is None else _way(route, client),
            addresses,
            self._pool.picture(route),
            counter,
            home,
            would_be,
            _is_trial_due(candidates),
            outage or refusal,
        )

    def _outage(self, addresses: Sequence[Address]) -> NoCapacity | None:
        """Return what a client is told while every address of a provider is left alone."""
        opens_at = [one.opens_at for one in addresses if one.state == "open"]
        ends = [moment for moment in opens_at if moment is not None]
        if not ends or len(ends) < len(addresses):
            return None
        return left_alone(min(ends) - self._clock.now())

    async def _counter(self, route: Route) -> int | None:
        """Look at the number that decides, without taking one."""
        candidates = self._pool.candidates(route)
        if not candidates.order.counts or candidates.well.top <= 1:
            return None
        value = await self._shared.get(f"account:rr:{route.provider.id}:{route.model}")
        return int(value) if value is not None and value.isdigit() else 0

    def _addresses(self, route: Route, client: Dialect | None) -> list[Address]:
        offer = route.provider.main if client is None else route.provider.offer_for(client)
        if offer is None:
            return []
        return [self._address(route, base_url) for base_url in (offer.base_url, *offer.mirrors)]

    def _address(self, route: Route, base_url: str) -> Address:
        now = self._clock.now()
        subject = origin(route.provider.id, base_url)
        rest = self._pool.cooldowns.found(subject, _EVERYTHING, now)
        if rest is None:
            return Address(base_url, "closed", None)
        is_open = rest.opens_at > now
        return Address(base_url, "open" if is_open else "half_open", rest.opens_at)


def _way(route: Route, client: Dialect) -> Way:
    offer = route.provider.offer_for(client)
    if offer is None:
        return "not_offered"
    return "raw" if offer.dialect is client and not _is_guest(offer, route.model) else "translated"


def _is_guest(offer: Offer, model: str) -> bool:
    """Whether requests are written anew even in their own format: `services/plan.py`."""
    return offer.adapt is not None and offer.profile(model).is_guest


def _chosen(candidates: Candidates, home: Binding | None, counter: int | None) -> Chosen | None:
    """Return who would be next: the conversation's account, else whose turn it is."""
    lives = home is not None
    for account_id in (home.home, home.lender) if home is not None else ():
        seat = candidates.roster.by_id.get(account_id or "")
        if seat is not None and _is_at_home(candidates, seat):
            is_home = home is not None and account_id == home.home
            return Chosen(seat.id, "affinity" if is_home else "borrowed")
    first = candidates.order.first(counter or 0)
    if first is not None:
        return Chosen(first.id, "borrowed" if lives else "strategy")
    for standing in (Standing.ENDED, Standing.TRIAL, Standing.QUARANTINED):
        left = next(islice(candidates.on(standing).seats, 1), None)
        if left is not None:
            return Chosen(left.id, "trial" if standing is Standing.TRIAL else "last_resort")
    return None


def _is_at_home(candidates: Candidates, seat: Seat) -> bool:
    spot = candidates.spot(seat)
    return spot is None or spot.standing is Standing.DRAINING


def _is_trial_due(candidates: Candidates) -> bool:
    """Whether somebody rests whom a request may try before those who are well."""
    best = candidates.well.priority
    tried = (candidates.on(Standing.ENDED).priority, candidates.on(Standing.TRIAL).priority)
    return any(one is not None and (best is None or one >= best) for one in tried)
