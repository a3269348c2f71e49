"""What operators do with one account: switch it on and off, let it drain."""

from collections.abc import Awaitable, Callable, Sequence

from models.account import Account
from models.event import EventKind, Tell, called
from models.json_types import JsonObject
from models.ports import Clock
from models.rest import NEVER, Rest
from openapi.account_actions import AccountDisable, AccountDrain
from repositories.base import AccountChange, AccountRepository
from services.quotas import Release

_ENABLED = "an operator switched it on"


class AccountActions:
    """Use cases behind `/api/v1/accounts/{id}/enable`, `/disable` and `/drain`."""

    def __init__(
        self,
        accounts: AccountRepository,
        changed: Callable[[], Awaitable[None]],
        clock: Clock,
        *,
        rests: Callable[[float], Sequence[Rest]],
        release: Release,
        tell: Tell,
    ) -> None:
        """`rests` returns those in force or half-open at a moment."""
        self._accounts = accounts
        self._changed = changed
        self._clock = clock
        self._rests = rests
        self._release = release
        self._tell = tell

    async def enable(self, account_id: str) -> Account:
        """Switch on, end the draining, and the rests that only an operator ends."""
        account = await self._accounts.update(account_id, _serving(is_active=True))
        for rest in self._rests(self._clock.now()):
            if rest.subject == account_id and rest.needs_operator:
                self._release(account_id, rest.scope, _ENABLED)
        await self._changed()
        self._told(EventKind.ACCOUNT_ENABLED, account, "was switched on")
        return account

    async def disable(self, account_id: str, body: AccountDisable) -> Account:
        """Switch off; running requests end, and its place at a proxy goes to another account."""
        change = _serving(is_active=False, reason=body.reason)
        account = await self._accounts.update(account_id, change)
        await self._changed()
        self._told(EventKind.ACCOUNT_DISABLED, account, "was switched off", body.reason)
        return account

    async def drain(self, account_id: str, body: AccountDrain) -> Account:
        """Let it end what it has begun, and no more."""
        now = self._clock.now()
        until = None
        if body.disable_when_idle:
            until = NEVER if body.deadline_s is None else now + body.deadline_s
        change = AccountChange(
            is_draining=True, draining_since=now, drain_until=until, status_reason=body.reason
        )
        account = await self._accounts.update(account_id, change)
        await self._changed()
        self._told(EventKind.ACCOUNT_DRAINING, account, "drains", body.reason)
        return account

    async def drained(self, account: Account, why: str) -> None:
        """Switch a draining account off: `why` is `idle` or `deadline`."""
        change = _serving(is_active=False, reason=account.status_reason)
        await self._accounts.update(account.id, change)
        await self._changed()
        self._told(EventKind.ACCOUNT_DISABLED, account, f"was drained ({why})")

    def _told(
        self, kind: EventKind, account: Account, what: str, reason: str | None = None
    ) -> None:
        details: JsonObject = {} if reason is None else {"reason": reason}
        self._tell(
            kind,
            f"{called('account', account.label, account.id)} {what}",
            provider_id=account.provider_id,
            account_id=account.id,
            details=details,
        )


def _serving(*, is_active: bool, reason: str | None = None) -> AccountChange:
    return AccountChange(
        is_active=is_active,
        is_draining=False,
        draining_since=None,
        drain_until=None,
        status_reason=reason,
    )
