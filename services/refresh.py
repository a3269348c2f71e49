"""One refresh of one account's token, over all coroutines and processes that want it.

The right to ask is a lease on the account's row; the row's token version is the fence behind it.
Whoever does not hold the lease waits for the outcome of who does. The lease of a process that
died is taken over only after a grace: it may hold the answer on a disk that we cannot see.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias

from auth.oauth import read_token, refresh_request
from auth.token_failures import RefreshError, RefreshFailed, RefreshRejected, RefreshThrottled
from models.account import Account, StoredAccount, TokenState
from models.egress import EgressProxy
from models.errors import (
    ErrorKind,
    GatewayError,
    NoCapacity,
    NotFound,
)
from models.event import EventKind, Tell, called, tell_nobody
from models.ids import new_id
from models.ports import Clock, Transport
from repositories.base import AccountRepository
from services.failpoints import failpoint
from services.freshness import is_live
from services.hindrance import PROXY_FAILED, Hindrance
from services.sealed import TokenRecord
from services.shared_tokens import Backoff, SharedTokens
from services.token_calls import answer_of
from services.token_store import TokenStore, with_tokens

logger = logging.getLogger(__name__)

EgressOf: TypeAlias = Callable[[Account], EgressProxy | None]
"""Returns the account's proxy, None for direct; raises NoCapacity when it may not go direct."""

_PAUSE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class TokenTimes:
    """How long things take that concern tokens."""

    leeway_s: float = 300.0
    """A token is refreshed when it expires within this time."""
    lease_s: float = 60.0
    """How long a process has the right to ask; longer than `http_timeout_s`."""
    takeover_grace_s: float = 60.0
    """How long after the end of another process's lease it may be taken over."""
    wait_s: float = 25.0
    """How long anybody waits for a refresh."""
    http_timeout_s: float = 20.0
    poll_s: float = 0.1
    """How often those who wait look for the outcome."""
    backoff_s: float = 1.0
    """Pause after the first failure; it doubles with each one."""
    max_backoff_s: float = 300.0
    save_retry_s: float = 2.0
    """How often unsaved tokens are offered to the database."""
    concurrency: int = 8
    """Refreshes at once in the background."""


class Refresher:
    """Asks token endpoints, each at most once at a time over all processes."""

    def __init__(
        self,
        *,
        accounts: AccountRepository,
        store: TokenStore,
        shared: SharedTokens,
        transport: Transport,
        egress_of: EgressOf,
        clock: Clock,
        times: TokenTimes,
        user_agent: str,
        chance: Random,
        tell: Tell = tell_nobody,
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._shared = shared
        self._transport = transport
        self._egress_of = egress_of
        self._clock = clock
        self._times = times
        self._user_agent = user_agent
        self._chance = chance
        self._tell = tell
        self._owner = new_id()
        # Refusals that the database could not confirm yet, by account and version.
        self._refused: dict[tuple[str, int], str] = {}
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let those who wait for other processes give up; running calls go on to their end."""
        self._stopping.set()

    async def backoff(self, account: Account) -> Backoff | None:
        """Return the last failure of the account's present tokens, if it is remembered."""
        return await self._shared.backoff(account)

    async def refresh(self, used: StoredAccount) -> StoredAccount | Hindrance:
        """Return newer credentials of the account, somebody else's or our own, or why not."""
        version = used.account.token_version
        soon = self._clock.now() + _PAUSE_S
        try:
            return await self._refreshed(used)
        except RefreshRejected as error:
            return Hindrance(version, error.reason, math.inf)
        except _BackedOff as error:
            reason = error.backoff.reason
            kind = ErrorKind.EGRESS if reason == PROXY_FAILED else ErrorKind.UPSTREAM_AUTH
            return Hindrance(version, reason, error.backoff.until, kind)
        except _WaitedInVain:
            return Hindrance(version, "wait_s is over", 0.0, ErrorKind.TIMEOUT)
        except NoCapacity:
            return Hindrance(version, "no proxy", soon, ErrorKind.EGRESS)
        except NotFound:
            return Hindrance(version, "deleted", math.inf)
        except GatewayError as error:
            return Hindrance(version, error.code, soon, ErrorKind.UNAVAILABLE)

    async def _refreshed(self, used: StoredAccount) -> StoredAccount:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._times.wait_s
        while True:
            present = await self._present(used)
            if self._is_better(present, used):
                return present
            lease = await self._lease(present.account)
            if lease is not None:
                return await self._under_lease(present, is_takeover=lease.is_takeover)
            if loop.time() >= deadline or self._stopping.is_set():
                raise _WaitedInVain
            with suppress(TimeoutError):
                async with asyncio.timeout(self._times.poll_s):
                    await self._stopping.wait()

    # --- looking around ---

    async def _present(self, used: StoredAccount) -> StoredAccount:
        """Return the newest there is; without a call, and in the database if it answers.

        Raises RefreshRejected or _BackedOff when there is no sense in asking for more.
        """
        record = await self._shared.newest(used.account)
        if record is not None and is_live(record.credentials, self._clock.now()):
            return with_tokens(used.account, record)
        row = await self._row(used.account.id)
        if (unsaved := await self._store.newer(row.account)) is not None:
            row = await self._store.save(row.account, unsaved)
        if not self._is_better(row, used):
            await self._check(row)
        return row

    def _is_better(self, found: StoredAccount, used: StoredAccount) -> bool:
        is_newer = found.account.token_version > used.account.token_version
        return is_newer and is_live(found.credentials, self._clock.now())

    async def _check(self, row: StoredAccount) -> None:
        account = row.account
        if account.token_state is TokenState.NEEDS_REAUTH:
            raise RefreshRejected(account.token_error or "needs_reauth")
        if row.credentials.refresh is None or row.credentials.oauth is None:
            await self._give_up(account, "no_refresh_token")
            raise RefreshRejected("no_refresh_token")
        backoff = await self._shared.backoff(account)
        if backoff is not None and backoff.until > self._clock.now():
            raise _BackedOff(backoff)

    async def _row(self, account_id: str) -> StoredAccount:
        row = await self._accounts.get(account_id)
        if row is None:
            raise NotFound(f"account {account_id} was deleted")
        return row

    # --- the lease ---

    async def _lease(self, account: Account) -> "_Lease | None":
        now, grace_s = self._clock.now(), self._times.takeover_grace_s
        held = await self._accounts.refresh_lease(account.id)
        is_foreign = held is not None and held[0] != self._owner
        if held is not None and is_foreign and held[1] + grace_s > now:
            return None
        # An instant that lies the grace back makes the grace part of the one conditional UPDATE.
        won = await self._accounts.take_refresh_lease(
            account.id,
            self._owner,
            account.token_version,
            now=now - grace_s,
            lease_s=self._times.lease_s + grace_s,
        )
        return _Lease(is_takeover=is_foreign) if won else None

    async def _under_lease(self, row: StoredAccount, *, is_takeover: bool) -> StoredAccount:
        account = row.account
        # Whoever held the lease before us may have died between its answer and the database.
        if (unsaved := await self._store.newer(account)) is not None:
            return await self._store.save(account, unsaved)
        if is_takeover:
            await self._mark(account, TokenState.UNCERTAIN, "answer_lost")
        # The lease is given back after failures only. Storing tokens ends it; while the database
        # lacks them, or nobody knows what happened, it keeps the others from asking.
        try:
            return await self._asked(row)
        except RefreshRejected as error:
            found = await self._rejected(row, error)
            await self._release(account)
            if found is None:
                raise
            return found
        except RefreshError as error:
            backoff = await self._failed(account, error, is_uncertain=is_takeover)
            await self._release(account)
            raise _BackedOff(backoff) from error
        except NoCapacity:
            await self._release(account)
            raise

    async def _release(self, account: Account) -> None:
        with suppress(GatewayError):
            await self._accounts.release_refresh_lease(account.id, self._owner)

    # --- the call ---

    async def _asked(self, row: StoredAccount) -> StoredAccount:
        """Trade the refresh token, and secure what came. Raises RefreshError."""
        account, previous = row.account, row.credentials
        if previous.oauth is None or previous.refresh is None:
            raise RefreshRejected("no_refresh_token")
        if (reason := self._refused.get((account.id, account.token_version))) is not None:
            raise RefreshRejected(reason)
        request = refresh_request(previous.oauth, previous.refresh, user_agent=self._user_agent)
        egress = self._egress_of(account)
        failpoint("refresh.before_call")
        limit_s = self._times.http_timeout_s
        status, headers, body = await answer_of(self._transport, request, egress, limit_s)
        failpoint("refresh.after_response")
        new = read_token(status, headers, body, previous=previous, now=self._clock.now())
        record = TokenRecord(account.id, account.token_version + 1, new)
        await self._store.keep(account, record)
        logger.info(
            "token refreshed", extra={"account": account.id, "version": record.token_version}
        )
        try:
            return await self._store.save(account, record)
        except NotFound:
            raise
        except GatewayError as error:
            logger.warning(
                "refreshed token not stored yet",
                extra={"account": account.id, "error": error.message},
            )
            return with_tokens(account, record)

    # --- what went wrong ---

    async def _rejected(self, row: StoredAccount, error: RefreshRejected) -> StoredAccount | None:
        """Return other tokens if someone else has won; else give the account up.

        Raises StorageUnavailable when that cannot be told; the provider is not asked again then.
        """
        account = row.account
        key = (account.id, account.token_version)
        self._refused[key] = error.reason
        if (unsaved := await self._store.newer(account)) is not None:
            return await self._store.save(account, unsaved)
        again = await self._row(account.id)
        if not _differs(again, row) and not await self._give_up(account, error.reason):
            again = await self._row(account.id)
        del self._refused[key]
        return again if _differs(again, row) else None

    async def _give_up(self, account: Account, reason: str) -> bool:
        """Ask the operator for a new login, but only for the very tokens that were refused."""
        done = await self._accounts.set_token_state(
            account.id, account.token_version, TokenState.NEEDS_REAUTH, reason
        )
        if done:
            logger.warning(
                "account needs a new login", extra={"account": account.id, "reason": reason}
            )
            self._tell(
                EventKind.ACCOUNT_NEEDS_LOGIN,
                f"{called('account', account.label, account.id)} needs a login: the provider takes "
                f"its refresh token no more ({reason})",
                provider_id=account.provider_id,
                account_id=account.id,
                details={"reason": reason},
            )
        return done

    async def _failed(
        self, account: Account, error: RefreshError, *, is_uncertain: bool
    ) -> Backoff:
        """Note a failure for everybody; nobody asks again before the backoff is over."""
        before = await self._shared.backoff(account)
        failures = 1 if before is None else before.failures + 1
        backoff = Backoff(
            account.token_version,
            failures,
            self._clock.now() + self._pause_s(failures, error),
            error.reason,
            self._clock.now(),
        )
        await self._shared.put_backoff(account, backoff)
        is_uncertain |= isinstance(error, RefreshFailed) and error.is_lost
        is_uncertain |= account.token_state is TokenState.UNCERTAIN
        state = TokenState.UNCERTAIN if is_uncertain else TokenState.OK
        await self._mark(account, state, error.reason)
        logger.warning(
            "token not refreshed",
            extra={"account": account.id, "reason": error.reason, "failures": failures},
        )
        return backoff

    def _pause_s(self, failures: int, error: RefreshError) -> float:
        times = self._times
        pause_s = min(times.backoff_s * 2.0 ** min(failures - 1, 30), times.max_backoff_s)
        pause_s *= self._chance.uniform(0.8, 1.0)
        if isinstance(error, RefreshThrottled) and error.retry_after_s is not None:
            return max(pause_s, error.retry_after_s)
        return pause_s

    async def _mark(self, account: Account, state: TokenState, reason: str) -> None:
        """Show the state to the operator; nothing depends on whether it is stored."""
        if (account.token_state, account.token_error) == (state, reason):
            return
        with suppress(GatewayError):
            await self._accounts.set_token_state(account.id, account.token_version, state, reason)


@dataclass(frozen=True, slots=True)
class _Lease:
    """The right to ask; taken over when a process died with it."""

    is_takeover: bool


class _BackedOff(Exception):
    """Nobody may ask now."""

    def __init__(self, backoff: Backoff) -> None:
        super().__init__(backoff.reason)
        self.backoff = backoff


class _WaitedInVain(Exception):
    """Another process holds the lease and has brought nothing so far."""


def _differs(found: StoredAccount, used: StoredAccount) -> bool:
    is_other_version = found.account.token_version != used.account.token_version
    return is_other_version or found.credentials.refresh != used.credentials.refresh
