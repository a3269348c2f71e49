"""Token keepers on a real database and a real token server, on a clock that tests move."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import cast

from auth.vault import Vault
from models.account import Account, AuthType, Credentials, OAuthClient, StoredAccount
from models.egress import EgressProxy
from models.errors import StorageUnavailable
from models.event import EventKind
from models.json_types import JsonObject
from models.ports import Transport
from models.provider import StoredProvider
from repositories.base import AccountRepository, SharedState
from repositories.open import Repositories, open_repositories
from repositories.shared_memory import MemoryState
from services.guard import AddressGuard
from services.refresh import TokenTimes
from services.tokens import Tokens, open_tokens
from services.transport import open_transport
from tests import chosen
from tests.fakes.clock import FakeClock
from tests.fakes.idp import FakeIdp

VAULT = Vault.of(bytes(range(32)))
TIMES = TokenTimes(poll_s=0.01, wait_s=5.0, http_timeout_s=2.0, save_retry_s=0.02)


def no_egress(_account: Account) -> EgressProxy | None:
    return None


def make_account(number: int = 1, **changes: object) -> Account:
    account = Account(f"{number:032x}", "openai", f"account {number}", AuthType.OAUTH)
    return replace(account, **changes)  # type: ignore[arg-type]  # names are checked at run time


class Outage:
    """Accounts behind a database that can be switched off, for some methods or for all."""

    def __init__(self, accounts: AccountRepository, names: tuple[str, ...]) -> None:
        self._accounts = accounts
        self._names = names
        self.is_away = True

    def __getattr__(self, name: str) -> object:
        real = getattr(self._accounts, name)

        async def call(*arguments: object, **named: object) -> object:
            if self.is_away and (not self._names or name in self._names):
                raise StorageUnavailable("the database is away")
            return await real(*arguments, **named)

        return call


@dataclass
class TokenRig:
    """Everything around a keeper; several keepers on it are several processes."""

    repositories: Repositories
    shared: SharedState
    transport: Transport
    idp: FakeIdp
    clock: FakeClock
    journal_dir: Path
    times: TokenTimes = TIMES
    egress_of: Callable[[Account], EgressProxy | None] = no_egress
    told: list[tuple[EventKind, str | None, JsonObject]] = field(default_factory=list)
    """Events: kind, account, details."""
    accounts: AccountRepository = field(init=False)
    """What keepers see; tests may put something broken before the real one."""

    def __post_init__(self) -> None:
        self.accounts = self.repositories.accounts

    @asynccontextmanager
    async def keeper(self) -> AsyncGenerator[Tokens, None]:
        async with open_tokens(
            accounts=self.accounts,
            shared=self.shared,
            transport=self.transport,
            vault=VAULT,
            journal_dir=self.journal_dir,
            egress_of=self.egress_of,
            clock=self.clock,
            user_agent="aigateway/test",
            times=self.times,
            chance=Random(1),
            tell=self._tell,
        ) as tokens:
            yield tokens

    def _tell(
        self,
        kind: EventKind,
        message: str,
        *,
        provider_id: str | None = None,
        account_id: str | None = None,
        proxy_id: str | None = None,
        details: JsonObject | None = None,
    ) -> None:
        self.told.append((kind, account_id, details or {}))

    async def account(
        self,
        number: int = 1,
        *,
        expires_in: float | None = -1.0,
        access: str = "access-old",
        **changes: object,
    ) -> StoredAccount:
        """An OAuth account whose token expires so many seconds from now; stored."""
        client = OAuthClient(f"{self.idp.url}/token", "client-1")
        expires_at = None if expires_in is None else self.clock.now() + expires_in
        refresh = self.idp.add_family(f"family{number}")
        credentials = Credentials(access, refresh, expires_at, client)
        account = make_account(number, expires_at=expires_at, **changes)
        await self.repositories.accounts.create(account, credentials)
        return await self.stored(account.id)

    async def stored(self, account_id: str) -> StoredAccount:
        """The account as the database has it now."""
        found = await self.repositories.accounts.get(account_id)
        assert found is not None
        return found

    def lose(self, *names: str) -> "Outage":
        """Let these methods of the accounts fail, or all, for keepers made from now on."""
        outage = Outage(self.repositories.accounts, names)
        self.accounts = cast("AccountRepository", outage)
        return outage

    def configure(self, **times: float) -> None:
        self.times = replace(self.times, **times)  # type: ignore[arg-type] # checked at run time


@asynccontextmanager
async def open_rig(tmp_path: Path) -> AsyncGenerator[TokenRig, None]:
    clock = FakeClock()
    idp = FakeIdp()
    guard = AddressGuard(["127.0.0.0/8"])
    async with (
        open_repositories("sqlite://", VAULT, clock=clock) as repositories,
        open_transport(guard, connect_timeout_s=1.0, client=chosen.CLIENT) as transport,
    ):
        await repositories.providers.seed([StoredProvider("openai", "OpenAI", "chat")])
        runner = await idp.start()
        try:
            shared = MemoryState(clock)
            yield TokenRig(repositories, shared, transport, idp, clock, tmp_path / "journal")
        finally:
            await runner.cleanup()
