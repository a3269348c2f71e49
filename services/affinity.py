"""Conversations stay with the account that began them, so that its prompt cache serves.

A conversation is known by what its client calls it, else by how it begins. A first turn takes the
round robin and is bound behind it; only a request with a name, or with a history, looks where it
lives. That is a preference: whether the account can serve is judged as for every other request. If
it cannot, another one lends itself, always the same where possible, and the conversation comes
home later; it moves only when its home is gone for longer than any cache lives.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from dialects.base import Dialect, Operation
from models.account import StoredAccount
from models.attempt import Choice
from models.errors import Blame, Conflict, NotFound, UpstreamError
from models.exchange import ProxyRequest
from models.ports import Clock
from models.session import Outcome, Session
from models.usage import Usage
from providers.base import Route
from repositories.base import Page
from services.bindings import Binding, Bindings
from services.wellness import Wellness

AwayUntil: TypeAlias = Callable[[str, Route], float | None]
"""(account id, route) -> None when it may serve or be tried, also when it is full; else when it is
expected back, epoch seconds: infinite when it is gone, or only an operator can change it."""
Count: TypeAlias = Callable[[Route], Awaitable[int | None]]
"""Gives the next number of a route's round robin; None where no number decides."""

_MIN_OPENING_BYTES: Final = 8
"""What begins with less ("hi") begins as many others do."""
_MAX_NAME: Final = 512
_ITS_FAULT: Final = frozenset({Blame.ACCOUNT, Blame.ACCOUNT_MODEL, Blame.FAMILY})


class Visit:
    """One request's relation to its conversation, on one route."""

    __slots__ = (
        "_cached_before",
        "_keeper",
        "binding",
        "binding_id",
        "counter",
        "family",
        "has_asked",
        "home",
        "is_lent",
        "key_id",
        "outcome",
        "route",
        "scope",
    )

    def __init__(
        self, keeper: "Affinity", route: Route, family: str, key_id: str, binding_id: str
    ) -> None:
        self._keeper = keeper
        self.route = route
        self.family = family
        self.scope = f"{route.provider.id}/{family}"
        """What the account's wellness counts for."""
        self.key_id = key_id
        self.binding_id = binding_id
        self.binding: Binding | None = None
        """What is known of the conversation; None for one that begins."""
        self.home: str | None = None
        """The account that shall serve it, if it can."""
        self.is_lent = False
        """Its conversation stays with an account that cannot serve this turn."""
        self.has_asked = False
        """It has made its one round trip to the shared state."""
        self.counter: int | None = None
        """Its number in the round robin, if it got one on that trip: it may be a first turn."""
        self.outcome: Outcome | None = None
        """Set once an account served."""
        self._cached_before: int | None = None

    def served(self, account_id: str, _choice: Choice, first_byte_s: float | None = None) -> None:
        """An account serves: bind, let the binding live on, or let it change. Never waits.

        `first_byte_s`: how long it took to the content of a stream; None when that says nothing.
        """
        self._cached_before = self.binding.cached_tokens if self.binding is not None else None
        self.outcome = self._keeper.served(self, account_id, first_byte_s)

    def failed(self, account_id: str, error: UpstreamError) -> None:
        """An account did not serve."""
        if error.blame in _ITS_FAULT:
            self._keeper.failed(self, account_id)

    def ended(self, usage: Usage) -> int | None:
        """Return the cached tokens that were left behind; None where that is not known.

        May be called before anybody served, and again.
        """
        if self.outcome is None or not usage.is_reported:
            return None
        read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
        if (binding := self._keeper.bindings.find(self.binding_id)) is not None:
            binding.cached_tokens = read + written
        if self.outcome in ("new", "kept") or self._cached_before is None:
            return None
        return max(0, self._cached_before - read)


class Affinity:
    """Knows which account each conversation is at home with."""

    def __init__(
        self,
        bindings: Bindings,
        away_until: AwayUntil,
        count: Count,
        accounts: Callable[[], Mapping[str, StoredAccount]],
        clock: Clock,
        *,
        salt: bytes,
        ttl_s: float,
        is_enabled: bool = True,
    ) -> None:
        """`salt`: a secret, so that nothing can be told from an id; the same in all replicas."""
        self.bindings = bindings
        self._away_until = away_until
        self._count = count
        self._accounts = accounts
        self._clock = clock
        self._salt = salt
        self._ttl_s = ttl_s
        self._is_enabled = is_enabled
        self._wellness = Wellness()

    async def visit(self, request: ProxyRequest, client: Dialect, route: Route) -> Visit | None:
        """Find out where the request's conversation lives; None when it belongs to none.

        At most one round trip to the shared state, and none for a first turn.
        """
        if not self._is_enabled or client.operation is not Operation.GENERATE:
            return None
        session = client.session(request.payload)
        parts = _parts(request.session or session.name, session)
        if parts is None:
            return None
        family = family_of(route)
        binding_id = self._hashed(request.key_id, route.provider.id, family, parts)
        visit = Visit(self, route, family, request.key_id, binding_id)
        if session.has_history or request.session or session.name:
            await self._look_up(visit, may_begin=not session.has_history)
        return visit

    def served(self, visit: Visit, account_id: str, first_byte_s: float | None) -> Outcome:
        """Take in that an account serves a visitor."""
        now, bindings = self._clock.now(), self.bindings
        self._wellness.served(account_id, visit.scope, first_byte_s, now)
        known = visit.binding
        if known is None:
            provider_id = visit.route.provider.id
            bindings.begin(visit.binding_id, visit.key_id, provider_id, visit.family, account_id)
            return "new"
        if known.home == account_id:
            bindings.keep(known)
            return "kept"
        if self._is_gone(known, visit.route):
            bindings.move(known, account_id)
            return "moved"
        if known.lender == account_id or self._can_serve(known.lender, visit):
            bindings.keep(known)  # one turn on a detour is not worth leaving the lender
        else:
            bindings.lend(known, account_id)
        return "borrowed"

    def failed(self, visit: Visit, account_id: str) -> None:
        """Take in that an account failed a visitor."""
        self._wellness.failed(account_id, visit.scope, self._clock.now())

    # --- for operators ------------------------------------------------------------------------

    def page(
        self, *, account_id: str | None, key_id: str | None, limit: int, offset: int
    ) -> Page[Binding]:
        """Return the conversations that this process knows, those of the last turns first."""
        found = [
            one
            for one in self.bindings
            if account_id in (None, one.home) and key_id in (None, one.key_id)
        ]
        return Page(found[offset : offset + limit], len(found), limit, offset)

    async def known(self, key_id: str, name: str, route: Route) -> Binding | None:
        """Return where a conversation of this name lives; nothing is remembered of the question."""
        if not self._is_enabled:
            return None
        parts = _named(name)
        binding_id = self._hashed(key_id, route.provider.id, family_of(route), parts)
        return await self.bindings.peek(binding_id, key_id)

    async def move(self, binding_id: str, account_id: str) -> None:
        """Let a conversation live with another account, which can serve it or cannot.

        Raises NotFound for a conversation that nobody knows and an account that there is not,
        Conflict for one of another provider.
        """
        stored, known = self._accounts().get(account_id), self.bindings.find(binding_id)
        if stored is None:
            raise NotFound(f"there is no account {account_id}")
        if known is not None and stored.account.provider_id != known.provider_id:
            raise Conflict(f"the conversation lives with provider {known.provider_id}")
        if not await self.bindings.rebind(binding_id, account_id):
            raise NotFound("there is no such conversation")

    async def purge(
        self, *, session: str | None, account_id: str | None, key_id: str | None
    ) -> None:
        """Let conversations forget their account, in all replicas: one, or all of somebody."""
        if session is not None:
            await self.bindings.forget(session)
        if account_id is not None:
            await self.bindings.void(f"account:{account_id}")
        if key_id is not None:
            await self.bindings.void(f"key:{key_id}")

    # --- parts --------------------------------------------------------------------------------

    async def _look_up(self, visit: Visit, *, may_begin: bool) -> None:
        bindings = self.bindings
        visit.binding = bindings.find(visit.binding_id)
        visit.home = self._choose(visit)
        if visit.home is None and bindings.can_ask:
            visit.has_asked = True
            await self._ask(visit, may_begin=may_begin)
            visit.binding = bindings.find(visit.binding_id)
            visit.home = self._choose(visit)
        known = visit.binding
        if known is not None and known.home != visit.home:
            visit.is_lent = not self._is_gone(known, visit.route)

    async def _ask(self, visit: Visit, *, may_begin: bool) -> None:
        """Ask the shared state where a conversation lives; for one that may begin, also for its
        turn: both go as one, so that conversations with names are shared out exactly, too."""
        asking = self.bindings.ask(
            visit.binding_id, visit.key_id, visit.route.provider.id, visit.family
        )
        if may_begin and visit.binding is None:
            _, visit.counter = await asyncio.gather(asking, self._count(visit.route))
        else:
            await asking

    def _choose(self, visit: Visit) -> str | None:
        """Return its home if that can serve, else who lends itself."""
        known = visit.binding
        if known is None:
            return None
        return next(
            (one for one in (known.home, known.lender) if self._can_serve(one, visit)), None
        )

    def _is_gone(self, known: Binding, route: Route) -> bool:
        """Whether a home is away for longer than its conversation is remembered."""
        until = self._away_until(known.home, route)
        return until is not None and until - self._clock.now() > self._ttl_s

    def _can_serve(self, account_id: str | None, visit: Visit) -> bool:
        if account_id is None:
            return False
        if self._away_until(account_id, visit.route) is not None:
            return False
        now = self._clock.now()
        return not self._wellness.is_degraded(account_id, visit.scope, now)

    def _hashed(self, key_id: str, provider_id: str, family: str, parts: tuple[str, ...]) -> str:
        """Return the id of the conversation for one key, provider and model family."""
        text = "\0".join((key_id, provider_id, family, *parts)).encode("utf-8", "replace")
        return hashlib.blake2b(text, key=self._salt, digest_size=16).hexdigest()


def family_of(route: Route) -> str:
    """Return the family of a route's model; where there are none, the model."""
    return route.provider.family_of(route.model) or route.model


def _parts(name: str | None, session: Session) -> tuple[str, ...] | None:
    """Return what tells a conversation from others; None where nothing does."""
    if name is not None:
        return _named(name)
    if len(session.opening.strip().encode("utf-8", "replace")) < _MIN_OPENING_BYTES:
        return None
    return ("begun", session.system, session.opening)


def _named(name: str) -> tuple[str, ...]:
    return ("named", name[:_MAX_NAME])
