"""Assembles the gateway: the order of the lines is the order of start, reversed at stop."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aigateway import __version__
from aigateway.account_care import account_care
from aigateway.client_keys import limits as database_limits
from aigateway.egress_care import egress_care
from aigateway.login_rules import login_rules
from aigateway.master_key import key_pepper, open_vault
from auth.vault import Vault
from config.settings import Settings
from dialects import DIALECTS
from handlers.catalog import ModelList
from handlers.endpoint import Endpoint
from handlers.inference import Inference
from handlers.stored_responses import StoredResponseRoutes
from models.account import AuthType, EgressPolicy, Strategy
from models.clock import SystemClock
from models.errors import GatewayError, UpstreamError
from models.ports import Clock
from models.provider import StoredProvider
from providers import BUILTIN
from providers.base import Provider, Route
from providers.compatible import provider_of
from repositories.base import SharedState
from repositories.open import Repositories, open_repositories
from repositories.shared import open_shared
from services.account_calls import AccountCalls
from services.account_care import AccountCare
from services.accounts import Accounts
from services.affinity import Affinity
from services.answers import Answers, Limits
from services.attempts import Attempts
from services.authenticator import Authenticator
from services.background import Background, open_background
from services.bindings import Bindings
from services.breaker import Breaker, Thresholds
from services.budget import RetryBudget
from services.catalog import Catalog
from services.conversations import Conversations
from services.cooldown import Attempted, Cooldowns
from services.discovery import Discoveries, open_discoveries
from services.draining import DRAINED_EVERY_S
from services.egress_care import EgressCare
from services.egresses import Egresses
from services.event_feed import EventFeed
from services.events import Events, open_events
from services.executor import Executor, Fallbacks
from services.explain import Explain
from services.gateway import Gateway
from services.guard import AddressGuard
from services.health import Health
from services.keys import Keys
from services.oauth import OAuth, open_oauth
from services.pauses import Pauses
from services.pool import Pool
from services.providers import Providers
from services.quotas import Quotas
from services.recorder import Recorder, open_recorder
from services.refresh import TokenTimes
from services.resting import Resting, open_resting
from services.rests import Rests
from services.retention import delete_old_attempts, delete_old_rows, delete_old_runs
from services.schedule import Schedule, open_schedule
from services.snapshot import Snapshots
from services.statistics import Statistics
from services.stored_responses import Keeping, StoredResponses
from services.tokens import Tokens, open_tokens
from services.traces import Traces
from services.transport import HttpTransport, open_transport
from services.ways_out import WaysOut
from services.webhook import Receiver, Webhook

logger = logging.getLogger(__name__)

USER_AGENT: Final = f"aigateway/{__version__}"

# Dialects whose requests may go on from a stored answer; only those of the first are stored.
_REMEMBERED: Final = ("responses", "responses.count")

_TOKENS_S: Final = 30.0
_HOUR_S: Final = 3_600.0
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class House:
    """Everything that runs, for the server and for tests."""

    settings: Settings
    clock: Clock
    guard: AddressGuard
    repositories: Repositories
    shared: SharedState
    recorder: Recorder
    events: Events
    background: Background
    snapshots: Snapshots
    tokens: Tokens
    quotas: Quotas
    executor: Executor
    catalog: Catalog
    authenticator: Authenticator
    stored_responses: StoredResponses
    gateway: Gateway

    def model_endpoints(self) -> list[Endpoint]:
        """The routes that clients of models call."""
        inference = Inference(
            self.executor,
            self.recorder.record,
            DIALECTS,
            self.clock,
            max_body_bytes=self.settings.server.max_body_bytes,
            strict=self.settings.translation.strict,
            memories=dict.fromkeys(_REMEMBERED, Conversations(self.stored_responses)),
        )
        return [
            *inference.endpoints(),
            *StoredResponseRoutes(self.stored_responses).endpoints(),
            *ModelList(self.catalog, DIALECTS).endpoints(),
        ]


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncGenerator[House, None]:
    """Open everything, and close it in the reverse order."""
    vault, clock = await asyncio.to_thread(open_vault, settings), SystemClock()
    guard = AddressGuard(str(network) for network in settings.security.allowed_private_networks)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        repositories = await enter(
            open_repositories(
                settings.database_url,
                vault,
                limits=database_limits(settings),
                clock=clock,
                keeps_attempts=settings.stats.trace_days > 0,
            )
        )
        await repositories.check()
        shared = await enter(_shared(settings))
        recorder = await enter(_recorder(settings, repositories, shared, clock))
        events = await enter(open_events(repositories.events, shared, clock))
        transport = await enter(
            open_transport(
                guard,
                connect_timeout_s=settings.retry.connect_timeout_s,
                idle_timeout_s=settings.retry.idle_timeout_s,
            )
        )
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
        quotas = _quotas(snapshots, resting.cooldowns, clock)
        breaker = _breaker(settings, resting.cooldowns, clock)
        pool = _pool(settings, snapshots, shared, resting.cooldowns, quotas, clock)
        care = egress_care(
            settings,
            repositories,
            snapshots,
            resting.cooldowns,
            guard,
            clock,
            tell=events.tell,
            user_agent=USER_AGENT,
        )
        ways = WaysOut(lambda: snapshots.current, pool.egress_of)
        tokens = await enter(
            _tokens(settings, repositories, shared, transport, vault, ways, events, clock)
        )
        oauth = await enter(
            open_oauth(
                login_rules(settings),
                accounts=repositories.accounts,
                providers=repositories.providers,
                flows=repositories.oauth_flows,
                flow_key=vault.subkey("oauth_flows"),
                shared=shared,
                snapshot=lambda: snapshots.current,
                changed=snapshots.changed,
                ways=ways,
                tokens=tokens,
                transport=transport,
                guard=guard,
                clock=clock,
                user_agent=USER_AGENT,
                tell=events.tell,
            )
        )
        calls = AccountCalls(
            tokens=tokens, transport=transport, egress_of=pool.egress_of, user_agent=USER_AGENT
        )
        discoveries = await enter(
            open_discoveries(
                accounts=repositories.accounts, changed=snapshots.changed, calls=calls, clock=clock
            )
        )
        accounts_care = account_care(
            settings,
            repositories,
            shared,
            snapshots,
            resting.cooldowns,
            quotas,
            pool,
            ways,
            calls,
            discoveries,
            guard,
            events,
            clock,
        )
        # Left before what its tasks use: jobs refresh tokens.
        background = await enter(open_background())
        background.loop("pool.slots", pool.slots.keep)
        affinity = _affinity(settings, snapshots, shared, vault, pool, background, clock)
        catalog = Catalog(
            lambda: snapshots.current,
            calls,
            repositories.providers,
            clock,
            probed=quotas.probed,
        )
        house = House(
            settings,
            clock,
            guard,
            repositories,
            shared,
            recorder,
            events,
            background,
            snapshots,
            tokens,
            quotas,
            _executor(
                settings,
                snapshots,
                pool,
                affinity,
                tokens,
                discoveries,
                transport,
                breaker,
                quotas,
                clock,
            ),
            catalog,
            _authenticator(settings, snapshots, vault, clock),
            _stored_responses(settings, shared, vault),
            _gateway(
                settings,
                repositories,
                shared,
                snapshots,
                guard,
                vault,
                recorder,
                events,
                oauth,
                accounts_care,
                care,
                resting,
                affinity,
                _explain(settings, snapshots, pool, affinity, shared, clock),
                clock,
            ),
        )
        _follow(house, resting)
        owner = f"{socket.gethostname()}:{os.getpid()}"
        _post_events(house, transport, owner)
        _add_jobs(
            house, await enter(open_schedule(repositories.jobs, background, clock, owner=owner))
        )
        yield house


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


# --- the parts, with their settings ---


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


def _pool(
    settings: Settings,
    snapshots: Snapshots,
    shared: SharedState,
    cooldowns: Cooldowns,
    quotas: Quotas,
    clock: Clock,
) -> Pool:
    return Pool(
        lambda: snapshots.current,
        shared,
        cooldowns,
        clock,
        strategy=Strategy(settings.routing.strategy),
        resets_at=quotas.resets_at,
        used_ratio=quotas.used_ratio,
    )


def _tokens(
    settings: Settings,
    repositories: Repositories,
    shared: SharedState,
    transport: HttpTransport,
    vault: Vault,
    ways: WaysOut,
    events: Events,
    clock: Clock,
) -> AbstractAsyncContextManager[Tokens]:
    chosen = settings.tokens
    return open_tokens(
        accounts=repositories.accounts,
        shared=shared,
        transport=transport,
        vault=vault,
        journal_dir=settings.data_dir / "journal",
        egress_of=ways.of_account,
        clock=clock,
        user_agent=USER_AGENT,
        times=TokenTimes(
            leeway_s=chosen.refresh_leeway_s,
            lease_s=chosen.lease_s,
            takeover_grace_s=chosen.takeover_grace_s,
            wait_s=chosen.wait_s,
            http_timeout_s=chosen.http_timeout_s,
            concurrency=chosen.refresh_concurrency,
        ),
        tell=events.tell,
    )


def _executor(
    settings: Settings,
    snapshots: Snapshots,
    pool: Pool,
    affinity: Affinity,
    tokens: Tokens,
    discoveries: Discoveries,
    transport: HttpTransport,
    breaker: Breaker,
    quotas: Quotas,
    clock: Clock,
) -> Executor:
    retry, limits = settings.retry, _limits(settings)
    answers = Answers(clock, limits)
    attempts = Attempts(
        pool=pool,
        tokens=tokens,
        discoveries=discoveries,
        transport=transport,
        breaker=breaker,
        quotas=quotas,
        answers=answers,
        clock=clock,
        limits=limits,
        user_agent=USER_AGENT,
    )
    return Executor(
        snapshot=lambda: snapshots.current,
        pool=pool,
        affinity=affinity,
        attempts=attempts,
        answers=answers,
        budget=RetryBudget(clock, ratio=retry.budget_ratio, min_per_s=retry.budget_min_per_s),
        dialects=DIALECTS,
        clock=clock,
        limits=limits,
        fallbacks=Fallbacks(
            settings.routing.fallbacks, is_race=settings.routing.fallback_mode == "race"
        ),
        asks_stream_usage=settings.stats.request_stream_usage,
    )


def _breaker(settings: Settings, cooldowns: Cooldowns, clock: Clock) -> Breaker:
    chosen = settings.breaker
    return Breaker(
        cooldowns,
        clock,
        Thresholds(
            failures=chosen.failures,
            ratio=chosen.ratio,
            window_s=chosen.window_s,
            pause_s=chosen.pause_s,
            longest_pause_s=chosen.longest_pause_s,
        ),
    )


def _limits(settings: Settings) -> Limits:
    retry = settings.retry
    return Limits(
        max_attempts=retry.max_attempts,
        max_refusals=retry.max_refusals,
        first_byte_timeout_s=retry.first_byte_timeout_s,
        attempt_timeout_s=retry.attempt_timeout_s,
        stream_attempt_timeout_s=retry.stream_attempt_timeout_s,
        max_wait_s=retry.max_wait_s,
        home_wait_s=settings.affinity.full_wait_s,
        hedge_after_s=retry.hedge_after_s,
        idle_timeout_s=retry.idle_timeout_s,
        ping_after_s=retry.ping_after_s,
        max_response_bytes=retry.max_response_bytes,
    )


def _quotas(snapshots: Snapshots, cooldowns: Cooldowns, clock: Clock) -> Quotas:
    def bench(account_id: str, route: Route, error: UpstreamError) -> None:
        cooldowns.failed(Attempted(account_id, AuthType.API_KEY, None, route), error)

    return Quotas(lambda: snapshots.current, cooldowns.release, bench, clock)


def _affinity(
    settings: Settings,
    snapshots: Snapshots,
    shared: SharedState,
    vault: Vault,
    pool: Pool,
    background: Background,
    clock: Clock,
) -> Affinity:
    chosen = settings.affinity
    return Affinity(
        Bindings(shared, background, clock, ttl_s=chosen.ttl_s),
        pool.away_until,
        pool.count_early,
        lambda: snapshots.current.accounts,
        clock,
        salt=vault.subkey("affinity.id"),
        ttl_s=chosen.ttl_s,
        is_enabled=chosen.enabled,
    )


def _authenticator(
    settings: Settings, snapshots: Snapshots, vault: Vault, clock: Clock
) -> Authenticator:
    admin_key = settings.security.admin_key
    return Authenticator(
        lambda: snapshots.current,
        snapshots.look_again,
        key_pepper(vault),
        clock,
        admin_key=admin_key.get_secret_value() if admin_key is not None else None,
    )


def _stored_responses(settings: Settings, shared: SharedState, vault: Vault) -> StoredResponses:
    chosen = settings.responses
    keeping = Keeping(is_on=chosen.store, ttl_s=chosen.ttl_s, max_bytes=chosen.max_bytes)
    return StoredResponses(shared, vault, keeping)


def _explain(
    settings: Settings,
    snapshots: Snapshots,
    pool: Pool,
    affinity: Affinity,
    shared: SharedState,
    clock: Clock,
) -> Explain:
    return Explain(
        snapshot=lambda: snapshots.current,
        pool=pool,
        affinity=affinity,
        shared=shared,
        dialects=DIALECTS,
        clock=clock,
        fallbacks=settings.routing.fallbacks,
        is_race=settings.routing.fallback_mode == "race",
        hedge_after_s=settings.retry.hedge_after_s,
    )


def _gateway(
    settings: Settings,
    repositories: Repositories,
    shared: SharedState,
    snapshots: Snapshots,
    guard: AddressGuard,
    vault: Vault,
    recorder: Recorder,
    events: Events,
    oauth: OAuth,
    accounts_care: AccountCare,
    care: EgressCare,
    resting: Resting,
    affinity: Affinity,
    explain: Explain,
    clock: Clock,
) -> Gateway:
    changed = snapshots.changed
    health = Health({"database": lambda: snapshots.is_fresh})
    if settings.redis_url:
        health = Health({**health.components, "redis": lambda: shared.is_available})
    return Gateway(
        accounts=Accounts(
            repositories.accounts,
            repositories.providers,
            guard,
            changed,
            clock,
            default_policy=EgressPolicy(settings.egress.default_policy),
        ),
        account_care=accounts_care,
        egresses=Egresses(
            repositories.egress,
            repositories.providers,
            guard,
            changed,
            clock,
            proxies=lambda: snapshots.current.proxies,
            conditions=care.conditions,
        ),
        egress_care=care,
        keys=Keys(
            repositories.keys,
            key_pepper(vault),
            changed,
            clock,
            has_outside_admin_key=settings.security.admin_key is not None,
        ),
        providers=Providers(repositories.providers, guard, changed, clock),
        rests=Rests(resting.cooldowns, resting.provider_of, clock),
        statistics=Statistics(repositories.stats, repositories.egress, shared, clock),
        affinity=affinity,
        events=events,
        event_feed=EventFeed(repositories.events, shared),
        traces=Traces(
            repositories.stats, repositories.attempts, recorder.find, lambda: snapshots.current
        ),
        explain=explain,
        oauth=oauth,
        health=health,
    )


def _follow(house: House, resting: Resting) -> None:
    """Begin to follow what changes elsewhere."""
    snapshots, background = house.snapshots, house.background
    background.loop("snapshot.poll", snapshots.poll)
    background.loop("snapshot.listen", snapshots.listen)
    resting.run(background)
    background.loop("events.listen", house.gateway.event_feed.listen)
    background.loop("affinity.listen", house.gateway.affinity.bindings.listen)
    background.loop("affinity.follow", house.gateway.affinity.bindings.follow)
    snapshots.listeners.append(resting.follow)
    snapshots.listeners.append(lambda snapshot: house.quotas.keep(snapshot.accounts.keys()))
    background.loop("quotas", house.gateway.account_care.quota_sync.run)
    background.loop("draining", house.gateway.account_care.draining.beat)
    snapshots.listeners.append(
        lambda _: background.spawn("models", house.catalog.refresh_missing())
    )
    background.spawn("models", house.catalog.refresh_missing())


def _post_events(house: House, transport: HttpTransport, owner: str) -> None:
    """Begin to post events, where an address for them is set."""
    chosen = house.settings.events
    url, secret = chosen.webhook_url.get_secret_value(), chosen.webhook_secret
    if not url:
        return
    key = secret.get_secret_value().encode() if secret is not None else None
    webhook = Webhook(
        house.gateway.event_feed,
        house.repositories.cursors,
        transport,
        house.clock,
        Receiver(url, key, USER_AGENT),
        owner=owner,
    )
    house.background.loop("events.webhook", webhook.run)


def _add_jobs(house: House, schedule: Schedule) -> None:
    """What is done from time to time, once over all replicas."""
    settings, stores, clock = house.settings, house.repositories, house.clock

    async def forget() -> None:
        await delete_old_rows(stores.stats, clock, kept_days=settings.stats.retention_days)
        await delete_old_rows(stores.events, clock, kept_days=settings.events.retention_days)
        await delete_old_attempts(stores.attempts, clock, trace_days=settings.stats.trace_days)
        await delete_old_runs(stores.jobs, clock)
        await stores.oauth_flows.delete_before(clock.now() - _DAY_S)
        await stores.quotas.delete_orphans()

    schedule.every("tokens.due", _TOKENS_S, house.tokens.refresh_due)
    schedule.every("catalog", settings.catalog.refresh_s, house.catalog.refresh)
    schedule.every("egress.recalculate", _DAY_S, stores.egress.recalculate)
    care = house.gateway.egress_care
    if settings.egress.probe_urls:
        schedule.every("egress.probe", care.probes.round_s, care.probes.round)
    if care.rehoming.round_s:
        schedule.every("egress.rehome", care.rehoming.round_s, care.rehoming.overdue)
    schedule.every("accounts.drained", DRAINED_EVERY_S, house.gateway.account_care.draining.end)
    schedule.every("retention", _HOUR_S, forget)
