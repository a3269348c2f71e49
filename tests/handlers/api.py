"""A running `/api/v1` over a real database, and short ways to call it."""

import io
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import orjson
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from auth.vault import Vault
from dialects import DIALECTS
from handlers.app import build_app
from handlers.keys import GATEWAY
from handlers.routes import all_endpoints
from models.account import EgressPolicy
from models.egress import EgressProxy
from models.json_types import Json, JsonObject
from models.provider import StoredProvider
from providers.base import Route
from repositories.open import Repositories, open_repositories
from repositories.shared_memory import MemoryState
from services.accounts import Accounts
from services.affinity import Affinity
from services.authenticator import Authenticator
from services.background import open_background
from services.bindings import Bindings
from services.cooldown import Cooldowns
from services.egress_care import EgressCare
from services.egress_conditions import EgressConditions
from services.egress_lists import EgressLists
from services.egress_probes import EgressProbes, ProbePlan
from services.egresses import Egresses
from services.event_feed import EventFeed
from services.events import open_events
from services.explain import Explain
from services.gateway import Gateway
from services.guard import AddressGuard
from services.health import Health
from services.keys import Keys
from services.metrics import Metrics, Watched
from services.oauth import LoginRules
from services.pauses import Pauses
from services.pool import Pool
from services.pool_gauges import PoolGauges
from services.providers import Providers
from services.recorder import RecorderCounts
from services.rehoming import Rehoming
from services.request_meter import RequestMeter
from services.rests import Rests
from services.snapshot import Assemble, Snapshots
from services.statistics import Statistics
from services.traces import Traces
from services.transport import open_transport
from tests import chosen
from tests.fakes.clock import FakeClock
from tests.handlers.care_rig import care_of
from tests.handlers.oauth_rig import running_oauth

PEPPER = b"p" * 32
ADMIN_KEY = "admin-key-from-outside-0123456789abcdef"
UNKNOWN_ID = "0" * 32
ROUTES = all_endpoints([], "0.0.0-test")
BUILTIN = (
    StoredProvider("anthropic", "Anthropic", "messages", is_builtin=True),
    StoredProvider("openai", "OpenAI", "chat", is_builtin=True),
)


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, read."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> JsonObject:
        payload: Json = orjson.loads(self.text)
        assert isinstance(payload, dict)
        return payload

    @property
    def id(self) -> str:
        return str(self.json["id"])

    @property
    def data(self) -> list[JsonObject]:
        data = self.json["data"]
        assert isinstance(data, list)
        return [entry for entry in data if isinstance(entry, dict)]

    @property
    def error(self) -> JsonObject:
        error = self.json["error"]
        assert isinstance(error, dict)
        return error

    @property
    def fields(self) -> list[str]:
        """Paths that a 422 blames."""
        details = self.error["details"]
        assert isinstance(details, dict)
        faults = details["fields"]
        assert isinstance(faults, list)
        return [str(fault["path"]) for fault in faults if isinstance(fault, dict)]


@dataclass(frozen=True, slots=True)
class Api:
    """A client of the running API."""

    client: TestClient[web.Request, web.Application]
    stores: Repositories
    shared: MemoryState
    gateway: Gateway
    clock: FakeClock
    changes: list[int]
    """One entry for each change that was told to the replicas."""

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Told:
        plain = raw if raw is not None or body is None else json.dumps(body).encode()
        # A stream, because aiohttp warns of large bodies given as bytes.
        data = None if plain is None else io.BytesIO(plain)
        sent = {"x-api-key": ADMIN_KEY}
        if data is not None:
            sent["Content-Type"] = "application/json"
        async with self.client.request(
            method, path, data=data, headers={**sent, **(headers or {})}
        ) as response:
            return Told(response.status, response.headers, await response.text())

    async def get(self, path: str) -> Told:
        return await self.call("GET", path)

    async def made(self, path: str, body: object) -> Told:
        """Create something; it must succeed."""
        told = await self.call("POST", path, body)
        assert told.status == 201, told.text
        return told


@asynccontextmanager
async def running_api(
    database_url: str = "sqlite://",
    *,
    has_outside_admin_key: bool = False,
    default_policy: EgressPolicy = EgressPolicy.AUTO,
    networks: Sequence[str] = ("192.0.2.0/24",),
    probe_urls: tuple[str, ...] = (),
    logins: LoginRules | None = None,
    assemble: Assemble = lambda _rows: {},
) -> AsyncGenerator[Api, None]:
    """Serve everything but the models, as the program does."""
    clock = FakeClock()
    changes: list[int] = []

    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(
            open_repositories(database_url, Vault.of(b"k" * 32), clock=clock)
        )
        await stores.providers.seed(BUILTIN)
        shared = MemoryState(clock)
        snapshots = await _snapshots(stores, shared, clock, assemble)
        events = await stack.enter_async_context(open_events(stores.events, shared, clock))
        background = await stack.enter_async_context(open_background())

        async def changed() -> None:
            changes.append(1)
            await snapshots.changed()

        guard = AddressGuard(networks)

        def proxies() -> Mapping[str, EgressProxy]:
            return snapshots.current.proxies

        cooldowns = Cooldowns(Pauses(), clock)
        conditions = EgressConditions(cooldowns, proxies, clock)
        affinity = Affinity(
            Bindings(shared, background, clock, ttl_s=3600.0),
            lambda _account_id, _route: None,
            _no_count,
            lambda: snapshots.current.accounts,
            clock,
            salt=PEPPER,
            ttl_s=3600.0,
        )
        feed = EventFeed(stores.events, shared)
        background.loop("events.listen", feed.listen)
        rules = LoginRules({}) if logins is None else logins
        oauth = await stack.enter_async_context(
            running_oauth(rules, stores, shared, snapshots, changed, guard, clock, events.tell)
        )
        gateway = Gateway(
            accounts=Accounts(
                stores.accounts,
                stores.providers,
                guard,
                changed,
                clock,
                default_policy=default_policy,
            ),
            account_care=care_of(
                stores,
                shared,
                snapshots,
                changed,
                cooldowns,
                guard,
                clock,
                events.tell,
                default_policy,
            ),
            egresses=Egresses(
                stores.egress,
                stores.providers,
                guard,
                changed,
                clock,
                proxies=proxies,
                conditions=conditions,
            ),
            egress_care=EgressCare(
                conditions,
                EgressProbes(
                    stores.egress,
                    proxies,
                    conditions,
                    lambda: open_transport(guard, connect_timeout_s=0.5, client=chosen.CLIENT),
                    clock,
                    ProbePlan(probe_urls, 300.0, 1.0, 4, "aigateway/test"),
                ),
                Rehoming(
                    stores.egress,
                    proxies,
                    conditions,
                    changed,
                    clock,
                    tell=events.tell,
                    after_s=0.0,
                ),
                EgressLists(stores.egress, stores.providers, guard, changed, clock),
            ),
            keys=Keys(
                stores.keys, PEPPER, changed, clock, has_outside_admin_key=has_outside_admin_key
            ),
            providers=Providers(stores.providers, guard, changed, clock),
            rests=Rests(cooldowns, {"c" * 32: "openai"}.get, {"c" * 32: "ann"}.get, clock),
            statistics=Statistics(stores.stats, stores.egress, shared, clock),
            affinity=affinity,
            explain=Explain(
                snapshot=lambda: snapshots.current,
                pool=Pool(lambda: snapshots.current, shared, cooldowns, clock),
                affinity=affinity,
                shared=shared,
                dialects=DIALECTS,
                clock=clock,
                fallbacks={},
            ),
            events=events,
            event_feed=feed,
            oauth=oauth,
            traces=Traces(stores.stats, stores.attempts, lambda _: None, lambda: snapshots.current),
            health=Health({"database": lambda: True}, is_ready=True),
            metrics=_metrics(snapshots, cooldowns, conditions, clock),
        )
        authenticator = Authenticator(
            lambda: snapshots.current, snapshots.look_again, PEPPER, clock, admin_key=ADMIN_KEY
        )
        app = build_app(ROUTES, authenticator, DIALECTS)
        app[GATEWAY] = gateway
        async with TestClient(TestServer(app)) as client:
            yield Api(client, stores, shared, gateway, clock, changes)


def _metrics(
    snapshots: Snapshots, cooldowns: Cooldowns, conditions: EgressConditions, clock: FakeClock
) -> Metrics:
    watched = Watched(
        RequestMeter(),
        PoolGauges(lambda: snapshots.current, cooldowns, conditions, clock),
        calls=lambda: 0,
        streams=lambda: 0,
        refused=lambda: 0,
        records=lambda: RecorderCounts(queued=0, spooled=0, written=0, dropped=0, refused=0),
        components=lambda: {"database": True},
    )
    return Metrics(watched, clock, version="0.0.0-test")


async def _no_count(_route: Route) -> None:
    return


async def _snapshots(
    stores: Repositories, shared: MemoryState, clock: FakeClock, assemble: Assemble
) -> Snapshots:
    snapshots = Snapshots(
        accounts=stores.accounts,
        egress=stores.egress,
        keys=stores.keys,
        providers=stores.providers,
        revisions=stores.revisions,
        shared=shared,
        assemble=assemble,
        prefixes={},
        clock=clock,
    )
    await snapshots.load()
    return snapshots


def account_body(**changes: object) -> dict[str, object]:
    return {
        "provider_id": "openai",
        "label": "team a",
        "auth_type": "api_key",
        "auth_data": {"api_key": "sk-plain"},
        **changes,
    }


def proxy_body(number: int = 1, **changes: object) -> dict[str, object]:
    return {"label": f"proxy {number}", "url": f"http://192.0.2.{number}:3128", **changes}


OAUTH_DATA: dict[str, object] = {
    "refresh_token": "refresh-1",
    "token_url": "https://192.0.2.9/oauth/token",
    "client_id": "client-1",
}
