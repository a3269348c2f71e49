"""Calls beside those of models: signed by one account, sent its own way out, read whole."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dialects.fields import dumps, parse_object
from models.account import Account, Credentials, StoredAccount
from models.egress import EgressProxy
from models.errors import BadRequest, TimedOut, UpstreamError
from models.exchange import UpstreamRequest
from models.json_types import JsonObject
from models.ports import Transport, UpstreamResponse
from providers.base import Provider, Step
from services.hosts import sent_to_one_of
from services.tokens import Tokens
from services.veil import hide

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
_UNAUTHORIZED: Final = 401


@dataclass(slots=True)
class Caller:
    """Who calls, signed with what."""

    stored: StoredAccount
    provider: Provider
    credentials: Credentials
    """Renewed when the provider refuses an unexpired token."""


class AccountCalls:
    """Makes the calls; what they are is a provider's `Step`."""

    def __init__(
        self,
        *,
        tokens: Tokens,
        transport: Transport,
        egress_of: Callable[[Account], EgressProxy | None],
        user_agent: str,
    ) -> None:
        self._tokens = tokens
        self._transport = transport
        self._egress_of = egress_of
        self._user_agent = user_agent

    async def caller(self, stored: StoredAccount, provider: Provider) -> Caller:
        """Return the account with what signs for it now. Raises UpstreamError without."""
        return Caller(stored, provider, await self._tokens.get(stored))

    async def answer(self, caller: Caller, step: Step, *, limit_s: float) -> JsonObject:
        """Return the answer, which comes within `limit_s` after its head, and that within as much.

        Raises NoCapacity for an account without a way out, UpstreamError for everything else:
        failures as the provider's own diagnosis has them, without the credential.
        """
        try:
            return await self._answer(caller, step, limit_s)
        except UpstreamError as error:
            hide(error, caller.credentials.access)
            raise

    async def _answer(self, caller: Caller, step: Step, limit_s: float) -> JsonObject:
        response = await self._sent(caller, step, limit_s)
        if response.status == _UNAUTHORIZED:
            fresh = await self._tokens.rejected(caller.stored, caller.credentials.access)
            if fresh is not None:
                response.close()
                caller.credentials = fresh
                response = await self._sent(caller, step, limit_s)
        body = await _whole(response, limit_s)
        if not 200 <= response.status < 300:
            provider = caller.provider
            raise provider.diagnose(provider.main.dialect, response.status, response.headers, body)
        return _read(body)

    async def _sent(self, caller: Caller, step: Step, limit_s: float) -> UpstreamResponse:
        offer, account = caller.provider.main, caller.stored.account
        headers = {"accept": "application/json", "user-agent": self._user_agent}
        if step.payload is not None:
            headers["content-type"] = "application/json"
        headers.update(offer.fixed_headers)
        offer.sign(headers, account, caller.credentials)
        body = b"" if step.payload is None else dumps(step.payload)
        egress = self._egress_of(account)

        async def send(base_url: str) -> UpstreamResponse:
            request = UpstreamRequest(step.method, base_url + step.path, headers, body)
            return await self._transport.send(request, egress, first_byte_timeout_s=limit_s)

        return await sent_to_one_of(offer, send)


async def _whole(response: UpstreamResponse, limit_s: float) -> bytes:
    try:
        async with asyncio.timeout(limit_s):
            return await response.read(MAX_ANSWER_BYTES)
    except TimeoutError as error:
        raise TimedOut("the answer did not come in time") from error
    finally:
        response.close()


def _read(body: bytes) -> JsonObject:
    try:
        return parse_object(body)
    except BadRequest as error:
        raise UpstreamError("the provider's answer is not a JSON object") from error
