"""What runs beside the requests: following changes, posting events, periodic work."""

from typing import Final

from aigateway.ground import USER_AGENT, Ground
from aigateway.serving_parts import ServingParts
from services.background import Background
from services.catalog import Catalog
from services.draining import DRAINED_EVERY_S
from services.gateway import Gateway
from services.retention import delete_old_attempts, delete_old_rows, delete_old_runs
from services.schedule import Schedule
from services.webhook import Receiver, Webhook

_TOKENS_S: Final = 30.0
_HOUR_S: Final = 3_600.0
_DAY_S: Final = 86_400.0


def follow_changes(
    ground: Ground,
    parts: ServingParts,
    gateway: Gateway,
    catalog: Catalog,
    background: Background,
) -> None:
    """Begin to follow what changes elsewhere."""
    snapshots, resting = ground.snapshots, ground.resting
    bindings, care = gateway.affinity.bindings, gateway.account_care
    background.loop("snapshot.poll", snapshots.poll)
    background.loop("snapshot.listen", snapshots.listen)
    background.loop("events.listen", gateway.event_feed.listen)
    background.loop("affinity.listen", bindings.listen)
    background.loop("affinity.follow", bindings.follow)
    background.loop("pool.slots", parts.pool.slots.keep)
    background.loop("quotas", care.quota_sync.run)
    background.loop("draining", care.draining.beat)
    background.loop("metrics", gateway.metrics.run)
    resting.run(background)
    snapshots.listeners.append(resting.follow)
    snapshots.listeners.append(lambda snapshot: parts.quotas.keep(snapshot.accounts.keys()))

    def look_for_models() -> None:
        background.spawn("models", catalog.refresh_missing(), is_spare=True)

    snapshots.listeners.append(lambda _: look_for_models())
    look_for_models()


def post_events(ground: Ground, gateway: Gateway, background: Background, owner: str) -> None:
    """Begin to post events, where an address for them is set."""
    chosen = ground.settings.events
    url, secret = chosen.webhook_url.get_secret_value(), chosen.webhook_secret
    if not url:
        return
    key = secret.get_secret_value().encode() if secret is not None else None
    webhook = Webhook(
        gateway.event_feed,
        ground.repositories.cursors,
        ground.transport,
        ground.clock,
        Receiver(url, key, USER_AGENT),
        owner=owner,
    )
    background.loop("events.webhook", webhook.run)


def add_jobs(
    ground: Ground, parts: ServingParts, gateway: Gateway, catalog: Catalog, schedule: Schedule
) -> None:
    """What is done from time to time, once over all replicas."""
    settings, stores, clock = ground.settings, ground.repositories, ground.clock

    async def forget() -> None:
        await delete_old_rows(stores.stats, clock, kept_days=settings.stats.retention_days)
        await delete_old_rows(stores.events, clock, kept_days=settings.events.retention_days)
        await delete_old_attempts(stores.attempts, clock, trace_days=settings.stats.trace_days)
        await delete_old_runs(stores.jobs, clock)
        await stores.oauth_flows.delete_before(clock.now() - _DAY_S)
        await stores.quotas.delete_orphans()

    schedule.every("tokens.due", _TOKENS_S, parts.tokens.refresh_due)
    schedule.every("catalog", settings.catalog.refresh_s, catalog.refresh, is_spare=True)
    schedule.every("egress.recalculate", _DAY_S, stores.egress.recalculate)
    schedule.every("accounts.drained", DRAINED_EVERY_S, gateway.account_care.draining.end)
    schedule.every("retention", _HOUR_S, forget)
    _add_egress_jobs(ground, gateway, schedule)


def _add_egress_jobs(ground: Ground, gateway: Gateway, schedule: Schedule) -> None:
    care = gateway.egress_care
    if ground.settings.egress.probe_urls:
        schedule.every("egress.probe", care.probes.round_s, care.probes.round, is_spare=True)
    if care.rehoming.round_s:
        schedule.every("egress.rehome", care.rehoming.round_s, care.rehoming.overdue)
