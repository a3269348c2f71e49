"""Client keys from the command line: the first admin key, more keys, and whether there is one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aigateway.master_key import key_pepper, open_vault
from config.settings import Settings
from models.clock import SystemClock
from models.principal import ApiKey
from openapi.api_keys import KeyCreate
from repositories.base import KeyRepository
from repositories.sql.engine import Database, Limits
from repositories.sql.keys import SqlKeys
from services.keys import Keys

FIRST_KEY_NAME = "first admin key"


def create_key(settings: Settings, name: str, *, is_admin: bool) -> str:
    """Make a client key and return it: this is the only time it can be seen.

    Raises ValueError for a name that cannot be one.
    """
    body = KeyCreate(name=name, is_admin=is_admin)
    pepper = key_pepper(open_vault(settings))

    async def create() -> str:
        async with open_keys(settings) as repository:
            keys = Keys(repository, pepper, _nobody_to_tell, SystemClock())
            return (await keys.create(body)).secret

    return asyncio.run(create())


def create_first_key(settings: Settings) -> str | None:
    """Make an admin key and return it, unless there is one of any kind already."""
    if settings.security.admin_key is not None or settings.is_database_in_memory:
        return None
    if any(key.is_admin for key in asyncio.run(_all_keys(settings))):
        return None
    return create_key(settings, FIRST_KEY_NAME, is_admin=True)


def has_admin_key(settings: Settings) -> bool:
    """Tell whether somebody can use `/api/v1` now: a key from outside, or a usable one stored."""
    if settings.security.admin_key is not None:
        return True
    if settings.is_database_in_memory:
        return False
    now = SystemClock().now()
    return any(
        key.is_admin and key.is_active and (key.expires_at is None or key.expires_at > now)
        for key in asyncio.run(_all_keys(settings))
    )


async def _all_keys(settings: Settings) -> list[ApiKey]:
    async with open_keys(settings) as repository:
        return await repository.all()


@asynccontextmanager
async def open_keys(settings: Settings) -> AsyncGenerator[KeyRepository, None]:
    """Open the database for a moment, for its keys."""
    database = Database(settings.database_url, limits(settings))
    try:
        yield SqlKeys(database, SystemClock())
    finally:
        await database.aclose()


def limits(settings: Settings) -> Limits:
    """Return the limits on database connections."""
    chosen = settings.database
    return Limits(
        pool_size=chosen.pool_size,
        connect_timeout_s=chosen.connect_timeout_s,
        read_timeout_s=chosen.read_timeout_s,
        write_timeout_s=chosen.write_timeout_s,
    )


async def _nobody_to_tell() -> None:
    """Running processes see the new key by the revision that its row raised."""
