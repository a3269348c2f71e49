"""What everything else stands on: stores, shared state, the snapshot, the way to the world."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aigateway import __version__
from aigateway.client_keys import limits as database_limits
from aigateway.master_key import open_vault
from auth.vault import Vault
from config.settings import Settings
from models.clock import SystemClock
from models.egress import EgressProxy
from models.errors import GatewayError
from models.ports import Clock, Transport
from models.provider import StoredProvider
from providers import BUILTIN
from providers.base import Provider
from providers.compatible import provider_of
from repositories.base import SharedState
from repositories.open import Repositories, open_repositories
from repositories.shared import open_shared
from services.events import Events, open_events
from services.guard import AddressGuard
from services.pauses import Pauses
from services.recorder import Recorder, open_recorder
from services.resting import Resting, open_resting
from services.snapshot import Snapshot, Snapshots
from services.transport import open_transport

logger = logging.getLogger(__name__)

USER_AGENT: Final = f"aigateway/{__version__}"


@dataclass(frozen=True, slots=True)
class Ground:
    """The lowest parts of a running gateway."""

    settings: Settings
    clock: Clock
    vault: Vault
    guard: AddressGuard
    repositories: Repositories
    shared: SharedState
    recorder: Recorder
    events: Events
    transport: Transport
    snapshots: Snapshots
    resting: Resting

    def snapshot(self) -> Snapshot:
        """Return the newest one."""
        return self.snapshots.current

    def proxies(self) -> Mapping[str, EgressProxy]:
        """Return the outbound proxies of the newest snapshot, by id."""
        return self.snapshots.current.proxies


@asynccontextmanager
async def open_ground(settings: Settings) -> AsyncGenerator[Ground, None]:
    """Open the parts in this order, and close them in the reverse one."""
    vault, clock = await asyncio.to_thread(open_vault, settings), SystemClock()
    guard = AddressGuard(str(network) for network in settings.security.allowed_private_networks)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        repositories = await enter(_repositories(settings, vault, clock))
        await repositories.check()
        shared = await enter(_shared(settings))
        recorder = await enter(_recorder(settings, repositories, shared, clock))
        events = await enter(open_events(repositories.events, shared, clock))
        transport = await enter(_transport(settings, guard))
        snapshots = await _snapshots(settings, repositories, shared, clock)
        resting = await enter(
            open_resting(
                lambda: snapshots.current,
                shared,
                repositories.rests,
                _pauses(settings),
                clock,
                events.tell,
            )
        )
        yield Ground(
            settings,
            clock,
            vault,
            guard,
            repositories,
            shared,
            recorder,
            events,
            transport,
            snapshots,
            resting,
        )


def assemble(rows: Sequence[StoredProvider]) -> Mapping[str, Provider]:
    """Return the providers in force: built-in ones with the operator's changes, and his own."""
    found: dict[str, Provider] = {}
    for row in rows:
        if row.is_active:
            try:
                found[row.id] = provider_of(row)
            except GatewayError as error:  # one that a newer version stored; the others must serve
                logger.error(
                    "provider left out", extra={"provider": row.id, "error": error.message}
                )
    return found


def _repositories(
    settings: Settings, vault: Vault, clock: Clock
) -> AbstractAsyncContextManager[Repositories]:
    return open_repositories(
        settings.database_url,
        vault,
        limits=database_limits(settings),
        clock=clock,
        keeps_attempts=settings.stats.trace_days > 0,
    )


def _shared(settings: Settings) -> AbstractAsyncContextManager[SharedState]:
    return open_shared(
        settings.redis_url,
        timeout_s=settings.redis.timeout_s,
        breaker_failures=settings.redis.breaker_failures,
        breaker_pause_s=settings.redis.breaker_pause_s,
    )


def _recorder(
    settings: Settings, repositories: Repositories, shared: SharedState, clock: Clock
) -> AbstractAsyncContextManager[Recorder]:
    return open_recorder(
        repositories.stats,
        shared,
        clock,
        settings.data_dir / "spool",
        queue_size=settings.stats.queue_size,
        batch_size=settings.stats.batch_size,
        flush_interval_s=settings.stats.flush_interval_s,
        spool_max_bytes=settings.stats.spool_max_bytes,
    )


def _transport(settings: Settings, guard: AddressGuard) -> AbstractAsyncContextManager[Transport]:
    return open_transport(
        guard,
        connect_timeout_s=settings.retry.connect_timeout_s,
        idle_timeout_s=settings.retry.idle_timeout_s,
        client=settings.upstream.client,
    )


async def _snapshots(
    settings: Settings, repositories: Repositories, shared: SharedState, clock: Clock
) -> Snapshots:
    rows = [
        StoredProvider(provider.id, provider.name, provider.main.dialect.name, is_builtin=True)
        for provider in BUILTIN
    ]
    await repositories.providers.seed(rows)
    snapshots = Snapshots(
        accounts=repositories.accounts,
        egress=repositories.egress,
        keys=repositories.keys,
        providers=repositories.providers,
        revisions=repositories.revisions,
        shared=shared,
        assemble=assemble,
        prefixes=settings.routing.prefixes,
        clock=clock,
        poll_s=settings.database.revision_poll_s,
    )
    await snapshots.load()
    return snapshots


def _pauses(settings: Settings) -> Pauses:
    chosen = settings.cooldown
    return Pauses(
        rate_limited_s=chosen.rate_limited_s,
        overloaded_s=chosen.overloaded_s,
        longest_overloaded_s=chosen.longest_overloaded_s,
        failed_s=chosen.failed_s,
        rejected_s=chosen.rejected_s,
        billing_s=chosen.billing_s,
        model_missing_s=chosen.model_missing_s,
        egress_s=chosen.egress_s,
        longest_egress_s=settings.egress.longest_quarantine_s,
        egress_after=settings.egress.quarantine_after,
        longest_s=chosen.longest_s,
        max_retry_after_s=chosen.max_retry_after_s,
        trial_every_s=chosen.trial_every_s,
    )
