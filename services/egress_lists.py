"""Proxies by the thousand: lists come in, and go out without passwords."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from models.batches import batches
from models.egress import EgressProxy, masked_url
from models.ids import new_id
from models.ports import Clock
from openapi.addresses import PROXY_SCHEMES
from openapi.egress_care import ProxyImport
from openapi.proxy_lists import ProxyLine, read_list
from repositories.base import EgressRepository, ProviderRepository
from services.guard import AddressGuard
from services.lookups import refusals
from services.refusals import check_provider

_KNOWN_AT_ONCE: Final = 500
# Each is one transaction, which holds the lock under which all places are given.
_CREATED_AT_ONCE: Final = 200


class Fate(StrEnum):
    """What became of a line."""

    CREATED = "created"
    EXISTS = "exists"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class LineTaken:
    """A line, and what became of it."""

    number: int
    """From 1."""
    fate: Fate
    url: str | None = None
    """The address as it was read, password and all."""
    proxy_id: str | None = None
    reason: str | None = None


class EgressLists:
    """Takes lists of proxies in and gives them out."""

    def __init__(
        self,
        egress: EgressRepository,
        providers: ProviderRepository,
        guard: AddressGuard,
        changed: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._egress = egress
        self._providers = providers
        self._guard = guard
        self._changed = changed
        self._clock = clock

    async def take(self, body: ProxyImport) -> list[LineTaken]:
        """Create the proxies of a list that are new; with `dry_run` only tell which would be.

        A database that fails on the way leaves what was created: the same list again goes on.
        """
        if body.provider_id is not None:
            await check_provider(self._providers, body.provider_id)
        lines = await asyncio.to_thread(read_list, body.lines.get_secret_value(), body.scheme)
        taken = await self._allowed(_without_twins(lines))
        taken = await self._without_known(taken)
        if not body.dry_run:
            taken = await self._created(taken, body)
        return taken

    async def masked(self) -> list[str]:
        """Return every address in id order, passwords masked."""
        return [masked_url(proxy.url) for proxy in await self._egress.all()]

    async def _allowed(self, taken: Sequence[LineTaken]) -> list[LineTaken]:
        """Refuse the addresses to which the gateway may not connect."""
        urls = [line.url for line in taken if line.url is not None]
        reasons = await refusals(self._guard, urls, schemes=PROXY_SCHEMES)
        return [
            line
            if line.url is None or (reason := reasons.get(line.url)) is None
            else LineTaken(line.number, Fate.INVALID, reason=reason)
            for line in taken
        ]

    async def _without_known(self, taken: Sequence[LineTaken]) -> list[LineTaken]:
        urls = [line.url for line in taken if line.url is not None]
        known: dict[str, str] = {}
        for some in batches(urls, _KNOWN_AT_ONCE):
            known |= await self._egress.known(some)
        return [
            line
            if line.url not in known
            else replace(line, fate=Fate.EXISTS, proxy_id=known[line.url])
            for line in taken
        ]

    async def _created(self, taken: Sequence[LineTaken], body: ProxyImport) -> list[LineTaken]:
        new = [line for line in taken if line.fate is Fate.CREATED]
        became: dict[int, LineTaken] = {}
        try:
            for some in batches(new, _CREATED_AT_ONCE):
                added = await self._egress.create_many([self._proxy(line, body) for line in some])
                for line, one in zip(some, added, strict=True):
                    fate = Fate.CREATED if one.is_new else Fate.EXISTS
                    became[line.number] = replace(line, fate=fate, proxy_id=one.proxy_id)
        finally:
            if became:
                await self._changed()
        return [became.get(line.number, line) for line in taken]

    def _proxy(self, line: LineTaken, body: ProxyImport) -> EgressProxy:
        now = self._clock.now()
        return EgressProxy(
            id=new_id(),
            label=f"{body.label_prefix}{line.number}" if body.label_prefix else "",
            url=line.url or "",
            provider_id=body.provider_id,
            priority=body.priority,
            max_accounts=body.max_accounts,
            created_at=now,
            updated_at=now,
        )


def _without_twins(lines: Iterable[ProxyLine]) -> list[LineTaken]:
    """Tell lines that cannot be read and those that were there before from new ones."""
    first: dict[str, int] = {}
    return [_judged(line, first) for line in lines]


def _judged(line: ProxyLine, first: dict[str, int]) -> LineTaken:
    if line.url is None:
        return LineTaken(line.number, Fate.INVALID, reason=line.reason)
    if urlsplit(line.url).password in ("***", "%2A%2A%2A"):
        return LineTaken(line.number, Fate.INVALID, reason="give the password, not its mask")
    before = first.setdefault(line.url, line.number)
    if before != line.number:
        return LineTaken(line.number, Fate.EXISTS, reason=f"the same as line {before}")
    return LineTaken(line.number, Fate.CREATED, line.url)
