"""Logins under way: who may end which, once, and until when."""

import asyncio
import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal

from auth.login_state import hashed, is_ours, new_state
from auth.provider_login import FlowKind
from models.errors import BadRequest, ErrorKind, Forbidden, GatewayError, NotFound
from models.ports import Clock
from repositories.base import OAuthFlow, OAuthFlowRepository

DONE: Final = "done"
MAX_PENDING: Final = 32
"""Logins that one key may have under way."""

Status = Literal["pending", "done", "denied", "expired", "failed"]


class Flows:
    """The table of logins, and the secrets that lead to its rows."""

    def __init__(
        self, repository: OAuthFlowRepository, key: bytes, clock: Clock, *, ttl_s: float
    ) -> None:
        """`key`: of the keyed hashes by which rows are found."""
        self._repository = repository
        self._key = key
        self._clock = clock
        self._turn = asyncio.Lock()
        self.ttl_s = ttl_s

    def new_state(self) -> str:
        return new_state(self._key)

    async def begin(
        self,
        kind: FlowKind,
        secret: str,
        *,
        provider_id: str,
        key_id: str,
        secrets: Mapping[str, str],
        proxy_id: str | None,
        account_id: str | None,
        ttl_s: float,
    ) -> OAuthFlow:
        """Store a login. `secret`: its state or device code, by which it is found again.

        Raises 429 when the key has too many logins under way.
        """
        now = self._clock.now()
        flow = OAuthFlow(
            id=hashed(secret, self._key),
            provider_id=provider_id,
            key_id=key_id,
            kind=kind,
            secrets=secrets,
            proxy_id=proxy_id,
            account_id=account_id,
            created_at=now,
            expires_at=now + ttl_s,
        )
        async with self._turn:  # of many that begin at once, no more than there is room for
            await self.check_room(key_id)
            await self._repository.create(flow)
        return flow

    async def check_room(self, key_id: str) -> None:
        """Raise 429 when the key has too many logins under way."""
        if await self._repository.pending(key_id, now=self._clock.now()) >= MAX_PENDING:
            raise GatewayError(
                f"{MAX_PENDING} logins of this key are under way; wait until some have expired",
                kind=ErrorKind.RATE_LIMIT,
                status=429,
                retry_after_s=60,
            )

    async def of_state(self, state: str) -> OAuthFlow:
        """Raises NotFound; what was not made by us is not looked for."""
        flow = None
        if is_ours(state, self._key):
            flow = await self._repository.get(hashed(state, self._key))
        if flow is None:
            raise NotFound("there is no login with this state; begin a new one")
        return flow

    async def of_id(self, flow_id: str) -> OAuthFlow:
        """Raises NotFound."""
        flow = await self._repository.get(flow_id)
        if flow is None:
            raise NotFound("there is no such login; begin a new one")
        return flow

    async def open_in(self, flow: OAuthFlow, cookie: str) -> bool:
        """Bind a login to the browser that has this cookie from now on; once."""
        browser = hashed(cookie, self._key)
        return await self._repository.open_in(flow.id, browser, now=self._clock.now())

    def is_browser(self, flow: OAuthFlow, cookie: str) -> bool:
        """Tell whether this is the cookie of the browser that opened the login."""
        known = flow.browser or ""
        return hmac.compare_digest(known, hashed(cookie, self._key)) if known else False

    async def use(self, flow: OAuthFlow) -> None:
        """Let the caller be the one who ends the login. Raises BadRequest for all others."""
        if flow.used_at is None and self.status(flow) == "expired":
            raise BadRequest("this login has expired; begin a new one")
        if not await self._repository.use(flow.id, now=self._clock.now()):
            raise BadRequest("this login was ended before; begin a new one")

    async def finish(
        self, flow: OAuthFlow, outcome: str, account_id: str | None = None
    ) -> OAuthFlow:
        """Note how it ended; return the flow as it is now."""
        await self._repository.finish(flow.id, outcome, account_id)
        account_id = account_id or flow.account_id
        return replace(flow, outcome=outcome, account_id=account_id, used_at=self._clock.now())

    def status(self, flow: OAuthFlow) -> Status:
        """Return how it stands."""
        match flow.outcome:
            case None:
                return "expired" if flow.expires_at <= self._clock.now() else "pending"
            case "done":  # DONE
                return "done"
            case "access_denied":
                return "denied"
            case "expired_token":
                return "expired"
            case _:
                return "failed"


def check_owner(flow: OAuthFlow, key_id: str) -> None:
    """Raise Forbidden unless this key began the login."""
    if not hmac.compare_digest(flow.key_id.encode(), key_id.encode()):
        raise Forbidden("another key began this login")
