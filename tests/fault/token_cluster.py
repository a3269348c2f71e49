"""Several token workers on one database, and the account they want the token of."""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from models.account import Account, AuthType, Credentials, OAuthClient, StoredAccount
from models.provider import StoredProvider
from repositories.open import Repositories, open_repositories
from repositories.sql.migrate import migrate
from tests.fakes.idp import FakeIdp
from tests.fault.token_worker import VAULT, Orders

ROOT = Path(__file__).parents[2]
_LIMIT_S = 45.0


@dataclass(frozen=True)
class Outcome:
    """How a worker ended, and what its requests got."""

    returncode: int
    access: Counter[str]
    """Access tokens."""
    errors: Counter[str]


class Worker:
    """A process that was started; its outcome can be awaited once."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ready(self) -> None:
        """Return when it has opened everything."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_LIMIT_S):
            assert await self._process.stdout.readline() == b"ready\n"

    async def outcome(self) -> Outcome:
        """Let it go, and wait for its end."""
        async with asyncio.timeout(_LIMIT_S):
            text, _ = await self._process.communicate(b"go\n")
        code = self._process.returncode or 0
        if code < 0:
            return Outcome(code, Counter(), Counter())
        assert code == 0
        found = json.loads(text)
        assert found["unexpected"] == []
        return Outcome(code, Counter(found["access"]), Counter(found["errors"]))


@dataclass
class Cluster:
    """What the workers share."""

    orders: Orders
    idp: FakeIdp
    repositories: Repositories

    async def start(self, failpoint: str | None = None, **changes: object) -> Worker:
        """Start a worker; with a fail point it will kill itself there."""
        orders = replace(self.orders, **changes)  # type: ignore[arg-type]  # checked at run time
        environ = dict(os.environ)
        if failpoint is not None:
            environ |= {"AIGATEWAY_FAILPOINTS": failpoint, "AIGATEWAY_TEST_FAILPOINTS": "1"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.fault.token_worker", orders.as_json()),
            cwd=ROOT,
            env=environ,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return Worker(process)

    async def run(self, failpoint: str | None = None, **changes: object) -> Outcome:
        """Start a worker, let it go and wait for its end."""
        worker = await self.start(failpoint, **changes)
        await worker.ready()
        return await worker.outcome()

    async def stored(self) -> StoredAccount:
        found = await self.repositories.accounts.get(self.orders.account_id)
        assert found is not None
        return found

    async def new_account(self, number: int) -> None:
        """Make another account with an expired token, and let workers want that one."""
        client = OAuthClient(f"{self.idp.url}/token", "client-1")
        refresh = self.idp.add_family("family")
        credentials = Credentials("access-old", refresh, time.time() - 1, client)
        account = Account(f"{number:032x}", "openai", f"account {number}", AuthType.OAUTH)
        await self.repositories.accounts.create(account, credentials)
        self.orders = replace(self.orders, account_id=account.id)
        self.idp.counts.clear()


@asynccontextmanager
async def open_cluster(
    tmp_path: Path,
    database_url: str = "",
    redis_url: str = "",
    times: Mapping[str, float] = MappingProxyType({}),
) -> AsyncGenerator[Cluster, None]:
    """Yield a cluster with one account; on a SQLite file unless told otherwise."""
    database_url = database_url or f"sqlite:///{tmp_path}/gateway.db"
    await asyncio.to_thread(migrate, database_url)
    idp = FakeIdp()
    runner = await idp.start()
    try:
        async with open_repositories(database_url, VAULT) as repositories:
            await repositories.providers.seed([StoredProvider("openai", "OpenAI", "chat")])
            orders = Orders(database_url, redis_url, f"{tmp_path}/journal", "", 1, dict(times))
            cluster = Cluster(orders, idp, repositories)
            await cluster.new_account(1)
            yield cluster
    finally:
        await runner.cleanup()
