"""The one loop of a model call: which models, which providers, which accounts, in which order.

Until the first content is there, another account may serve; after it nothing is retried.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from dialects.base import Dialect
from models.errors import BadRequest, GatewayError, NoCapacity, UpstreamError
from models.exchange import ProxyRequest, RequestRecord
from models.ports import Clock
from providers.base import Route
from services.affinity import Affinity, Visit
from services.answers import Answers, Limits
from services.aside import INLINE_BYTES, aside
from services.attempts import Attempts
from services.budget import RetryBudget
from services.call import Call
from services.plan import Plan, make_plan
from services.pool import RATE_KINDS, Desk, Pool
from services.race import Runner, first_of, hedged
from services.reply import Reply, stopping
from services.slots import Lease
from services.snapshot import Snapshot
from services.telling import is_final, is_final_for_models, more_telling
from services.turn import Turn
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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._streams = answers.streams
        self._running: set[asyncio.Task[object]] = set()
        self._cut: set[asyncio.Task[object]] = set()
        """Of those that run, the ones that were broken off."""

    @property
    def is_busy(self) -> bool:
        """Whether a call is being served."""
        return self.calls > 0

    @property
    def calls(self) -> int:
        """How many calls are under way, streams included."""
        return len(self._running) + len(self._streams)

    @property
    def streams(self) -> int:
        """How many streams run."""
        return len(self._streams)

    def cut(self) -> None:
        """Break off whatever runs; each client is told so, and nobody else is blamed."""
        for task in self._running - self._cut:  # a second cut finds some that are still ending
            self._cut.add(task)
            task.cancel()
        self._answers.cut()

    async def open(self, request: ProxyRequest, record: RequestRecord) -> Reply:
        """Return the answer once its first content is there; raises GatewayError before that.

        Fills `record` on the way. The caller must close the reply.
        """
        # Known: to ask which loop runs costs a system call.
        loop = self._loop = self._loop or asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None  # noqa: S101 - for the type checker
        self._running.add(task)
        try:
            return await self._served(self._begun(request, record))
        except asyncio.CancelledError:
            if task not in self._cut or task.uncancel() > 0:  # or the client has left as well
                raise
            raise stopping() from None
        finally:
            self._running.discard(task)
            self._cut.discard(task)

    def _begun(self, request: ProxyRequest, record: RequestRecord) -> Call:
        limits = self._limits
        self._budget.saw_request()
        deadline = self._clock.monotonic() + limits.first_byte_timeout_s
        client = self._dialects[request.dialect]
        return Call(request, record, client, deadline, limits, limits.max_wait_s)

    # --- models ---

    def _served(self, call: Call) -> Coroutine[object, object, Reply]:
        """Let the model serve, or those that may stand in for it."""
        request, configured = call.request, self._fallbacks
        named = request.fallbacks
        others = configured.models.get(request.model) if named is None else named
        if not others:
            return self._by_model(call, request.model)
        models = (request.model, *others)
        if configured.is_race if request.is_race is None else request.is_race:
            return first_of([partial(self._by_model, call, model) for model in models])
        return self._in_turn(call, models)

    async def _in_turn(self, call: Call, models: Sequence[str]) -> Reply:
        failure: GatewayError | None = None
        for model in models:
            try:
                return await self._by_model(call, model)
            except GatewayError as error:
                failure = more_telling(failure, error)
                if is_final_for_models(error) or not call.may_try(self._clock.monotonic()):
                    break
        assert failure is not None  # noqa: S101 - there is at least one model
        raise failure

    # --- providers ---

    def _by_model(self, call: Call, model: str) -> Coroutine[object, object, Reply]:
        """Let the providers of a model serve."""
        routes = self._snapshot().router.resolve(model)
        return self._over(routes[0], call) if len(routes) == 1 else self._over_each(routes, call)

    async def _over_each(self, routes: Sequence[Route], call: Call) -> Reply:
        """Try routes in turn."""
        failure: GatewayError | None = None
        for route in routes:
            try:
                return await self._over(route, call)
            except (UpstreamError, NoCapacity, BadRequest) as error:
                failure = more_telling(failure, error)
                if is_final(error) or not call.may_try(self._clock.monotonic()):
                    break
        assert failure is not None  # noqa: S101 - there is at least one route
        raise failure

    def _over(self, route: Route, call: Call) -> Coroutine[object, object, Reply]:
        """Plan the request for one route, and let its accounts serve."""
        desk = self._pool.desk(route)
        if not (desk.is_able() or call.wait_left_s > 0):
            raise self._refused(route, call)
        request, client = call.request, call.client
        if route.provider.offer_for(client) is None:
            call.record.provider_id, call.record.upstream_model = route.provider.id, route.model
            return aside(len(request.body), partial(own_answer, request, client, route))
        # Planned before the counter moves: a request that is refused takes nobody's turn.
        if len(request.body) > INLINE_BYTES:
            return self._over_aside(route, call, desk)
        try:
            plan = make_plan(request, client, route, wants_usage=self._asks_stream_usage)
        except BadRequest as error:
            call.pass_over(route, error, self._clock.now())
            raise
        return self._walk(call, plan, desk)

    async def _over_aside(self, route: Route, call: Call, desk: Desk) -> Reply:
        """The same for a request that takes long to plan."""
        planning = partial(make_plan, wants_usage=self._asks_stream_usage)
        try:
            plan = await asyncio.to_thread(planning, call.request, call.client, route)
        except BadRequest as error:
            call.pass_over(route, error, self._clock.now())
            raise
        return await self._walk(call, plan, desk)

    # --- accounts ---

    async def _walk(self, call: Call, plan: Plan, desk: Desk) -> Reply:
        """Try the accounts of one route in turn."""
        failure: GatewayError | None = None
        visit = self._affinity.met(call.request, call.client, plan.route)
        if visit is not None and visit.asks:
            await self._affinity.ask(visit)
        turn = self._turn(desk, visit)
        while call.may_try(self._clock.monotonic()):
            lease = await turn.next()
            if lease is None:
                if not await self._waited(call, plan.route, failure):
                    break
                turn = self._turn(desk, visit)
                continue
            try:
                if self._limits.hedge_after_s and call.request.stream:
                    return await self._hedged(call, plan, lease, turn, visit)
                return await self._attempts.reply(call, plan, lease, visit)
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

    def _turn(self, desk: Desk, visit: Visit | None) -> Turn:
        if visit is None or not visit.is_looked_up:
            return desk.walk()
        return desk.walk(
            visit.home,
            self._limits.home_wait_s,
            is_lent=visit.is_lent,
            is_local=visit.has_asked,
            counter=visit.counter,
        )

    async def _hedged(
        self, call: Call, plan: Plan, lease: Lease, turn: Turn, visit: Visit | None
    ) -> Reply:
        """Let one account serve; where it is slow to begin, another as well."""
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
