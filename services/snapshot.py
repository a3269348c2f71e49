"""What requests read instead of SQL: an immutable picture of accounts, proxies, keys, providers.

The `revisions` row, raised in the transaction of every change, is polled off the request path;
a message from the replica that made the change only hastens the next look.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from dialects.base import ModelEntry
from models.account import StoredAccount
from models.egress import EgressProxy
from models.errors import GatewayError
from models.json_types import JsonObject
from models.ports import Clock
from models.principal import ApiKey
from models.provider import StoredProvider
from providers.base import Provider
from repositories.base import (
    AccountRepository,
    EgressRepository,
    KeyRepository,
    ProviderRepository,
    RevisionRepository,
    SharedState,
)
from services.router import Router, merged_prefixes

logger = logging.getLogger(__name__)

CHANGES_CHANNEL: Final = "aigateway:changes"

_LOOK_EVERY_S: Final = 1.0

Assemble: TypeAlias = Callable[[Sequence[StoredProvider]], Mapping[str, Provider]]
"""Makes the providers in force from their rows."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent picture."""

    revision: int
    accounts: Mapping[str, StoredAccount]
    by_provider: Mapping[str, tuple[StoredAccount, ...]]
    """Accounts of each provider in id order."""
    proxies: Mapping[str, EgressProxy]
    keys: Mapping[bytes, ApiKey]
    """Keys by their hash."""
    router: Router
    providers: Mapping[str, Provider]
    models: Mapping[str, tuple[ModelEntry, ...]]
    """Model lists as fetched from the providers."""


class Snapshots:
    """Keeps the newest snapshot of this process."""

    def __init__(
        self,
        *,
        accounts: AccountRepository,
        egress: EgressRepository,
        keys: KeyRepository,
        providers: ProviderRepository,
        revisions: RevisionRepository,
        shared: SharedState,
        assemble: Assemble,
        prefixes: Mapping[str, Sequence[str]],
        clock: Clock,
        poll_s: float = 0.4,
    ) -> None:
        self._accounts = accounts
        self._egress = egress
        self._keys = keys
        self._providers = providers
        self._revisions = revisions
        self._shared = shared
        self._assemble = assemble
        self._prefixes = prefixes
        self._clock = clock
        self._poll_s = poll_s
        self._loading = asyncio.Lock()
        self._hint = asyncio.Event()
        self._looking = asyncio.Lock()
        self._looked_at = -_LOOK_EVERY_S
        self.is_fresh = True
        """False while the database cannot be asked for changes."""
        self.current: Snapshot
        self.listeners: list[Callable[[Snapshot], None]] = []
        """Called with every new snapshot, in this process."""

    async def load(self) -> None:
        """Read everything anew, whatever the revision."""
        async with self._loading:
            # The number is read first: a change in between makes the next poll load again.
            await self._take(await self._revisions.current())

    async def refresh(self) -> None:
        """Load if something changed; callers who come meanwhile share what is loaded then."""
        async with self._loading:
            revision = await self._revisions.current()
            if revision != self.current.revision:
                await self._take(revision)

    async def changed(self) -> None:
        """Call after a change made here: this process sees it now, the others very soon.

        The change is made, so a database that cannot be read now is no failure of it.
        """
        await self._poll_once()
        await self._shared.publish(CHANGES_CHANNEL, b"1")

    async def look_again(self) -> None:
        """Look for something unknown, at most once a second; who comes meanwhile waits along."""
        async with self._looking:
            if self._clock.monotonic() - self._looked_at >= _LOOK_EVERY_S:
                await self._poll_once()
                # From its end: a database that hangs is not asked by each of those who waited.
                self._looked_at = self._clock.monotonic()

    async def poll(self) -> None:
        """Follow the revision until cancelled. Outages keep the old picture."""
        while True:
            try:
                async with asyncio.timeout(self._poll_s):
                    await self._hint.wait()
            except TimeoutError:
                pass
            self._hint.clear()
            await self._poll_once()

    async def _poll_once(self) -> None:
        try:
            await self.refresh()
        except GatewayError as error:
            if self.is_fresh:
                logger.warning("changes cannot be read", extra={"error": error.message})
            self.is_fresh = False
        else:
            self.is_fresh = True

    async def listen(self) -> None:
        """Hasten the next poll when another replica tells of a change."""
        async for _ in self._shared.subscribe(CHANGES_CHANNEL):
            self._hint.set()

    async def _take(self, revision: int) -> None:
        self.current = snapshot = await self._read(revision)
        for listener in self.listeners:
            try:
                listener(snapshot)
            except Exception:
                logger.exception("a listener failed")

    async def _read(self, revision: int) -> Snapshot:
        accounts = await self._accounts.all()
        proxies = await self._egress.all()
        keys = await self._keys.all()
        stored = await self._providers.all()
        models = await self._providers.models()
        providers = self._assemble(stored)
        replaced = frozenset(row.id for row in stored if row.prefixes is not None)
        prefixes = merged_prefixes(self._prefixes, providers.values(), replaced)
        return Snapshot(
            revision,
            {entry.account.id: entry for entry in accounts},
            _grouped(accounts),
            {proxy.id: proxy for proxy in proxies},
            {key.key_hash: key for key in keys},
            Router(providers, prefixes),
            providers,
            {name: tuple(_entries(name, rows)) for name, rows in models.items()},
        )


def _grouped(accounts: Sequence[StoredAccount]) -> dict[str, tuple[StoredAccount, ...]]:
    groups: dict[str, list[StoredAccount]] = {}
    for entry in accounts:
        groups.setdefault(entry.account.provider_id, []).append(entry)
    return {provider: tuple(entries) for provider, entries in groups.items()}


def _entries(provider_id: str, rows: Sequence[JsonObject]) -> list[ModelEntry]:
    entries = []
    for row in rows:
        created, name = row.get("created"), row.get("display_name")
        entries.append(
            ModelEntry(
                str(row["id"]),
                provider_id,
                created if isinstance(created, int) else 0,
                name if isinstance(name, str) else None,
            )
        )
    return entries
