"""A MariaDB database and a Redis database for one run, both empty at first and gone afterwards."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pymysql
from redis import Redis
from sqlalchemy.engine import URL, make_url


@dataclass(frozen=True, slots=True)
class Servers:
    """Where a MariaDB or MySQL, and a Redis, may be used; empty where there is none."""

    mysql_url: str
    redis_url: str

    @property
    def there(self) -> bool:
        return bool(self.mysql_url and self.redis_url)


def from_environment() -> Servers:
    """Return the servers that the tests are given, too."""
    return Servers(
        os.environ.get("AIGATEWAY_TEST_MYSQL_URL", ""),
        os.environ.get("AIGATEWAY_TEST_REDIS_URL", ""),
    )


@contextlib.contextmanager
def fresh(servers: Servers) -> Iterator[dict[str, str]]:
    """Yield the settings of a gateway that shares its state in databases of its own."""
    name = f"aigateway_bench_{secrets.token_hex(6)}"
    mysql = make_url(servers.mysql_url)
    number = _empty_redis(servers.redis_url)
    redis_url = make_url(servers.redis_url).set(database=str(number))
    _execute(mysql, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    try:
        yield {
            "AIGATEWAY_DATABASE__URL": _text(mysql.set(database=name)),
            "AIGATEWAY_REDIS__URL": _text(redis_url),
        }
    finally:
        _execute(mysql, f"DROP DATABASE {name}")
        with Redis.from_url(_text(redis_url)) as connection:
            connection.flushdb()


def _empty_redis(url: str) -> int:
    """Return the number of a database that holds nothing, and take it."""
    with Redis.from_url(url) as connection:
        count = int(connection.config_get("databases")["databases"])
    for number in reversed(range(1, count)):
        with Redis.from_url(_text(make_url(url).set(database=str(number)))) as connection:
            if not connection.dbsize() and connection.set("aigateway-bench:taken", "1", nx=True):
                return number
    raise SystemExit("no numbered database of the Redis is empty")


def _execute(url: URL, statement: str) -> None:
    connection = pymysql.connect(
        host=url.host or "127.0.0.1",
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        autocommit=True,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)
