"""One suite, both engines: a file of SQLite, and a database of MariaDB or MySQL."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from auth.vault import Vault
from models.provider import StoredProvider
from repositories.open import Repositories, open_repositories
from repositories.sql.migrate import migrate
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


@pytest.fixture
def database_url(empty_url: str) -> str:
    """The address of a migrated, empty database."""
    migrate(empty_url)
    return empty_url


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
