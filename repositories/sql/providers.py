"""Providers: rows of `providers`, and the models that they list."""

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from models.errors import Conflict, NotFound
from models.json_types import JsonObject
from models.ports import Clock
from models.provider import StoredProvider
from repositories.base import UNSET, Page, _Unset
from repositories.sql.accounts import count_of_provider
from repositories.sql.engine import Database
from repositories.sql.revisions import bump
from repositories.sql.rows import (
    changed,
    from_json,
    names_from_json,
    names_to_json,
    page_of,
    to_json,
)
from repositories.sql.tables import provider_models, providers, proxy_pool

_MODEL_ID_LENGTH = 255


class SqlProviders:
    """Built-in providers with an operator's changes, and the operator's own."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def seed(self, builtin: Sequence[StoredProvider]) -> None:
        """Insert the built-in providers that have no row yet; the others stay as they are."""

        def work(connection: Connection) -> None:
            if not _missing(connection, builtin):
                return
            bump(connection)
            # Another process may have inserted them while this one waited for the lock.
            for provider in _missing(connection, builtin):
                connection.execute(insert(providers).values(self._row(provider)))

        await self._db.run(work)

    async def all(self) -> list[StoredProvider]:
        def work(connection: Connection) -> list[StoredProvider]:
            rows = connection.execute(select(providers).order_by(providers.c.id)).mappings().all()
            return [_provider(row) for row in rows]

        return await self._db.read(work)

    async def get(self, provider_id: str) -> StoredProvider | None:
        def work(connection: Connection) -> StoredProvider | None:
            query = select(providers).where(providers.c.id == provider_id)
            row = connection.execute(query).mappings().first()
            return None if row is None else _provider(row)

        return await self._db.read(work)

    async def page(self, *, limit: int, offset: int) -> Page[StoredProvider]:
        return await self._db.read(
            lambda connection: page_of(
                connection,
                list(providers.c),
                _provider,
                order=[providers.c.id],
                limit=limit,
                offset=offset,
            )
        )

    async def create(self, provider: StoredProvider) -> StoredProvider:
        """Insert. Raises Conflict when the id is taken."""

        def work(connection: Connection) -> StoredProvider:
            bump(connection)
            taken = select(providers.c.id).where(providers.c.id == provider.id)
            if connection.execute(taken).mappings().first() is not None:
                raise Conflict(f"there is a provider {provider.id} already")
            connection.execute(insert(providers).values(self._row(provider)))
            return _read(connection, provider.id)

        return await self._db.run(work)

    async def update(
        self,
        provider_id: str,
        *,
        name: str | _Unset = UNSET,
        dialect: str | _Unset = UNSET,
        base_url: str | None | _Unset = UNSET,
        prefixes: tuple[str, ...] | None | _Unset = UNSET,
        is_active: bool | _Unset = UNSET,
        strategy: str | None | _Unset = UNSET,
    ) -> StoredProvider:
        """Change. Raises NotFound."""
        values = changed(
            {
                "name": name,
                "dialect": dialect,
                "base_url": base_url,
                "is_active": is_active,
                "strategy": strategy,
            }
        )
        if not isinstance(prefixes, _Unset):
            values["prefixes"] = names_to_json(prefixes)
        values["updated_at"] = self._clock.now()
        statement = update(providers).where(providers.c.id == provider_id).values(values)

        def work(connection: Connection) -> StoredProvider:
            bump(connection)
            if connection.execute(statement).rowcount != 1:
                raise NotFound(f"there is no provider {provider_id}")
            return _read(connection, provider_id)

        return await self._db.run(work)

    async def delete(self, provider_id: str) -> None:
        """Delete. Raises NotFound, or Conflict for a built-in provider and for one that accounts
        or proxies belong to."""

        def work(connection: Connection) -> None:
            bump(connection)
            _check_unused(connection, provider_id)
            connection.execute(
                delete(provider_models).where(provider_models.c.provider_id == provider_id)
            )
            connection.execute(delete(providers).where(providers.c.id == provider_id))

        await self._db.run(work)

    async def models(self) -> dict[str, list[JsonObject]]:
        """Return model entries by provider id, in the order in which they were stored."""

        def work(connection: Connection) -> dict[str, list[JsonObject]]:
            query = select(provider_models.c.provider_id, provider_models.c.entry).order_by(
                provider_models.c.provider_id, provider_models.c.position
            )
            found: dict[str, list[JsonObject]] = {}
            for row in connection.execute(query).mappings().all():
                entry = from_json(row["entry"])
                if isinstance(entry, dict):
                    found.setdefault(row["provider_id"], []).append(entry)
            return found

        return await self._db.read(work)

    async def store_models(
        self, provider_id: str, entries: Sequence[JsonObject], *, now: float
    ) -> None:
        """Replace the provider's list; raises the revision when the ids changed.

        Entries without a usable id are passed over, of equal ids the first counts. Raises NotFound.
        """
        listed = _by_id(entries)
        rows = [
            {
                "provider_id": provider_id,
                "model_id": model_id,
                "position": position,
                "entry": to_json(entry),
                "fetched_at": now,
            }
            for position, (model_id, entry) in enumerate(listed.items())
        ]
        of_provider = provider_models.c.provider_id == provider_id

        def work(connection: Connection) -> None:
            # The provider's row is what makes two writers of one list follow one another.
            query = select(providers.c.id).where(providers.c.id == provider_id)
            if _model_ids(connection, provider_id) != set(listed):
                bump(connection)
            if connection.execute(query.with_for_update()).mappings().first() is None:
                raise NotFound(f"there is no provider {provider_id}")
            connection.execute(delete(provider_models).where(of_provider))
            if rows:
                connection.execute(insert(provider_models), rows)

        await self._db.run(work)

    def _row(self, provider: StoredProvider) -> dict[str, object]:
        now = self._clock.now()
        return {
            "id": provider.id,
            "name": provider.name,
            "dialect": provider.dialect,
            "base_url": provider.base_url,
            "prefixes": names_to_json(provider.prefixes),
            "is_builtin": provider.is_builtin,
            "is_active": provider.is_active,
            "strategy": provider.strategy,
            "created_at": provider.created_at or now,
            "updated_at": provider.updated_at or now,
        }


def _missing(connection: Connection, builtin: Sequence[StoredProvider]) -> list[StoredProvider]:
    known = set(connection.execute(select(providers.c.id)).scalars())
    return [provider for provider in builtin if provider.id not in known]


def _check_unused(connection: Connection, provider_id: str) -> None:
    query = select(providers.c.is_builtin).where(providers.c.id == provider_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"there is no provider {provider_id}")
    if row["is_builtin"]:
        raise Conflict(f"provider {provider_id} is built in; deactivate it instead")
    count = count_of_provider(connection, provider_id)
    if count:
        raise Conflict(f"provider {provider_id} still has {count} accounts; delete them first")
    held = select(func.count()).where(proxy_pool.c.provider_id == provider_id)
    if proxies := connection.execute(held).scalar_one():
        raise Conflict(f"{proxies} proxies are kept for provider {provider_id}; change them first")


def _by_id(entries: Sequence[JsonObject]) -> dict[str, JsonObject]:
    listed: dict[str, JsonObject] = {}
    for entry in entries:
        model_id = entry.get("id")
        if isinstance(model_id, str) and 0 < len(model_id) <= _MODEL_ID_LENGTH:
            listed.setdefault(model_id, entry)
    return listed


def _model_ids(connection: Connection, provider_id: str) -> set[str]:
    query = select(provider_models.c.model_id).where(provider_models.c.provider_id == provider_id)
    return {str(model_id) for model_id in connection.execute(query).scalars()}


def _read(connection: Connection, provider_id: str) -> StoredProvider:
    query = select(providers).where(providers.c.id == provider_id)
    return _provider(connection.execute(query).mappings().one())


def _provider(row: RowMapping) -> StoredProvider:
    return StoredProvider(
        id=row["id"],
        name=row["name"],
        dialect=row["dialect"],
        base_url=row["base_url"],
        prefixes=names_from_json(row["prefixes"]),
        is_builtin=row["is_builtin"],
        is_active=row["is_active"],
        strategy=row["strategy"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
