"""From a login to an account: the one that it belongs to gets new credentials, else a new one.

An account is found by its identity at the provider. What an operator gave it stays: label,
priority, place, whether it is active.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from auth.identity import masked
from models.account import Account, AuthType, Credentials, EgressPolicy, StoredAccount, TokenState
from models.errors import Conflict, NotFound
from models.event import EventKind, Tell, called
from models.ids import new_id
from models.ports import Clock
from repositories.base import UNSET, AccountChange, AccountRepository
from services.login_calls import Granted

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What a new account shall be like."""

    provider_id: str
    label: str
    policy: EgressPolicy
    proxy_id: str | None
    """Where it would like its place: the login went this way."""


class LoginAccounts:
    """Stores what logins bring."""

    def __init__(
        self,
        accounts: AccountRepository,
        changed: Callable[[], Awaitable[None]],
        clock: Clock,
        tell: Tell,
    ) -> None:
        self._accounts = accounts
        self._changed = changed
        self._clock = clock
        self._tell = tell

    async def settle(self, granted: Granted, wanted: NewAccount, account_id: str | None) -> Account:
        """Return the account that has the credentials now.

        `account_id` names the one that logs in again. Raises NotFound when it is gone, Conflict
        when the login belongs to another identity or account.
        """
        known = await self._known(granted, wanted.provider_id, account_id)
        if known is not None:
            account = await self._renewed(known, granted)
        else:
            account = await self._first_login(granted, wanted)
        await self._changed()
        self._told(account, is_new=known is None)
        return account

    async def _first_login(self, granted: Granted, wanted: NewAccount) -> Account:
        try:
            return await self._created(granted, wanted)
        except Conflict:  # the same person logged in twice at this moment
            known = await self._known(granted, wanted.provider_id, None)
            if known is None:
                raise
            return await self._renewed(known, granted)

    async def _known(
        self, granted: Granted, provider_id: str, account_id: str | None
    ) -> StoredAccount | None:
        identity, found = granted.identity, None
        if identity is not None:
            found = await self._accounts.by_identity(provider_id, identity)
        if account_id is None:
            return None if found is None else await self._stored(found.id)
        stored = await self._stored(account_id)
        if found is not None and found.id != account_id:
            raise Conflict(f"this login belongs to another account, {found.id}")
        if identity is not None and stored.account.identity not in (None, identity):
            raise Conflict("this login is of somebody else than the account was so far")
        return stored

    async def _stored(self, account_id: str) -> StoredAccount:
        stored = await self._accounts.get(account_id)
        if stored is None:
            raise NotFound(f"there is no account {account_id}")
        return stored

    async def _created(self, granted: Granted, wanted: NewAccount) -> Account:
        now = self._clock.now()
        account = Account(
            id=new_id(),
            provider_id=wanted.provider_id,
            label=wanted.label or (granted.identity or "")[:200],
            auth_type=AuthType.OAUTH,
            egress_policy=wanted.policy,
            proxy_id=wanted.proxy_id,
            identity=granted.identity,
            metadata=granted.facts,
            expires_at=granted.credentials.expires_at,
            created_at=now,
            updated_at=now,
        )
        return await self._accounts.create(account, granted.credentials)

    async def _renewed(self, known: StoredAccount, granted: Granted) -> Account:
        account = known.account
        return await self._accounts.update(
            account.id,
            AccountChange(
                auth_type=AuthType.OAUTH,
                credentials=_with_refresh_token(granted.credentials, known),
                identity=granted.identity if granted.identity is not None else UNSET,
                metadata={**account.metadata, **granted.facts} if granted.facts else UNSET,
            ),
        )

    def _told(self, account: Account, *, is_new: bool) -> None:
        logger.info(
            "account logged in",
            extra={
                "account": account.id,
                "identity": masked(account.identity or ""),
                "is_new": is_new,
            },
        )
        self._tell(
            EventKind.ACCOUNT_LOGGED_IN,
            f"{called('account', account.label, account.id)} logged in{'' if is_new else ' again'}",
            provider_id=account.provider_id,
            account_id=account.id,
            proxy_id=account.proxy_id,
        )


def _with_refresh_token(new: Credentials, known: StoredAccount) -> Credentials:
    """Keep the refresh token where a provider gives one at the first login only (Google)."""
    before, after = known.credentials.oauth, new.oauth
    is_same_client = before and after and before.client_id == after.client_id
    is_good = known.account.token_state is not TokenState.NEEDS_REAUTH
    if new.refresh is None and is_good and is_same_client:
        return replace(new, refresh=known.credentials.refresh)
    return new
