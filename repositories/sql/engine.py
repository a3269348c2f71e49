"""One database, reached from threads of its own: `await db.run(work)`.

SQLite has one thread, which is also its one writer; MySQL and MariaDB have one thread for each
pooled connection. A thread in the middle of a transaction is never interrupted, so a coroutine
that is cancelled leaves either the whole change or none.
"""

import asyncio
import contextlib
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool, StaticPool

from models.errors import BadRequest, StorageUnavailable
from repositories.sql.failures import is_rolled_back, translated

T = TypeVar("T")

MAX_ATTEMPTS = 8
"""How often a transaction runs that the server rolled back for the sake of others."""
MAX_WAITING = 512
"""Transactions that may wait for a thread; beyond it callers are refused at once."""
START_LIMIT_S = 15.0
"""How long a transaction may wait for a thread."""

_SQLITE_BUSY_MS = 5000
_RECYCLE_S = 1800
# Less than the read timeout, so that the server says so before the connection is given up.
_LOCK_WAIT_S = 3
_READS_ONLY = "aigateway_reads_only"


@dataclass(frozen=True, slots=True)
class Limits:
    """Connections of one process and how long each may take, in whole seconds."""

    pool_size: int = 4
    connect_timeout_s: int = 3
    read_timeout_s: int = 5
    write_timeout_s: int = 5


DEFAULT_LIMITS = Limits()


class Database:
    """Runs transactions off the event loop. Connects when first used."""

    def __init__(self, url: str, limits: Limits = DEFAULT_LIMITS) -> None:
        self.url = read_url(url)
        self._limits = limits
        self._engine: Engine | None = None
        self._opening = threading.Lock()
        self._threads = ThreadPoolExecutor(
            1 if self.is_sqlite else limits.pool_size, thread_name_prefix="database"
        )
        self._waiting = 0

    @property
    def is_sqlite(self) -> bool:
        return is_sqlite(self.url)

    @property
    def is_in_memory(self) -> bool:
        """Whether it ends with this object."""
        return is_in_memory(self.url)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returns, once its transaction is committed.

        `work` runs again from its start when the server rolled it back (deadlock, lock timeout):
        its effects must all lie in the database. If it raises, nothing is stored. If the caller is
        cancelled, work that has begun goes on to its end and work that has not never begins.
        Raises StorageUnavailable for outages, Conflict for a value that must be unique.
        """
        return await self._in_thread(work, reads_only=False)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Like `run`, for work that changes nothing: in SQLite it waits for no writer."""
        return await self._in_thread(work, reads_only=True)

    async def aclose(self) -> None:
        """Let running transactions end, then disconnect."""
        await asyncio.to_thread(self._threads.shutdown)
        if self._engine is not None:
            await asyncio.to_thread(self._engine.dispose)

    async def _in_thread(self, work: Callable[[Connection], T], *, reads_only: bool) -> T:
        if self._waiting >= MAX_WAITING:
            raise StorageUnavailable("too many database transactions wait", retry_after_s=1)
        self._waiting += 1
        try:
            return await _result(self._submit(work, reads_only=reads_only))
        finally:
            self._waiting -= 1

    def _submit(self, work: Callable[[Connection], T], *, reads_only: bool) -> "Future[T]":
        try:
            return self._threads.submit(self._transact, work, reads_only)
        except RuntimeError as error:
            raise StorageUnavailable("the database is closed") from error

    def _opened(self) -> Engine:
        # In a database thread: the driver looks at the file system.
        with self._opening:
            if self._engine is None:
                self._engine = open_engine(self.url, self._limits)
            return self._engine

    def _transact(self, work: Callable[[Connection], T], reads_only: bool) -> T:
        for attempt in range(MAX_ATTEMPTS):
            try:
                with self._opened().connect() as connection:
                    connection.execution_options(**{_READS_ONLY: reads_only})
                    with connection.begin():
                        return work(connection)
            except (SQLAlchemyError, UnicodeEncodeError, OverflowError) as error:
                if not is_rolled_back(error) or attempt == MAX_ATTEMPTS - 1:
                    raise translated(error) from error
            # In our own thread. Chance keeps two that collided from colliding again.
            time.sleep(random.uniform(0.005, 0.05) * (attempt + 1))  # noqa: S311
        raise AssertionError("unreachable")


async def _result(future: "Future[T]") -> T:
    """Wait for a transaction; one that has not begun in time is withdrawn."""
    wrapped = asyncio.wrap_future(future)
    try:
        await asyncio.wait({wrapped}, timeout=START_LIMIT_S)
    except asyncio.CancelledError:
        wrapped.cancel()  # withdraws it, if it has not begun
        raise
    if not wrapped.done() and future.cancel():
        raise StorageUnavailable("the database is too slow now", retry_after_s=1)
    return await wrapped


def read_url(text: str) -> URL:
    """Read a database address: `sqlite:///file`, `sqlite://` (in memory) or `mysql+pymysql://`.

    `mysql://` and `mariadb://` mean the same driver. The message never repeats the address,
    which may hold a password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise BadRequest("the database address cannot be read", path="database.url") from None
    if url.drivername in ("mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"):
        return url.set(drivername="mysql+pymysql")
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        if (url.database or "").startswith("file:"):
            raise BadRequest("a SQLite address holds a plain path", path="database.url")
        return url.set(drivername="sqlite")
    raise BadRequest(
        f"databases are sqlite:// and mysql+pymysql://, not {url.drivername}://",
        path="database.url",
    )


def is_sqlite(url: URL) -> bool:
    """Tell whether the address is one of SQLite."""
    return url.get_backend_name() == "sqlite"


def is_in_memory(url: URL) -> bool:
    """Tell whether the database ends with its connection."""
    return is_sqlite(url) and url.database in (None, "", ":memory:")


def open_engine(url: URL, limits: Limits, *, foreign_keys: bool = True) -> Engine:
    """Make an engine with our settings. Parameters stay out of errors: some are secret."""
    if is_sqlite(url):
        return _sqlite_engine(url, foreign_keys=foreign_keys)
    return create_engine(
        url,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        poolclass=QueuePool,
        pool_size=limits.pool_size,
        max_overflow=0,
        pool_timeout=limits.read_timeout_s,
        pool_pre_ping=True,
        pool_recycle=_RECYCLE_S,
        connect_args={
            "connect_timeout": limits.connect_timeout_s,
            "read_timeout": limits.read_timeout_s,
            "write_timeout": limits.write_timeout_s,
            "charset": "utf8mb4",
            "init_command": "SET SESSION time_zone = '+00:00', sql_mode = 'TRADITIONAL', "
            "lock_wait_timeout = 60, "
            f"innodb_lock_wait_timeout = {min(_LOCK_WAIT_S, limits.read_timeout_s)}",
        },
    )


def import_driver(address: str) -> None:
    """Import what the database of this address needs, without connecting."""
    open_engine(read_url(address), DEFAULT_LIMITS).dispose()


def _sqlite_engine(url: URL, *, foreign_keys: bool) -> Engine:
    in_memory = is_in_memory(url)
    engine = create_engine(
        url,
        hide_parameters=True,
        poolclass=StaticPool if in_memory else QueuePool,
        connect_args={"check_same_thread": False, "timeout": _SQLITE_BUSY_MS / 1000},
        **({} if in_memory else {"pool_size": 1, "max_overflow": 0}),
    )

    @event.listens_for(engine, "do_connect")
    def prepare_file(*_: object) -> None:
        if url.database and not in_memory:
            _create_private(Path(url.database))

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # The driver would begin transactions by itself, and too late (only at the first write).
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_SQLITE_BUSY_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        # Tokens are stored here: what is committed must survive a power cut.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute(f"PRAGMA foreign_keys = {int(foreign_keys)}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and then writes could not wait for the lock otherwise.
        reads_only = connection.get_execution_options().get(_READS_ONLY, False)
        connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")

    return engine


def _create_private(path: Path) -> None:
    """Create the database file for its owner only; SQLite's side files take its mode."""
    with contextlib.suppress(FileExistsError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def ping(connection: Connection) -> None:
    """Do nothing, over the database."""
    connection.execute(text("SELECT 1"))
