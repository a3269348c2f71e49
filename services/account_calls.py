"""Calls beside those of models: signed by one account, sent its own way out, read whole."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final, TypeAlias

from dialects.fields import dumps, parse_object
from models.account import Account, Credentials, StoredAccount
from models.egress import EgressProxy
from models.errors import BadRequest, TimedOut, UpstreamError
from models.exchange import UpstreamRequest
from models.json_types import JsonObject
from models.ports import Transport, UpstreamResponse
from providers.base import Offer, Provider, Step
from services.hosts import sent_to_one_of
from services.tokens import Tokens
from services.veil import hide

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
_UNAUTHORIZED: Final = 401


class Unknown(Enum):
    """Says "not looked up yet" where None is a value."""

    UNKNOWN = "unknown"


@dataclass(slots=True)
class Caller:
    """Who calls, signed with what."""

    stored: StoredAccount
    provider: Provider
    credentials: Credentials
    """Renewed when the provider refuses an unexpired token."""
    egress: EgressProxy | None | Unknown = Unknown.UNKNOWN
    """Its way out, None for direct; unknown: the one it has when it calls."""


Build: TypeAlias = Callable[[Caller, Offer, str], UpstreamRequest]
"""(caller, offer, base URL) -> the signed request."""


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
        self.user_agent = user_agent

    async def caller(self, stored: StoredAccount, provider: Provider) -> Caller:
        """Return the account with what signs for it now. Raises UpstreamError without."""
        return Caller(stored, provider, await self._tokens.get(stored))

    async def answer(self, caller: Caller, step: Step, *, limit_s: float) -> JsonObject:
        """Return the answer, which comes within `limit_s` after its head, and that within as much.

        Raises NoCapacity for an account without a way out, UpstreamError for everything else:
        failures as the provider's own diagnosis has them, without the credential.
        """
        provider = caller.provider
        build = partial(self._request, step)
        try:
            response = await self.send(caller, provider.main, build, limit_s=limit_s)
            body = await read_whole(response, limit_s)
            if not 200 <= response.status < 300:
                raise provider.diagnose(
                    provider.main.dialect, response.status, response.headers, body
                )
            return _read(body)
        except UpstreamError as error:
            hide(error, caller.credentials.access)
            raise

    async def send(
        self, caller: Caller, offer: Offer, build: Build, *, limit_s: float
    ) -> UpstreamResponse:
        """Send what `build` makes to one of the offer's addresses, and return when the head of the
        answer has come. A token that is refused before its end is renewed once."""
        response = await self._sent(caller, offer, build, limit_s)
        if response.status == _UNAUTHORIZED:
            fresh = await self._tokens.rejected(caller.stored, caller.credentials.access)
            if fresh is not None:
                response.close()
                caller.credentials = fresh
                response = await self._sent(caller, offer, build, limit_s)
        return response

    async def _sent(
        self, caller: Caller, offer: Offer, build: Build, limit_s: float
    ) -> UpstreamResponse:
        account = caller.stored.account
        egress = self._egress_of(account) if caller.egress is Unknown.UNKNOWN else caller.egress

        async def send(base_url: str) -> UpstreamResponse:
            request = build(caller, offer, base_url)
            return await self._transport.send(request, egress, first_byte_timeout_s=limit_s)

        return await sent_to_one_of(offer, send)

    def _request(self, step: Step, caller: Caller, offer: Offer, base_url: str) -> UpstreamRequest:
        headers = {"accept": "application/json", "user-agent": self.user_agent}
        if step.payload is not None:
            headers["content-type"] = "application/json"
        headers.update(offer.fixed_headers)
        offer.sign(headers, caller.stored.account, caller.credentials)
        body = b"" if step.payload is None else dumps(step.payload)
        return UpstreamRequest(step.method, base_url + step.path, headers, body)


async def read_whole(response: UpstreamResponse, limit_s: float) -> bytes:
    """Return the body and close the response. Raises UpstreamError."""
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
