"""What operators do with providers."""

from collections.abc import Awaitable, Callable

from models.account import AuthType
from models.errors import BadRequest, NotFound
from models.ports import Clock
from models.provider import StoredProvider
from openapi.addresses import WEB_SCHEMES
from openapi.common import PageQuery
from openapi.providers import ProviderCreate, ProviderPatch, ProviderReplace
from providers.compatible import provider_of
from repositories.base import UNSET, Page, ProviderRepository, _Unset
from services.changes import given
from services.guard import AddressGuard
from services.refusals import check_address, refused


class Providers:
    """Built-in providers with the operator's changes, and the operator's own."""

    def __init__(
        self,
        providers: ProviderRepository,
        guard: AddressGuard,
        changed: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._providers = providers
        self._guard = guard
        self._changed = changed
        self._clock = clock

    async def page(self, query: PageQuery) -> Page[StoredProvider]:
        return await self._providers.page(limit=query.limit, offset=query.offset)

    async def get(self, provider_id: str) -> StoredProvider:
        """Raises NotFound."""
        provider = await self._providers.get(provider_id)
        if provider is None:
            raise NotFound(f"there is no provider {provider_id!r}")
        return provider

    async def create(self, body: ProviderCreate) -> StoredProvider:
        """Store a provider of the operator's own. Raises Conflict when the id is taken."""
        await check_address(self._guard, body.base_url, schemes=WEB_SCHEMES, path="base_url")
        now = self._clock.now()
        created = await self._providers.create(
            StoredProvider(
                id=body.id,
                name=body.name,
                dialect=body.dialect,
                base_url=body.base_url,
                prefixes=_tuple(body.prefixes),
                is_active=body.is_active,
                strategy=body.strategy,
                created_at=now,
                updated_at=now,
            )
        )
        await self._changed()
        return created

    async def patch(self, provider_id: str, body: ProviderPatch) -> StoredProvider:
        """Change the given fields."""
        stored = await self.get(provider_id)
        base_url = given(body, "base_url", body.base_url)
        dialect: str | _Unset = given(body, "dialect", body.dialect)
        await self._check(stored, dialect, base_url)
        changed = await self._providers.update(
            provider_id,
            name=given(body, "name", body.name),
            dialect=dialect,
            base_url=base_url,
            prefixes=given(body, "prefixes", _tuple(body.prefixes)),
            is_active=given(body, "is_active", body.is_active),
            strategy=given(body, "strategy", body.strategy),
        )
        await self._changed()
        return changed

    async def replace(self, provider_id: str, body: ProviderReplace) -> StoredProvider:
        """Set every field."""
        stored = await self.get(provider_id)
        if body.id is not None and body.id != provider_id:
            raise refused("id", "cannot be changed; create another provider")
        await self._check(stored, body.dialect, body.base_url)
        changed = await self._providers.update(
            provider_id,
            name=body.name,
            dialect=body.dialect,
            base_url=body.base_url,
            prefixes=_tuple(body.prefixes),
            is_active=body.is_active,
            strategy=body.strategy,
        )
        await self._changed()
        return changed

    async def delete(self, provider_id: str) -> None:
        """Raises Conflict for a built-in provider or one that still has accounts."""
        await self._providers.delete(provider_id)
        await self._changed()

    async def _check(
        self, stored: StoredProvider, dialect: str | _Unset, base_url: str | None | _Unset
    ) -> None:
        if stored.is_builtin and dialect not in {UNSET, stored.dialect}:
            raise refused("dialect", f"cannot be changed for the built-in {stored.id!r}")
        if base_url is None and not stored.is_builtin:
            raise refused("base_url", "an operator's own provider needs an address")
        if isinstance(base_url, str) and base_url != stored.base_url:
            await check_address(self._guard, base_url, schemes=WEB_SCHEMES, path="base_url")


def dialects_of(stored: StoredProvider) -> list[str]:
    """Return the names of the formats that a provider is spoken to in, at the address it has."""
    try:
        return [offer.dialect.name for offer in provider_of(stored).offers]
    except BadRequest:  # one that a newer version stored
        return []


def auth_types_of(stored: StoredProvider) -> frozenset[AuthType]:
    """Return how accounts of a provider may sign."""
    try:
        return provider_of(stored).auth_types
    except BadRequest:
        return frozenset(AuthType)


def _tuple(prefixes: list[str] | None) -> tuple[str, ...] | None:
    return None if prefixes is None else tuple(prefixes)
