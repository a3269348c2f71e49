"""Accounts: rows of `accounts`, with sealed credentials and places at proxies."""

import logging
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, RowMapping, delete, func, insert, or_, select, update

from auth.vault import Vault, VaultError
from models.account import (
    Account,
    AuthType,
    Credentials,
    EgressPolicy,
    EgressStatus,
    StoredAccount,
    TokenState,
)
from models.errors import Conflict, NotFound
from models.json_types import JsonObject
from models.ports import Clock
from repositories.base import AccountChange, Page, _Unset
from repositories.sql import placement
from repositories.sql.credentials import open_credentials, seal_credentials
from repositories.sql.engine import Database
from repositories.sql.revisions import bump
from repositories.sql.rows import (
    changed,
    from_json,
    matching,
    names_from_json,
    names_to_json,
    page_of,
    require,
    to_json,
)
from repositories.sql.tables import accounts, providers

logger = logging.getLogger(__name__)

_SHOWN = [column for column in accounts.c if column.name != "auth_data"]
_TOKEN_ERROR_LENGTH = 255


class SqlAccounts:
    """The accounts of the pool."""

    def __init__(self, db: Database, vault: Vault, clock: Clock) -> None:
        self._db = db
        self._vault = vault
        self._clock = clock

    async def all(self) -> list[StoredAccount]:
        """Return every account in id order, credentials decrypted.

        One whose credentials do not open is left out and logged: the others must still serve.
        """

        def work(connection: Connection) -> list[StoredAccount]:
            rows = connection.execute(select(accounts).order_by(accounts.c.id)).mappings().all()
            return [stored for row in rows if (stored := self._opened(row)) is not None]

        return await self._db.read(work)

    async def get(self, account_id: str) -> StoredAccount | None:
        def work(connection: Connection) -> StoredAccount | None:
            row = (
                connection.execute(select(accounts).where(accounts.c.id == account_id))
                .mappings()
                .first()
            )
            return None if row is None else self._stored(row)

        return await self._db.read(work)

    async def by_identity(self, provider_id: str, identity: str) -> Account | None:
        """Return the account that is this one at its provider."""
        query = select(*_SHOWN).where(
            accounts.c.provider_id == provider_id, accounts.c.identity == identity
        )

        def work(connection: Connection) -> Account | None:
            row = connection.execute(query).mappings().first()
            return None if row is None else to_account(row)

        return await self._db.read(work)

    async def page(
        self,
        *,
        limit: int,
        offset: int,
        provider_id: str | None = None,
        is_active: bool | None = None,
        egress_status: str | None = None,
        proxy_id: str | None = None,
    ) -> Page[Account]:
        where = matching(
            {
                accounts.c.provider_id: provider_id,
                accounts.c.is_active: is_active,
                accounts.c.egress_status: egress_status,
                accounts.c.proxy_id: proxy_id,
            }
        )
        return await self._db.read(
            lambda connection: page_of(
                connection,
                _SHOWN,
                to_account,
                where=where,
                order=[accounts.c.id],
                limit=limit,
                offset=offset,
            )
        )

    async def create(self, account: Account, credentials: Credentials) -> Account:
        """Insert and place, at `account.proxy_id` if there is room.

        Raises NotFound for an unknown provider, Conflict for a used id or identity.
        """
        values = self._row(account, credentials)

        def work(connection: Connection) -> Account:
            bump(connection)
            require(connection, providers, account.provider_id, "provider")
            taken = select(accounts.c.id).where(accounts.c.id == account.id)
            if connection.execute(taken).mappings().first() is not None:
                raise Conflict(f"there is an account {account.id} already")
            connection.execute(insert(accounts).values(values))
            placement.place(connection, account.id, wished=account.proxy_id)
            return _read(connection, account.id)

        return await self._db.run(work)

    async def create_all(self, made: Sequence[tuple[Account, Credentials]]) -> None:
        """Insert and place all of them, in one transaction. Raises as `create` does."""
        rows = [self._row(account, credentials) for account, credentials in made]
        provider_ids = sorted({account.provider_id for account, _ in made})

        def work(connection: Connection) -> None:
            bump(connection)
            for provider_id in provider_ids:
                require(connection, providers, provider_id, "provider")
            connection.execute(insert(accounts), rows)
            placement.fill_waiting(connection)

        if rows:
            await self._db.run(work)

    async def update(self, account_id: str, change: AccountChange) -> Account:
        """Change, then place or release as the new state demands. Raises NotFound."""
        values = changed(
            {
                "label": change.label,
                "auth_type": change.auth_type,
                "is_active": change.is_active,
                "priority": change.priority,
                "egress_policy": change.egress_policy,
                "max_concurrent": change.max_concurrent,
                "weight": change.weight,
                "is_draining": change.is_draining,
                "draining_since": change.draining_since,
                "drain_until": change.drain_until,
                "status_reason": change.status_reason,
                "identity": change.identity,
            }
        )
        if not isinstance(change.metadata, _Unset):
            values["metadata"] = to_json(change.metadata)
        if not isinstance(change.models, _Unset):
            values["models"] = names_to_json(change.models)
        now = self._clock.now()
        if not isinstance(change.credentials, _Unset):
            # What the old ones met, a refusal or a used-up limit, says nothing of the new ones.
            values |= self._replaced(account_id, change.credentials) | {"cooldown_reset_at": now}
        values["updated_at"] = now

        def work(connection: Connection) -> Account:
            bump(connection)
            _change(connection, account_id, values)
            placement.place(connection, account_id)
            placement.fill_waiting(connection)
            return _read(connection, account_id)

        return await self._db.run(work)

    async def complete_metadata(self, account_id: str, facts: JsonObject) -> Account:
        """Add what the metadata lacks; what it has stays, whoever wrote it. Raises NotFound."""
        now = self._clock.now()

        def work(connection: Connection) -> Account:
            bump(connection)  # its lock keeps others from writing between our two statements
            require(connection, accounts, account_id, "account")
            known = _read(connection, account_id).metadata
            missing = {key: facts[key] for key in facts if known.get(key) is None}
            values = {"metadata": to_json({**known, **missing}), "updated_at": now}
            _change(connection, account_id, values)
            return _read(connection, account_id)

        return await self._db.run(work)

    async def delete(self, account_id: str) -> None:
        """Delete, free the place and let waiting accounts in. Raises NotFound."""

        def work(connection: Connection) -> None:
            bump(connection)
            require(connection, accounts, account_id, "account")
            placement.release(connection, account_id)
            connection.execute(delete(accounts).where(accounts.c.id == account_id))
            placement.fill_waiting(connection)

        await self._db.run(work)

    async def reset_cooldowns(self, account_id: str, now: float) -> Account:
        """Void the account's cooldowns on all replicas. Raises NotFound."""

        def work(connection: Connection) -> Account:
            bump(connection)
            _change(connection, account_id, {"cooldown_reset_at": now})
            return _read(connection, account_id)

        return await self._db.run(work)

    async def take_refresh_lease(
        self, account_id: str, owner: str, token_version: int, *, now: float, lease_s: float
    ) -> bool:
        """Win the right to refresh: one conditional UPDATE, one winner."""
        is_free = or_(
            accounts.c.lease_owner.is_(None),
            accounts.c.lease_owner == owner,
            accounts.c.lease_until < now,
        )
        statement = (
            update(accounts)
            .where(accounts.c.id == account_id, accounts.c.token_version == token_version, is_free)
            .values(lease_owner=owner, lease_until=now + lease_s)
        )
        return await self._db.run(lambda connection: connection.execute(statement).rowcount == 1)

    async def release_refresh_lease(self, account_id: str, owner: str) -> None:
        statement = (
            update(accounts)
            .where(accounts.c.id == account_id, accounts.c.lease_owner == owner)
            .values(lease_owner=None, lease_until=None)
        )
        await self._db.run(lambda connection: connection.execute(statement).rowcount)

    async def refresh_lease(self, account_id: str) -> tuple[str, float] | None:
        """Return holder and end (epoch seconds) of the lease, if there is one."""

        def work(connection: Connection) -> tuple[str, float] | None:
            query = select(accounts.c.lease_owner, accounts.c.lease_until)
            row = connection.execute(query.where(accounts.c.id == account_id)).mappings().first()
            if row is None or row["lease_owner"] is None or row["lease_until"] is None:
                return None
            return row["lease_owner"], row["lease_until"]

        return await self._db.read(work)

    async def store_tokens(
        self, account_id: str, token_version: int, credentials: Credentials
    ) -> bool:
        """Write refreshed credentials if the stored version is still `token_version`."""
        values = self._replaced(account_id, credentials)
        return await self._change_at(account_id, token_version, values)

    async def set_token_state(
        self, account_id: str, token_version: int, state: TokenState, error: str | None
    ) -> bool:
        """Set the state only while the stored version is `token_version`."""
        text = None if error is None else error[:_TOKEN_ERROR_LENGTH]
        values = {"token_state": state, "token_error": text}
        return await self._change_at(account_id, token_version, values)

    async def _change_at(
        self, account_id: str, token_version: int, values: Mapping[str, object]
    ) -> bool:
        """Change the row while its token version is this one."""
        at = (accounts.c.id == account_id, accounts.c.token_version == token_version)

        def work(connection: Connection) -> bool:
            # Looked at first only so that nobody reloads when nothing changes.
            if connection.execute(select(accounts.c.id).where(*at)).first() is None:
                return False
            bump(connection)
            return connection.execute(update(accounts).where(*at).values(values)).rowcount == 1

        return await self._db.run(work)

    def _replaced(self, account_id: str, credentials: Credentials) -> dict[str, object]:
        """Columns that change with new credentials: whoever refreshes the old ones is too late."""
        return {
            "auth_data": seal_credentials(self._vault, account_id, credentials),
            "expires_at": credentials.expires_at,
            "token_version": accounts.c.token_version + 1,
            "token_state": TokenState.OK,
            "token_error": None,
            "lease_owner": None,
            "lease_until": None,
        }

    def _row(self, account: Account, credentials: Credentials) -> dict[str, object]:
        """Return the columns of a new account, without a place."""
        now = self._clock.now()
        is_required = account.egress_policy is EgressPolicy.REQUIRED
        return {
            "id": account.id,
            "provider_id": account.provider_id,
            "label": account.label,
            "auth_type": account.auth_type,
            "auth_data": seal_credentials(self._vault, account.id, credentials),
            "metadata": to_json(account.metadata),
            "is_active": account.is_active,
            "priority": account.priority,
            "models": names_to_json(account.models),
            "max_concurrent": account.max_concurrent,
            "weight": account.weight,
            "is_draining": account.is_draining,
            "draining_since": account.draining_since,
            "drain_until": account.drain_until,
            "status_reason": account.status_reason,
            "identity": account.identity,
            "egress_policy": account.egress_policy,
            "egress_status": EgressStatus.WAITING if is_required else EgressStatus.DIRECT,
            "egress_bound": False,
            "token_version": account.token_version,
            "token_state": account.token_state,
            "token_error": account.token_error,
            "expires_at": credentials.expires_at,
            "created_at": account.created_at or now,
            "updated_at": account.updated_at or now,
        }

    def _stored(self, row: RowMapping) -> StoredAccount:
        return StoredAccount(
            to_account(row), open_credentials(self._vault, row["id"], row["auth_data"])
        )

    def _opened(self, row: RowMapping) -> StoredAccount | None:
        try:
            return self._stored(row)
        except VaultError as error:
            logger.error("account left out", extra={"account": row["id"], "error": error.message})
            return None


def to_account(row: RowMapping) -> Account:
    """Read a row of `accounts`; its credentials are not needed."""
    metadata = from_json(row["metadata"])
    return Account(
        id=row["id"],
        provider_id=row["provider_id"],
        label=row["label"],
        auth_type=AuthType(row["auth_type"]),
        is_active=row["is_active"],
        priority=row["priority"],
        egress_policy=EgressPolicy(row["egress_policy"]),
        egress_status=EgressStatus(row["egress_status"]),
        egress_bound=row["egress_bound"],
        proxy_id=row["proxy_id"],
        models=names_from_json(row["models"]),
        max_concurrent=row["max_concurrent"],
        weight=row["weight"],
        is_draining=row["is_draining"],
        draining_since=row["draining_since"],
        drain_until=row["drain_until"],
        status_reason=row["status_reason"],
        identity=row["identity"],
        metadata=metadata if isinstance(metadata, dict) else {},
        token_version=row["token_version"],
        token_state=TokenState(row["token_state"]),
        token_error=row["token_error"],
        expires_at=row["expires_at"],
        cooldown_reset_at=row["cooldown_reset_at"] or 0.0,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def accounts_at(connection: Connection, proxy_id: str) -> list[Account]:
    """Return the accounts that hold a place at a proxy, in id order."""
    query = select(*_SHOWN).where(accounts.c.proxy_id == proxy_id).order_by(accounts.c.id)
    return [to_account(row) for row in connection.execute(query).mappings().all()]


def count_of_provider(connection: Connection, provider_id: str) -> int:
    """Return how many accounts a provider has."""
    query = select(func.count()).where(accounts.c.provider_id == provider_id)
    return int(connection.execute(query).scalar_one())


def _read(connection: Connection, account_id: str) -> Account:
    return to_account(
        connection.execute(select(*_SHOWN).where(accounts.c.id == account_id)).mappings().one()
    )


def _change(connection: Connection, account_id: str, values: Mapping[str, object]) -> None:
    statement = update(accounts).where(accounts.c.id == account_id).values(values)
    if connection.execute(statement).rowcount != 1:
        raise NotFound(f"there is no account {account_id}")
