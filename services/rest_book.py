"""The picture of who rests that each process keeps, and what may change it.

What begins or ends here is told to the followers; what others tell comes in by `take` and
`take_end`. A longer rest always wins, and what was ended stays ended whoever still tells of it:
each end is remembered by when its rest had begun. So the order of messages does not matter, and
replicas that lost each other agree once they have told each other everything.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

from models.errors import ErrorKind
from models.ports import Clock
from models.rest import EVERY_MODEL, Rest

logger = logging.getLogger(__name__)

Key: TypeAlias = tuple[str, str]
"""Subject and scope."""

FORGOTTEN_S: Final = 600.0
"""So long after its end a rest stays half-open while nobody tries."""

MAX_RESTS: Final = 20_000
MAX_MISSING: Final = MAX_RESTS // 2
"""Rests for models that are not there, among them: clients can invent any number."""
MAX_SCOPES: Final = 200
"""Rests of one subject: clients name the models."""
MAX_ENDS: Final = 2 * MAX_RESTS

TICK_S: Final = 0.001
"""What makes one moment later than another."""

SKEW_S: Final = 60.0
"""More than the clocks of replicas differ."""

_REMEMBERED_S: Final = 9 * 86_400.0
"""So long an end is remembered at most: a day more than the longest window lasts."""


@dataclass(frozen=True, slots=True)
class End:
    """That a rest is over."""

    subject: str
    scope: str
    began_at: float
    """When it had begun."""
    until: float
    """When it would have ended."""

    def is_old(self, now: float) -> bool:
        """Tell whether nobody can have a copy of the rest any more."""
        return now > min(self.until + FORGOTTEN_S + SKEW_S, self.began_at + _REMEMBERED_S)


class Follower(Protocol):
    """Hears what begins and ends in this process. Must not wait nor raise."""

    def began(self, rest: Rest, before: Rest | None) -> None:
        """`before` is the rest that this one follows or lengthens."""
        ...

    def ended(self, rest: Rest, evidence: str | None) -> None:
        """`evidence` is None when every replica sees by itself that it is over."""
        ...


class RestBook:
    """Rests by subject and scope. Bounded; `sweep` drops what says nothing any more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rests: dict[str, dict[str, Rest]] = {}
        self.resting: Collection[str] = self._rests.keys()
        """Every subject of which a rest is known, in force or not."""
        self._count = 0
        self._ends: dict[Key, End] = {}
        self._resets: Mapping[str, float] = {}
        self.listeners: list[Callable[[str], None]] = []
        """Called with a subject whose rests changed."""
        self.followers: list[Follower] = []

    def __len__(self) -> int:
        return self._count

    def found(self, subject: str, scopes: Sequence[str], now: float) -> Rest | None:
        """Return the rest in force or half-open, the one that opens last if several.

        It is half-open when `opens_at <= now`: one request at a time may try.
        """
        rests = self._rests.get(subject)
        if rests is None:
            return None
        found: Rest | None = None
        for scope in scopes:
            rest = rests.get(scope)
            if rest is None or rest.until + FORGOTTEN_S <= now:
                continue
            if found is None or rest.opens_at > found.opens_at:
                found = rest
        return found

    def active(self, now: float) -> list[Rest]:
        """Return every rest in force or half-open, by subject and scope."""
        rests = [rest for rests in self._rests.values() for rest in rests.values()]
        alive = [rest for rest in rests if rest.until + FORGOTTEN_S > now]
        return sorted(alive, key=lambda rest: (rest.subject, rest.scope))

    # --- what happens here -----------------------------------------------------------------

    def begin(self, rest: Rest) -> Rest:
        """Let somebody rest from now on, and tell everybody. A longer rest stays as it is."""
        before = self._rests.get(rest.subject, {}).get(rest.scope)
        if before is not None and before.until >= rest.until:
            return before
        # Clocks differ: what begins after an end must not look older than it.
        began_at = max(rest.began_at, self._ended_at(rest) + TICK_S)
        # As exact as the database keeps it, so that it is known again after a restart.
        rest = replace(rest, began_at=round(began_at, 6), until=round(rest.until, 6))
        if self._put(rest):
            if rest.needs_operator:
                logger.warning("rests until an operator ends it", extra=_fields(rest))
            else:
                logger.info("cooling down", extra=_fields(rest))
            for follower in self.followers:
                follower.began(rest, before)
        return rest

    def finish(self, rest: Rest, evidence: str | None) -> None:
        """End a rest of the book, and tell everybody."""
        self._note_end(End(rest.subject, rest.scope, rest.began_at, rest.until))
        self._remove(rest)
        why = evidence or "an operator's change"
        logger.info("well again", extra={**_fields(rest), "evidence": why})
        for follower in self.followers:
            follower.ended(rest, evidence)

    def void(self, resets: Mapping[str, float]) -> None:
        """Forget what was before an account's reset (account id -> epoch seconds)."""
        self._resets = dict(resets)
        for subject in resets:
            for rest in list(self._rests.get(subject, {}).values()):
                if self.has_ended(rest):
                    self.finish(rest, None)

    def keep(self, exists: Callable[[Rest], bool]) -> None:
        """Forget who is not there any more."""
        for rest in [rest for rests in self._rests.values() for rest in rests.values()]:
            if not exists(rest):
                self.finish(rest, None)

    def sweep(self, now: float) -> None:
        """Drop what is over and counts no more."""
        for rest in [rest for rests in self._rests.values() for rest in rests.values()]:
            if rest.until + FORGOTTEN_S <= now:
                self._remove(rest)
        self._ends = {key: end for key, end in self._ends.items() if not end.is_old(now)}

    # --- what is told from elsewhere -----------------------------------------------------------

    def take(self, rest: Rest) -> bool:
        """Take a rest in from another replica or the database, unless a longer one is known or it
        has ended; say whether it was news."""
        known = self._rests.get(rest.subject, {}).get(rest.scope)
        if self.has_ended(rest) or (known is not None and known.until >= rest.until):
            return False
        return self._put(rest)

    def take_end(self, end: End) -> bool:
        """Take in that a rest is over, so everything that began no later; say whether it was
        news."""
        known = self._ends.get((end.subject, end.scope))
        if known is not None and known.began_at >= end.began_at:
            return False
        self._note_end(end)
        rest = self._rests.get(end.subject, {}).get(end.scope)
        if rest is not None and rest.began_at <= end.began_at:
            self._remove(rest)
        return True

    def has_ended(self, rest: Rest) -> bool:
        """Tell whether a rest that somebody tells of is known to be over."""
        return rest.began_at <= self._ended_at(rest)

    def ends(self, now: float) -> list[End]:
        """Return what ended and is still remembered."""
        return [end for end in self._ends.values() if not end.is_old(now)]

    # --- inside --------------------------------------------------------------------------------

    def _ended_at(self, rest: Rest) -> float:
        """Return when the last rest had begun that is known to be over; 0 for none."""
        end = self._ends.get((rest.subject, rest.scope))
        reset_at = self._resets.get(rest.subject, 0.0)
        return reset_at if end is None else max(reset_at, end.began_at)

    def _note_end(self, end: End) -> None:
        key = (end.subject, end.scope)
        known = self._ends.pop(key, None)
        if len(self._ends) >= MAX_ENDS:
            del self._ends[next(iter(self._ends))]
        self._ends[key] = known if known is not None and known.began_at > end.began_at else end

    def _put(self, rest: Rest) -> bool:
        """Write a rest down; False when there is no room."""
        rests = self._rests.get(rest.subject, {})
        if rest.scope not in rests:
            room = MAX_MISSING if _is_missing(rest) else MAX_RESTS
            if self._count >= room and rest.scope != EVERY_MODEL:
                return False
            if len(rests) >= MAX_SCOPES:
                self._remove(min(rests.values(), key=_weight))
            self._count += 1
        self._rests.setdefault(rest.subject, {})[rest.scope] = rest
        self._changed(rest.subject)
        return True

    def _remove(self, rest: Rest) -> None:
        rests = self._rests[rest.subject]
        del rests[rest.scope]
        self._count -= 1
        if not rests:
            del self._rests[rest.subject]
        self._changed(rest.subject)

    def _changed(self, subject: str) -> None:
        for listener in self.listeners:
            listener(subject)


def _is_missing(rest: Rest) -> bool:
    return rest.reason is ErrorKind.MODEL_NOT_FOUND


def _weight(rest: Rest) -> tuple[bool, bool, float]:
    """Return what decides which rest of a subject goes when there are too many."""
    return rest.scope == EVERY_MODEL, not _is_missing(rest), rest.until


def _fields(rest: Rest) -> dict[str, object]:
    seconds = None if rest.needs_operator else round(rest.until - rest.began_at, 1)
    return {
        "subject": rest.subject,
        "kind": rest.subject_kind,
        "scope": rest.scope,
        "reason": rest.reason.value,
        "seconds": seconds,
        "evidence": rest.evidence,
    }
