"""How often somebody has failed lately: what makes the next rest longer.

Strikes fall only slowly. An account that fails half the time succeeds half the time too; if one
success wiped the slate, it would never rest for long.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from models.errors import ErrorKind
from models.rest import Rest
from services.pauses import Rule
from services.rest_book import Key

FORGIVING: Final = 10
"""Successes in a row that take one strike back."""

_MAX_STRIKES: Final = 16
_MAX_TIMES: Final = 16
_MAX_KEYS: Final = 50_000
_QUIET_S: Final = 60.0
_LONG_QUIET_S: Final = 3_600.0


@dataclass(slots=True)
class Tally:
    """Failures of one kind for one subject and scope."""

    strikes: int = 0
    """Rests in a row."""
    times: list[float] = field(default_factory=list)
    """When it failed, within the rule's window; never more than a few."""
    successes: int = 0
    """In a row."""
    quiet_from: float = 0.0
    """From here on time without a failure forgives: the end of the last rest."""
    quiet_s: float = _QUIET_S
    """How much of it takes one strike back."""
    is_consecutive: bool = False
    window_s: float = _QUIET_S

    def began(self, now: float, until: float) -> None:
        """A rest follows: the next one will be longer."""
        self.strikes = min(self.strikes + 1, _MAX_STRIKES)
        self.rested(now, until)

    def rested(self, now: float, until: float) -> None:
        """Time forgives from the end of the rest on."""
        self.quiet_from = max(self.quiet_from, until)
        self.quiet_s = min(max(_QUIET_S, until - now), _LONG_QUIET_S)


class Strikes:
    """The tallies of this process. Bounded; `sweep` drops what counts no more."""

    def __init__(self) -> None:
        self._tallies: dict[Key, dict[ErrorKind, Tally]] = {}

    def __len__(self) -> int:
        return len(self._tallies)

    def count(self, subject: str, scopes: Iterable[str], now: float) -> int:
        """Return how badly somebody did lately: 0 for who has not failed."""
        found = 0
        for scope in scopes:
            for tally in self._tallies.get((subject, scope), {}).values():
                _forgive_by_time(tally, now)
                found += tally.strikes + len(tally.times)
        return found

    def failed(self, key: Key, group: ErrorKind, rule: Rule, now: float) -> Tally:
        """Count a failure; `is_due` tells whether a rest follows, which must be told by `began`."""
        tally = self._tally(key, group)
        _forgive_by_time(tally, now)
        tally.window_s, tally.is_consecutive = rule.window_s, rule.is_consecutive
        oldest = now - rule.window_s
        tally.times = [at for at in tally.times if at > oldest][-_MAX_TIMES + 1 :]
        tally.times.append(now)
        tally.successes = 0
        tally.quiet_from = now
        return tally

    def heard(self, key: Key, group: ErrorKind, rest: Rest) -> None:
        """Another replica, or this one before it was restarted, let somebody rest: all count on
        from the same number."""
        tally = self._tally(key, group)
        if rest.began_at not in tally.times:
            tally.times = [*tally.times, rest.began_at][-_MAX_TIMES:]
        tally.strikes = min(max(tally.strikes, rest.strikes), _MAX_STRIKES)
        tally.rested(rest.began_at, rest.until)

    def rest_over(self, key: Key, now: float) -> None:
        """Time forgives from now on, however long the rest could have been."""
        for tally in self._tallies.get(key, {}).values():
            tally.quiet_from = min(tally.quiet_from, now)

    def succeeded(
        self, subject: str, scopes: Iterable[str], *, ended: frozenset[ErrorKind]
    ) -> None:
        """Count a success. `ended` names the kinds whose rest was just long enough: those lose a
        strike at once, so that a limit's rests settle at the length that it takes."""
        if not self._tallies:
            return
        for scope in scopes:
            key = (subject, scope)
            tallies = self._tallies.get(key)
            if tallies is None:
                continue
            for group, tally in list(tallies.items()):
                _forgive(tally, at_once=group in ended)
                if not tally.strikes and not tally.times:
                    del tallies[group]
            if not tallies:
                del self._tallies[key]

    def forget(self, key: Key, groups: Iterable[ErrorKind]) -> None:
        """What was counted was not theirs."""
        tallies = self._tallies.get(key)
        if tallies is not None:
            for group in groups:
                tallies.pop(group, None)
            if not tallies:
                del self._tallies[key]

    def void(self, subject: str, at: float) -> None:
        """Forget what somebody did before an instant."""
        for key in [key for key in self._tallies if key[0] == subject]:
            tallies = self._tallies[key]
            for group, tally in list(tallies.items()):
                if not tally.times or tally.times[-1] <= at:
                    del tallies[group]
            if not tallies:
                del self._tallies[key]

    def sweep(self, now: float) -> None:
        """Drop what counts no more."""
        for key, tallies in list(self._tallies.items()):
            for group, tally in list(tallies.items()):
                _forgive_by_time(tally, now)
                if not tally.strikes and not tally.times:
                    del tallies[group]
            if not tallies:
                del self._tallies[key]

    def _tally(self, key: Key, group: ErrorKind) -> Tally:
        if key not in self._tallies and len(self._tallies) >= _MAX_KEYS:
            del self._tallies[next(iter(self._tallies))]
        return self._tallies.setdefault(key, {}).setdefault(group, Tally())


def is_due(tally: Tally, rule: Rule) -> bool:
    """Tell whether the failures so far call for a rest."""
    return tally.strikes > 0 or len(tally.times) >= rule.after


def needs_operator(tally: Tally, rule: Rule) -> bool:
    """Tell whether it has failed so often that only an operator can mend it."""
    return rule.operator_after is not None and len(tally.times) >= rule.operator_after


def _forgive(tally: Tally, *, at_once: bool) -> None:
    tally.successes += 1
    if tally.is_consecutive and not tally.strikes:
        tally.times.clear()
    if at_once or tally.successes >= FORGIVING:
        tally.successes = 0
        tally.strikes = max(tally.strikes - 1, 0)
        if tally.times:
            tally.times.pop(0)


def _forgive_by_time(tally: Tally, now: float) -> None:
    quiet_s = now - tally.quiet_from
    if tally.strikes and quiet_s >= tally.quiet_s:
        steps = int(quiet_s / tally.quiet_s)
        tally.strikes = max(tally.strikes - steps, 0)
        tally.quiet_from += steps * tally.quiet_s
    if tally.times and tally.times[-1] <= now - tally.window_s:
        tally.times.clear()
