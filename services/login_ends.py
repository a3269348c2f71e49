"""How a login ends: tokens come, the account gets them, the flow says so.

What has begun to end goes on if its caller leaves: a code cannot be traded twice.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from auth.token_failures import RefreshError
from models.egress import EgressProxy
from models.errors import GatewayError
from repositories.base import OAuthFlow
from services.login_accounts import LoginAccounts
from services.login_beginnings import Beginnings
from services.login_calls import Granted
from services.login_failures import told
from services.login_flows import DONE, Flows

T = TypeVar("T")

_CLOSE_LIMIT_S: Final = 30.0


class LoginEnds:
    """Owns the tasks in which logins end. Make it with `open_login_ends`."""

    def __init__(self, flows: Flows, beginnings: Beginnings, accounts: LoginAccounts) -> None:
        self._flows = flows
        self._beginnings = beginnings
        self._accounts = accounts
        self._running: set[asyncio.Task[object]] = set()

    async def to_its_end(self, work: Coroutine[object, object, T]) -> T:
        """Return what the work returns; it goes on if the caller leaves."""
        task: asyncio.Task[T] = asyncio.create_task(work, name="login.end")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def traded(
        self, flow: OAuthFlow, trade: Callable[[EgressProxy | None], Awaitable[Granted]]
    ) -> OAuthFlow:
        """Get tokens once, the account's way out, and give them to the account.

        The flow must be used already. Raises GatewayError; the flow then says why, too.
        """
        try:
            egress = await self._beginnings.way_of(flow)
            granted = await trade(egress)
        except RefreshError as error:
            await self._flows.finish(flow, error.reason)
            raise told(error) from error
        except GatewayError as error:
            await self._flows.finish(flow, error.code)
            raise
        return await self.settled(flow, granted, egress)

    async def settled(
        self, flow: OAuthFlow, granted: Granted, egress: EgressProxy | None
    ) -> OAuthFlow:
        """Give what came to the account that it belongs to. Raises Conflict or NotFound."""
        wanted = self._beginnings.wanted(flow, egress)
        try:
            account = await self._accounts.settle(granted, wanted, flow.account_id)
        except GatewayError as error:
            await self._flows.finish(flow, error.code)
            raise
        return await self._flows.finish(flow, DONE, account.id)

    async def aclose(self) -> None:
        """Let what runs come to its end."""
        if self._running:
            await asyncio.wait(self._running, timeout=_CLOSE_LIMIT_S)

    def _ended(self, task: asyncio.Task[T]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            _ = task.exception()  # the flow says it, if nobody waits any more


@asynccontextmanager
async def open_login_ends(
    flows: Flows, beginnings: Beginnings, accounts: LoginAccounts
) -> AsyncGenerator[LoginEnds, None]:
    """Open the keeper of tasks; at its end they are awaited."""
    ends = LoginEnds(flows, beginnings, accounts)
    try:
        yield ends
    finally:
        await ends.aclose()
