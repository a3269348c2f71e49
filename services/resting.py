"""Everything that carries rests, put together: the picture, who shares it and who keeps it."""

import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from models.errors import ErrorKind, GatewayError
from models.event import Tell
from models.ports import Clock
from models.rest import Rest
from repositories.base import RestRepository, SharedState
from services.background import Background
from services.cooldown import Cooldowns
from services.kept_rests import KeptRests
from services.pauses import Pauses
from services.rest_events import RestEvents
from services.rest_sharing import RestSharing
from services.snapshot import Snapshot

logger = logging.getLogger(__name__)

# So long an account may be new to a replica that was told of its rest.
_NEW_S: Final = 60.0


class Resting:
    """The rests of this process, those that others tell of, and those from before its start."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        shared: SharedState,
        repository: RestRepository,
        pauses: Pauses,
        clock: Clock,
        tell: Tell,
    ) -> None:
        self._snapshot = snapshot
        self._shared = shared
        self._clock = clock
        self.cooldowns = Cooldowns(pauses, clock, shared, provider_of=self.provider_of)
        self._sharing = RestSharing(shared, self.cooldowns, clock)
        self._kept = KeptRests(repository, self.cooldowns, clock)
        self._listed: Mapping[str, frozenset[str]] = {}
        self.cooldowns.followers.append(self._kept)
        self.cooldowns.followers.append(RestEvents(tell, self.provider_of, self.label_of))
        if self._is_shared:
            self.cooldowns.followers.append(self._sharing)

    @property
    def _is_shared(self) -> bool:
        return self._shared.mode != "memory"

    async def start(self) -> None:
        """Take in what others know and what was kept. A database that is away costs only that."""
        self.follow(self._snapshot())
        if self._is_shared:
            await self._sharing.compare()
        try:
            await self._kept.load()
        except GatewayError as error:
            logger.warning("kept rests cannot be read", extra={"error": error.message})
        self.cooldowns.keep(self._exists)

    def run(self, background: Background) -> None:
        """Begin to share and to keep."""
        background.loop("rests.keep", self._kept.run)
        if self._is_shared:
            background.loop("rests.share", self._sharing.run)
            background.loop("rests.listen", self._sharing.listen)

    def follow(self, snapshot: Snapshot) -> None:
        """End what operators reset, the rests of who is gone, and those for models that are there
        again."""
        resets = {
            account_id: stored.account.cooldown_reset_at
            for account_id, stored in snapshot.accounts.items()
            if stored.account.cooldown_reset_at
        }
        self.cooldowns.void(resets)
        self.cooldowns.keep(lambda rest: self._exists(rest) and not self._is_listed_again(rest))
        self._listed = {
            provider_id: frozenset(entry.id for entry in entries)
            for provider_id, entries in snapshot.models.items()
        }

    def provider_of(self, account_id: str) -> str | None:
        """Return the provider of an account; None of who is none."""
        stored = self._snapshot().accounts.get(account_id)
        return None if stored is None else stored.account.provider_id

    def label_of(self, subject: str) -> str | None:
        """Return what an operator calls an account or a proxy; None of who is none."""
        snapshot = self._snapshot()
        stored, proxy = snapshot.accounts.get(subject), snapshot.proxies.get(subject)
        label = stored.account.label if stored is not None else proxy.label if proxy else None
        return label or None

    async def aclose(self) -> None:
        """Tell and write what waits."""
        if self._is_shared:
            await self._sharing.tell()
        await self._kept.flush()

    def _exists(self, rest: Rest) -> bool:
        snapshot, subject = self._snapshot(), rest.subject
        if rest.began_at > self._clock.now() - _NEW_S:
            return True
        is_known = subject in snapshot.accounts or subject in snapshot.proxies
        return is_known or rest.origin_provider_id in snapshot.providers

    def _is_listed_again(self, rest: Rest) -> bool:
        """Whether a model that an account did not have is new in its provider's list."""
        if rest.reason is not ErrorKind.MODEL_NOT_FOUND:
            return False
        provider_id = self.provider_of(rest.subject) or ""
        entries = self._snapshot().models.get(provider_id, ())
        before = self._listed.get(provider_id, frozenset())
        return rest.scope not in before and any(entry.id == rest.scope for entry in entries)


@asynccontextmanager
async def open_resting(
    snapshot: Callable[[], Snapshot],
    shared: SharedState,
    repository: RestRepository,
    pauses: Pauses,
    clock: Clock,
    tell: Tell,
) -> AsyncGenerator[Resting, None]:
    """Yield the rests that are in force; at the end all of them are told and kept."""
    resting = Resting(snapshot, shared, repository, pauses, clock, tell)
    await resting.start()
    try:
        yield resting
    finally:
        await resting.aclose()
