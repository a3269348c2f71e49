"""One account's try at a request: token, send, answer; and what is learned from it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Final

from models.account import Credentials
from models.attempt import Attempt
from models.errors import (
    Blame,
    ConnectionLost,
    ErrorKind,
    UpstreamError,
)
from models.exchange import UpstreamRequest
from models.ports import Clock, Transport, UpstreamResponse
from models.rest import origin
from providers.base import build_request
from services.affinity import Visit
from services.answers import Accepted, Answers, Limits, Reply
from services.aside import aside
from services.breaker import Breaker
from services.call import Call
from services.discovery import Discoveries
from services.hosts import sent_to_one_of
from services.plan import Plan, without_signatures
from services.pool import Lease, Pool
from services.quotas import Quotas
from services.rate_limits import limits_told
from services.tokens import Tokens
from services.tries import Try, note_failure
from services.unwrapped import Unwrapped
from services.veil import hide

logger = logging.getLogger(__name__)

_ERROR_BODY_BYTES: Final = 1 << 20
_ERROR_BODY_S: Final = 10.0
_UNAUTHORIZED: Final = 401
_UNAVAILABLE: Final = 503


class Attempts:
    """Lets accounts serve, and judges what came of it."""

    def __init__(
        self,
        *,
        pool: Pool,
        tokens: Tokens,
        discoveries: Discoveries,
        transport: Transport,
        breaker: Breaker,
        quotas: Quotas,
        answers: Answers,
        clock: Clock,
        limits: Limits,
        user_agent: str,
    ) -> None:
        self._pool = pool
        self._tokens = tokens
        self._discoveries = discoveries
        self._transport = transport
        self._breaker = breaker
        self._quotas = quotas
        self._answers = answers
        self._clock = clock
        self._limits = limits
        self._user_agent = user_agent

    async def reply(self, call: Call, plan: Plan, lease: Lease, visit: Visit | None) -> Reply:
        """Return the answer of one account; the lease ends with it, or at once without one.

        Raises UpstreamError, judged, or NoCapacity when the provider is left alone.
        """
        one = self._begun(call, plan, lease, visit)
        try:
            reply = await self._served(one)
            one.win(reply)
        except BaseException as error:
            self._failed(one, error)
            raise
        over = partial(self._over, one)
        reply.finish = over if reply.chunks is None else partial(_both, reply.finish, over)
        try:
            self._note_success(one, reply)
        except BaseException:
            reply.drop()
            raise
        return reply

    def _failed(self, one: Try, error: BaseException) -> None:
        try:
            if isinstance(error, UpstreamError):
                self._judge(one, error)
            else:
                note_failure(one.row, error)
        finally:
            self._over(one)

    def _note_success(self, one: Try, reply: Reply) -> None:
        call, route, account_id = one.call, one.plan.route, one.lease.account.id
        one.credit()  # another may have begun meanwhile, even where the last row is this one's
        call.record.first_byte_ms = (self._clock.monotonic() - call.request.started) * 1000.0
        if one.visit is not None:
            one.visit.served(account_id, one.lease.choice, self._first_content_s(one, reply))
            call.record.affinity = one.visit.outcome
        if reply.chunks is None:
            self._judge(one, None)
            reply.drop()
        else:
            # It has begun, so no limit stands in the way; how it ends is another matter.
            self._breaker.began(one.admitted, since=one.sent_at)
            self._pool.succeeded(one.lease, route, since=one.sent_at)

    # --- the way to an answer ---

    def _begun(self, call: Call, plan: Plan, lease: Lease, visit: Visit | None) -> Try:
        row = self._row(call, plan, lease)
        one = Try(call, plan, lease, visit, lease.stored, row, self._clock.monotonic())
        call.record.attempts += 1
        one.credit()
        return one

    def _row(self, call: Call, plan: Plan, lease: Lease) -> Attempt:
        row = Attempt(
            len(call.record.tries) + 1,
            self._clock.now(),
            plan.route.provider.id,
            plan.route.model,
            lease.account.id,
            lease.egress.id if lease.egress is not None else None,
            lease.choice,
            lease.counter,
            lease.decision,
            sent=False,
        )
        call.record.tries.append(row)
        return row

    async def _served(self, one: Try) -> Reply:
        """Return the answer. A history whose signatures the account refuses is sent once more
        without them: accounts of other organisations may have made them. So is a request that
        met a connection which had been idle for too long: that says nothing of anybody."""
        plan = one.plan
        if plan.route.provider.discovery is not None:
            one.stored = await self._discoveries.ready(one.stored, plan.route.provider)
        try:
            return await self._answered(one)
        except ConnectionLost:
            if one.call.met_stale_connection:
                raise
            one.call.met_stale_connection = True
        except UpstreamError as error:
            if error.kind is not ErrorKind.SIGNATURE:
                raise
            bare = await aside(len(plan.body), partial(without_signatures, plan))
            if bare is None:
                raise
            one.plan = bare
            logger.info("signatures were refused", extra={"account": one.lease.account.id})
        return await self._answered(one)

    async def _answered(self, one: Try) -> Reply:
        credentials = await self._tokens.get(one.stored)
        one.secret = credentials.access
        response = await self._send(one, credentials)
        try:
            if response.status == _UNAUTHORIZED:
                response = await self._once_more(one, credentials, response)
            if not 200 <= response.status < 300:
                raise await _diagnosed(one.plan, response)
            ended = partial(self._judge, one)
            call = one.call
            reply = await self._answers.reply(
                Accepted(call.request, one.outcome, one.plan, response, ended, one.secret)
            )
        except BaseException:
            response.close()
            raise
        self._tell_limits(one.plan, reply, response)
        return reply

    def _tell_limits(self, plan: Plan, reply: Reply, response: UpstreamResponse) -> None:
        reply.headers |= limits_told(
            response.headers, plan.upstream.name, plan.client.name, self._clock.now()
        )
        if plan.dropped:
            reply.headers["x-aigateway-dropped"] = plan.dropped_names

    async def _once_more(
        self, one: Try, credentials: Credentials, response: UpstreamResponse
    ) -> UpstreamResponse:
        """An unexpired token was refused: refresh it once and send again with the new one."""
        fresh = await self._tokens.rejected(one.stored, credentials.access)
        if fresh is None:
            return response
        response.close()
        one.secret = fresh.access
        return await self._send(one, fresh)

    # --- sending ---

    def _send(
        self, one: Try, credentials: Credentials
    ) -> Coroutine[object, object, UpstreamResponse]:
        """Send to the provider's address; where that host fails, to the next one it has."""
        return sent_to_one_of(one.plan.offer, partial(self._send_to, one, credentials))

    async def _send_to(self, one: Try, credentials: Credentials, base_url: str) -> UpstreamResponse:
        subject = origin(one.plan.route.provider.id, base_url)
        if one.admitted != subject:
            await self._breaker.admit(subject)
            one.admitted = subject
        row = self._row_of(one, base_url)
        began, one.sent_at = self._clock.monotonic(), self._clock.now()
        try:
            response = await self._transport.send(
                self._request(one, credentials, base_url),
                one.lease.egress,
                first_byte_timeout_s=self._patience_s(one.call),
            )
        except UpstreamError as error:
            row.sent = error.sent
            note_failure(row, error)
            if one.call.met_stale_connection or not isinstance(error, ConnectionLost):
                self._breaker.saw(subject, error, since=one.sent_at)
            raise
        row.status = response.status
        row.first_byte_ms = (self._clock.monotonic() - began) * 1000.0
        self._quotas.saw(one.lease.account.id, one.plan.route, response.status, response.headers)
        envelope = one.plan.route.provider.envelope
        return response if envelope is None else Unwrapped(response, envelope)

    def _row_of(self, one: Try, base_url: str) -> Attempt:
        """Return the row of a call that is about to be sent: each has one of its own."""
        if one.row.base_url is not None:
            if one.row.base_url != base_url:
                self._passed_over(one)
            self._end_row(one)
            one.row = self._row(one.call, one.plan, one.lease)
            one.began = self._clock.monotonic()
        one.row.base_url, one.row.sent = base_url, True
        return one.row

    def _passed_over(self, one: Try) -> None:
        """Count the answer of an address that was left for the next one."""
        row = one.row
        if row.base_url is not None and row.status is not None:
            is_failure = row.status == _UNAVAILABLE
            error = UpstreamError("unavailable", kind=ErrorKind.OVERLOADED) if is_failure else None
            address = origin(one.plan.route.provider.id, row.base_url)
            self._breaker.saw(address, error, since=one.sent_at)

    def _request(self, one: Try, credentials: Credentials, base_url: str) -> UpstreamRequest:
        plan, request = one.plan, one.call.request
        return build_request(
            plan.route,
            plan.offer,
            base_url,
            plan.body,
            stream=request.stream,
            request_id=request.id,
            account=one.stored.account,
            credentials=credentials,
            client_headers=request.headers if plan.upstream is plan.client else {},
            user_agent=self._user_agent,
        )

    def _patience_s(self, call: Call) -> float:
        limits = self._limits
        one_s = limits.stream_attempt_timeout_s if call.request.stream else limits.attempt_timeout_s
        return min(one_s, max(call.deadline - self._clock.monotonic(), 0.0))

    # --- what came of it ---

    def _judge(self, one: Try, error: UpstreamError | None) -> None:
        """Let the one to blame rest; without an error the account has shown that it is well."""
        route, row, lease = one.plan.route, one.row, one.lease
        if error is not None and error.blame is Blame.EGRESS and lease.egress is None:
            _blame_provider(error)
        if row.status is not None:
            self._breaker.saw(one.admitted, error, since=one.sent_at)
        if error is None:
            self._pool.succeeded(lease, route, since=one.sent_at)
            return
        hide(error, one.secret)
        note_failure(row, error)
        self._quotas.failed(lease.account.id, route, error)
        if one.visit is not None:
            one.visit.failed(lease.account.id, error)
        if error.remedy is not None:
            logger.warning(
                "an account needs its operator",
                extra={"account": lease.account.id, "remedy": error.remedy},
            )
        if error.blame is Blame.EGRESS and lease.egress is not None:
            one.call.record.egress_errors += (lease.egress.id,)
        rest = self._pool.report(lease, route, error)
        if rest is not None:
            row.rest_scope, row.rest_until = f"{rest.subject} {rest.scope}", rest.until

    def _over(self, one: Try) -> None:
        """The answer has ended, one way or the other."""
        if one.is_over:
            return
        one.is_over = True
        one.lease.release()
        self._end_row(one)
        if not one.serves:
            return
        record, outcome = one.call.record, one.outcome
        record.usage = outcome.usage
        record.error_code = outcome.error_code or record.error_code
        if one.visit is not None:
            record.cached_tokens_lost = one.visit.ended(record.usage)

    def _first_content_s(self, one: Try, reply: Reply) -> float | None:
        """How long it took to the content of a stream; a whole answer's time says nothing."""
        return None if reply.chunks is None else self._clock.monotonic() - one.began

    def _end_row(self, one: Try) -> None:
        one.row.latency_ms = (self._clock.monotonic() - one.began) * 1000.0


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


def _blame_provider(error: UpstreamError) -> None:
    """Without a proxy nobody stands between us and the provider: its page is as good as a 500."""
    error.blame = Blame.PROVIDER
    if error.kind is ErrorKind.EGRESS:
        error.kind = ErrorKind.UPSTREAM


def _both(first: Callable[[], None], second: Callable[[], None]) -> None:
    try:
        first()
    finally:
        second()
