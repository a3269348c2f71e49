"""Accounts leave a proxy for another one: when an operator says so, or by the policy that he set.

Nothing else moves an account. Places are given as ever, by the database; proxies in quarantine get
nobody. An account for which there is no room keeps its place, and waits there: it never goes
direct.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from models.account import Account
from models.egress import EgressProxy
from models.event import EventKind, Tell, called
from models.ports import Clock
from repositories.base import EgressRepository
from services.egress_conditions import EgressConditions

logger = logging.getLogger(__name__)

_ROUND_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Moved:
    """An account and where it went, or would go."""

    account: Account
    """As it was before."""
    proxy_id: str | None
    """None: there is no room, and it stays."""


class Rehoming:
    """Moves accounts off a proxy."""

    def __init__(
        self,
        egress: EgressRepository,
        proxies: Callable[[], Mapping[str, EgressProxy]],
        conditions: EgressConditions,
        changed: Callable[[], Awaitable[None]],
        clock: Clock,
        *,
        tell: Tell,
        after_s: float,
    ) -> None:
        """`after_s`: how long a proxy may be in quarantine until its accounts leave; 0: as long as
        it takes."""
        self._egress = egress
        self._proxies = proxies
        self._conditions = conditions
        self._changed = changed
        self._clock = clock
        self._tell = tell
        self._after_s = after_s

    @property
    def round_s(self) -> float:
        """How often it is looked who has been in quarantine for too long; 0: never."""
        return min(self._after_s, _ROUND_S)

    async def rehome(self, proxy_id: str, *, dry_run: bool) -> list[Moved]:
        """Move every account of a proxy that finds room elsewhere; with `dry_run` only tell who
        would go where. Raises NotFound."""
        accounts = {account.id: account for account in await self._egress.assignments(proxy_id)}
        avoiding = self._conditions.unwell()
        moves = await self._egress.rehome(proxy_id, dry_run=dry_run, avoiding=avoiding)
        moved = [
            Moved(accounts[move.account_id], move.proxy_id)
            for move in moves
            if move.account_id in accounts
        ]
        if not dry_run and any(one.proxy_id is not None for one in moved):
            await self._changed()
            self._tell_of(moved, proxy_id)
        return moved

    async def overdue(self) -> None:
        """Move the accounts of proxies that have been in quarantine for too long."""
        if self._after_s <= 0:
            return
        latest = self._clock.now() - self._after_s
        for proxy_id in self._conditions.unwell():
            since = self._conditions.unwell_since(proxy_id)
            if since is not None and since <= latest and self._proxies()[proxy_id].is_active:
                await self._leave(proxy_id)

    async def _leave(self, proxy_id: str) -> None:
        # Where nobody finds room nothing is written, every minute anew.
        if any(one.proxy_id is not None for one in await self.rehome(proxy_id, dry_run=True)):
            await self.rehome(proxy_id, dry_run=False)

    def _tell_of(self, moved: list[Moved], left: str) -> None:
        proxies = self._proxies()
        for one in moved:
            if one.proxy_id is None:
                continue
            logger.info(
                "account moved",
                extra={"account": one.account.id, "from": left, "to": one.proxy_id},
            )
            self._tell(
                EventKind.ACCOUNT_REHOMED,
                f"{called('account', one.account.label, one.account.id)} moved from "
                f"{_called(proxies, left)} to {_called(proxies, one.proxy_id)}",
                provider_id=one.account.provider_id,
                account_id=one.account.id,
                proxy_id=one.proxy_id,
                details={"from": left, "to": one.proxy_id},
            )


def _called(proxies: Mapping[str, EgressProxy], proxy_id: str) -> str:
    proxy = proxies.get(proxy_id)
    return called("proxy", proxy.label if proxy is not None else None, proxy_id)
