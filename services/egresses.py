"""What operators do with outbound proxies."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from models.account import Account
from models.egress import EgressHealth, EgressProxy, WatchedProxy, masked_url
from models.errors import NotFound
from models.ids import new_id
from models.ports import Clock
from openapi.addresses import PROXY_SCHEMES
from openapi.common import PageQuery
from openapi.egresses import ProxyCreate, ProxyPatch, ProxyQuery, ProxyReplace
from repositories.base import (
    UNSET,
    EgressChange,
    EgressRepository,
    Page,
    ProviderRepository,
    Recalculated,
    _Unset,
)
from services.changes import given
from services.egress_conditions import EgressConditions
from services.guard import AddressGuard
from services.refusals import check_address, check_provider, refused


@dataclass(frozen=True, slots=True)
class Assignments:
    """A proxy and the accounts that hold a place there, in id order."""

    proxy: EgressProxy
    accounts: tuple[Account, ...]


class Egresses:
    """Outbound proxies: each change is checked, stored and told to every replica."""

    def __init__(
        self,
        egress: EgressRepository,
        providers: ProviderRepository,
        guard: AddressGuard,
        changed: Callable[[], Awaitable[None]],
        clock: Clock,
        *,
        proxies: Callable[[], Mapping[str, EgressProxy]],
        conditions: EgressConditions,
    ) -> None:
        """`proxies`: those of the snapshot."""
        self._egress = egress
        self._providers = providers
        self._guard = guard
        self._changed = changed
        self._clock = clock
        self._proxies = proxies
        self._conditions = conditions

    async def page(self, query: ProxyQuery) -> Page[WatchedProxy]:
        """Return a page of proxies in id order."""
        if query.health is not None:
            return await self._page_of_health(query, query.health)
        page = await self._egress.page(
            limit=query.limit,
            offset=query.offset,
            provider_id=query.provider_id,
            is_active=query.is_active,
        )
        shown = [self.watched(proxy) for proxy in page.data]
        return Page(shown, page.total, page.limit, page.offset)

    def watched(self, proxy: EgressProxy) -> WatchedProxy:
        """Return a proxy together with how well it is."""
        return WatchedProxy(proxy, self._conditions.of(proxy.id))

    async def get(self, proxy_id: str) -> EgressProxy:
        """Raises NotFound."""
        proxy = await self._egress.get(proxy_id)
        if proxy is None:
            raise NotFound(f"there is no proxy {proxy_id}")
        return proxy

    async def create(self, body: ProxyCreate) -> EgressProxy:
        """Store a proxy; waiting accounts take their places at once."""
        url = body.url.get_secret_value()
        await self._check(url, body.provider_id)
        now = self._clock.now()
        created = await self._egress.create(
            EgressProxy(
                id=new_id(),
                label=body.label,
                url=url,
                provider_id=body.provider_id,
                priority=body.priority,
                max_accounts=body.max_accounts,
                is_active=body.is_active,
                created_at=now,
                updated_at=now,
            )
        )
        await self._changed()
        return created

    async def patch(self, proxy_id: str, body: ProxyPatch) -> EgressProxy:
        """Change the given fields."""
        url = body.url.get_secret_value()
        return await self._update(
            proxy_id,
            EgressChange(
                label=given(body, "label", body.label),
                url=given(body, "url", url),
                provider_id=given(body, "provider_id", body.provider_id),
                priority=given(body, "priority", body.priority),
                max_accounts=given(body, "max_accounts", body.max_accounts),
                is_active=given(body, "is_active", body.is_active),
            ),
        )

    async def replace(self, proxy_id: str, body: ProxyReplace) -> EgressProxy:
        """Set every field."""
        return await self._update(
            proxy_id,
            EgressChange(
                label=body.label,
                url=body.url.get_secret_value(),
                provider_id=body.provider_id,
                priority=body.priority,
                max_accounts=body.max_accounts,
                is_active=body.is_active,
            ),
        )

    async def delete(self, proxy_id: str) -> None:
        """Delete; its accounts get another place or wait."""
        await self._egress.delete(proxy_id)
        await self._changed()

    async def assignments(self, proxy_id: str, query: PageQuery) -> Page[Account]:
        """Return who holds a place at one proxy. Raises NotFound."""
        accounts = await self._egress.assignments(proxy_id)
        shown = accounts[query.offset : query.offset + query.limit]
        return Page(shown, len(accounts), query.limit, query.offset)

    async def all_assignments(self, query: PageQuery) -> Page[Assignments]:
        """Return who holds a place where, proxy by proxy."""
        page = await self._egress.page(limit=query.limit, offset=query.offset)
        data = []
        for proxy in page.data:
            try:
                accounts = await self._egress.assignments(proxy.id)
            except NotFound:  # deleted meanwhile
                continue
            data.append(Assignments(proxy, tuple(accounts)))
        return Page(data, page.total, page.limit, page.offset)

    async def recalculate(self) -> Recalculated:
        """Recount all places and let waiting accounts in."""
        found = await self._egress.recalculate()
        await self._changed()
        return found

    async def _page_of_health(self, query: ProxyQuery, health: EgressHealth) -> Page[WatchedProxy]:
        # The database does not know how well proxies are; the snapshot knows which there are.
        matching = [
            proxy.id
            for proxy in self._proxies().values()
            if query.provider_id in (None, proxy.provider_id)
            and query.is_active in (None, proxy.is_active)
            and self._conditions.of(proxy.id).health is health
        ]
        ids = sorted(matching)[query.offset : query.offset + query.limit]
        shown = [self.watched(proxy) for proxy in await self._egress.some(ids)]
        return Page(shown, len(matching), query.limit, query.offset)

    async def _update(self, proxy_id: str, change: EgressChange) -> EgressProxy:
        stored = await self.get(proxy_id)
        change = _unmasked(change, stored)
        url = UNSET if change.url == stored.url else change.url
        provider_id = UNSET if change.provider_id == stored.provider_id else change.provider_id
        await self._check(
            None if isinstance(url, _Unset) else url,
            None if isinstance(provider_id, _Unset) else provider_id,
        )
        proxy = await self._egress.update(proxy_id, change)
        await self._changed()
        if proxy.url != stored.url:
            self._conditions.anew(proxy_id)
        return proxy

    async def _check(self, url: str | None, provider_id: str | None) -> None:
        if provider_id is not None:
            await check_provider(self._providers, provider_id)
        if url is not None:
            if urlsplit(url).password == "***":  # noqa: S105 - the mask, not a secret
                raise refused("url", "give the password instead of its mask")
            await check_address(self._guard, url, schemes=PROXY_SCHEMES, path="url")


def _unmasked(change: EgressChange, stored: EgressProxy) -> EgressChange:
    """Read the stored address, as it was shown, as "leave it as it is"."""
    if change.url != masked_url(stored.url):
        return change
    return EgressChange(
        label=change.label,
        provider_id=change.provider_id,
        priority=change.priority,
        max_accounts=change.max_accounts,
        is_active=change.is_active,
    )
