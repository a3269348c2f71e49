"""The token keeper: what signs a call, at once if possible, after one refresh if need be.

Memory holds the newest credentials of each account; a refresh is one task of the keeper's own,
which everybody who needs it joins. A caller that leaves cancels nothing, and `aclose` awaits
what runs. Who asks the token endpoint is settled in services/refresh.py.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random, SystemRandom
from typing import Final, TypeAlias

from auth.vault import Vault
from models.account import AuthType, Credentials, StoredAccount, TokenState
from models.errors import ErrorKind, GatewayError
from models.event import Tell, tell_nobody
from models.ports import Clock, Transport
from repositories.base import AccountRepository, SharedState
from services.freshness import is_due, is_fresh, is_late, is_live, is_worth_waiting
from services.hindrance import Hindrance
from services.journal import Journal, open_journal
from services.refresh import EgressOf, Refresher, TokenTimes
from services.shared_tokens import SharedTokens
from services.token_outlook import Outlook, is_overdue, outlook_of
from services.token_store import TokenStore

logger = logging.getLogger(__name__)

_Outcome: TypeAlias = StoredAccount | Hindrance

_CLOSE_LIMIT_S: Final = 30.0
_UNEXPECTED_PAUSE_S: Final = 10.0


class Tokens:
    """Keeps tokens fresh and hands them out. Make it with `open_tokens`."""

    def __init__(
        self,
        *,
        accounts: AccountRepository,
        store: TokenStore,
        refresher: Refresher,
        clock: Clock,
        times: TokenTimes,
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._refresher = refresher
        self._clock = clock
        self._times = times
        # By account id, of accounts that were refreshed: callers may come with older snapshots.
        self._held: dict[str, StoredAccount] = {}
        self._flights: dict[str, asyncio.Task[_Outcome]] = {}
        self._hindrances: dict[str, Hindrance] = {}
        self._forced: dict[str, int] = {}
        self._saver: asyncio.Task[None] | None = None
        self._is_closed = False

    async def start(self) -> None:
        """Store what dead processes left behind; what the database refuses now is kept."""
        await self._try_to_save()
        self._watch_unsaved()

    async def get(self, stored: StoredAccount) -> Credentials:
        """Return what signs a call of the account now.

        Raises UpstreamError (another account may be tried) when there is no valid token and none
        came within `wait_s`.
        """
        if stored.account.auth_type is not AuthType.OAUTH:
            return stored.credentials
        newest = self._newest(stored)
        if is_fresh(newest.credentials, self._clock.now(), self._times.leeway_s):
            return newest.credentials
        return await self._renewed(newest)

    async def rejected(self, stored: StoredAccount, access_token: str) -> Credentials | None:
        """Return new credentials after the provider refused `access_token` with 401, if any.

        Each version of an account's tokens gets at most one refresh for this reason.
        """
        if stored.account.auth_type is not AuthType.OAUTH:
            return None
        newest = self._newest(stored)
        if newest.credentials.access != access_token:
            return newest.credentials if is_live(newest.credentials, self._clock.now()) else None
        if stored.account.id not in self._flights and not self._may_force(newest):
            return None
        outcome = await self._join(newest)
        if isinstance(outcome, StoredAccount) and outcome.credentials.access != access_token:
            return outcome.credentials
        return None

    async def refresh_due(self) -> None:
        """Refresh every token that is about to expire, used or not, the soonest first; a few at a
        time.

        The refreshes outlive a caller that is cancelled. What processes left behind that died
        since our start is stored, too.
        """
        await self._store.adopt()
        self._watch_unsaved()
        try:
            everyone = await self._accounts.all()
        except GatewayError as error:
            logger.warning("tokens not looked through", extra={"error": error.message})
            return
        self._forget_others({stored.account.id for stored in everyone})
        due = [newest for stored in everyone if self._is_due(newest := self._newest(stored))]
        self._complain_of_late(due)
        waiting = iter(sorted(due, key=_ends_at))
        async with asyncio.TaskGroup() as group:
            for number in range(min(self._times.concurrency, len(due))):
                group.create_task(self._refresh_each(waiting), name=f"tokens.due.{number}")

    async def refresh_now(self, stored: StoredAccount) -> StoredAccount:
        """Refresh whether it is time or not; return the account with its new tokens.

        Raises UpstreamError when that is of no use now, or failed.
        """
        newest = self._newest(stored)
        outcome = self._hindrance(newest) or await self._join(newest)
        if isinstance(outcome, Hindrance):
            raise outcome.error(self._clock.now(), is_new=True)
        return outcome

    def is_late(self, stored: StoredAccount) -> bool:
        """Tell whether an account needs a login, or its refresh is overdue."""
        return is_overdue(self._newest(stored), self._clock.now(), self._times.leeway_s)

    async def outlook(self, stored: StoredAccount) -> Outlook:
        """Tell how the last refreshes of an account went, and when the next one is due."""
        newest = self._newest(stored)
        backoff = await self._refresher.backoff(newest.account)
        return outlook_of(newest, backoff, self._clock.now(), self._times.leeway_s)

    async def aclose(self) -> None:
        """Let running refreshes end, and offer what is unsaved to the database once more."""
        self._is_closed = True
        self._refresher.stop()
        if self._flights:
            await asyncio.wait(self._flights.values(), timeout=_CLOSE_LIMIT_S)
        if self._saver is not None:
            self._saver.cancel()
            await asyncio.wait({self._saver})
        await self._try_to_save()

    # --- memory ---

    def _newest(self, stored: StoredAccount) -> StoredAccount:
        """Return the caller's account or the one we hold, whichever is newer.

        Of the same version the caller's counts: it comes from the database.
        """
        held = self._held.get(stored.account.id)
        if held is None or held is stored:
            return stored
        if held.account.token_version <= stored.account.token_version:
            self._held[stored.account.id] = stored
            return stored
        return held

    def _hindrance(self, newest: StoredAccount) -> Hindrance | None:
        """Return why a refresh of these very tokens would be useless now, if it would be."""
        account = newest.account
        if account.token_state is TokenState.NEEDS_REAUTH:
            reason = account.token_error or account.token_state.value
            return Hindrance(account.token_version, reason, float("inf"))
        found = self._hindrances.get(account.id)
        if found is None or found.token_version != account.token_version:
            return None
        return found if found.until > self._clock.now() else None

    def _forget_others(self, account_ids: set[str]) -> None:
        for memory in (self._held, self._hindrances, self._forced):
            for account_id in memory.keys() - account_ids:
                memory.pop(account_id, None)

    # --- refreshing ---

    async def _renewed(self, newest: StoredAccount) -> Credentials:
        """Refresh; wait for it only if this token is about to end. It serves until it has."""
        credentials, now = newest.credentials, self._clock.now()
        outcome: _Outcome | None = self._hindrance(newest)
        is_new = outcome is None
        if outcome is None:
            if not is_worth_waiting(credentials, now, self._times.leeway_s):
                _ = self._flight(newest)  # in the background
                return credentials
            outcome = await self._join(newest)
        if isinstance(outcome, StoredAccount):
            return outcome.credentials
        now = self._clock.now()
        if is_live(credentials, now):
            return credentials
        raise outcome.error(now, is_new=is_new)

    async def _join(self, newest: StoredAccount) -> _Outcome:
        """Wait for the account's one refresh, which goes on if this caller leaves."""
        try:
            async with asyncio.timeout(self._times.wait_s):
                return await asyncio.shield(self._flight(newest))
        except TimeoutError:
            return _timed_out(newest, self._clock.now())

    def _flight(self, newest: StoredAccount) -> asyncio.Task[_Outcome]:
        account_id = newest.account.id
        flight = self._flights.get(account_id)
        if flight is None:
            flight = asyncio.create_task(self._fly(newest), name=f"tokens.refresh.{account_id}")
            self._flights[account_id] = flight
            flight.add_done_callback(lambda _: self._flights.pop(account_id))
        return flight

    async def _fly(self, newest: StoredAccount) -> _Outcome:
        """Refresh and remember the outcome. Never raises: perhaps nobody waits any more."""
        account = newest.account
        if self._is_closed:
            return _timed_out(newest, self._clock.now())
        try:
            outcome = await self._refresher.refresh(newest)
        except Exception:
            # A mistake of ours must not look like a dead account, nor be repeated at once.
            logger.exception("refresh failed unexpectedly", extra={"account": account.id})
            until = self._clock.now() + _UNEXPECTED_PAUSE_S
            outcome = Hindrance(account.token_version, "internal", until, ErrorKind.UNAVAILABLE)
        match outcome:
            case StoredAccount():
                self._held[account.id] = outcome
                self._hindrances.pop(account.id, None)
            case Hindrance():
                self._hindrances[account.id] = outcome
        self._watch_unsaved()
        return outcome

    def _may_force(self, newest: StoredAccount) -> bool:
        """Tell whether tokens may be refreshed before their time, and count it."""
        account, credentials = newest.account, newest.credentials
        if credentials.refresh is None or self._hindrance(newest) is not None:
            return False
        if self._forced.get(account.id) == account.token_version:
            return False
        self._forced[account.id] = account.token_version
        return True

    # --- the background scan ---

    def _is_due(self, newest: StoredAccount) -> bool:
        account = newest.account
        if account.auth_type is not AuthType.OAUTH or newest.credentials.refresh is None:
            return False
        if self._hindrance(newest) is not None:
            return False
        # A token that a provider refused before its time, and that could not be replaced then.
        was_refused = self._forced.get(account.id) == account.token_version
        return was_refused or is_due(newest, self._clock.now(), self._times.leeway_s)

    async def _refresh_each(self, due: Iterator[StoredAccount]) -> None:
        for newest in due:
            if self._is_closed:
                return
            await self._join(newest)

    def _complain_of_late(self, due: Sequence[StoredAccount]) -> None:
        now, leeway_s = self._clock.now(), self._times.leeway_s
        late = [newest.account.id for newest in due if is_late(newest, now, leeway_s)]
        if late:
            logger.warning(
                "tokens are refreshed late", extra={"count": len(late), "account": late[0]}
            )

    # --- what the database lacks ---

    def _watch_unsaved(self) -> None:
        is_watching = self._saver is not None and not self._saver.done()
        if self._store.has_unsaved and not is_watching and not self._is_closed:
            self._saver = asyncio.create_task(self._save_until_done(), name="tokens.save")

    async def _save_until_done(self) -> None:
        while self._store.has_unsaved:
            await asyncio.sleep(self._times.save_retry_s)
            await self._try_to_save()

    async def _try_to_save(self) -> None:
        with suppress(GatewayError):
            await self._store.save_all()


@asynccontextmanager
async def open_tokens(
    *,
    accounts: AccountRepository,
    shared: SharedState,
    transport: Transport,
    vault: Vault,
    journal_dir: Path,
    egress_of: EgressOf,
    clock: Clock,
    user_agent: str,
    times: TokenTimes | None = None,
    chance: Random | None = None,
    tell: Tell = tell_nobody,
) -> AsyncGenerator[Tokens, None]:
    """Open the keeper with its journal; at the end running refreshes are awaited.

    Raises OSError when the journal's folder cannot be written.
    """
    times = times or TokenTimes()
    async with open_journal(journal_dir, vault) as journal:
        tokens = _assembled(
            accounts, SharedTokens(shared, vault, clock), journal, transport, egress_of,
            clock, user_agent, times, chance or SystemRandom(), tell,
        )  # fmt: skip
        await tokens.start()
        try:
            yield tokens
        finally:
            await tokens.aclose()


def _assembled(
    accounts: AccountRepository,
    shared: SharedTokens,
    journal: Journal,
    transport: Transport,
    egress_of: EgressOf,
    clock: Clock,
    user_agent: str,
    times: TokenTimes,
    chance: Random,
    tell: Tell,
) -> Tokens:
    store = TokenStore(accounts, shared, journal)
    refresher = Refresher(
        accounts=accounts,
        store=store,
        shared=shared,
        transport=transport,
        egress_of=egress_of,
        clock=clock,
        times=times,
        user_agent=user_agent,
        chance=chance,
        tell=tell,
    )
    return Tokens(accounts=accounts, store=store, refresher=refresher, clock=clock, times=times)


def _ends_at(stored: StoredAccount) -> float:
    """The order of the scan: who has no token comes before those whose token ends soon."""
    return (stored.credentials.expires_at or 0.0) if stored.credentials.access else 0.0


def _timed_out(newest: StoredAccount, now: float) -> Hindrance:
    return Hindrance(newest.account.token_version, "still waiting", now, ErrorKind.TIMEOUT)
