"""Where refreshed tokens go, in this order, so that a crash at any point loses none.

1. the journal, on disk; 2. a sealed copy in shared state, for replicas whose disk is another;
3. the database, if nobody was faster; 4. published; 5. forgotten by journal and shared state.
"""

import logging
from dataclasses import replace

from models.account import Account, StoredAccount, TokenState
from models.errors import GatewayError, NotFound, StorageUnavailable
from repositories.base import AccountRepository
from services.failpoints import failpoint
from services.journal import Journal
from services.sealed import TokenRecord
from services.shared_tokens import SharedTokens

logger = logging.getLogger(__name__)


class TokenStore:
    """Keeps refreshed tokens until the database has them."""

    def __init__(self, accounts: AccountRepository, shared: SharedTokens, journal: Journal) -> None:
        self._accounts = accounts
        self._shared = shared
        self._journal = journal
        self._unsaved: dict[str, TokenRecord] = {
            record.account_id: record for record in journal.pending()
        }

    @property
    def has_unsaved(self) -> bool:
        """Whether the database still lacks tokens that we have."""
        return bool(self._unsaved)

    async def keep(self, account: Account, record: TokenRecord) -> None:
        """Secure tokens that have just come, before anything else is done with them."""
        self._unsaved[account.id] = record
        try:
            await self._journal.append(record)
        except OSError as error:
            # The tokens are good and the database may take them: going on is all we can do.
            logger.error(
                "journal cannot be written", extra={"account": account.id, "error": error.strerror}
            )
        failpoint("refresh.after_journal")
        await self._shared.put_reply(account, record)

    async def save(self, account: Account, record: TokenRecord) -> StoredAccount:
        """Bring the database up to the record; return what it has then.

        Raises NotFound when the account is gone, StorageUnavailable when the database is away:
        then the others have the tokens at least, and the record stays unsaved.
        """
        try:
            stored = await self._saved(account, record)
        except NotFound:
            await self._settle(account, record)
            raise
        except GatewayError:
            await self._shared.publish(account, record)
            raise
        failpoint("refresh.after_commit")
        await self._shared.publish(stored.account, _record_of(stored))
        failpoint("refresh.after_publish")
        await self._settle(account, record)
        return stored

    async def newer(self, account: Account) -> TokenRecord | None:
        """Return tokens that the database should have but lacks, whoever of us got them."""
        unsaved = self._unsaved.get(account.id)
        if unsaved is not None and unsaved.token_version > account.token_version:
            return unsaved
        if (copy := await self._shared.reply(account)) is not None:
            return copy
        return await self._journal.find(account.id, account.token_version)

    async def adopt(self) -> None:
        """Take over the journals of processes that died since our start."""
        try:
            adopted = await self._journal.adopt()
        except OSError as error:
            logger.error("journals cannot be read", extra={"error": error.strerror})
            return
        for record in adopted:
            known = self._unsaved.get(record.account_id)
            if known is None or known.token_version < record.token_version:
                self._unsaved[record.account_id] = record

    async def save_all(self) -> None:
        """Offer everything unsaved to the database. Raises StorageUnavailable."""
        records = {
            (record.token_version, record.account_id): record
            for record in (*self._journal.pending(), *self._unsaved.values())
        }
        for _, record in sorted(records.items()):
            try:
                await self._save_again(record)
            except StorageUnavailable:
                raise
            except GatewayError as error:
                # Of this account only: the others' tokens must not wait for it.
                logger.error(
                    "journaled token not stored",
                    extra={"account": record.account_id, "error": error.message},
                )

    async def _save_again(self, record: TokenRecord) -> None:
        row = await self._accounts.get(record.account_id)
        if row is None:
            await self._forget(record)
            return
        await self.save(row.account, record)
        logger.info("journaled token stored", extra={"account": record.account_id})

    async def _saved(self, account: Account, record: TokenRecord) -> StoredAccount:
        before = record.token_version - 1
        if await self._accounts.store_tokens(account.id, before, record.credentials):
            return with_tokens(account, record)
        row = await self._row(account.id)
        if row.account.token_version < record.token_version:
            # Somebody put an old database back. Its token is spent, ours is the good one.
            logger.error("stored token is older than ours", extra={"account": account.id})
            at = row.account.token_version
            await self._accounts.store_tokens(account.id, at, record.credentials)
            row = await self._row(account.id)
        return row

    async def _row(self, account_id: str) -> StoredAccount:
        row = await self._accounts.get(account_id)
        if row is None:
            raise NotFound(f"account {account_id} was deleted")
        return row

    async def _settle(self, account: Account, record: TokenRecord) -> None:
        await self._forget(record)
        await self._shared.settle(account, record)

    async def _forget(self, record: TokenRecord) -> None:
        if self._unsaved.get(record.account_id) == record:
            del self._unsaved[record.account_id]
        try:
            await self._journal.settle(record.account_id, record.token_version)
        except OSError as error:
            logger.error("journal cannot be written", extra={"error": error.strerror})


def with_tokens(account: Account, record: TokenRecord) -> StoredAccount:
    """Return the account as it is once it has the record's tokens."""
    credentials = record.credentials
    changed = replace(
        account,
        token_version=record.token_version,
        token_state=TokenState.OK,
        token_error=None,
        expires_at=credentials.expires_at,
    )
    return StoredAccount(changed, credentials)


def _record_of(stored: StoredAccount) -> TokenRecord:
    return TokenRecord(stored.account.id, stored.account.token_version, stored.credentials)
