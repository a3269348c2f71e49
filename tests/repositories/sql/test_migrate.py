import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from auth.vault import Vault
from models.errors import StorageUnavailable
from repositories.open import open_repositories
from repositories.sql.engine import Database, Limits, open_engine, read_url
from repositories.sql.migrate import config, migrate, upgrade
from repositories.sql.schema import HEAD, check_schema, current_revision
from repositories.sql.tables import metadata
from tests.repositories.build import OPEN, account
from tests.repositories.conftest import MASTER_KEY, PROVIDERS

ROOT = Path(__file__).parents[3]


@pytest.fixture
def engine(empty_url: str) -> Engine:
    return open_engine(read_url(empty_url), Limits(1), foreign_keys=False)


def _differences(connection: Connection) -> list[object]:
    """What alembic would change so that the tables are those of `tables.py`."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


def _upgrade_to(url: str, revision: str) -> None:
    engine = open_engine(read_url(url), Limits(1), foreign_keys=False)
    with engine.connect() as connection:
        upgrade(connection, revision)
    engine.dispose()


def _revisions() -> list[str]:
    """Every revision, oldest first."""
    engine = open_engine(read_url("sqlite://"), Limits(1))
    with engine.connect() as connection:
        script = ScriptDirectory.from_config(config(connection))
    found = [revision.revision for revision in script.walk_revisions()]
    engine.dispose()
    return found[::-1]


def test_the_newest_revision_is_the_one_this_version_works_with() -> None:
    assert _revisions()[-1] == HEAD


def test_from_empty_the_schema_becomes_that_of_the_tables(empty_url: str, engine: Engine) -> None:
    migrate(empty_url)
    with engine.connect() as connection:
        assert _differences(connection) == []
        assert current_revision(connection) == HEAD
        names = set(inspect(connection).get_table_names())
    engine.dispose()
    assert names == {*metadata.tables, "alembic_version"}


def test_from_every_revision_the_schema_becomes_that_of_the_tables(
    empty_url: str, engine: Engine
) -> None:
    for revision in _revisions():
        with engine.connect() as connection:
            upgrade(connection, revision)
            assert current_revision(connection) == revision
    with engine.connect() as connection:
        assert _differences(connection) == []
    engine.dispose()


async def test_from_the_previous_revision_rows_are_kept(empty_url: str) -> None:
    previous = await asyncio.to_thread(lambda: _revisions()[-2])
    db = Database(empty_url)
    await asyncio.to_thread(_upgrade_to, empty_url, previous)
    with pytest.raises(StorageUnavailable, match="aigateway migrate"):
        await db.run(check_schema)
    await db.aclose()
    async with open_repositories(empty_url, Vault.of(MASTER_KEY)) as stores:
        await stores.providers.seed(PROVIDERS)
        created = await stores.accounts.create(account(), OPEN)
        await asyncio.to_thread(migrate, empty_url)
        await stores.check()
        stored = await stores.accounts.get(created.id)
    assert stored is not None
    assert (stored.account, stored.credentials) == (created, OPEN)


def test_migrating_again_changes_nothing(empty_url: str, engine: Engine) -> None:
    migrate(empty_url)
    bump = text("UPDATE revisions SET value = 7")
    with engine.begin() as connection:
        connection.execute(bump)
    migrate(empty_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT name, value FROM revisions")).all() == [
            ("config", 7),
            ("events", 7),
        ]
    engine.dispose()


def test_a_revision_that_broke_off_after_any_statement_is_finished(
    empty_url: str, engine: Engine
) -> None:
    # What MariaDB keeps of a broken revision: its first statements, but not its number.
    migrate(empty_url)
    with engine.begin() as connection:
        for index in ("provider_id_at", "key_id_at"):
            on_table = "" if engine.dialect.name == "sqlite" else " ON request_logs"
            connection.execute(text(f"DROP INDEX ix_request_logs_{index}{on_table}"))
        connection.execute(text("DROP TABLE proxy_stats"))
        connection.execute(text("DELETE FROM revisions"))
        connection.execute(text("DELETE FROM alembic_version"))
    migrate(empty_url)
    with engine.connect() as connection:
        assert _differences(connection) == []
        assert connection.execute(text("SELECT value FROM revisions")).scalars().all() == [0, 0]
    engine.dispose()


def test_several_processes_may_migrate_at_once(empty_url: str, engine: Engine) -> None:
    program = "import sys; from repositories.sql.migrate import migrate; migrate(sys.argv[1])"
    command = [sys.executable, "-c", program, empty_url]
    started = [subprocess.Popen(command, cwd=ROOT) for _ in range(4)]
    assert [process.wait(50) for process in started] == [0] * 4
    with engine.connect() as connection:
        assert _differences(connection) == []
    engine.dispose()


async def test_a_database_in_memory_is_migrated_when_opened() -> None:
    migrate("sqlite://")
    async with open_repositories("sqlite://", Vault.of(MASTER_KEY)) as stores:
        await stores.check()
        assert await stores.db.run(_differences) == []
        await stores.providers.seed(PROVIDERS)
        assert len(await stores.providers.all()) == 2


async def test_an_empty_or_newer_database_is_not_worked_with(empty_url: str) -> None:
    db = Database(empty_url)
    with pytest.raises(StorageUnavailable, match="no tables yet; run `aigateway migrate`"):
        await db.run(check_schema)
    await asyncio.to_thread(migrate, empty_url)
    await db.run(check_schema)
    newer = text("UPDATE alembic_version SET version_num = '9999'")
    await db.run(lambda connection: connection.execute(newer).rowcount)
    with pytest.raises(StorageUnavailable, match="newer than this version"):
        await db.run(check_schema)
    await db.aclose()


def test_migrating_says_when_the_server_is_away() -> None:
    with pytest.raises(StorageUnavailable, match="error 2003") as caught:
        migrate("mysql://user:canary-password@127.0.0.1:1/nothing")
    assert "canary-password" not in str(caught.value)


def test_files_of_a_new_database_are_private(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path}/data/aigateway.db")
    folder = tmp_path / "data"
    assert folder.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {"aigateway.db": 0o600, "aigateway.db.migrate.lock": 0o600}


def test_a_database_that_the_server_lacks_is_made(mysql_url: str) -> None:
    engine = open_engine(read_url(mysql_url), Limits(1))
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {engine.url.database}")
    engine.dispose()
    migrate(mysql_url)
    with engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
    engine.dispose()
    assert {"accounts", "request_logs", "alembic_version"} <= tables
