"""Client keys: rows of `api_keys`, as keyed hashes."""

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from models.errors import NotFound
from models.ports import Clock
from models.principal import ApiKey
from repositories.base import UNSET, Page, _Unset
from repositories.sql.engine import Database
from repositories.sql.revisions import bump
from repositories.sql.rows import changed, page_of, require
from repositories.sql.tables import api_keys


class SqlKeys:
    """The keys that clients call with."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def all(self) -> list[ApiKey]:
        def work(connection: Connection) -> list[ApiKey]:
            rows = connection.execute(select(api_keys).order_by(api_keys.c.id)).mappings().all()
            return [_key(row) for row in rows]

        return await self._db.read(work)

    async def get(self, key_id: str) -> ApiKey | None:
        def work(connection: Connection) -> ApiKey | None:
            row = (
                connection.execute(select(api_keys).where(api_keys.c.id == key_id))
                .mappings()
                .first()
            )
            return None if row is None else _key(row)

        return await self._db.read(work)

    async def page(self, *, limit: int, offset: int) -> Page[ApiKey]:
        return await self._db.read(
            lambda connection: page_of(
                connection,
                list(api_keys.c),
                _key,
                order=[api_keys.c.id],
                limit=limit,
                offset=offset,
            )
        )

    async def create(self, key: ApiKey) -> ApiKey:
        """Insert. Raises Conflict for a used id or hash."""
        values = {
            "id": key.id,
            "name": key.name,
            "key_hash": key.key_hash.hex(),
            "hint": key.hint,
            "is_admin": key.is_admin,
            "is_active": key.is_active,
            "expires_at": key.expires_at,
            "created_at": key.created_at or self._clock.now(),
        }

        def work(connection: Connection) -> ApiKey:
            bump(connection)
            connection.execute(insert(api_keys).values(values))
            return _read(connection, key.id)

        return await self._db.run(work)

    async def update(
        self,
        key_id: str,
        *,
        name: str | _Unset = UNSET,
        is_admin: bool | _Unset = UNSET,
        is_active: bool | _Unset = UNSET,
        expires_at: float | None | _Unset = UNSET,
    ) -> ApiKey:
        """Change. Raises NotFound."""
        values = changed(
            {"name": name, "is_admin": is_admin, "is_active": is_active, "expires_at": expires_at}
        )

        def work(connection: Connection) -> ApiKey:
            bump(connection)
            require(connection, api_keys, key_id, "API key")
            if values:
                connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(values))
            return _read(connection, key_id)

        return await self._db.run(work)

    async def delete(self, key_id: str) -> None:
        """Delete. Raises NotFound."""

        def work(connection: Connection) -> None:
            bump(connection)
            if connection.execute(delete(api_keys).where(api_keys.c.id == key_id)).rowcount != 1:
                raise NotFound(f"there is no API key {key_id}")

        await self._db.run(work)


def _read(connection: Connection, key_id: str) -> ApiKey:
    return _key(
        connection.execute(select(api_keys).where(api_keys.c.id == key_id)).mappings().one()
    )


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(
        id=row["id"],
        name=row["name"],
        key_hash=bytes.fromhex(row["key_hash"]),
        hint=row["hint"],
        is_admin=row["is_admin"],
        is_active=row["is_active"],
        expires_at=row["expires_at"],
        created_at=row["created_at"],
    )
