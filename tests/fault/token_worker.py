"""One process with a token keeper of its own, for tests that need several, or dead ones.

It reads its orders (a `Orders` as JSON) from the command line, says `ready`, waits for a line on
standard input, asks for the account's token so often at once, and prints what it got as JSON.
"""

import asyncio
import json
import sys
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from auth.vault import Vault
from models.clock import SystemClock
from models.errors import UpstreamError
from repositories.open import open_repositories
from repositories.shared import open_shared
from services.guard import AddressGuard
from services.refresh import TokenTimes
from services.tokens import open_tokens
from services.transport import open_transport
from tests import chosen

VAULT = Vault.of(bytes(range(32)))


@dataclass(frozen=True)
class Orders:
    """What a worker shall do."""

    database_url: str
    redis_url: str
    journal_dir: str
    account_id: str
    requests: int
    times: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> str:
        return json.dumps(asdict(self))


async def _work(orders: Orders) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        repositories = await enter(open_repositories(orders.database_url, VAULT))
        shared = await enter(open_shared(orders.redis_url))
        guard = AddressGuard(["127.0.0.0/8"])
        transport = await enter(open_transport(guard, connect_timeout_s=5.0, client=chosen.CLIENT))
        # Read before the keeper starts: as old as a snapshot can be.
        stored = await repositories.accounts.get(orders.account_id)
        assert stored is not None
        tokens = await enter(
            open_tokens(
                accounts=repositories.accounts,
                shared=shared,
                transport=transport,
                vault=VAULT,
                journal_dir=Path(orders.journal_dir),
                egress_of=lambda _account: None,
                clock=SystemClock(),
                user_agent="aigateway/test",
                times=TokenTimes(**orders.times),
            )
        )
        print("ready", flush=True)  # noqa: T201 - the parent reads it
        await asyncio.to_thread(sys.stdin.readline)
        found = await asyncio.gather(
            *(tokens.get(stored) for _ in range(orders.requests)), return_exceptions=True
        )
    errors = [str(result) for result in found if isinstance(result, UpstreamError)]
    access = [result.access for result in found if not isinstance(result, BaseException)]
    unexpected = [repr(r) for r in found if isinstance(r, BaseException) and str(r) not in errors]
    return {"access": Counter(access), "errors": Counter(errors), "unexpected": unexpected}


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=chosen.new_loop) as runner:
        print(json.dumps(runner.run(_work(Orders(**json.loads(sys.argv[1]))))))  # noqa: T201
