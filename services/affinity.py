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
_AT_HOME: Final = frozenset({"new", "kept"})
_ITS_FAULT: Final = frozenset({Blame.ACCOUNT, Blame.ACCOUNT_MODEL, Blame.FAMILY})


class Visit:
    """One request's relation to its conversation, on one route."""

    __slots__ = (
        "_cached_before",
        "_keeper",
        "asks",
        "binding",
        "binding_id",
        "counter",
        "family",
        "has_asked",
        "home",
        "is_lent",
        "is_looked_up",
        "key_id",
        "may_begin",
        "outcome",
        "route",
    )

    def __init__(
        self, keeper: "Affinity", route: Route, family: str, key_id: str, binding_id: str
    ) -> None:
        self._keeper = keeper
        self.route = route
        self.family = family
        self.key_id = key_id
        self.binding_id = binding_id
        self.binding: Binding | None = None
        """What is known of the conversation; None for one that begins, until an account served."""
        self.is_looked_up = False
        """Where it lives was looked up; a first turn lives nowhere yet."""
        self.home: str | None = None
        """The account that shall serve it, if it can."""
        self.is_lent = False
        """Its conversation stays with an account that cannot serve this turn."""
        self.asks = False
        """It wants to make its one round trip to the shared state: `Affinity.ask`."""
        self.has_asked = False
        """It has made it."""
        self.counter: int | None = None
        """Its number in the round robin, if it got one on that trip: it may be a first turn."""
        self.may_begin = False
        """It may be a first turn, as far as its body says."""
        self.outcome: Outcome | None = None
        """Set once an account served."""
        self._cached_before: int | None = None
        """Set with it."""

    @property
    def scope(self) -> str:
        """What the account's wellness counts for."""
        return f"{self.route.provider.id}/{self.family}"

    def served(self, account_id: str, first_byte_s: float | None = None) -> Outcome:
        """An account serves: bind, let the binding live on, or let it change. Never waits.

        `first_byte_s`: how long it took to the content of a stream; None when that says nothing.
        """
        if self.binding is not None:
            self._cached_before = self.binding.cached_tokens
        self.outcome = outcome = self._keeper.served(self, account_id, first_byte_s)
        return outcome

    def failed(self, account_id: str, error: UpstreamError) -> None:
        """An account did not serve."""
        if error.blame in _ITS_FAULT:
            self._keeper.failed(self, account_id)

    def ended(self, usage: Usage) -> int | None:
        """Return the cached tokens that were left behind; None where that is not known.

        May be called before anybody served, and again.
        """
        binding = self.binding
        if self.outcome is None or binding is None or not usage.is_reported:
            return None
        read = usage.cache_read_tokens or 0
        binding.cached_tokens = read + (usage.cache_write_tokens or 0)
        if self._cached_before is None or self.outcome in _AT_HOME:
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
        self._salted = hashlib.blake2b(key=salt, digest_size=16)
        self._ttl_s = ttl_s
        self._is_enabled = is_enabled
        self._wellness = Wellness()

    def met(self, request: ProxyRequest, client: Dialect, route: Route) -> Visit | None:
        """Find out where the request's conversation lives, as far as this process knows; None when
        it belongs to none.

        Where the visit `asks`, its one round trip to the shared state is left to the caller; a
        first turn wants none.
        """
        if not self._is_enabled or client.operation is not Operation.GENERATE:
            return None
        session = client.session(request.payload)
        name = request.session or session.name
        parts = _parts(name, session)
        if parts is None:
            return None
        family, key_id = family_of(route), request.key_id
        binding_id = self._hashed(key_id, route.provider.id, family, parts)
        visit = Visit(self, route, family, key_id, binding_id)
        if session.has_history or name:
            visit.is_looked_up = True
            visit.may_begin = not session.has_history
            self._look_up(visit)
            visit.asks = visit.home is None and self.bindings.can_ask
        return visit

    async def ask(self, visit: Visit) -> None:
        """Ask the shared state where a conversation lives; for one that may begin, also for its
        turn: both go as one, so that conversations with names are shared out exactly, too."""
        visit.asks, visit.has_asked = False, True
        asking = self.bindings.ask(
            visit.binding_id, visit.key_id, visit.route.provider.id, visit.family
        )
        if visit.may_begin and visit.binding is None:
            _, visit.counter = await asyncio.gather(asking, self._count(visit.route))
        else:
            await asking
        self._look_up(visit)

    def served(self, visit: Visit, account_id: str, first_byte_s: float | None) -> Outcome:
        """Take in that an account serves a visitor."""
        bindings, route, known = self.bindings, visit.route, visit.binding
        if first_byte_s is not None or self._wellness.has_failures:
            self._wellness.served(account_id, visit.scope, first_byte_s, self._clock.now())
        if known is None:
            visit.binding = bindings.begin(
                visit.binding_id, visit.key_id, route.provider.id, visit.family, account_id
            )
            return "new"
        if known.home == account_id:
            bindings.keep(known)
            return "kept"
        if self._is_gone(known, route):
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

    def _look_up(self, visit: Visit) -> None:
        """Take in what this process knows: its home if that can serve, else who lends itself."""
        visit.binding = known = self.bindings.find(visit.binding_id)
        visit.home, visit.is_lent = None, False
        if known is None:
            return
        if self._can_serve(known.home, visit):
            visit.home = known.home
            return
        visit.home = known.lender if self._can_serve(known.lender, visit) else None
        visit.is_lent = not self._is_gone(known, visit.route)

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
        begun = self._salted.copy()
        begun.update("\0".join((key_id, provider_id, family, *parts)).encode("utf-8", "replace"))
        return begun.hexdigest()


def family_of(route: Route) -> str:
    """Return the family of a route's model; where there are none, the model."""
    return route.family or route.model


def _parts(name: str | None, session: Session) -> tuple[str, ...] | None:
    """Return what tells a conversation from others; None where nothing does."""
    if name is not None:
        return _named(name)
    opening = session.opening.strip()
    if len(opening) < _MIN_OPENING_BYTES and _size_bytes(opening) < _MIN_OPENING_BYTES:
        return None
    return ("begun", session.system, session.opening)


def _size_bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _named(name: str) -> tuple[str, ...]:
    return ("named", name[:_MAX_NAME])
