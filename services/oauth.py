"""Everything of OAuth that operators use, put together."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from auth.provider_login import ProviderLogin
from models.account import EgressPolicy
from models.event import Tell
from models.ports import Clock, Transport
from repositories.base import (
    AccountRepository,
    OAuthFlowRepository,
    ProviderRepository,
    SharedState,
)
from services.authenticator import EXTERNAL_ADMIN, is_good
from services.device_logins import DeviceLogins
from services.guard import AddressGuard
from services.login_accounts import LoginAccounts
from services.login_beginnings import Beginnings
from services.login_calls import LoginCalls
from services.login_ends import open_login_ends
from services.login_flows import Flows
from services.logins import Logins
from services.refreshes import Refreshes
from services.snapshot import Snapshot
from services.tokens import Tokens
from services.ways_out import WaysOut


@dataclass(frozen=True, slots=True)
class OAuth:
    """Logins and what becomes of their tokens."""

    logins: Logins
    devices: DeviceLogins
    refreshes: Refreshes


@dataclass(frozen=True, slots=True)
class LoginRules:
    """What an operator has set."""

    clients: Mapping[str, ProviderLogin]
    """By provider id."""
    public_url: str = ""
    flow_ttl_s: float = 600.0
    http_timeout_s: float = 20.0
    default_policy: EgressPolicy = EgressPolicy.AUTO


@asynccontextmanager
async def open_oauth(
    rules: LoginRules,
    *,
    accounts: AccountRepository,
    providers: ProviderRepository,
    flows: OAuthFlowRepository,
    flow_key: bytes,
    shared: SharedState,
    snapshot: Callable[[], Snapshot],
    changed: Callable[[], Awaitable[None]],
    ways: WaysOut,
    tokens: Tokens,
    transport: Transport,
    guard: AddressGuard,
    clock: Clock,
    user_agent: str,
    tell: Tell,
) -> AsyncGenerator[OAuth, None]:
    """Put it together; at the end, logins that are about to end are awaited.

    `flow_key`: of the keyed hashes by which logins are found.
    """
    table = Flows(flows, flow_key, clock, ttl_s=rules.flow_ttl_s)
    beginnings = Beginnings(
        rules.clients,
        accounts,
        providers,
        ways,
        table,
        guard,
        default_policy=rules.default_policy,
    )
    calls = LoginCalls(transport, clock, user_agent=user_agent, limit_s=rules.http_timeout_s)
    stored = LoginAccounts(accounts, changed, clock, tell)

    def is_admin(key_id: str) -> bool:
        keys, now = snapshot().keys.values(), clock.now()
        good = (key for key in keys if key.id == key_id and is_good(key, now))
        return key_id == EXTERNAL_ADMIN.key_id or any(key.is_admin for key in good)

    async with open_login_ends(table, beginnings, stored) as ends:
        yield OAuth(
            Logins(beginnings, table, calls, ends, is_admin, public_url=rules.public_url),
            DeviceLogins(beginnings, table, calls, ends, shared),
            Refreshes(snapshot, accounts, tokens, changed),
        )
