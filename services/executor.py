"""The one loop of a model call: which models, which providers, which accounts, in which order.

Until the first content is there, another account may serve; after it nothing is retried.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from dialects.base import Dialect
from models.errors import BadRequest, GatewayError, NoCapacity, NoRoute, UpstreamError
from models.exchange import ProxyRequest, RequestRecord
from models.ports import Clock
from providers.base import Route
from services.affinity import Affinity, Visit
from services.answers import Answers, Limits, Reply, stopping
from services.aside import aside
from services.attempts import Attempts
from services.budget import RetryBudget
from services.call import Call
from services.plan import Plan, make_plan
from services.pool import RATE_KINDS, Lease, Pool, Turn
from services.race import Runner, first_of, hedged
from services.snapshot import Snapshot
from services.telling import is_final, is_final_for_models, more_telling
from services.unoffered import own_answer


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """Which models serve in another's stead, unless the request names its own."""

    models: Mapping[str, Sequence[str]]
    is_race: bool = False


NO_FALLBACKS = Fallbacks({})


class Executor:
    """Serves model calls."""

    def __init__(
        self,
        *,
        snapshot: Callable[[], Snapshot],
        pool: Pool,
        affinity: Affinity,
        attempts: Attempts,
        answers: Answers,
        budget: RetryBudget,
        dialects: Mapping[str, Dialect],
        clock: Clock,
        limits: Limits,
        fallbacks: Fallbacks = NO_FALLBACKS,
        asks_stream_usage: bool = True,
    ) -> None:
        self._snapshot = snapshot
        self._pool = pool
        self._affinity = affinity
        self._attempts = attempts
        self._answers = answers
        self._budget = budget
        self._dialects = dialects
        self._clock = clock
        self._limits = limits
        self._fallbacks = fallbacks
        self._asks_stream_usage = asks_stream_usage
        self._running: set[asyncio.Timeout] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a call is being served."""
        return bool(self._running) or self._answers.are_streaming

    def cut(self) -> None:
        """Break off whatever runs; each client is told so, and nobody else is blamed."""
        now = asyncio.get_running_loop().time()
        for scope in self._running:
            if scope.when() is None:  # a second cut finds some that are still ending
                scope.reschedule(now)
        self._answers.cut()

    async def open(self, request: ProxyRequest, record: RequestRecord) -> Reply:
        """Return the answer once its first content is there; raises GatewayError before that.

        Fills `record` on the way. The caller must close the reply.
        """
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._running.add(scope)
                return await self._served(self._begun(request, record))
        except TimeoutError:
            if not scope.expired():
                raise
            raise stopping() from None
        finally:
            self._running.discard(scope)

    def _begun(self, request: ProxyRequest, record: RequestRecord) -> Call:
        limits = self._limits
        self._budget.saw_request()
        return Call(
            request,
            record,
            self._dialects[request.dialect],
            deadline=self._clock.monotonic() + limits.first_byte_timeout_s,
            calls_left=limits.max_attempts,
            refusals_left=limits.max_refusals,
            wait_left_s=limits.max_wait_s,
        )

    # --- models ---

    async def _served(self, call: Call) -> Reply:
        """Let the model serve, or those that may stand in for it."""
        request, others = call.request, self._stand_ins(call.request)
        if not others:
            return await self._by_model(call, request.model)
        is_race = self._fallbacks.is_race if request.is_race is None else request.is_race
        models = (request.model, *others)
        if is_race:
            return await first_of([partial(self._by_model, call, model) for model in models])
        return await self._in_turn(call, models)

    def _stand_ins(self, request: ProxyRequest) -> Sequence[str]:
        named = request.fallbacks
        return self._fallbacks.models.get(request.model, ()) if named is None else named

    async def _in_turn(self, call: Call, models: Sequence[str]) -> Reply:
        failure: GatewayError | None = None
        for model in models:
            try:
                return await self._by_model(call, model)
            except GatewayError as error:
                failure = more_telling(failure, error)
                if is_final_for_models(error) or not self._may_try(call):
                    break
        assert failure is not None  # noqa: S101 - there is at least one model
        raise failure

    # --- providers ---

    async def _by_model(self, call: Call, model: str) -> Reply:
        """Try the routes of a model in turn."""
        failure: GatewayError | None = None
        for route in self._snapshot().router.resolve(model):
            try:
                return await self._over(route, call)
            except (UpstreamError, NoCapacity, BadRequest) as error:
                failure = more_telling(failure, error)
                if is_final(error) or not self._may_try(call):
                    break
        raise failure or NoRoute(f"model {model!r} is not served here")

    async def _over(self, route: Route, call: Call) -> Reply:
        """Plan the request for one route, and let its accounts serve."""
        if not (self._pool.is_able(route) or call.wait_left_s > 0):
            raise self._refused(route, call)
        request, client = call.request, call.client
        size_bytes = len(request.body)
        if route.provider.offer_for(client) is None:
            call.record.provider_id, call.record.upstream_model = route.provider.id, route.model
            return await aside(size_bytes, partial(own_answer, request, client, route))
        # Planned before the counter moves: a request that is refused takes nobody's turn.
        planned = partial(make_plan, request, client, route, wants_usage=self._asks_stream_usage)
        try:
            plan = await aside(size_bytes, planned)
        except BadRequest as error:
            call.pass_over(route, error, self._clock.now())
            raise
        visit = await self._affinity.visit(request, client, route)
        return await self._walk(call, plan, visit)

    # --- accounts ---

    async def _walk(self, call: Call, plan: Plan, visit: Visit | None) -> Reply:
        """Try the accounts of one route in turn."""
        failure: GatewayError | None = None
        turn = await self._turn(plan.route, visit)
        while self._may_try(call):
            lease = await turn.next()
            if lease is None:
                if not await self._waited(call, plan.route, failure):
                    break
                turn = await self._turn(plan.route, visit)
                continue
            try:
                return await self._tried(call, plan, lease, turn, visit)
            except UpstreamError as error:
                failure = more_telling(failure, error)
                turn.failed(lease)
                if not error.retryable:
                    raise
                if call.count(error) and not self._budget.take():
                    break
            except NoCapacity as error:  # the provider is left alone; what it said before counts
                raise more_telling(failure, error) from None
        raise self._exhausted(plan.route, call, failure)

    def _turn(self, route: Route, visit: Visit | None) -> Coroutine[object, object, Turn]:
        if visit is None:
            return self._pool.turn(route)
        return self._pool.turn(
            route,
            home=visit.home,
            home_wait_s=self._limits.home_wait_s,
            is_lent=visit.is_lent,
            is_local=visit.has_asked,
            counter=visit.counter,
        )

    def _tried(
        self, call: Call, plan: Plan, lease: Lease, turn: Turn, visit: Visit | None
    ) -> Coroutine[object, object, Reply]:
        """Let one account serve; where it is slow to begin and that is wished, another as well."""
        if self._limits.hedge_after_s and call.request.stream:
            return self._hedged(call, plan, lease, turn, visit)
        return self._attempts.reply(call, plan, lease, visit)

    async def _hedged(
        self, call: Call, plan: Plan, lease: Lease, turn: Turn, visit: Visit | None
    ) -> Reply:
        first = partial(self._attempts.reply, call, plan, lease, visit)

        async def second() -> Runner | None:
            other = await turn.next()
            if other is None:
                return None
            turn.failed(other)
            return partial(self._attempts.reply, call, plan, other, visit)

        turn.failed(lease)  # so that the second is another one
        return await hedged(first, second, self._limits.hedge_after_s)

    async def _waited(self, call: Call, route: Route, failure: GatewayError | None) -> bool:
        """Wait until an account may serve again, if the request may wait."""
        if failure is not None and failure.kind not in RATE_KINDS:
            return False
        now = self._clock.monotonic()
        limit_s = min(call.wait_left_s, call.deadline - now)
        if limit_s <= 0 or not await self._pool.until_able(
            route, limit_s, since=call.request.started
        ):
            return False
        call.wait_left_s -= self._clock.monotonic() - now
        return True

    def _may_try(self, call: Call) -> bool:
        return call.may_try(self._clock.monotonic())

    def _exhausted(self, route: Route, call: Call, failure: GatewayError | None) -> GatewayError:
        """Return what to say when nobody is left to try."""
        if failure is None:
            return self._refused(route, call)
        refusal = self._pool.refusal(route)
        if failure.kind in RATE_KINDS:
            # Each account named its own wait; the client may come back after the shortest.
            failure.retry_after_s = refusal.retry_after_s
            failure.details = refusal.details
        return failure

    def _refused(self, route: Route, call: Call) -> NoCapacity:
        """Return what to say where nobody was asked, and keep it: the trace must tell why."""
        refusal = self._pool.refusal(route)
        # Of the providers of a model many have no account at all; that explains nothing.
        if refusal.details.get("reasons"):
            call.pass_over(route, refusal, self._clock.now(), self._pool.picture(route))
        return refusal
