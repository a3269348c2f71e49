"""One account's try at a request: token, send, answer; and what is learned from it."""

import asyncio
import logging
from collections.abc import Coroutine
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
from services.answers import Answers, Limits
from services.aside import aside
from services.breaker import Breaker
from services.call import Call
from services.discovery import Discoveries
from services.hosts import sent_to_one_of
from services.plan import Plan, without_signatures
from services.pool import Pool
from services.quotas import Quotas
from services.rate_limits import limits_told
from services.reply import Reply
from services.slots import Lease
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
        row, began = self._row(call, plan, lease), self._clock.monotonic()
        one = Try(call, call.request, plan, lease, visit, lease.stored, row, began, self)
        call.record.attempts += 1
        one.credit()
        try:
            if plan.route.provider.discovery is not None:
                one.stored = await self._discoveries.ready(one.stored, plan.route.provider)
            try:
                reply = await self._answered(one)
            except UpstreamError as error:
                if not await self._is_to_repeat(one, error):
                    raise
                reply = await self._answered(one)
            one.win(reply)
        except BaseException as error:
            self._failed(one, error)
            raise
        self._succeeded(one, reply)
        return reply

    def _succeeded(self, one: Try, reply: Reply) -> None:
        is_stream = reply.stream is not None
        if is_stream:
            one.hold(reply)
        try:
            self._note_success(one, is_stream=is_stream)
        except BaseException:
            reply.drop()
            raise
        finally:
            if not is_stream:
                self.conclude(one)

    def _failed(self, one: Try, error: BaseException) -> None:
        try:
            if isinstance(error, UpstreamError):
                self.judge(one, error)
            else:
                note_failure(one.row, error)
        finally:
            self.conclude(one)

    def _note_success(self, one: Try, *, is_stream: bool) -> None:
        call, row, visit = one.call, one.row, one.visit
        record, now = call.record, self._clock.monotonic()
        if call.credited is not row:  # another may have begun meanwhile
            one.credit()
        record.first_byte_ms = (now - one.request.started) * 1000.0
        if visit is not None:
            # How long it took to the content of a stream; a whole answer's time says nothing.
            record.affinity = visit.served(row.account_id, now - one.began if is_stream else None)
        if is_stream:
            if not self._limits.hedge_after_s:  # else another may be about to send it
                one.plan.body = b""  # the stream may run on for long without
            # It has begun, so no limit stands in the way; how it ends is another matter.
            self._breaker.began(one.admitted, since=one.sent_at)
            self._pool.succeeded(one.lease, one.plan.route, since=one.sent_at)
        else:
            self.judge(one, None)

    # --- the way to an answer ---

    def _row(self, call: Call, plan: Plan, lease: Lease) -> Attempt:
        route, egress, tries = plan.route, lease.egress, call.record.tries
        row = Attempt(
            len(tries) + 1,
            self._clock.now(),
            route.provider.id,
            route.model,
            lease.stored.account.id,
            None if egress is None else egress.id,
            lease.choice,
            lease.counter,
            lease.decision,
            sent=False,
        )
        tries.append(row)
        return row

    async def _is_to_repeat(self, one: Try, error: UpstreamError) -> bool:
        """Whether the account is to be asked once more, as the failure says nothing of it.

        A history whose signatures it refuses is sent without them: accounts of other organisations
        may have made them. And a connection may have been idle for too long.
        """
        if isinstance(error, ConnectionLost):
            is_first = not one.call.met_stale_connection
            one.call.met_stale_connection = True
            return is_first
        if error.kind is not ErrorKind.SIGNATURE:
            return False
        bare = await aside(len(one.plan.body), partial(without_signatures, one.plan))
        if bare is None:
            return False
        one.plan = bare
        logger.info("signatures were refused", extra={"account": one.lease.account.id})
        return True

    async def _answered(self, one: Try) -> Reply:
        credentials = await self._tokens.get(one.stored)
        one.secret = credentials.access
        response = await self._send(one, credentials)
        try:
            if response.status == _UNAUTHORIZED:
                response = await self._once_more(one, credentials, response)
            if not 200 <= response.status < 300:
                raise await _diagnosed(one.plan, response)
            one.response = response
            answers = self._answers
            reply = await (answers.stream(one) if one.request.stream else answers.whole(one))
        except BaseException:
            response.close()
            raise
        self._tell_limits(one.plan, reply, response)
        return reply

    def _tell_limits(self, plan: Plan, reply: Reply, response: UpstreamResponse) -> None:
        spoken, client = plan.offer.dialect.name, plan.client.name
        told = limits_told(response.headers, spoken, client, self._clock.now())
        if told:
            reply.headers |= told
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
        offer = one.plan.offer
        if not offer.mirrors:
            return self._send_to(one, credentials, offer.base_url)
        return sent_to_one_of(offer, partial(self._send_to, one, credentials))

    async def _send_to(self, one: Try, credentials: Credentials, base_url: str) -> UpstreamResponse:
        route = one.plan.route
        subject = origin(route.provider.id, base_url)
        if one.admitted != subject:
            if not self._breaker.is_free(subject):
                await self._breaker.admit(subject)
            one.admitted = subject
        row = one.row if one.row.base_url is None else self._next_row(one, base_url)
        row.base_url, row.sent = base_url, True
        began, one.sent_at = self._clock.monotonic(), self._clock.now()
        try:
            response = await self._transport.send(
                self._request(one, credentials, base_url),
                one.lease.egress,
                first_byte_timeout_s=self._patience_s(one.call, began),
            )
        except UpstreamError as error:
            row.sent = error.sent
            note_failure(row, error)
            if one.call.met_stale_connection or not isinstance(error, ConnectionLost):
                self._breaker.saw(subject, error, since=one.sent_at)
            raise
        row.status = response.status
        row.first_byte_ms = (self._clock.monotonic() - began) * 1000.0
        self._quotas.saw(row.account_id, route, response.status, response.headers)
        envelope = route.provider.envelope
        return response if envelope is None else Unwrapped(response, envelope)

    def _next_row(self, one: Try, base_url: str) -> Attempt:
        """Return the row of one more call that is about to be sent: each has one of its own."""
        if one.row.base_url != base_url:
            self._passed_over(one)
        now = self._clock.monotonic()
        one.row.latency_ms = (now - one.began) * 1000.0
        one.row, one.began = self._row(one.call, one.plan, one.lease), now
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
        plan, request = one.plan, one.request
        return build_request(
            plan.route,
            plan.offer,
            base_url,
            plan.body,
            stream=request.stream,
            request_id=request.id,
            account=one.stored.account,
            credentials=credentials,
            client_headers=request.headers if plan.offer.dialect is plan.client else {},
            user_agent=self._user_agent,
        )

    def _patience_s(self, call: Call, now: float) -> float:
        limits, left_s = self._limits, call.deadline - now
        one_s = limits.stream_attempt_timeout_s if call.request.stream else limits.attempt_timeout_s
        return one_s if one_s < left_s else max(left_s, 0.0)

    # --- what came of it ---

    def judge(self, one: Try, error: UpstreamError | None) -> None:
        """Let the one to blame rest; without an error the account has shown that it is well."""
        if error is not None:
            self._blame(one, error)
            return
        self._breaker.saw(one.admitted, None, since=one.sent_at)
        self._pool.succeeded(one.lease, one.plan.route, since=one.sent_at)

    def _blame(self, one: Try, error: UpstreamError) -> None:
        route, row, lease = one.plan.route, one.row, one.lease
        if error.blame is Blame.EGRESS and lease.egress is None:
            _blame_provider(error)
        if row.status is not None:
            self._breaker.saw(one.admitted, error, since=one.sent_at)
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

    def conclude(self, one: Try) -> None:
        """The answer has ended, one way or the other."""
        if one.is_over:
            return
        one.is_over = True
        one.lease.release()
        one.row.latency_ms = (self._clock.monotonic() - one.began) * 1000.0
        if not one.serves:
            return
        record, usage = one.call.record, one.usage
        record.usage = usage
        if one.error_code is not None:
            record.error_code = one.error_code
        if one.visit is not None:
            record.cached_tokens_lost = one.visit.ended(usage)


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
