"""The one loop of a model call: route, account, token, send, relay.

Until the first content is there, another account may serve; after it nothing is retried.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from dialects.base import Dialect
from models.account import Credentials
from models.errors import (
    BadRequest,
    Blame,
    ConnectionLost,
    ErrorKind,
    GatewayError,
    NoCapacity,
    NoRoute,
    UpstreamError,
)
from models.exchange import ProxyRequest, RequestRecord
from models.ports import Clock, Transport, UpstreamResponse
from models.rest import Rest
from providers.base import Route, build_request
from services.answers import Accepted, Answers, Limits, Reply, stopping
from services.aside import aside
from services.discovery import Discoveries
from services.hosts import sent_to_one_of
from services.plan import Plan, make_plan, without_signatures
from services.pool import RATE_KINDS, STANDING_REASONS, Lease, Pool
from services.rate_limits import limits_told
from services.snapshot import Snapshot
from services.tokens import Tokens
from services.unoffered import own_answer
from services.unwrapped import Unwrapped
from services.veil import hide

logger = logging.getLogger(__name__)

_ERROR_BODY_BYTES: Final = 1 << 20
_ERROR_BODY_S: Final = 10.0
_UNAUTHORIZED: Final = 401


@dataclass(frozen=True, slots=True)
class _Call:
    """One model call, over all its attempts."""

    request: ProxyRequest
    record: RequestRecord
    deadline: float
    """Monotonic seconds: the answer must have begun by then."""


class Executor:
    """Serves model calls."""

    def __init__(
        self,
        *,
        snapshot: Callable[[], Snapshot],
        pool: Pool,
        tokens: Tokens,
        discoveries: Discoveries,
        transport: Transport,
        dialects: Mapping[str, Dialect],
        clock: Clock,
        limits: Limits,
        user_agent: str,
        asks_stream_usage: bool = True,
        tell: Callable[[Rest], None] = lambda _rest: None,
    ) -> None:
        """`tell` lets the other replicas know that somebody rests."""
        self._snapshot = snapshot
        self._pool = pool
        self._tokens = tokens
        self._discoveries = discoveries
        self._transport = transport
        self._dialects = dialects
        self._clock = clock
        self._limits = limits
        self._user_agent = user_agent
        self._asks_stream_usage = asks_stream_usage
        self._tell = tell
        self._answers = Answers(clock, limits)
        self._running: set[asyncio.Timeout] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a call is being served."""
        return bool(self._running) or self._answers.are_streaming

    def cut(self) -> None:
        """Break off whatever runs; each client is told so, and nobody else is blamed."""
        now = asyncio.get_running_loop().time()
        for scope in self._running:
            scope.reschedule(now)
        self._answers.cut()

    async def open(self, request: ProxyRequest, record: RequestRecord) -> Reply:
        """Return the answer once its first content is there; raises GatewayError before that.

        Fills `record` on the way. The caller must close the reply.
        """
        deadline = self._clock.monotonic() + self._limits.first_byte_timeout_s
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._running.add(scope)
                return await self._served(_Call(request, record, deadline))
        except TimeoutError:
            if not scope.expired():
                raise
            raise stopping() from None
        finally:
            self._running.discard(scope)

    async def _served(self, call: _Call) -> Reply:
        """Try the routes of the model in turn."""
        failure: GatewayError | None = None
        for route in self._snapshot().router.resolve(call.request.model):
            try:
                return await self._over(route, call)
            except (UpstreamError, NoCapacity, BadRequest) as error:
                failure = _more_telling(failure, error)
                if isinstance(error, UpstreamError) and not error.retryable:
                    break
            if not self._may_try(call):
                break
        raise failure or NoRoute(f"model {call.request.model!r} is not served here")

    async def _over(self, route: Route, call: _Call) -> Reply:
        """Try the accounts of one route in turn."""
        if not self._pool.tiers(route):
            raise self._pool.refusal(route)
        client, size_bytes = self._dialects[call.request.dialect], len(call.request.body)
        if route.provider.offer_for(client) is None:
            call.record.provider_id, call.record.upstream_model = route.provider.id, route.model
            return await aside(size_bytes, partial(own_answer, call.request, client, route))
        # Planned before the counter moves: a request that is refused takes nobody's turn.
        planned = partial(
            make_plan, call.request, client, route, wants_usage=self._asks_stream_usage
        )
        plan = await aside(size_bytes, planned)
        turn = await self._pool.turn(route)
        failure: GatewayError | None = None
        lost_once = False
        while self._may_try(call) and (lease := turn.next()) is not None:
            try:
                return await self._attempt(call, plan, lease)
            except UpstreamError as error:
                self._judge(call.record, plan, lease, error)
                if not error.retryable:
                    raise
                if isinstance(error, ConnectionLost) and not lost_once:
                    # An idle connection that the provider closed says nothing about the account.
                    lost_once = True
                else:
                    turn.tried.add(lease.account.id)
                failure = _more_telling(failure, error)
        raise self._exhausted(route, failure)

    def _may_try(self, call: _Call) -> bool:
        is_left = call.record.attempts < self._limits.max_attempts
        return is_left and self._clock.monotonic() < call.deadline

    def _exhausted(self, route: Route, failure: GatewayError | None) -> GatewayError:
        """Return what to say when nobody is left to try."""
        refusal = self._pool.refusal(route)
        if failure is None:
            return refusal
        if failure.kind in RATE_KINDS:
            # Each account named its own wait; the client may come back after the shortest.
            failure.retry_after_s = refusal.retry_after_s
        return failure

    async def _attempt(self, call: _Call, plan: Plan, lease: Lease) -> Reply:
        """Let one account serve. A history whose signatures it refuses is sent once more without
        them: accounts of other organisations may have made them."""
        _note(call.record, plan, lease)
        if plan.route.provider.discovery is not None:
            known = await self._discoveries.ready(lease.stored, plan.route.provider)
            lease = replace(lease, stored=known)
        try:
            return await self._answered(call, plan, lease)
        except UpstreamError as error:
            if error.kind is not ErrorKind.SIGNATURE:
                raise
            bare = await aside(len(plan.body), partial(without_signatures, plan))
            if bare is None:
                raise
        logger.info("signatures were refused", extra={"account": lease.account.id})
        return await self._answered(call, bare, lease)

    async def _answered(self, call: _Call, plan: Plan, lease: Lease) -> Reply:
        request, record = call.request, call.record
        credentials = await self._tokens.get(lease.stored)
        response = await self._send(call, plan, lease, credentials)
        try:
            if response.status == _UNAUTHORIZED:
                response, credentials = await self._once_more(
                    call, plan, lease, credentials, response
                )
            if not 200 <= response.status < 300:
                raise await _diagnosed(plan, response)
            ended = partial(self._judge, record, plan, lease)
            secret = credentials.access
            reply = await self._answers.reply(
                Accepted(request, record, plan, response, ended, secret)
            )
        except BaseException as error:
            response.close()
            if isinstance(error, UpstreamError):
                hide(error, credentials.access)
            raise
        if reply.chunks is None:
            ended(None)
        record.first_byte_ms = (self._clock.monotonic() - request.started) * 1000.0
        reply.headers |= limits_told(
            response.headers, plan.upstream.name, plan.client.name, self._clock.now()
        )
        if plan.dropped:
            reply.headers["x-aigateway-dropped"] = plan.dropped_names
        return reply

    async def _send(
        self, call: _Call, plan: Plan, lease: Lease, credentials: Credentials
    ) -> UpstreamResponse:
        """Send to the provider's address; where that host fails, to the next one it has."""
        return await sent_to_one_of(
            plan.offer, partial(self._send_to, call, plan, lease, credentials)
        )

    async def _send_to(
        self, call: _Call, plan: Plan, lease: Lease, credentials: Credentials, base_url: str
    ) -> UpstreamResponse:
        request = build_request(
            plan.route,
            plan.offer,
            base_url,
            plan.body,
            stream=call.request.stream,
            request_id=call.request.id,
            account=lease.account,
            credentials=credentials,
            client_headers=call.request.headers if plan.upstream is plan.client else {},
            user_agent=self._user_agent,
        )
        left_s = max(call.deadline - self._clock.monotonic(), 0.0)
        response = await self._transport.send(request, lease.egress, first_byte_timeout_s=left_s)
        envelope = plan.route.provider.envelope
        return response if envelope is None else Unwrapped(response, envelope)

    async def _once_more(
        self,
        call: _Call,
        plan: Plan,
        lease: Lease,
        credentials: Credentials,
        response: UpstreamResponse,
    ) -> tuple[UpstreamResponse, Credentials]:
        """An unexpired token was refused: refresh it once and send again with the new one."""
        fresh = await self._tokens.rejected(lease.stored, credentials.access)
        if fresh is None:
            return response, credentials
        response.close()
        return await self._send(call, plan, lease, fresh), fresh

    def _judge(
        self, record: RequestRecord, plan: Plan, lease: Lease, error: UpstreamError | None
    ) -> None:
        """Let the one to blame rest; without an error the account has shown that it is well."""
        if error is None:
            self._pool.succeeded(lease, plan.route)
            return
        if error.remedy is not None:
            logger.warning(
                "an account needs its operator",
                extra={"account": lease.account.id, "remedy": error.remedy},
            )
        if error.blame is Blame.EGRESS and lease.egress is not None:
            record.egress_errors += (lease.egress.id,)
        rest = self._pool.report(lease, plan.route, error)
        if rest is not None:
            self._tell(rest)


async def _diagnosed(plan: Plan, response: UpstreamResponse) -> UpstreamError:
    try:
        async with asyncio.timeout(_ERROR_BODY_S):
            body = await response.read(_ERROR_BODY_BYTES)
    except (UpstreamError, TimeoutError):
        body = b""
    provider = plan.route.provider
    error = provider.diagnose(plan.upstream, response.status, response.headers, body)
    is_json = "json" in response.headers.get("content-type", "")
    is_theirs = plan.upstream is plan.client and error.blame is Blame.REQUEST
    # Not with another status than we would tell: a 401 must mean the client's key with us.
    error.is_verbatim = is_theirs and is_json and error.status == response.status
    return error


def _note(record: RequestRecord, plan: Plan, lease: Lease) -> None:
    record.attempts += 1
    record.provider_id = plan.route.provider.id
    record.upstream_model = plan.route.model
    record.account_id = lease.account.id
    record.proxy_id = lease.egress.id if lease.egress is not None else None
    record.mode = plan.mode


def _more_telling(known: GatewayError | None, new: GatewayError) -> GatewayError:
    """Keep the error that tells the client most, the later one of equals."""
    return known if known is not None and _weight(known) > _weight(new) else new


def _weight(error: GatewayError) -> int:
    """What a provider said beats a way to it that failed, that beats accounts that cannot serve
    now, that beats a request which only some providers could not have served, and that beats a
    provider which nobody has an account of."""
    match error:
        case UpstreamError():
            return 3 if error.upstream_status is not None else 2
        case NoCapacity():
            return _weight_of_refusal(error.details.get("reasons"))
        case _:
            return 0


def _weight_of_refusal(reasons: object) -> int:
    """Who may serve later beats a request that is wrong; who has nobody at all, or nobody that
    could until an operator does something, does not."""
    if not isinstance(reasons, Mapping) or not reasons:
        return -2
    return -1 if reasons.keys() <= STANDING_REASONS else 1
