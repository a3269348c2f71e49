"""Whether a failure is the account's own, or the provider's that all of its accounts share.

Overload, server errors and silence bench an account only while its provider is otherwise well.
When more than half of those who could serve a model failed that way within ten seconds, nobody
is to blame; and never does more than half of them rest for such a reason, nor the last one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Final, TypeAlias

Group: TypeAlias = tuple[str, str]
"""Provider and scope."""

WITHIN_S: Final = 10.0
SHARE: Final = 0.5

_MAX_GROUPS: Final = 1_024


@dataclass(slots=True)
class _Fate:
    failed: dict[str, float] = field(default_factory=dict)
    """Account -> when it failed last, without a success since; the oldest first."""
    benched: dict[str, float] = field(default_factory=dict)
    """Account -> when its rest opens."""
    ends: list[tuple[float, str]] = field(default_factory=list)
    """A heap over `benched`; entries that are not there any more are passed over."""

    def has(self, account_id: str) -> bool:
        return account_id in self.failed or account_id in self.benched


class SharedFate:
    """Who failed lately and who rests for it, by provider and scope.

    The work of a call does not grow with the number of accounts.
    """

    def __init__(self) -> None:
        self._fates: dict[Group, _Fate] = {}
        self._groups: dict[tuple[str, str], Group] = {}

    def __len__(self) -> int:
        return len(self._fates)

    def failed(self, group: Group, account_id: str, now: float) -> None:
        """Note a failure that others may share."""
        fate = self._fate(group)
        fate.failed.pop(account_id, None)
        fate.failed[account_id] = now
        self._groups[(account_id, group[1])] = group
        _forget_failures(fate, now)

    def succeeded(self, account_id: str, scopes: Iterable[str]) -> None:
        """The provider serves that account."""
        if self._groups:
            for scope in scopes:
                fate = self._fates.get(self._groups.get((account_id, scope), ("", "")))
                if fate is not None:
                    fate.failed.pop(account_id, None)

    def is_shared(self, group: Group, peers: int, now: float) -> bool:
        """Tell whether so many of `peers` accounts failed that it is the provider."""
        fate = self._fate(group)
        _forget_failures(fate, now)
        return len(fate.failed) > SHARE * max(peers, 1)

    def may_bench(self, group: Group, account_id: str, peers: int, now: float) -> bool:
        """Tell whether one more of `peers` accounts may rest."""
        fate = self._fate(group)
        _forget_ends(fate, now)
        others = len(fate.benched) - (account_id in fate.benched)
        return others + 1 <= SHARE * peers

    def benched(self, group: Group, account_id: str, opens_at: float, now: float) -> None:
        """Note a rest, of this replica or another."""
        self.failed(group, account_id, now)
        fate = self._fate(group)
        fate.benched[account_id] = opens_at
        heappush(fate.ends, (opens_at, account_id))
        _forget_ends(fate, now)

    def freed(self, account_id: str, scope: str) -> None:
        """Note that a rest is over."""
        fate = self._fates.get(self._groups.get((account_id, scope), ("", "")))
        if fate is not None:
            fate.benched.pop(account_id, None)

    def members(self, group: Group) -> list[str]:
        """Return who failed or rests, for whom that is to be forgotten."""
        fate = self._fates.get(group)
        return [] if fate is None else list(fate.failed | fate.benched)

    def groups_of(self, provider_id: str) -> list[Group]:
        """Return the groups of a provider of which something is known."""
        return [group for group in self._fates if group[0] == provider_id]

    def sweep(self, now: float) -> None:
        """Drop what says nothing any more."""
        for group, fate in list(self._fates.items()):
            _forget_failures(fate, now)
            _forget_ends(fate, now)
            if not fate.failed and not fate.benched:
                del self._fates[group]
        self._groups = {
            (account_id, scope): group
            for (account_id, scope), group in self._groups.items()
            if group in self._fates and self._fates[group].has(account_id)
        }

    def _fate(self, group: Group) -> _Fate:
        fate = self._fates.get(group)
        if fate is None:
            if len(self._fates) >= _MAX_GROUPS:  # clients name the models
                del self._fates[next(iter(self._fates))]
            fate = self._fates[group] = _Fate()
        return fate


def _forget_failures(fate: _Fate, now: float) -> None:
    while fate.failed:
        account_id = next(iter(fate.failed))
        if fate.failed[account_id] > now - WITHIN_S:
            return
        del fate.failed[account_id]


def _forget_ends(fate: _Fate, now: float) -> None:
    while fate.ends and fate.ends[0][0] <= now:
        ended, account_id = heappop(fate.ends)
        if fate.benched.get(account_id, ended + 1) <= ended:
            del fate.benched[account_id]
    if len(fate.ends) > 2 * len(fate.benched) + 16:
        fate.ends = [(opens_at, account_id) for account_id, opens_at in fate.benched.items()]
        heapify(fate.ends)
