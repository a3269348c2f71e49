"""A process that creates accounts, all at once: `python -m tests.repositories.creator URL COUNT`.

It says `ready` when it is connected and begins when a line comes in, so that several can begin
together.
"""

import asyncio
import sys

from auth.vault import Vault
from models.account import EgressPolicy
from repositories.open import open_repositories
from tests.repositories.build import OPEN, account
from tests.repositories.conftest import MASTER_KEY


async def create(url: str, count: int) -> None:
    async with open_repositories(url, Vault.of(MASTER_KEY)) as stores:
        await stores.check()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(count):
                tasks.create_task(stores.accounts.create(account(EgressPolicy.REQUIRED), OPEN))


if __name__ == "__main__":
    asyncio.run(create(sys.argv[1], int(sys.argv[2])))
