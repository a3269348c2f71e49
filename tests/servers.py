"""The real servers that some tests need: where they are, and what happens where they are not.

`AIGATEWAY_TEST_MYSQL_URL` and `AIGATEWAY_TEST_REDIS_URL` name a MariaDB or MySQL (its user may make
databases) and a Redis. A test that needs one which is not named is left out, or fails when
`AIGATEWAY_TEST_REQUIRE_SERVICES=1`, as in continuous integration.
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from typing import NoReturn

import pymysql
import pytest
from redis import Redis
from sqlalchemy.engine import URL, make_url

MYSQL_URL = "AIGATEWAY_TEST_MYSQL_URL"
REDIS_URL = "AIGATEWAY_TEST_REDIS_URL"
REQUIRED = "AIGATEWAY_TEST_REQUIRE_SERVICES"

# A database of Redis that belongs to the tests, and who uses it now.
_REDIS_OWNED = "aigateway-tests:owned"
_REDIS_LEASE = "aigateway-tests:lease"
_REDIS_LEASE_S = 900


def server_url(variable: str) -> str:
    """Return the address in an environment variable; without one the test ends here."""
    return os.environ.get(variable) or missing(f"{variable} is not set")


def program(name: str) -> str:
    """Return the path of a server program, for tests that start their own; else the test ends."""
    # Debian keeps servers where only root's PATH looks.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which(name, path=path) or missing(f"{name} is not installed")


def missing(reason: str) -> NoReturn:
    """Leave the test out for want of a service, or fail it where services are required."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{reason}, and {REQUIRED}=1")
    pytest.skip(reason)


@contextlib.contextmanager
def mysql_database(server: str) -> Iterator[str]:
    """Yield the address of a new, empty database; it is dropped afterwards."""
    url = make_url(server)
    name = f"aigateway_test_{secrets.token_hex(6)}"
    _mysql(url, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        # A connection that was left open in a transaction would hold the DROP up.
        for (session,) in _mysql(
            url, f"SELECT id FROM information_schema.processlist WHERE db = '{name}'"
        ):
            with contextlib.suppress(pymysql.MySQLError):  # gone in the meantime
                _mysql(url, f"KILL {session}")
        _mysql(url, f"DROP DATABASE {name}")


def _mysql(url: URL, statement: str) -> list[tuple[object, ...]]:
    connection = pymysql.connect(
        host=url.host or "127.0.0.1",
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        connect_timeout=10,
        read_timeout=30,
        autocommit=True,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


@contextlib.contextmanager
def redis_database(server: str) -> Iterator[str]:
    """Yield the address of an empty numbered database that nobody else uses; emptied afterwards.

    Channels of publish/subscribe are common to all databases of a server: tests that listen use
    names of their own.
    """
    with Redis.from_url(server) as connection:
        count = int(connection.config_get("databases")["databases"])
    for number in range(1, count):
        address = make_url(server).set(database=str(number)).render_as_string(hide_password=False)
        with Redis.from_url(address) as connection:
            if _take(connection):
                try:
                    yield address
                finally:
                    connection.flushdb()
                return
    pytest.fail(f"all {count - 1} numbered databases of the Redis in {REDIS_URL} are in use")


def _take(connection: Redis) -> bool:
    """Take a database that is empty, or that a test run has left behind."""
    if connection.dbsize() and not connection.exists(_REDIS_OWNED):
        return False  # somebody's data
    if not connection.set(_REDIS_LEASE, "1", nx=True, ex=_REDIS_LEASE_S):
        return False
    connection.flushdb()
    connection.mset({_REDIS_OWNED: "1"})
    connection.set(_REDIS_LEASE, "1", ex=_REDIS_LEASE_S)
    return True
