"""What an account must know of itself before its first call, found out once and kept.

A discovery is one task of the keeper's own, which everybody who needs it joins: a caller that
leaves cancels nothing. It goes the account's own way out and is signed with its credential. What
was found is stored in the account's metadata; a failure is remembered for a while.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from models.account import Account, StoredAccount
from models.errors import (
    Blame,
    ErrorKind,
    GatewayError,
    NoCapacity,
    TimedOut,
    UpstreamError,
)
from models.json_types import JsonObject
from models.ports import Clock
from providers.base import Discovery, Provider, Step
from repositories.base import AccountRepository
from services.account_calls import AccountCalls
from services.veil import hide

logger = logging.getLogger(__name__)

_Outcome: TypeAlias = JsonObject | UpstreamError

_LIMIT_S: Final = 120.0
"""For a whole discovery, its pauses included."""
_CALL_S: Final = 20.0
_WAIT_S: Final = 25.0
"""How long a request waits for one; the discovery goes on."""
_REMEMBERED_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why an account in this state is not ready."""

    state: tuple[int, float]
    error: UpstreamError
    until: float
    """Epoch seconds until which asking again is useless."""


class Discoveries:
    """Makes accounts ready. Make it with `open_discoveries`."""

    def __init__(
        self,
        *,
        accounts: AccountRepository,
        changed: Callable[[], Awaitable[None]],
        calls: AccountCalls,
        clock: Clock,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`changed` lets every replica look at the accounts anew."""
        self._accounts = accounts
        self._changed = changed
        self._calls = calls
        self._clock = clock
        self._pause = pause
        self._flights: dict[str, asyncio.Task[_Outcome]] = {}
        # What snapshots do not show yet.
        self._found: dict[str, JsonObject] = {}
        self._failures: dict[str, _Failure] = {}

    async def ready(self, stored: StoredAccount, provider: Provider) -> StoredAccount:
        """Return the account with what it must know, found out now if need be.

        Raises UpstreamError when that cannot be found out.
        """
        discovery, account = provider.discovery, stored.account
        if discovery is None or not discovery.is_needed(account):
            self._found.pop(account.id, None)
            return stored
        facts = self._found.get(account.id)
        if facts is None:
            self._check(account)
            facts = await self._join(stored, provider, discovery)
        return replace(stored, account=_completed(account, facts))

    async def aclose(self) -> None:
        """Break off what runs: it can be begun anew at any time."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    # --- one discovery for everybody ---

    def _check(self, account: Account) -> None:
        failure = self._failures.get(account.id)
        if failure is None:
            return
        left_s = failure.until - self._clock.now()
        # Whoever changed the account or its credential may have removed the cause.
        if failure.state == _state(account) and left_s > 0:
            error = _again(failure.error, left_s)
            if error.blame is Blame.EGRESS:
                error.blame = Blame.ACCOUNT  # the proxy has paid when it failed
            raise error
        del self._failures[account.id]

    async def _join(
        self, stored: StoredAccount, provider: Provider, discovery: Discovery
    ) -> JsonObject:
        try:
            async with asyncio.timeout(_WAIT_S):
                outcome = await asyncio.shield(self._flight(stored, provider, discovery))
        except TimeoutError as error:
            raise TimedOut("the account is still being made ready") from error
        if isinstance(outcome, UpstreamError):
            raise _again(outcome, outcome.retry_after_s)
        return outcome

    def _flight(
        self, stored: StoredAccount, provider: Provider, discovery: Discovery
    ) -> asyncio.Task[_Outcome]:
        account_id = stored.account.id
        flight = self._flights.get(account_id)
        if flight is None:
            name = f"discovery.{account_id}"
            flight = asyncio.create_task(self._fly(stored, provider, discovery), name=name)
            self._flights[account_id] = flight
            flight.add_done_callback(lambda _: self._flights.pop(account_id))
        return flight

    async def _fly(
        self, stored: StoredAccount, provider: Provider, discovery: Discovery
    ) -> _Outcome:
        """Find out, and remember the outcome. Never raises: perhaps nobody waits any more."""
        account = stored.account
        try:
            async with asyncio.timeout(_LIMIT_S):
                facts = await self._walk(stored, provider, discovery.steps(account))
        except Exception as error:
            return self._failed(account, _told(error))
        self._found[account.id] = facts
        logger.info("account made ready", extra={"account": account.id, "facts": sorted(facts)})
        await self._store(account, facts)
        return facts

    def _failed(self, account: Account, error: UpstreamError) -> UpstreamError:
        now = self._clock.now()
        # Nobody asks any more after an account that was deleted.
        for account_id in [one for one, known in self._failures.items() if known.until <= now]:
            del self._failures[account_id]
        # Anew: the error itself holds the provider's answer and everything that led to it.
        kept = _again(error, error.retry_after_s)
        self._failures[account.id] = _Failure(_state(account), kept, now + _REMEMBERED_S)
        told = {"account": account.id, "error": error.message}
        if error.remedy is not None:
            told["remedy"] = error.remedy
        logger.warning("account cannot be made ready", extra=told)
        return error

    async def _store(self, account: Account, facts: JsonObject) -> None:
        try:
            await self._accounts.complete_metadata(account.id, facts)
            await self._changed()
        except GatewayError as error:  # used all the same; another process finds out anew
            logger.warning(
                "what was found out is not stored",
                extra={"account": account.id, "error": error.message},
            )

    # --- its calls ---

    async def _walk(
        self,
        stored: StoredAccount,
        provider: Provider,
        steps: Generator[Step, JsonObject, JsonObject],
    ) -> JsonObject:
        """Make each call of a discovery; a failed one is told to it, and it may go on."""
        caller = await self._calls.caller(stored, provider)
        try:
            step = next(steps)
            while True:
                if step.pause_s:
                    await self._pause(step.pause_s)
                try:
                    answer = await self._calls.answer(caller, step, limit_s=_CALL_S)
                except UpstreamError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            facts: JsonObject = end.value
            return facts
        except UpstreamError as error:
            hide(error, caller.credentials.access)  # what the discovery made of an answer
            raise
        finally:
            steps.close()


@asynccontextmanager
async def open_discoveries(
    *,
    accounts: AccountRepository,
    changed: Callable[[], Awaitable[None]],
    calls: AccountCalls,
    clock: Clock,
) -> AsyncGenerator[Discoveries, None]:
    """Yield the keeper; what still runs at the end is broken off."""
    discoveries = Discoveries(accounts=accounts, changed=changed, calls=calls, clock=clock)
    try:
        yield discoveries
    finally:
        await discoveries.aclose()


def _completed(account: Account, facts: JsonObject) -> Account:
    """Return the account with the facts; those it should not have been without win."""
    return replace(account, metadata={**account.metadata, **facts})


def _state(account: Account) -> tuple[int, float]:
    return account.token_version, account.updated_at


def _told(error: Exception) -> UpstreamError:
    """Return what those who wait are told."""
    match error:
        case UpstreamError():
            return error
        case TimeoutError():
            return TimedOut("the account could not be made ready in time")
        case NoCapacity():
            return UpstreamError(error.message, blame=Blame.ACCOUNT, kind=ErrorKind.EGRESS)
        case GatewayError():
            return UpstreamError(error.message)
        case _:
            # A mistake of ours; it must not be repeated at once.
            logger.error("a discovery failed unexpectedly", exc_info=error)
            return UpstreamError("the account could not be made ready")


def _again(error: UpstreamError, retry_after_s: float | None) -> UpstreamError:
    """Return the error anew: each request that is told of it changes its own."""
    return UpstreamError(
        error.message,
        blame=error.blame,
        retryable=error.retryable,
        kind=error.kind,
        status=error.status,
        retry_after_s=retry_after_s,
        upstream_status=error.upstream_status,
        vendor_code=error.vendor_code,
        sent=error.sent,
    )
