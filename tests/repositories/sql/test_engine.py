import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, insert, select, text
from sqlalchemy import update as update_
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql import func

from models.errors import BadRequest, Conflict, GatewayError, StorageUnavailable, Unprocessable
from repositories.sql import engine
from repositories.sql.engine import Database, Limits, ping, read_url
from tests.fakes.private_servers import free_port

things = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", String(10), nullable=False, unique=True),
    mysql_engine="InnoDB",
    mysql_charset="utf8mb4",
)


@pytest.fixture
async def db(empty_url: str) -> AsyncIterator[Database]:
    opened = Database(empty_url)
    await opened.run(things.metadata.create_all)
    yield opened
    await opened.aclose()


def _add(number: int, name: str | None = None) -> "insert":  # type: ignore[valid-type]
    return insert(things).values(id=number, name=name or f"thing {number}")


def _count(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(things)).scalar_one())


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("sqlite://", "sqlite://"),
        ("sqlite:///data/a.db", "sqlite:///data/a.db"),
        ("sqlite:////var/a.db", "sqlite:////var/a.db"),
        ("mysql://u:p@h/d", "mysql+pymysql://u:p@h/d"),
        ("mariadb://u:p@h:3307/d", "mysql+pymysql://u:p@h:3307/d"),
        ("mariadb+pymysql://h/d", "mysql+pymysql://h/d"),
        ("mysql+pymysql://u:p%40ss@h/d?ssl_ca=x", "mysql+pymysql://u:p%40ss@h/d?ssl_ca=x"),
    ],
)
def test_addresses(address: str, meant: str) -> None:
    assert read_url(address).render_as_string(hide_password=False) == meant


@pytest.mark.parametrize(
    "address",
    [
        "",
        "canary-pw",
        "postgresql://u:canary-pw@h/d",
        "sqlite:///file:x?mode=memory",
        "mysql:canary-pw",
    ],
)
def test_other_addresses_are_refused_without_showing_a_password(address: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_url(address)
    assert "canary-pw" not in str(caught.value)


async def test_a_transaction_is_stored_whole_or_not_at_all(db: Database) -> None:
    assert await db.run(lambda c: c.execute(_add(1)).rowcount) == 1

    def broken(connection: Connection) -> None:
        connection.execute(_add(2))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await db.run(broken)
    assert await db.run(_count) == 1


async def test_a_cancelled_caller_does_not_interrupt_the_transaction(db: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        connection.execute(_add(1))
        begun.set()
        go_on.wait(20)
        connection.execute(_add(2))

    task = asyncio.create_task(db.run(slow))
    await asyncio.to_thread(begun.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await db.aclose()
    again = Database(db.url.render_as_string(hide_password=False))
    assert await again.run(_count) == 2
    await again.aclose()


async def test_a_cancelled_caller_withdraws_what_has_not_begun(empty_url: str) -> None:
    db = Database(empty_url, Limits(pool_size=1))
    await db.run(things.metadata.create_all)
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        begun.set()
        go_on.wait(20)

    first = asyncio.create_task(db.run(slow))
    await asyncio.to_thread(begun.wait, 20)
    second = asyncio.create_task(db.run(lambda c: c.execute(_add(1)).rowcount))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    go_on.set()
    await first
    assert await db.run(_count) == 0
    await db.aclose()


async def test_what_cannot_begin_in_time_or_waits_in_too_long_a_queue_is_refused(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = Database(empty_url, Limits(pool_size=1))
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> str:
        begun.set()
        go_on.wait(20)
        return "done"

    first = asyncio.create_task(db.run(slow))
    await asyncio.to_thread(begun.wait, 20)
    monkeypatch.setattr(engine, "START_LIMIT_S", 0.01)
    with pytest.raises(StorageUnavailable, match="too slow"):
        await db.run(ping)
    monkeypatch.setattr(engine, "MAX_WAITING", 1)
    with pytest.raises(StorageUnavailable, match="too many"):
        await db.run(ping)
    go_on.set()
    assert await first == "done"
    await db.aclose()


async def test_a_taken_value_is_a_conflict(db: Database) -> None:
    await db.run(lambda c: c.execute(_add(1, "canary")).rowcount)
    for statement in (_add(1), _add(2, "canary")):
        with pytest.raises(Conflict) as caught:
            await db.run(lambda c, s=statement: c.execute(s).rowcount)  # type: ignore[misc]
        assert "canary" not in str(caught.value)
        # Neither may the cause show what was to be stored: tracebacks are logged.
        assert "parameters: " not in str(caught.value.__cause__)


async def test_a_missing_table_says_what_to_do(empty_url: str) -> None:
    db = Database(empty_url)
    with pytest.raises(StorageUnavailable, match="aigateway migrate"):
        await db.run(_count)
    await db.aclose()


async def test_a_statement_of_ours_that_is_wrong_is_our_failure(mysql_url: str) -> None:
    db = Database(mysql_url)
    with pytest.raises(GatewayError, match="statement of ours") as caught:
        await db.run(lambda c: c.execute(text("SELEC 1")))
    assert caught.value.status == 500
    await db.aclose()


@pytest.mark.parametrize("number", [2**63, 2**200])
async def test_a_number_that_is_too_large_is_the_callers_fault(db: Database, number: int) -> None:
    with pytest.raises(Unprocessable):
        await db.run(lambda c: c.execute(_add(number, "x")).rowcount)


async def test_text_that_is_none_is_the_callers_fault(db: Database) -> None:
    with pytest.raises(Unprocessable):
        await db.run(lambda c: c.execute(_add(1, "\ud800")).rowcount)


async def test_text_that_is_too_long_is_the_callers_fault(mysql_url: str) -> None:
    db = Database(mysql_url)
    await db.run(things.metadata.create_all)
    with pytest.raises(Unprocessable):
        await db.run(lambda c: c.execute(_add(1, "x" * 11)).rowcount)
    await db.aclose()


async def test_transactions_that_deadlock_are_run_again(mysql_url: str) -> None:
    db = Database(mysql_url)
    await db.run(things.metadata.create_all)
    await db.run(lambda c: [c.execute(_add(number)) for number in (1, 2)] and None)
    meet = threading.Barrier(2, timeout=20)
    runs: list[tuple[int, int]] = []

    def swap(first: int, second: int, connection: Connection) -> None:
        runs.append((first, second))
        for number in (first, second):
            touched = update_(things).where(things.c.id == number)
            connection.execute(touched.values(name=func.concat(things.c.name, "!")))
            if number == first and len(runs) <= 2:
                meet.wait()

    await asyncio.gather(
        db.run(lambda c: swap(1, 2, c)),
        db.run(lambda c: swap(2, 1, c)),
    )
    names = await db.run(
        lambda c: c.execute(select(things.c.name).order_by(things.c.id)).scalars().all()
    )
    assert names == ["thing 1!!", "thing 2!!"]
    assert len(runs) == 3
    await db.aclose()


async def test_retries_end(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    runs = 0

    def unlucky(_: Connection) -> None:
        nonlocal runs
        runs += 1
        raise OperationalError("x", None, Exception(1213, "deadlock"))

    with pytest.raises(StorageUnavailable):
        await db.run(unlucky)
    assert runs == engine.MAX_ATTEMPTS


async def test_a_server_that_is_away_is_an_outage(mysql_url: str) -> None:
    url = read_url(mysql_url).set(port=free_port()).render_as_string(hide_password=False)
    db = Database(url)
    with pytest.raises(StorageUnavailable, match="error 2003"):
        await db.run(ping)
    await db.aclose()


async def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        db = Database(f"mysql://root@127.0.0.1:{port}/x", Limits(1, 1, 1, 1))
        async with asyncio.timeout(20):
            with pytest.raises(StorageUnavailable, match="error 20"):
                await db.run(ping)
            await db.aclose()


async def test_a_connection_that_the_server_closed_is_replaced(mysql_url: str) -> None:
    db = Database(mysql_url, Limits(pool_size=1))
    victim = await db.run(lambda c: c.execute(text("SELECT CONNECTION_ID()")).scalar_one())
    killer = Database(mysql_url)
    await killer.run(lambda c: c.execute(text(f"KILL {victim}")).rowcount)
    assert await db.run(lambda c: c.execute(text("SELECT 1")).scalar_one()) == 1
    await killer.aclose()
    await db.aclose()


async def test_a_closed_database_says_so(empty_url: str) -> None:
    db = Database(empty_url)
    await db.run(ping)
    await db.aclose()
    await db.aclose()
    with pytest.raises(StorageUnavailable, match="closed"):
        await db.run(ping)


async def test_sqlite_is_set_to_survive_power_cuts_and_to_check_references(
    tmp_path: Path,
) -> None:
    db = Database(f"sqlite:///{tmp_path}/new/aigateway.db")

    def settings(connection: Connection) -> dict[str, object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in names}

    assert await db.run(settings) == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }
    files = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()}
    assert set(files.values()) == {0o600}
    await db.aclose()


async def test_mysql_connections_have_strict_mode_utc_and_short_lock_waits(mysql_url: str) -> None:
    db = Database(mysql_url)
    row = await db.run(
        lambda c: c.execute(
            text("SELECT @@sql_mode, @@time_zone, @@innodb_lock_wait_timeout")
        ).one()
    )
    assert "STRICT_ALL_TABLES" in row[0]
    assert (row[1], row[2]) == ("+00:00", 3)
    await db.aclose()


@pytest.mark.parametrize("content", [b"this is no database at all" * 100])
async def test_a_file_that_is_no_database_is_an_outage(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "aigateway.db"
    path.write_bytes(content)
    db = Database(f"sqlite:///{path}")
    with pytest.raises(StorageUnavailable, match="SQLITE_NOTADB"):
        await db.run(ping)
    await db.aclose()
    assert path.read_bytes() == content


async def test_a_reader_waits_for_no_writer(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    writer, reader = Database(url), Database(url)
    await writer.run(things.metadata.create_all)
    begun, go_on = threading.Event(), threading.Event()

    def write(connection: Connection) -> None:
        connection.execute(_add(1))
        begun.set()
        go_on.wait(20)

    task = asyncio.create_task(writer.run(write))
    await asyncio.to_thread(begun.wait, 20)
    async with asyncio.timeout(4):  # a writer would wait for 5 s
        assert await reader.read(_count) == 0
    go_on.set()
    await task
    assert await reader.read(_count) == 1
    await writer.aclose()
    await reader.aclose()


async def test_writers_of_several_processes_wait_for_each_other(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    first, second = Database(url), Database(url)
    await first.run(things.metadata.create_all)

    def add(connection: Connection) -> None:
        # Reads first: without an early lock the write could not wait.
        number = _count(connection)
        connection.execute(_add(number + 1))

    await asyncio.gather(*(db.run(add) for db in (first, second) for _ in range(20)))
    assert await first.run(_count) == 40
    await first.aclose()
    await second.aclose()
