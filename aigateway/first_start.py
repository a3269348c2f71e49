"""What makes a fresh machine ready: data folder, master key, tables, first admin key.

Safe to repeat, by several at once: each step does nothing where its outcome is there already.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from aigateway.client_keys import create_first_key, limits
from aigateway.serving import check_data_dir
from auth.vault import MASTER_KEY_BYTES, Vault, VaultError, create_master_key, read_master_key
from config.settings import Settings
from models.clock import SystemClock
from repositories.sql.accounts import SqlAccounts
from repositories.sql.engine import Database
from repositories.sql.keys import SqlKeys
from repositories.sql.migrate import migrate


def prepare(settings: Settings, say: Callable[[str], None]) -> str | None:
    """Do all steps; return the first admin key when one was made, which is the only time.

    `say` is told what was done. Raises VaultError when the master key is lost or unfit, Refused
    when the data folder is not ours to write.
    """
    _create_data_dir(settings.data_dir, say)
    check_data_dir(settings.data_dir)
    with _alone(settings.data_dir / "init.lock"):
        migrate(settings.database_url)
        if settings.security.master_key is None:
            _ensure_master_key(settings, say)
        return create_first_key(settings)


def _create_data_dir(path: Path, say: Callable[[str], None]) -> None:
    if not path.is_dir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        say(f"made the data folder {path}")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the file's lock: two set-ups at once must not both make a first key."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _ensure_master_key(settings: Settings, say: Callable[[str], None]) -> None:
    path = settings.master_key_file
    if path.exists():
        read_master_key(path)
        return
    if asyncio.run(_holds_secrets(settings)):
        raise VaultError(
            f"the master key file {path} is missing, but the database holds keys or accounts made "
            "with it; restore the file from a backup (a new key could not open them)"
        )
    create_master_key(path)
    say(f"made the master key {path}; keep a copy of it apart from the database's")


async def _holds_secrets(settings: Settings) -> bool:
    """Tell whether the database holds anything that only the old master key opens."""
    if settings.is_database_in_memory:
        return False
    database = Database(settings.database_url, limits(settings))
    try:
        clock = SystemClock()
        keys = await SqlKeys(database, clock).page(limit=1, offset=0)
        # Listing accounts opens nothing, so any vault will do.
        vault = Vault.of(bytes(MASTER_KEY_BYTES))
        accounts = await SqlAccounts(database, vault, clock).page(limit=1, offset=0)
        return keys.total + accounts.total > 0
    finally:
        await database.aclose()
