"""Who rests after a failure, and who is well again after a success.

A rest is never shortened but by positive evidence: a success, a quota that is not used up, an
operator. At its end, and from time to time during a long one, it is half-open: one request over
all replicas tries.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from models.account import AuthType
from models.errors import (
    Blame,
    ConnectFailed,
    ConnectionLost,
    ErrorKind,
    StreamBroken,
    TimedOut,
    UpstreamError,
)
from models.ports import Clock
from models.rest import EVERY_MODEL, NEVER, Rest, family_scope
from providers.base import Route
from repositories.base import SharedState
from services.pauses import LIMITS, SHARED_FATE, Pauses, Rule, group_of
from services.rest_book import TICK_S, Key, RestBook
from services.shared_fate import Group, SharedFate
from services.strikes import Strikes, Tally, is_due, needs_operator

SUCCEEDED: Final = "a request succeeded"
SHARED: Final = "the provider fails for everybody"

_SWEEP_EVERY_S: Final = 60.0
_REFUSED_S: Final = 1.0
_TRIAL_S: Final = (10.0, 60.0)
_EVIDENCE_CHARS: Final = 255
_NO_RULE: Final = Rule(0.0, 0.0)
_NONE: Final = frozenset[ErrorKind]()

# Many requests meet one limit within a moment: the others need not hear of each.
_SAME_S: Final = 1.0
_SAME_WINDOW_S: Final = 30.0

# What stands in the way of an account that has no proxy is nobody's own either.
_PASSING: Final = SHARED_FATE | {ErrorKind.EGRESS}


@dataclass(frozen=True, slots=True)
class Attempted:
    """Who was asked for what, and how many could have been."""

    account_id: str
    auth_type: AuthType
    proxy_id: str | None
    route: Route
    peers: int = 1
    """Accounts that could serve the route, this one included; who rests for a reason that passes
    (`services.pauses.SHARED_FATE`) counts, who rests for another does not."""


@dataclass(frozen=True, slots=True)
class _Case:
    """A failure, and the rest that it meets."""

    key: Key
    error: UpstreamError
    rule: Rule
    known: Rest | None
    now: float

    @property
    def in_force(self) -> Rest | None:
        """The rest, while nobody may try."""
        return self.known if self.known is not None and self.known.opens_at > self.now else None


def scopes_of(route: Route) -> tuple[str, ...]:
    """Return the scopes whose rests keep an account from serving a route."""
    scopes = (EVERY_MODEL, route.model)
    return scopes if route.family is None else (*scopes, family_scope(route.family))


class Cooldowns(RestBook):
    """Rests that are in force or half-open, and the strikes that lengthen the next one."""

    def __init__(
        self,
        pauses: Pauses,
        clock: Clock,
        shared: SharedState | None = None,
        *,
        provider_of: Callable[[str], str | None] = lambda _account_id: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`shared` lends out trials; None: only this process does. `provider_of` names the
        provider of an account, None of who is none."""
        super().__init__(clock)
        self._pauses = pauses
        self._shared = shared
        self._provider_of = provider_of
        self._chance = chance
        self._strikes = Strikes()
        self._fate = SharedFate()
        self._out: dict[str, set[str]] = {}
        """Provider -> its addresses that rest."""
        self._claims: dict[str, float] = {}
        """Trial -> monotonic seconds until which it is somebody's."""
        self._swept_at = 0.0

    @property
    def is_quiet(self) -> bool:
        """Whether nobody has failed lately, so that no success tells anything."""
        return not (self._rests or len(self._strikes) or len(self._fate))

    def strikes(self, subject: str, scopes: Sequence[str]) -> int:
        """Return how badly somebody did lately: 0 for who has not failed. A proxy that has
        strikes and no rest is suspect."""
        return self._strikes.count(subject, scopes, self._clock.now())

    async def claim_trial(self, rest: Rest) -> bool:
        """True for one caller at a time over all replicas, who may try a half-open rest.

        A claim that leads to nothing is free again after 10 s to a minute.
        """
        key = f"rest:trial:{rest.subject}:{rest.scope}:{rest.began_at}"
        now = self._clock.monotonic()
        if self._claims.get(key, now) > now:
            return False
        self._claims[key] = now + _REFUSED_S
        shortest_s, longest_s = _TRIAL_S
        ttl_s = min(max(rest.until - rest.began_at, shortest_s), longest_s)
        if self._shared is not None and not await self._shared.claim(key, ttl_s):
            return False
        self._claims[key] = now + ttl_s
        return True

    # --- what happened to requests -----------------------------------------------------------

    def failed(self, what: Attempted, error: UpstreamError) -> Rest | None:
        """Let the one to blame rest, and return that rest; None when nobody rests any longer."""
        key = _blamed(what, error)
        if key is None:
            return None
        is_proxy = key[0] == what.proxy_id
        rule = self._pauses.rule(error.kind, what.auth_type, is_proxy=is_proxy)
        if rule is None and not self._pauses.names_end(error):
            return None
        now = self._clock.now()
        self._sweep_sometimes(now)
        case = _Case(key, error, rule or _NO_RULE, self.found(key[0], key[1:], now), now)
        if is_proxy or error.kind not in _PASSING:
            return self._judged(case)
        group = (what.route.provider.id, key[1])
        rest = self._judged(case) if self._is_own(case, group, what.peers) else None
        if rest is not None:
            self._fate.benched(group, rest.subject, rest.opens_at, now)
        return rest

    def succeeded(
        self,
        account_id: str,
        proxy_id: str | None,
        scopes: Sequence[str],
        *,
        since: float | None = None,
    ) -> None:
        """Somebody just served: ends half-open rests, and takes strikes back, slowly.

        `since` is when the request was sent, if that is known: then it ends rests in force too
        that began before.
        """
        if self.is_quiet:
            return
        self._well(account_id, scopes, since)
        if proxy_id is not None:
            self._well(proxy_id, (EVERY_MODEL,), since)

    def release(
        self,
        subject: str,
        scope: str,
        evidence: str,
        *,
        reasons: Collection[ErrorKind] | None = None,
    ) -> bool:
        """End a rest on positive evidence, on all replicas; only for these reasons, if given."""
        rest = self._rests.get(subject, {}).get(scope)
        if rest is None or (reasons is not None and rest.reason not in reasons):
            return False
        self.finish(rest, evidence)
        return True

    def lift(self, provider_id: str) -> None:
        """End the rests that accounts of a provider have for what it fails in as a whole."""
        for group in self._fate.groups_of(provider_id):
            self._lift(group)

    # --- beside the book -----------------------------------------------------------------------

    def take(self, rest: Rest) -> bool:
        is_news = super().take(rest)
        if is_news and rest.subject_kind != "provider":
            self._strikes.heard((rest.subject, rest.scope), group_of(rest.reason), rest)
            provider_id = self._provider_of(rest.subject)
            if provider_id is not None and rest.reason in _PASSING:
                group = (provider_id, rest.scope)
                self._fate.benched(group, rest.subject, rest.opens_at, self._clock.now())
        return is_news

    def void(self, resets: Mapping[str, float]) -> None:
        for subject, at in resets.items():
            if self._resets.get(subject) != at:
                self._strikes.void(subject, at)
        super().void(resets)

    def sweep(self, now: float) -> None:
        super().sweep(now)
        self._strikes.sweep(now)
        self._fate.sweep(now)
        moment = self._clock.monotonic()
        self._claims = {key: until for key, until in self._claims.items() if until > moment}

    def _put(self, rest: Rest) -> bool:
        if (provider_id := rest.origin_provider_id) is not None:
            self._out.setdefault(provider_id, set()).add(rest.subject)
        return super()._put(rest)

    def _remove(self, rest: Rest) -> None:
        if (provider_id := rest.origin_provider_id) is not None:
            self._out[provider_id].discard(rest.subject)
            if not self._out[provider_id]:
                del self._out[provider_id]
        self._fate.freed(rest.subject, rest.scope)
        self._strikes.rest_over((rest.subject, rest.scope), self._clock.now())
        super()._remove(rest)

    # --- judging -------------------------------------------------------------------------------

    def _is_own(self, case: _Case, group: Group, peers: int) -> bool:
        """Tell whether a failure is the account's own, and it may rest for it."""
        account_id = case.key[0]
        self._fate.failed(group, account_id, case.now)
        if group[0] in self._out or self._fate.is_shared(group, peers, case.now):
            self._lift(group)
            return False
        return self._fate.may_bench(group, account_id, peers, case.now)

    def _judged(self, case: _Case) -> Rest | None:
        """Count a failure, and begin or lengthen a rest if it calls for one."""
        group, in_force = group_of(case.error.kind), case.in_force
        names_end = self._pauses.names_end(case.error)
        tally: Tally | None = None
        if in_force is None or group_of(in_force.reason) is not group:
            tally = self._strikes.failed(case.key, group, case.rule, case.now)
            if not names_end and not is_due(tally, case.rule):
                return None
        elif not names_end:
            return None  # it was on its way when the rest began, and is one with it
        rest = self._next(case, tally)
        if in_force is not None and rest.until <= in_force.until + _same_s(case.error):
            return None
        if tally is not None:
            tally.began(case.now, rest.until)
        return self.begin(rest)

    def _next(self, case: _Case, tally: Tally | None) -> Rest:
        """Return the rest that follows from a failure."""
        error, known, now = case.error, case.known, case.now
        strikes = 1 if tally is None else tally.strikes + 1
        until = self._pauses.end(error, case.rule, strikes, now, self._chance)
        if tally is not None and needs_operator(tally, case.rule):
            until = NEVER
        if known is not None and case.in_force is None and known.until >= until:
            # Its trial failed, so it goes on; longer by next to nothing, that all take it over.
            trial_at = self._pauses.trial_at(known.began_at, known.until, now)
            until = known.until + TICK_S
            return replace(known, began_at=now, until=until, trial_at=trial_at, strikes=strikes)
        trial_at = self._pauses.trial_at(now, until, now)
        return Rest(*case.key, now, until, error.kind, evidence_of(error), trial_at, strikes)

    def _lift(self, group: Group) -> None:
        """The provider fails for everybody: nobody is to blame, and nothing of it counts."""
        for account_id in self._fate.members(group):
            self._strikes.forget((account_id, group[1]), _PASSING)
            self.release(account_id, group[1], SHARED, reasons=_PASSING)

    def _well(self, subject: str, scopes: Sequence[str], since: float | None) -> None:
        rests = self._rests.get(subject)
        ended = _NONE if rests is None else self._end(rests, scopes, since)
        self._strikes.succeeded(subject, scopes, ended=ended)
        self._fate.succeeded(subject, scopes)

    def _end(
        self, rests: Mapping[str, Rest], scopes: Sequence[str], since: float | None
    ) -> frozenset[ErrorKind]:
        """End the rests that a success ends; return of which limits they were."""
        now, ended = self._clock.now(), list[ErrorKind]()
        for rest in [rests[scope] for scope in scopes if scope in rests]:
            if rest.opens_at <= now or (since is not None and since > rest.began_at):
                self.finish(rest, SUCCEEDED)
                ended.append(group_of(rest.reason))
        return LIMITS.intersection(ended)

    def _sweep_sometimes(self, now: float) -> None:
        if abs(now - self._swept_at) >= _SWEEP_EVERY_S:
            self._swept_at = now
            self.sweep(now)


def _blamed(what: Attempted, error: UpstreamError) -> Key | None:
    """Return who rests for what; None when nobody does."""
    account_id, route = what.account_id, what.route
    match error.blame:
        case Blame.ACCOUNT:
            return account_id, EVERY_MODEL
        case Blame.FAMILY:
            family = error.family or route.provider.family_of(route.model)
            return account_id, route.model if family is None else family_scope(family)
        case Blame.ACCOUNT_MODEL:
            return account_id, route.model
        case Blame.EGRESS:
            return (account_id, route.model) if what.proxy_id is None else _proxy(what.proxy_id)
        case Blame.PROVIDER if error.kind in SHARED_FATE:
            return account_id, route.model
        case _:
            return None


def _proxy(proxy_id: str) -> Key:
    return proxy_id, EVERY_MODEL


def _same_s(error: UpstreamError) -> float:
    """Return by how much two ends may differ that are the same."""
    return _SAME_S if error.pause_s is None else _SAME_WINDOW_S


def evidence_of(error: UpstreamError) -> str:
    """Return what is known of a failure in a few words, none of which a client wrote."""
    if error.evidence:
        return error.evidence[:_EVIDENCE_CHARS]
    if error.upstream_status is not None:
        return f"status {error.upstream_status}"
    # Our own words of what happened on the way; a provider's may repeat what a client wrote.
    is_ours = isinstance(error, ConnectFailed | ConnectionLost | TimedOut | StreamBroken)
    return error.message[:_EVIDENCE_CHARS] if is_ours else ""
