"""Switches draining accounts off once they are idle, or at their deadline.

Idle means: nothing is under way on any replica, and no conversation of the account can still be
remembered, because its last request was longer ago than conversations are.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from models.account import Account
from models.errors import NotFound
from models.ports import Clock
from repositories.base import QuotaRepository, SharedState
from services.account_actions import AccountActions
from services.snapshot import Snapshot

BEAT_S: Final = 5.0
DRAINED_EVERY_S: Final = 10.0
_BUSY_S: Final = 30.0
"""So long a replica that fell silent counts as busy."""


class Draining:
    """Tells the other replicas what is under way here, and ends what has drained."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        inflight: Callable[[str], int],
        shared: SharedState,
        ledger: QuotaRepository,
        actions: AccountActions,
        clock: Clock,
        *,
        remembered_s: float,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`inflight` counts an account's requests in this process; conversations are remembered
        for `remembered_s`, 0 where they have no home."""
        self._snapshot = snapshot
        self._inflight = inflight
        self._shared = shared
        self._ledger = ledger
        self._actions = actions
        self._clock = clock
        self._remembered_s = remembered_s
        self._pause = pause

    async def beat(self) -> None:
        """Tell which draining accounts are busy here, until cancelled."""
        while True:
            await self.tell()
            await self._pause(BEAT_S)

    async def tell(self) -> None:
        """Tell it once."""
        for account in self._draining():
            if self._inflight(account.id):
                await self._shared.put(_key(account.id), b"1", _BUSY_S)

    async def end(self) -> None:
        """Switch off what has drained; once over all replicas."""
        for account in self._draining():
            why = await self._why(account)
            if why is not None:
                try:
                    await self._actions.drained(account, why)
                except NotFound:  # deleted meanwhile
                    continue

    def _draining(self) -> list[Account]:
        accounts = (stored.account for stored in self._snapshot().accounts.values())
        return [
            account
            for account in accounts
            if account.is_draining and account.is_active and account.drain_until is not None
        ]

    async def _why(self, account: Account) -> str | None:
        """Return why the account may be switched off now; None while it may not."""
        now = self._clock.now()
        if account.drain_until is not None and account.drain_until <= now:
            return "deadline"
        since = account.draining_since or now
        # Every replica has had the time to tell what is under way.
        if now - since < _BUSY_S + self._remembered_s:
            return None
        if self._inflight(account.id) or await self._shared.get(_key(account.id)) is not None:
            return None
        if await self._ledger.use(since=now - self._remembered_s, account_id=account.id):
            return None
        return "idle"


def _key(account_id: str) -> str:
    return f"account:busy:{account_id}"
