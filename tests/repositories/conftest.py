"""One suite, both engines: a file of SQLite, and a database of MariaDB or MySQL."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from auth.vault import Vault
from models.provider import StoredProvider
from repositories.open import Repositories, open_repositories
from repositories.sql.engine import Limits, open_engine, read_url
from repositories.sql.migrate import migrate
from repositories.sql.tables import metadata, revisions
from tests import servers
from tests.fakes.clock import FakeClock

MASTER_KEY = bytes(range(32))
PROVIDERS = (
    StoredProvider("anthropic", "Anthropic", "messages", prefixes=("claude-",), is_builtin=True),
    StoredProvider("openai", "OpenAI", "chat", prefixes=("gpt-", "o1"), is_builtin=True),
)


@pytest.fixture(params=["sqlite", "mariadb"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/aigateway.db"
    return str(request.getfixturevalue("mysql_url"))


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "aigateway.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_mysql_url() -> Iterator[str]:
    """The address of a migrated database, to be emptied before each use."""
    with servers.mysql_database(servers.server_url(servers.MYSQL_URL)) as url:
        migrate(url)
        yield url


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a migrated, empty database. It is migrated once for all tests."""
    if request.param == "sqlite":
        path = tmp_path / "aigateway.db"
        shutil.copyfile(request.getfixturevalue("migrated_file"), path)
        return f"sqlite:///{path}"
    url = str(request.getfixturevalue("migrated_mysql_url"))
    engine = open_engine(read_url(url), Limits(1))
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            if table is not revisions:
                connection.execute(table.delete())
        connection.execute(revisions.update().values(value=0))
    engine.dispose()
    return url


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def vault() -> Vault:
    return Vault.of(MASTER_KEY)


@pytest.fixture
async def stores(database_url: str, vault: Vault, clock: FakeClock) -> AsyncIterator[Repositories]:
    """Open repositories over a database that holds two built-in providers."""
    async with asyncio.timeout(50), open_repositories(database_url, vault, clock=clock) as opened:
        await opened.providers.seed(PROVIDERS)
        yield opened
