"""The calls of a login: codes and device codes traded for tokens, and who they belong to.

Each leaves through the proxy that the account will have. A code works once, so nothing here is
tried twice.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from auth import device
from auth.device import DeviceLogin
from auth.identity import fact, facts
from auth.jwt import claims_of
from auth.oauth import (
    code_request,
    device_request,
    device_token_request,
    read_object,
    read_token,
)
from auth.provider_login import ProviderLogin
from auth.token_failures import RefreshFailed
from models.account import Credentials
from models.egress import EgressProxy
from models.exchange import UpstreamRequest
from models.json_types import JsonObject
from models.ports import Clock, Transport
from services.token_calls import Answer, answer_of

logger = logging.getLogger(__name__)

OPENAI: Final = "openai"


@dataclass(frozen=True, slots=True)
class Granted:
    """What a login brought."""

    credentials: Credentials
    identity: str | None
    """None where the provider told nothing that could be one."""
    facts: JsonObject = field(default_factory=dict)
    """For the account's metadata."""


class LoginCalls:
    """Every method raises RefreshError where there is no answer, or not the wanted one."""

    def __init__(
        self, transport: Transport, clock: Clock, *, user_agent: str, limit_s: float
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._user_agent = user_agent
        self._limit_s = limit_s

    async def trade_code(
        self,
        login: ProviderLogin,
        code: str,
        egress: EgressProxy | None,
        *,
        redirect_uri: str,
        verifier: str,
        state: str | None = None,
    ) -> Granted:
        """Trade an authorization code for tokens. Never call it twice with one code."""
        request = code_request(
            login.client,
            code,
            redirect_uri=redirect_uri,
            verifier=verifier,
            state=state,
            user_agent=self._user_agent,
        )
        return await self._granted(login, await self._answer(request, egress), egress)

    async def begin_device(self, login: ProviderLogin, egress: EgressProxy | None) -> DeviceLogin:
        """Ask for a code that somebody types in on another device."""
        client, url, now = login.client, login.device_url, self._clock.now()
        if login.device == OPENAI:
            request = device.openai_begin_request(client, url, user_agent=self._user_agent)
            return device.read_openai_begin(await self._answer(request, egress), url, now)
        request = device_request(client, url, user_agent=self._user_agent)
        return device.read_begin(await self._answer(request, egress), now)

    async def poll_device(
        self, login: ProviderLogin, secrets: Mapping[str, str], egress: EgressProxy | None
    ) -> Granted:
        """Ask whether somebody has agreed. RefreshFailed with PENDING means "not yet"."""
        device_code = secrets["device_code"]
        if login.device == OPENAI:
            return await self._poll_openai(login, device_code, secrets["user_code"], egress)
        request = device_token_request(login.client, device_code, user_agent=self._user_agent)
        return await self._granted(login, await self._answer(request, egress), egress)

    async def _poll_openai(
        self, login: ProviderLogin, device_code: str, user_code: str, egress: EgressProxy | None
    ) -> Granted:
        url = login.device_url
        request = device.openai_poll_request(
            url, device_code, user_code, user_agent=self._user_agent
        )
        answer = await self._answer(request, egress)
        grant = device.read_openai_poll(answer, self._clock.now())
        return await self.trade_code(
            login,
            grant.code,
            egress,
            redirect_uri=device.openai_redirect_uri(url),
            verifier=grant.verifier,
        )

    async def _granted(
        self, login: ProviderLogin, answer: Answer, egress: EgressProxy | None
    ) -> Granted:
        status, headers, body = answer
        nothing = Credentials("", oauth=login.client)
        credentials = read_token(status, headers, body, previous=nothing, now=self._clock.now())
        told = read_object(body) or {}
        token = told.get("id_token")
        sources = (
            await self._userinfo(login, credentials, egress),
            claims_of(token) if isinstance(token, str) else {},
            told,
            claims_of(credentials.access),
        )
        return Granted(credentials, fact(login.identity, sources), facts(login.facts, sources))

    async def _userinfo(
        self, login: ProviderLogin, credentials: Credentials, egress: EgressProxy | None
    ) -> JsonObject:
        """Return what the provider tells of its user; without an answer the login still stands."""
        if not login.userinfo_url:
            return {}
        headers = {
            "accept": "application/json",
            "accept-encoding": "identity",
            "authorization": f"Bearer {credentials.access}",
            "user-agent": self._user_agent,
        }
        request = UpstreamRequest("GET", login.userinfo_url, headers, b"")
        found: JsonObject | None = None
        try:
            status, _, body = await self._answer(request, egress)
            found, reason = read_object(body) if status == 200 else None, f"status {status}"
        except RefreshFailed as error:
            reason = error.reason
        if found is None:
            logger.warning(
                "user info not told", extra={"provider": login.provider_id, "reason": reason}
            )
        return found or {}

    async def _answer(self, request: UpstreamRequest, egress: EgressProxy | None) -> Answer:
        return await answer_of(self._transport, request, egress, self._limit_s)
