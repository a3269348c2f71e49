"""How accounts, their providers and the outbound proxies are, counted when somebody asks."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, get_args

from models.account import Account, AccountState
from models.egress import EgressHealth
from models.ports import Clock
from models.rest import Rest
from services.account_states import in_force, state_of
from services.cooldown import Cooldowns
from services.egress_conditions import EgressConditions
from services.metric_families import Table
from services.snapshot import Snapshot

_ACCOUNT_STATES: Final[tuple[AccountState, ...]] = get_args(AccountState)
_KINDS: Final = ("account", "proxy", "provider")
_INACTIVE: Final = "inactive"
_PROXY_STATES: Final = (*(health.value for health in EgressHealth), _INACTIVE)
_NOBODY_RESTS: Final[Mapping[str, list[Rest]]] = {}
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Picture:
    """What was so in one moment."""

    snapshot: Snapshot
    rests: Mapping[str, list[Rest]]
    """Those in force, by subject."""
    proxies: Counter[str]
    """By state."""


class PoolGauges:
    """Counts in two steps, so that ten thousand accounts hold no request up: the first, on the
    event loop, looks at what rests; the second, in a thread, at every account, and that only after
    a change."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        cooldowns: Cooldowns,
        conditions: EgressConditions,
        clock: Clock,
    ) -> None:
        self._snapshot = snapshot
        self._cooldowns = cooldowns
        self._conditions = conditions
        self._clock = clock
        self._unrested: tuple[int, Counter[tuple[str, AccountState]]] | None = None
        """Revision of a snapshot, and its accounts by provider and state if nobody rested."""

    def picture(self) -> Picture:
        """Take in how it is now."""
        now, snapshot = self._clock.now(), self._snapshot()
        proxies = Counter(
            self._conditions.of(proxy.id).health.value if proxy.is_active else _INACTIVE
            for proxy in snapshot.proxies.values()
        )
        return Picture(snapshot, in_force(self._cooldowns.active(now), now), proxies)

    def table(self, picture: Picture) -> Table:
        """Count what is in the picture; every state is told, also of those that nobody is in."""
        accounts, rests = self._accounts(picture), picture.rests
        providers = {provider for provider, _ in accounts}
        kinds = Counter(rest.subject_kind for some in rests.values() for rest in some)
        open_at = Counter(some[0].origin_provider_id for some in rests.values())
        return {
            "aigateway_accounts": {
                (provider, state): [accounts[provider, state]]
                for provider in providers
                for state in _ACCOUNT_STATES
            },
            "aigateway_rests": {(kind,): [kinds[kind]] for kind in _KINDS},
            "aigateway_breakers_open": {
                (provider,): [open_at[provider]]
                for provider in {*providers, *open_at}
                if provider is not None
            },
            "aigateway_egress_proxies": {
                (state,): [picture.proxies[state]] for state in _PROXY_STATES
            },
        }

    def _accounts(self, picture: Picture) -> Counter[tuple[str, AccountState]]:
        """Return accounts by provider and state: those of the snapshot, then those who rest."""
        snapshot, rests = picture.snapshot, picture.rests
        counts = self._well(snapshot).copy()
        for account in _touched(picture):
            before = state_of(account, snapshot.proxies, _NOBODY_RESTS)
            counts[account.provider_id, before] -= 1
            counts[account.provider_id, state_of(account, snapshot.proxies, rests)] += 1
        return counts

    def _well(self, snapshot: Snapshot) -> Counter[tuple[str, AccountState]]:
        kept = self._unrested
        if kept is None or kept[0] != snapshot.revision:
            kept = self._unrested = (
                snapshot.revision,
                Counter(
                    (account.provider_id, state_of(account, snapshot.proxies, _NOBODY_RESTS))
                    for account in _everybody(snapshot)
                ),
            )
        return kept[1]


def _touched(picture: Picture) -> Iterator[Account]:
    """Return the accounts that rest, or whose proxies do."""
    accounts, rests = picture.snapshot.accounts, picture.rests
    for subject in rests.keys() & accounts.keys():
        yield accounts[subject].account
    proxies = rests.keys() & picture.snapshot.proxies.keys()
    if proxies:
        for account in _everybody(picture.snapshot):
            if account.proxy_id in proxies and account.id not in rests:
                yield account


def _everybody(snapshot: Snapshot) -> Iterator[Account]:
    for number, entry in enumerate(snapshot.accounts.values(), start=1):
        if number % _AT_ONCE == 0:
            # Requests are waiting for the interpreter; they go first.
            time.sleep(0)
        yield entry.account
