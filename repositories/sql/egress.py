"""Outbound proxies: rows of `proxy_pool`, addresses sealed, found again by a keyed hash."""

import hashlib
import hmac
import logging
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, RowMapping, delete, insert, or_, select, true, update

from auth.vault import Vault, VaultError
from models.account import Account
from models.egress import EgressProxy
from models.errors import Conflict, NotFound
from models.ports import Clock
from repositories.base import (
    Added,
    EgressChange,
    EgressCheck,
    Move,
    Page,
    Recalculated,
    _Unset,
)
from repositories.sql import placement
from repositories.sql.accounts import accounts_at
from repositories.sql.credentials import open_url, seal_url
from repositories.sql.engine import Database
from repositories.sql.revisions import bump
from repositories.sql.rows import changed, matching, page_of, require
from repositories.sql.tables import providers, proxy_pool

logger = logging.getLogger(__name__)


class SqlEgress:
    """The proxies of the house and who holds a place at them."""

    def __init__(self, db: Database, vault: Vault, clock: Clock) -> None:
        self._db = db
        self._vault = vault
        self._clock = clock
        self._pepper = vault.subkey("proxy_pool.url_hash")

    async def all(self) -> list[EgressProxy]:
        """Return every proxy in id order.

        One whose address does not open is left out and logged. Its accounts stay bound to it, so
        they do not go direct.
        """

        def work(connection: Connection) -> list[EgressProxy]:
            rows = connection.execute(select(proxy_pool).order_by(proxy_pool.c.id)).mappings().all()
            return [proxy for row in rows if (proxy := self._opened(row)) is not None]

        return await self._db.read(work)

    async def get(self, proxy_id: str) -> EgressProxy | None:
        def work(connection: Connection) -> EgressProxy | None:
            query = select(proxy_pool).where(proxy_pool.c.id == proxy_id)
            row = connection.execute(query).mappings().first()
            return None if row is None else self._proxy(row)

        return await self._db.read(work)

    async def page(
        self,
        *,
        limit: int,
        offset: int,
        provider_id: str | None = None,
        is_active: bool | None = None,
    ) -> Page[EgressProxy]:
        where = matching({proxy_pool.c.provider_id: provider_id, proxy_pool.c.is_active: is_active})
        return await self._db.read(
            lambda connection: page_of(
                connection,
                list(proxy_pool.c),
                self._proxy,
                where=where,
                order=[proxy_pool.c.id],
                limit=limit,
                offset=offset,
            )
        )

    async def some(self, proxy_ids: Sequence[str]) -> list[EgressProxy]:
        """Return those of these that exist, in id order."""

        def work(connection: Connection) -> list[EgressProxy]:
            query = select(proxy_pool).where(proxy_pool.c.id.in_(proxy_ids))
            rows = connection.execute(query.order_by(proxy_pool.c.id)).mappings()
            return [self._proxy(row) for row in rows]

        return await self._db.read(work)

    async def create(self, proxy: EgressProxy) -> EgressProxy:
        """Insert and let waiting accounts in. Raises Conflict when the address is known, NotFound
        for an unknown provider."""
        values = self._new_row(proxy)

        def work(connection: Connection) -> EgressProxy:
            bump(connection)
            if proxy.provider_id is not None:
                require(connection, providers, proxy.provider_id, "provider")
            _check_new(connection, proxy.id, values["url_hash"])
            connection.execute(insert(proxy_pool).values(values))
            placement.fill_waiting(connection)
            return self._read(connection, proxy.id)

        return await self._db.run(work)

    async def known(self, urls: Sequence[str]) -> dict[str, str]:
        """Return the ids of the proxies that have these addresses, by address."""

        def work(connection: Connection) -> dict[str, str]:
            hashes = {self._hash(url): url for url in urls}
            return {hashes[key]: row_id for key, row_id in _ids_of(connection, hashes).items()}

        return await self._db.read(work)

    async def create_many(self, proxies: Sequence[EgressProxy]) -> list[Added]:
        """Insert those whose address is new; see EgressRepository. Raises NotFound for an unknown
        provider."""

        def work(connection: Connection) -> list[Added]:
            # Sealing takes a while: before the lock.
            rows = [self._new_row(proxy) for proxy in proxies]
            bump(connection)
            for provider_id in {proxy.provider_id for proxy in proxies} - {None}:
                require(connection, providers, str(provider_id), "provider")
            known = _ids_of(connection, [str(row["url_hash"]) for row in rows])
            if new := [row for row in rows if row["url_hash"] not in known]:
                connection.execute(insert(proxy_pool), new)
                placement.fill_waiting(connection)
            found = [(known.get(str(row["url_hash"])), str(row["id"])) for row in rows]
            return [Added(old or made, is_new=old is None) for old, made in found]

        return await self._db.run(work)

    async def update(self, proxy_id: str, change: EgressChange) -> EgressProxy:
        """Change; see EgressRepository. Raises NotFound, or Conflict for a known address."""
        values = changed(
            {
                "label": change.label,
                "provider_id": change.provider_id,
                "priority": change.priority,
                "max_accounts": change.max_accounts,
                "is_active": change.is_active,
            }
        )
        if not isinstance(change.url, _Unset):
            values |= self._address(proxy_id, change.url)
        values["updated_at"] = self._clock.now()

        def work(connection: Connection) -> EgressProxy:
            bump(connection)
            if isinstance(change.provider_id, str):
                require(connection, providers, change.provider_id, "provider")
            if "url_hash" in values:
                _check_new(connection, proxy_id, values["url_hash"])
            statement = update(proxy_pool).where(proxy_pool.c.id == proxy_id).values(values)
            if connection.execute(statement).rowcount != 1:
                raise NotFound(f"there is no proxy {proxy_id}")
            _send_away(connection, proxy_id)
            placement.fill_waiting(connection)
            return self._read(connection, proxy_id)

        return await self._db.run(work)

    async def delete(self, proxy_id: str) -> None:
        """Delete; its accounts are re-homed, or wait: they never go direct. Raises NotFound."""

        def work(connection: Connection) -> None:
            bump(connection)
            require(connection, proxy_pool, proxy_id, "proxy")
            placement.vacate(connection, proxy_id)
            connection.execute(delete(proxy_pool).where(proxy_pool.c.id == proxy_id))
            placement.fill_waiting(connection)

        await self._db.run(work)

    async def assignments(self, proxy_id: str) -> list[Account]:
        """Return the accounts that hold a place at the proxy, in id order. Raises NotFound."""

        def work(connection: Connection) -> list[Account]:
            require(connection, proxy_pool, proxy_id, "proxy")
            return accounts_at(connection, proxy_id)

        return await self._db.read(work)

    async def recalculate(self) -> Recalculated:
        """Set every counter to the truth and let waiting accounts in."""

        def work(connection: Connection) -> Recalculated:
            bump(connection)
            corrected = placement.recount(connection)
            placed = placement.fill_waiting(connection)
            proxies = len(connection.execute(select(proxy_pool.c.id)).all())
            return Recalculated(proxies, corrected, placed)

        return await self._db.run(work)

    async def checked(self) -> dict[str, float | None]:
        """Return when each active proxy was probed last, in id order."""
        columns = proxy_pool.c
        query = select(columns.id, columns.checked_at).where(columns.is_active == true())

        def work(connection: Connection) -> dict[str, float | None]:
            return {
                row.id: row.checked_at for row in connection.execute(query.order_by(columns.id))
            }

        return await self._db.read(work)

    async def store_check(self, proxy_id: str, check: EgressCheck) -> None:
        """Keep what a probe found; what it did not find out stays as it was."""
        found: dict[str, object] = {"checked_at": check.at, "check_error": check.error}
        if check.error is None:
            found["latency_ms"] = check.latency_ms
        if check.exit_address is not None:
            found |= {"exit_address": check.exit_address, "exit_country": check.exit_country}
        columns = proxy_pool.c
        is_newer = or_(columns.checked_at.is_(None), columns.checked_at <= check.at)
        statement = update(proxy_pool).where(columns.id == proxy_id, is_newer).values(found)
        await self._db.run(lambda connection: connection.execute(statement).rowcount)

    async def rehome(
        self, proxy_id: str, *, dry_run: bool, avoiding: Collection[str] = ()
    ) -> list[Move]:
        """Give the proxy's accounts places elsewhere; see EgressRepository. Raises NotFound."""

        def look(connection: Connection) -> list[Move]:
            require(connection, proxy_pool, proxy_id, "proxy")
            return placement.moves(connection, proxy_id, avoiding=avoiding)

        def work(connection: Connection) -> list[Move]:
            bump(connection)
            require(connection, proxy_pool, proxy_id, "proxy")
            return placement.rehome(connection, proxy_id, avoiding=avoiding)

        return await (self._db.read(look) if dry_run else self._db.run(work))

    def _new_row(self, proxy: EgressProxy) -> dict[str, object]:
        now = self._clock.now()
        return {
            "id": proxy.id,
            "label": proxy.label,
            "provider_id": proxy.provider_id,
            "priority": proxy.priority,
            "max_accounts": proxy.max_accounts,
            "assigned": 0,
            "is_active": proxy.is_active,
            "created_at": proxy.created_at or now,
            "updated_at": proxy.updated_at or now,
            **self._address(proxy.id, proxy.url),
        }

    def _address(self, proxy_id: str, url: str) -> dict[str, object]:
        return {"url": seal_url(self._vault, proxy_id, url), "url_hash": self._hash(url)}

    def _hash(self, url: str) -> str:
        return hmac.new(self._pepper, url.encode(), hashlib.sha256).hexdigest()

    def _read(self, connection: Connection, proxy_id: str) -> EgressProxy:
        query = select(proxy_pool).where(proxy_pool.c.id == proxy_id)
        return self._proxy(connection.execute(query).mappings().one())

    def _proxy(self, row: RowMapping) -> EgressProxy:
        return EgressProxy(
            id=row["id"],
            label=row["label"],
            url=open_url(self._vault, row["id"], row["url"]),
            provider_id=row["provider_id"],
            priority=row["priority"],
            max_accounts=row["max_accounts"],
            assigned=row["assigned"],
            is_active=row["is_active"],
            exit_address=row["exit_address"],
            exit_country=row["exit_country"],
            checked_at=row["checked_at"],
            check_error=row["check_error"],
            latency_ms=row["latency_ms"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
        )

    def _opened(self, row: RowMapping) -> EgressProxy | None:
        try:
            return self._proxy(row)
        except VaultError as error:
            logger.error("proxy left out", extra={"proxy": row["id"], "error": error.message})
            return None


def _ids_of(connection: Connection, url_hashes: Iterable[str]) -> dict[str, str]:
    """Return the proxies that have these addresses: ids by the hash of the address."""
    columns = proxy_pool.c
    query = select(columns.url_hash, columns.id).where(columns.url_hash.in_(list(url_hashes)))
    return {row.url_hash: row.id for row in connection.execute(query)}


def _check_new(connection: Connection, proxy_id: str, url_hash: object) -> None:
    """Raise Conflict when another proxy has this address."""
    query = select(proxy_pool.c.id).where(
        proxy_pool.c.url_hash == url_hash, proxy_pool.c.id != proxy_id
    )
    other = connection.execute(query).scalar()
    if other is not None:
        raise Conflict(f"proxy {other} has this address already")


def _send_away(connection: Connection, proxy_id: str) -> None:
    """Release the accounts that the proxy, as it is now, no longer serves."""
    query = select(proxy_pool.c.is_active, proxy_pool.c.provider_id)
    proxy = connection.execute(query.where(proxy_pool.c.id == proxy_id)).mappings().one()
    if not proxy.is_active:
        placement.vacate(connection, proxy_id)
    elif proxy.provider_id is not None:
        placement.vacate(connection, proxy_id, keeping=proxy.provider_id)
