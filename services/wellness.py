"""How well accounts have served lately, as this process saw it.

Rests keep everybody away from an account. This only tells a conversation when staying with its
account is worth less than the cache that it has there: it fails as often as not, or begins late.
"""

from dataclasses import dataclass
from typing import Final

_MAX_ERRORS: Final = 0.5
_SLOW_S: Final = 15.0
_SLOWER: Final = 1.5
"""Slow is who begins this many times later than all do: models that think long are not."""
_ENOUGH: Final = 5
"""Streams to judge by: one long question says nothing."""

_OWN_SHARE: Final = 0.2
_COMMON_SHARE: Final = 0.05
"""Weights of the newest."""
_HALF_LIFE_S: Final = 60.0
"""Of what was seen: who is asked no more is given another chance."""
_MAX_ENTRIES: Final = 20_000


@dataclass(slots=True)
class _Averages:
    """Moving averages, and when they were last right."""

    at: float
    share: float
    errors: float = 0.0
    """Share of calls that failed."""
    first_byte_s: float = 0.0
    streams: int = 0

    def saw(self, *, error: bool, now: float) -> None:
        self.age(now)
        self.errors += self.share * (error - self.errors)

    def began(self, first_byte_s: float) -> None:
        """Take in how late a stream began; the first one is all that is known."""
        weight = self.share if self.streams else 1.0
        self.first_byte_s += weight * (first_byte_s - self.first_byte_s)
        self.streams += 1

    def age(self, now: float) -> None:
        """Let what was seen count for less."""
        if self.errors or self.first_byte_s:
            kept = 0.5 ** (max(0.0, now - self.at) / _HALF_LIFE_S)
            self.errors *= kept
            self.first_byte_s *= kept
        self.at = now


class Wellness:
    """Moving averages for each account and family of models, and over all accounts of a family."""

    def __init__(self) -> None:
        self._own: dict[tuple[str, str], _Averages] = {}
        self._common: dict[str, _Averages] = {}
        self.has_failures = False
        """Whether anybody has failed: else the success of a whole answer changes nothing."""

    def served(self, account_id: str, family: str, first_byte_s: float | None, now: float) -> None:
        """Note a success; `first_byte_s`: how late the content of a stream began."""
        own = self._own.get((account_id, family))
        if own is not None and own.errors:
            own.saw(error=False, now=now)
        if first_byte_s is None:
            return
        own = own or self._begin(account_id, family, now)
        own.age(now)
        common = self._common.setdefault(family, _Averages(now, _COMMON_SHARE))
        common.age(now)
        for averages in (own, common):
            averages.began(first_byte_s)

    def failed(self, account_id: str, family: str, now: float) -> None:
        """Note a failure that the account is to blame for."""
        own = self._own.get((account_id, family)) or self._begin(account_id, family, now)
        own.saw(error=True, now=now)
        self.has_failures = True

    def is_degraded(self, account_id: str, family: str, now: float) -> bool:
        """Whether conversations are better off elsewhere for a while."""
        own = self._own.get((account_id, family))
        if own is None:
            return False
        own.age(now)
        if own.errors > _MAX_ERRORS:
            return True
        if own.first_byte_s <= _SLOW_S or own.streams < _ENOUGH:
            return False
        common = self._common[family]
        common.age(now)
        return own.first_byte_s > _SLOWER * common.first_byte_s

    def _begin(self, account_id: str, family: str, now: float) -> _Averages:
        if len(self._own) >= _MAX_ENTRIES:
            self._own.clear()
            self._common.clear()
        own = self._own[account_id, family] = _Averages(now, _OWN_SHARE)
        return own
