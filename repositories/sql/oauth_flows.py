"""Logins that have begun: rows of `oauth_flows`, their secrets sealed."""

from collections.abc import Mapping

from sqlalchemy import Connection, RowMapping, Update, delete, func, insert, select, update

from auth.vault import Vault, VaultError
from repositories.base import OAuthFlow
from repositories.sql.engine import Database
from repositories.sql.rows import from_json, to_json
from repositories.sql.tables import oauth_flows

_COLUMNS = oauth_flows.c


class SqlOAuthFlows:
    """Each step is one conditional update, so that of many callers one takes it."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._db = db
        self._vault = vault

    async def create(self, flow: OAuthFlow) -> None:
        statement = insert(oauth_flows).values(
            id=flow.id,
            provider_id=flow.provider_id,
            key_id=flow.key_id,
            kind=flow.kind,
            sealed=self._sealed(flow.id, flow.secrets),
            proxy_id=flow.proxy_id,
            account_id=flow.account_id,
            created_at=flow.created_at,
            expires_at=flow.expires_at,
        )
        await self._db.run(lambda connection: connection.execute(statement).rowcount)

    async def get(self, flow_id: str) -> OAuthFlow | None:
        query = select(oauth_flows).where(_COLUMNS.id == flow_id)

        def work(connection: Connection) -> OAuthFlow | None:
            row = connection.execute(query).mappings().first()
            return None if row is None else self._flow(row)

        return await self._db.read(work)

    async def pending(self, key_id: str, *, now: float) -> int:
        """Return how many logins of a key are neither used nor over."""
        query = select(func.count()).where(
            _COLUMNS.key_id == key_id, _COLUMNS.used_at.is_(None), _COLUMNS.expires_at > now
        )
        return await self._db.read(lambda connection: int(connection.execute(query).scalar_one()))

    async def open_in(self, flow_id: str, browser: str, *, now: float) -> bool:
        """Bind the flow to a browser: true for exactly one caller, before it is used or over."""
        statement = _open_one(flow_id, now).where(_COLUMNS.browser.is_(None))
        return await self._is_changed(statement.values(browser=browser))

    async def use(self, flow_id: str, *, now: float) -> bool:
        """Return True for exactly one caller, before the flow ends."""
        return await self._is_changed(_open_one(flow_id, now).values(used_at=now))

    async def finish(self, flow_id: str, outcome: str, account_id: str | None) -> None:
        """Note how it ended, and which account it led to; its secrets are forgotten."""
        values: dict[str, object] = {"outcome": outcome, "sealed": self._sealed(flow_id, {})}
        if account_id is not None:
            values["account_id"] = account_id
        await self._is_changed(update(oauth_flows).where(_COLUMNS.id == flow_id).values(**values))

    async def delete_before(self, at: float) -> int:
        """Delete those that were over before `at`; return how many."""
        statement = delete(oauth_flows).where(_COLUMNS.expires_at < at)
        return await self._db.run(lambda connection: connection.execute(statement).rowcount)

    async def _is_changed(self, statement: Update) -> bool:
        return await self._db.run(lambda connection: connection.execute(statement).rowcount == 1)

    def _sealed(self, flow_id: str, secrets: Mapping[str, str]) -> str:
        plain = to_json(dict(secrets)).encode()
        return self._vault.seal(plain, table="oauth_flows", column="sealed", row_id=flow_id)

    def _flow(self, row: RowMapping) -> OAuthFlow:
        plain = self._vault.open(
            row["sealed"], table="oauth_flows", column="sealed", row_id=row["id"]
        )
        secrets = from_json(plain.decode())
        if not isinstance(secrets, dict):
            raise VaultError(f"the login {row['id']} cannot be read")
        return OAuthFlow(
            id=row["id"],
            provider_id=row["provider_id"],
            key_id=row["key_id"],
            kind="device" if row["kind"] == "device" else "code",
            secrets={name: str(text) for name, text in secrets.items()},
            proxy_id=row["proxy_id"],
            account_id=row["account_id"],
            created_at=row["created_at"],
            expires_at=row["expires_at"],
            used_at=row["used_at"],
            browser=row["browser"],
            outcome=row["outcome"],
        )


def _open_one(flow_id: str, now: float) -> Update:
    """Begin a change of a flow that is neither used nor over."""
    return update(oauth_flows).where(
        _COLUMNS.id == flow_id, _COLUMNS.used_at.is_(None), _COLUMNS.expires_at > now
    )
