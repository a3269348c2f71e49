"""Which models can be asked for: what accounts are limited to, and what providers list."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from dialects.base import ModelEntry
from dialects.fields import dumps, parse_object
from models.account import StoredAccount, TokenState
from models.errors import Blame, ErrorKind, GatewayError, NotFound, TimedOut, UpstreamError
from models.exchange import UpstreamRequest
from models.json_types import JsonObject
from models.ports import Clock, Transport, UpstreamResponse
from providers.base import Provider, Step
from repositories.base import ProviderRepository
from services.cooldown import Rest
from services.hosts import sent_to_one_of
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
        tell: Callable[[Rest], None] = lambda _rest: None,
    ) -> None:
        """`tell` lets the other replicas know that somebody rests."""
        self._snapshot = snapshot
        self._pool = pool
        self._tokens = tokens
        self._transport = transport
        self._providers = providers
        self._clock = clock
        self._user_agent = user_agent
        self._tell = tell
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
        """Ask through the first account that can; raises the last one's error if none can.

        Where the list tells what each account has left, every account is asked.
        """
        failure: GatewayError | None = None
        found: dict[str, ModelEntry] = {}
        usable = self._usable(provider.id)
        tells_quota = provider.model_list is not None
        for stored in usable if tells_quota else usable[:_MAX_ASKED]:
            try:
                found |= {entry.id: entry for entry in await self._ask(provider, stored)}
            except GatewayError as error:
                failure = error
            else:
                if not tells_quota:
                    break
        if failure is not None and not found:
            raise failure
        return list(found.values())

    def _usable(self, provider_id: str) -> list[StoredAccount]:
        return [
            stored
            for stored in self._snapshot().by_provider.get(provider_id, ())
            if stored.account.is_active
            and stored.account.token_state is not TokenState.NEEDS_REAUTH
        ]

    async def _ask(self, provider: Provider, stored: StoredAccount) -> list[ModelEntry]:
        listing = provider.model_list
        if listing is None:
            dialect = provider.main.dialect
            return dialect.read_models(
                await self._answer(provider, stored, Step("GET", dialect.models_path))
            )
        payload = await self._answer(provider, stored, listing.request(stored.account))
        self._let_rest(stored, listing.used_up(payload))
        return listing.read(payload)

    async def _answer(self, provider: Provider, stored: StoredAccount, step: Step) -> JsonObject:
        egress = self._pool.egress_of(stored.account)
        credentials = await self._tokens.get(stored)
        offer = provider.main
        headers = {"accept": "application/json", "user-agent": self._user_agent}
        if step.payload is not None:
            headers["content-type"] = "application/json"
        headers.update(offer.fixed_headers)
        offer.sign(headers, stored.account, credentials)
        body = b"" if step.payload is None else dumps(step.payload)

        async def send(base_url: str) -> UpstreamResponse:
            request = UpstreamRequest(step.method, base_url + step.path, headers, body)
            return await self._transport.send(request, egress, first_byte_timeout_s=_TIMEOUT_S)

        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return parse_object(await _body(provider, await sent_to_one_of(offer, send)))
        except TimeoutError as error:
            raise TimedOut("the model list did not come in time") from error

    def _let_rest(self, stored: StoredAccount, used_up: Mapping[str, float]) -> None:
        """Spare the requests that would find out one by one that nothing is left."""
        for model, opens_at in used_up.items():
            wait_s = opens_at - self._clock.now()
            if wait_s > 0:
                error = UpstreamError(
                    f"the quota of {model} is used up",
                    kind=ErrorKind.QUOTA,
                    blame=Blame.ACCOUNT_MODEL,
                    retry_after_s=wait_s,
                )
                rest = self._pool.cooldowns.report(stored.account.id, None, model, error)
                if rest is not None:
                    self._tell(rest)


async def _body(provider: Provider, response: UpstreamResponse) -> bytes:
    try:
        body = await response.read(_MAX_LIST_BYTES)
    finally:
        response.close()
    if response.status != 200:
        raise provider.diagnose(provider.main.dialect, response.status, response.headers, body)
    return body
