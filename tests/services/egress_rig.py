"""Proxies with accounts in a real database, their health, and probes through pretend proxies."""

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from auth.vault import Vault
from models.account import Account, AuthType, Credentials, EgressPolicy
from models.egress import EgressProxy
from models.errors import Blame, ConnectFailed
from models.event import EventKind
from models.ids import new_id
from models.json_types import JsonObject
from models.provider import StoredProvider
from repositories.open import Repositories, open_repositories
from services.cooldown import Cooldowns
from services.egress_conditions import EgressConditions
from services.egress_probes import EgressProbes, ProbePlan
from services.guard import AddressGuard
from services.pauses import Pauses
from services.reach import Reach
from services.rehoming import Rehoming
from services.transport import open_transport
from tests import chosen
from tests.fakes.clock import FakeClock
from tests.fakes.proxies import FakeProxy

BROKEN = ConnectFailed("could not reach the provider", blame=Blame.EGRESS)


@dataclass
class Target:
    """What probes ask: says where it sees them come from, unless told otherwise."""

    status: int = 200
    body: bytes = b'{"ip":"203.0.113.7","country":"DE"}'
    asked: int = 0
    agents: set[str] = field(default_factory=set)
    url: str = ""
    _runner: web.AppRunner | None = None
    _port: int = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}/"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        self.agents.add(request.headers["user-agent"])
        return web.Response(status=self.status, body=self.body)


@dataclass
class Told:
    """An event."""

    kind: EventKind
    account_id: str | None
    details: JsonObject


@dataclass
class EgressRig:
    """Everything that keeps proxies well, over one database."""

    stack: AsyncExitStack
    stores: Repositories
    clock: FakeClock
    cooldowns: Cooldowns
    reach: Reach
    guard: AddressGuard
    proxies: dict[str, EgressProxy] = field(default_factory=dict)
    fakes: dict[str, FakeProxy] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)

    @property
    def conditions(self) -> EgressConditions:
        return self._conditions

    def __post_init__(self) -> None:
        self._conditions = EgressConditions(self.cooldowns, self.known, self.clock)

    def known(self) -> Mapping[str, EgressProxy]:
        return self.proxies

    async def reload(self) -> None:
        """Take a snapshot."""
        self.proxies = {proxy.id: proxy for proxy in await self.stores.egress.all()}

    async def add_proxy(self, fake: FakeProxy, **fields: object) -> str:
        """Start a proxy and store it; returns its id."""
        await fake.start()
        self.stack.push_async_callback(fake.stop)
        label = f"proxy {len(self.fakes)}"
        proxy = EgressProxy(new_id(), label, fake.url, **fields)  # type: ignore[arg-type] # checked at run time
        self.fakes[proxy.id] = fake
        await self.stores.egress.create(proxy)
        await self.reload()
        return proxy.id

    async def add_accounts(self, count: int) -> list[Account]:
        """Create accounts that leave through a proxy where one has room."""
        found = []
        for number in range(count):
            plain = Account(
                new_id(), "openai", f"a{number}", AuthType.API_KEY, egress_policy=EgressPolicy.AUTO
            )
            found.append(await self.stores.accounts.create(plain, Credentials("sk")))
        await self.reload()
        return found

    async def homes(self) -> dict[str, str | None]:
        """Return the proxy of each account, by label."""
        stored = await self.stores.accounts.all()
        return {one.account.label: one.account.proxy_id for one in stored}

    def probes(self, *urls: str, interval_s: float = 300.0, concurrency: int = 4) -> EgressProbes:
        """Probe these targets, with short limits."""
        return EgressProbes(
            self.stores.egress,
            self.known,
            self.conditions,
            lambda: open_transport(
                self.guard, connect_timeout_s=0.4, reach=self.reach, client=chosen.CLIENT
            ),
            self.clock,
            ProbePlan(urls, interval_s, 1.0, concurrency, "aigateway/test"),
        )

    def rehoming(self, *, after_s: float = 0.0) -> Rehoming:
        def tell(kind: EventKind, message: str, **facts: object) -> None:
            account_id, details = facts["account_id"], facts["details"]
            assert isinstance(account_id, str)
            assert isinstance(details, dict)
            self.told.append(Told(kind, account_id, details))

        return Rehoming(
            self.stores.egress,
            self.known,
            self.conditions,
            self.reload,
            self.clock,
            tell=tell,
            after_s=after_s,
        )

    def fail(self, proxy_id: str, times: int = 1) -> None:
        """Count failures of a proxy."""
        for _ in range(times):
            self.conditions.failed(proxy_id, BROKEN)


@asynccontextmanager
async def open_egress_rig(database_url: str = "sqlite://") -> AsyncGenerator[EgressRig, None]:
    """Yield a rig without any proxy."""
    async with AsyncExitStack() as stack:
        clock = FakeClock()
        stores = await stack.enter_async_context(
            open_repositories(database_url, Vault.of(b"k" * 32), clock=clock)
        )
        await stores.providers.seed([StoredProvider("openai", "OpenAI", "chat", is_builtin=True)])
        yield EgressRig(
            stack,
            stores,
            clock,
            Cooldowns(Pauses(), clock),
            Reach(time.monotonic),  # within one moment of the other clock much happens
            AddressGuard(["127.0.0.0/8"]),
        )
