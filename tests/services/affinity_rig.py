"""Affinity of one replica or several, on real shared state, without a pool."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from dialects import DIALECTS
from models.exchange import ProxyRequest
from models.json_types import Json
from models.usage import Usage
from providers.base import Route
from repositories.base import SharedState
from repositories.shared import open_shared
from services.affinity import Affinity, Visit
from services.background import Background, open_background
from services.bindings import Bindings
from tests.builders import make_provider
from tests.fakes.clock import FakeClock
from tests.waiting import until

ROUTE = Route(make_provider(), "gpt-x")
TTL_S = 3600.0
SALT = b"s" * 32


def make_request(dialect: str = "chat", **payload: Json) -> ProxyRequest:
    """A request of the key `k`; only its payload counts."""
    return ProxyRequest("0" * 32, None, dialect, "gpt-x", False, b"", payload, {}, "k", 0.0, 0.0)


async def _count(shared: SharedState, _route: Route) -> int | None:
    return await shared.increment("rr") - 1


@dataclass
class Replica:
    """One process."""

    affinity: Affinity
    bindings: Bindings
    shared: SharedState
    background: Background

    async def visit(self, request: ProxyRequest, route: Route = ROUTE) -> Visit | None:
        visit = self.affinity.met(request, DIALECTS[request.dialect], route)
        if visit is not None and visit.asks:
            await self.affinity.ask(visit)
        return visit


@dataclass
class Stage:
    """Replicas that see the same accounts. An account's rest is set by hand."""

    clock: FakeClock = field(default_factory=FakeClock)
    away: dict[str, float] = field(default_factory=dict)
    replicas: list[Replica] = field(default_factory=list)

    def away_until(self, account_id: str, _route: Route) -> float | None:
        until = self.away.get(account_id, 0.0)
        return until if until > self.clock.now() else None

    async def turn(
        self,
        request: ProxyRequest,
        otherwise: str,
        *,
        replica: int = 0,
        route: Route = ROUTE,
        usage: Usage | None = None,
    ) -> tuple[str, str | None, int | None]:
        """Serve a request as the executor does: by its home, or by `otherwise`.

        Returns who served, the outcome and the cached tokens lost.
        """
        one = self.replicas[replica]
        visit = await one.visit(request, route)
        account = otherwise if visit is None or visit.home is None else visit.home
        if visit is None:
            return account, None, None
        visit.served(account)
        await self.settle()
        return account, visit.outcome, visit.ended(usage or Usage(10, 5))

    async def settle(self) -> None:
        """Let what is written behind requests be written."""
        await until(lambda: not any(replica.bindings.writes for replica in self.replicas))


@asynccontextmanager
async def open_stage(
    redis_url: str = "", *, replicas: int = 1, enabled: bool = True
) -> AsyncIterator[Stage]:
    stage = Stage()
    async with AsyncExitStack() as stack:
        for _ in range(replicas):
            shared = await stack.enter_async_context(open_shared(redis_url, timeout_s=5))
            background = await stack.enter_async_context(open_background())
            bindings = Bindings(shared, background, stage.clock, ttl_s=TTL_S)
            affinity = Affinity(
                bindings,
                stage.away_until,
                partial(_count, shared),
                lambda: {},
                stage.clock,
                salt=SALT,
                ttl_s=TTL_S,
                is_enabled=enabled,
            )
            background.loop("listen", bindings.listen)
            stage.replicas.append(Replica(affinity, bindings, shared, background))
        yield stage
