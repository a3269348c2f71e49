"""How it stands with the tokens of OAuth accounts, and a refresh at an operator's wish."""

from collections.abc import Awaitable, Callable
from typing import Final

from models.account import AuthType, StoredAccount
from models.errors import BadRequest, NotFound
from openapi.oauth import RefreshQuery
from repositories.base import AccountRepository, Page
from services.snapshot import Snapshot
from services.token_outlook import Outlook
from services.tokens import Tokens

_NEVER: Final = float("inf")


class Refreshes:
    """Looks at the token keeper."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        accounts: AccountRepository,
        tokens: Tokens,
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self._snapshot = snapshot
        self._accounts = accounts
        self._tokens = tokens
        self._changed = changed

    async def page(self, query: RefreshQuery) -> Page[Outlook]:
        """Return the OAuth accounts: those that are late first, then whose token ends first."""
        snapshot = self._snapshot()
        found = [
            (not self._tokens.is_late(stored), stored.credentials.expires_at or _NEVER, account_id)
            for account_id, stored in snapshot.accounts.items()
            if stored.account.auth_type is AuthType.OAUTH
            and query.provider_id in (None, stored.account.provider_id)
        ]
        wanted = sorted(one for one in found if query.is_late in (None, not one[0]))
        shown = wanted[query.offset : query.offset + query.limit]
        data = [
            await self._tokens.outlook(snapshot.accounts[account_id]) for _, _, account_id in shown
        ]
        return Page(data, len(wanted), query.limit, query.offset)

    async def refresh(self, account_id: str) -> Outlook:
        """Refresh now. Raises NotFound, BadRequest for what needs none, UpstreamError."""
        stored = await self._stored(account_id)
        if stored.account.auth_type is not AuthType.OAUTH:
            raise BadRequest("account_id: this account has no token to refresh", path="account_id")
        try:
            refreshed = await self._tokens.refresh_now(stored)
        finally:
            await self._changed()  # a failure is stored as well
        return await self._tokens.outlook(refreshed)

    async def _stored(self, account_id: str) -> StoredAccount:
        stored = await self._accounts.get(account_id)
        if stored is None:
            raise NotFound(f"there is no account {account_id}")
        return stored
