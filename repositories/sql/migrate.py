"""Brings the schema of a database up to date; safe to repeat and to run by several at once.

Alembic is imported when there is something to bring up to date: a gateway that serves only reads
which schema there is (`schema.check_schema`).
"""

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import DDL, Connection, text
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from models.errors import StorageUnavailable
from repositories.sql.engine import Limits, is_in_memory, is_sqlite, open_engine, read_url
from repositories.sql.failures import error_code, translated
from repositories.sql.schema import HEAD

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).with_name("migrations")

# An index over a large table takes its time.
_LIMITS = Limits(pool_size=1, connect_timeout_s=10, read_timeout_s=3600, write_timeout_s=60)
_LOCK_LIMIT_S = 600.0
_UNKNOWN_DATABASE = 1049


def migrate(address: str) -> None:
    """Upgrade the database at this address to the newest schema; make it if it is missing.

    Whoever comes second waits, and finds nothing left to do. Blocks: call it before the event
    loop runs, or in a thread. A database in memory is upgraded by `Database.run(upgrade)`.
    """
    url = read_url(address)
    if is_in_memory(url):
        return
    # Batch changes of SQLite drop and rename tables, which foreign keys would take for deletions.
    engine = open_engine(url, _LIMITS, foreign_keys=False)
    try:
        _ensure_database(url, engine)
        with _file_lock(url), engine.connect() as connection, _server_lock(connection):
            upgrade(connection)
    except SQLAlchemyError as error:
        raise translated(error) from error
    finally:
        engine.dispose()


def upgrade(connection: Connection, revision: str = HEAD) -> None:
    """Run the missing revisions over a connection.

    Outside a transaction each revision is committed by itself.
    """
    from alembic import command

    command.upgrade(config(connection), revision)


def config(connection: Connection) -> "Config":
    """Return alembic's configuration; there is no ini file."""
    from alembic.config import Config

    result = Config()
    # `%` is what the configuration's interpolation begins with.
    result.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    result.attributes["connection"] = connection
    return result


def _ensure_database(url: URL, engine: Engine) -> None:
    """Create the database on its server if there is none of this name and the user may."""
    if is_sqlite(url):
        return
    try:
        engine.connect().close()
    except OperationalError as error:
        if error_code(error) != _UNKNOWN_DATABASE:
            raise
        server = open_engine(url.set(database=""), _LIMITS)
        try:
            with server.connect() as connection:
                name = connection.dialect.identifier_preparer.quote_identifier(str(url.database))
                create = f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4"
                connection.execute(DDL(create))  # type: ignore[no-untyped-call] # untyped there
        finally:
            server.dispose()


@contextlib.contextmanager
def _file_lock(url: URL) -> Iterator[None]:
    if not is_sqlite(url):
        yield
        return
    path = Path(f"{url.database}.migrate.lock")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        # The file stays: removing it would let two hold "the" lock on different files.
        os.close(descriptor)


@contextlib.contextmanager
def _server_lock(connection: Connection) -> Iterator[None]:
    """Hold a lock of the server's; it ends with the connection, whatever happens to us."""
    if connection.dialect.name == "sqlite":
        yield
        return
    # Locks are named over the whole server, in at most 64 characters.
    database = connection.execute(text("SELECT DATABASE()")).scalar_one()
    name = f"aigateway.migrate.{hashlib.sha256(str(database).encode()).hexdigest()[:32]}"
    deadline = time.monotonic() + _LOCK_LIMIT_S
    while connection.execute(text("SELECT GET_LOCK(:name, 1)"), {"name": name}).scalar() != 1:
        if time.monotonic() > deadline:
            raise StorageUnavailable("another process has been migrating the database for too long")
    connection.commit()
    try:
        yield
    finally:
        with contextlib.suppress(SQLAlchemyError):  # gone with the connection
            connection.rollback()
            connection.execute(text("DO RELEASE_LOCK(:name)"), {"name": name})
            connection.commit()
