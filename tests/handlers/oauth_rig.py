"""What `/api/v1/oauth` needs: a token keeper, a way out, and a real transport."""

import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from models.account import Account
from models.egress import EgressProxy
from models.errors import NoCapacity
from models.event import Tell
from models.ports import Clock
from repositories.base import SharedState
from repositories.open import Repositories
from services.guard import AddressGuard
from services.oauth import LoginRules, OAuth, open_oauth
from services.snapshot import Snapshots
from services.tokens import open_tokens
from services.transport import open_transport
from services.ways_out import WaysOut
from tests import chosen

FLOW_KEY = b"f" * 32


@asynccontextmanager
async def running_oauth(
    rules: LoginRules,
    stores: Repositories,
    shared: SharedState,
    snapshots: Snapshots,
    changed: Callable[[], Awaitable[None]],
    guard: AddressGuard,
    clock: Clock,
    tell: Tell,
) -> AsyncGenerator[OAuth, None]:
    """Put it together as the program does."""

    def egress_of(account: Account) -> EgressProxy | None:
        if account.goes_direct:
            return None
        proxy = snapshots.current.proxies.get(account.proxy_id or "")
        if proxy is None or not proxy.is_active:
            raise NoCapacity("the account waits for an outbound proxy")
        return proxy

    ways = WaysOut(lambda: snapshots.current, egress_of)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            open_transport(guard, connect_timeout_s=1.0, client=chosen.CLIENT) as transport,
            open_tokens(
                accounts=stores.accounts,
                shared=shared,
                transport=transport,
                vault=stores.vault,
                journal_dir=Path(folder),
                egress_of=ways.of_account,
                clock=clock,
                user_agent="aigateway/test",
                tell=tell,
            ) as tokens,
            open_oauth(
                rules,
                accounts=stores.accounts,
                providers=stores.providers,
                flows=stores.oauth_flows,
                flow_key=FLOW_KEY,
                shared=shared,
                snapshot=lambda: snapshots.current,
                changed=changed,
                ways=ways,
                tokens=tokens,
                transport=transport,
                guard=guard,
                clock=clock,
                user_agent="aigateway/test",
                tell=tell,
            ) as oauth,
        ):
            yield oauth
