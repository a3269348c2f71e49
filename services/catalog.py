"""Which models can be asked for: what accounts are limited to, and what providers list."""

import logging
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from dialects.base import ModelEntry
from models.account import StoredAccount, TokenState
from models.errors import GatewayError, NotFound, UpstreamError
from models.json_types import JsonObject
from models.ports import Clock
from models.quota import QuotaWindow
from providers.base import Provider, Step
from repositories.base import ProviderRepository
from services.account_calls import AccountCalls
from services.cooldown import evidence_of
from services.snapshot import Snapshot

logger = logging.getLogger(__name__)

Probed: TypeAlias = Callable[[str, Provider, Sequence[QuotaWindow]], None]
"""(account id, its provider, windows with the account id left empty)."""

_TIMEOUT_S: Final = 20.0
_MAX_MODELS: Final = 5_000
_MAX_ASKED: Final = 3


class Catalog:
    """The models of all providers that have an active account."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        calls: AccountCalls,
        providers: ProviderRepository,
        clock: Clock,
        *,
        probed: Probed = lambda _account_id, _provider, _windows: None,
    ) -> None:
        """`probed` is told what a list says of an account's limits."""
        self._snapshot = snapshot
        self._calls = calls
        self._providers = providers
        self._clock = clock
        self._probed = probed
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
            logger.info(
                "model list not read",
                extra={"provider": provider.id, "error": error.code, "evidence": _evidence(error)},
            )

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
        listing, dialect = provider.model_list, provider.main.dialect
        caller = await self._calls.caller(stored, provider)
        if listing is None:
            step = Step("GET", dialect.models_path)
            return dialect.read_models(await self._calls.answer(caller, step, limit_s=_TIMEOUT_S))
        step = listing.request(stored.account)
        payload = await self._calls.answer(caller, step, limit_s=_TIMEOUT_S)
        windows = listing.quotas(payload, self._clock.now())
        self._probed(stored.account.id, provider, windows)
        return listing.read(payload)


def _evidence(error: GatewayError) -> str:
    return evidence_of(error) if isinstance(error, UpstreamError) else error.message
