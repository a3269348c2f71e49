import pymysql
import pytest
from redis import Redis
from sqlalchemy.engine import make_url

from tests import servers


def test_without_a_server_a_test_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(servers.REDIS_URL, raising=False)
    monkeypatch.delenv(servers.REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="AIGATEWAY_TEST_REDIS_URL is not set"):
        servers.server_url(servers.REDIS_URL)


def test_without_a_server_a_test_fails_where_servers_are_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(servers.MYSQL_URL, raising=False)
    monkeypatch.setenv(servers.REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="AIGATEWAY_TEST_MYSQL_URL is not set"):
        servers.server_url(servers.MYSQL_URL)
    with pytest.raises(pytest.fail.Exception, match="no-such-server is not installed"):
        servers.program("no-such-server")


def test_a_mysql_database_is_empty_and_gone_afterwards() -> None:
    server = servers.server_url(servers.MYSQL_URL)
    with servers.mysql_database(server) as address:
        url = make_url(address)
        left_open = pymysql.connect(
            host=url.host or "",
            port=url.port or 3306,
            user=url.username,
            password=url.password or "",
            database=url.database,
        )
        with left_open.cursor() as cursor:
            assert cursor.execute("SHOW TABLES") == 0
            cursor.execute("CREATE TABLE t (a INT)")
            cursor.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(pymysql.MySQLError):
        left_open.ping(reconnect=False)
    gone = "SELECT schema_name FROM information_schema.schemata WHERE schema_name = '{}'"
    assert servers._mysql(url, gone.format(url.database)) == []


def test_two_redis_databases_do_not_see_each_other() -> None:
    server = servers.server_url(servers.REDIS_URL)
    with servers.redis_database(server) as one, servers.redis_database(server) as two:
        assert one != two
        with Redis.from_url(one) as first, Redis.from_url(two) as second:
            first.set("k", "1")
            assert second.get("k") is None
    with Redis.from_url(one) as first:
        assert first.dbsize() == 0
