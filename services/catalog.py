"""Which models can be asked for: what accounts are limited to, and what providers list."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from dialects.base import ModelEntry
from dialects.fields import parse_object
from models.account import StoredAccount, TokenState
from models.egress import EgressProxy
from models.errors import GatewayError, NotFound, TimedOut
from models.exchange import UpstreamRequest
from models.json_types import JsonObject
from models.ports import Clock, Transport
from providers.base import Provider
from repositories.base import ProviderRepository
from services.pool import Pool
from services.snapshot import Snapshot
from services.tokens import Tokens

logger = logging.getLogger(__name__)

_TIMEOUT_S: Final = 20.0
_MAX_LIST_BYTES: Final = 8 * 1024 * 1024
_MAX_MODELS: Final = 5_000
_MAX_ASKED: Final = 3


class Catalog:
    """The models of all providers that have an active account."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        pool: Pool,
        tokens: Tokens,
        transport: Transport,
        providers: ProviderRepository,
        clock: Clock,
        *,
        user_agent: str,
    ) -> None:
        self._snapshot = snapshot
        self._pool = pool
        self._tokens = tokens
        self._transport = transport
        self._providers = providers
        self._clock = clock
        self._user_agent = user_agent
        self._asked: dict[str, frozenset[str]] = {}

    def models(self) -> list[ModelEntry]:
        """Return every model once, by provider and name."""
        snapshot = self._snapshot()
        found: dict[str, ModelEntry] = {}
        for provider_id, stored in sorted(snapshot.by_provider.items()):
            if provider_id not in snapshot.providers:
                continue
            active = [entry.account for entry in stored if entry.account.is_active]
            listed = {entry.id: entry for entry in snapshot.models.get(provider_id, ())}
            names = {name for account in active for name in account.models or ()}
            if any(account.models is None for account in active):
                names |= listed.keys()
            for name in sorted(names):
                found.setdefault(name, listed.get(name) or ModelEntry(name, provider_id))
        return list(found.values())

    def model(self, model_id: str) -> ModelEntry:
        """Return one model; raises NotFound."""
        for entry in self.models():
            if entry.id == model_id or f"{entry.provider_id}/{entry.id}" == model_id:
                return entry
        raise NotFound(f"model {model_id!r} is not listed here")

    async def refresh(self) -> None:
        """Ask every provider that has a usable account for its list; failures keep the old one."""
        for provider in list(self._snapshot().providers.values()):
            await self.refresh_provider(provider)

    async def refresh_missing(self) -> None:
        """Ask the providers of which nothing is known yet, as after an account was added.

        Each is asked once for each set of accounts, however often this is called.
        """
        snapshot = self._snapshot()
        for provider in list(snapshot.providers.values()):
            stored = snapshot.by_provider.get(provider.id, ())
            accounts = frozenset(entry.account.id for entry in stored if entry.account.is_active)
            is_unknown = bool(accounts) and not snapshot.models.get(provider.id)
            if is_unknown and self._asked.get(provider.id) != accounts:
                self._asked[provider.id] = accounts
                await self.refresh_provider(provider)

    async def refresh_provider(self, provider: Provider) -> None:
        """Ask one provider through one of its accounts and that account's own way out."""
        try:
            entries = await self._fetch(provider)
            rows: list[JsonObject] = [
                {"id": entry.id, "created": entry.created, "display_name": entry.display_name}
                for entry in entries[:_MAX_MODELS]
            ]
            if rows:
                await self._providers.store_models(provider.id, rows, now=self._clock.now())
        except GatewayError as error:
            logger.info("model list not read", extra={"provider": provider.id, "error": error.code})

    async def _fetch(self, provider: Provider) -> list[ModelEntry]:
        """Ask through the first account that can; raises the last one's error if none can."""
        failure: GatewayError | None = None
        for stored in self._usable(provider.id)[:_MAX_ASKED]:
            try:
                return await self._ask(provider, stored)
            except GatewayError as error:
                failure = error
        if failure is not None:
            raise failure
        return []

    def _usable(self, provider_id: str) -> list[StoredAccount]:
        return [
            stored
            for stored in self._snapshot().by_provider.get(provider_id, ())
            if stored.account.is_active
            and stored.account.token_state is not TokenState.NEEDS_REAUTH
        ]

    async def _ask(self, provider: Provider, stored: StoredAccount) -> list[ModelEntry]:
        egress = self._pool.egress_of(stored.account)
        credentials = await self._tokens.get(stored)
        offer = provider.main
        headers = {"accept": "application/json", "user-agent": self._user_agent}
        headers.update(offer.fixed_headers)
        offer.sign(headers, stored.account, credentials)
        url = offer.base_url + offer.dialect.models_path
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                body = await self._body(provider, UpstreamRequest("GET", url, headers, b""), egress)
        except TimeoutError as error:
            raise TimedOut("the model list did not come in time") from error
        return offer.dialect.read_models(parse_object(body))

    async def _body(
        self, provider: Provider, request: UpstreamRequest, egress: EgressProxy | None
    ) -> bytes:
        response = await self._transport.send(request, egress, first_byte_timeout_s=_TIMEOUT_S)
        try:
            body = await response.read(_MAX_LIST_BYTES)
        finally:
            response.close()
        if response.status != 200:
            raise provider.diagnose(provider.main.dialect, response.status, response.headers, body)
        return body
