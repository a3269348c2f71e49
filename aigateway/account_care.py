"""Puts together what operators do with accounts besides storing them."""

from aigateway.ground import Ground
from aigateway.serving_parts import ServingParts
from models.account import EgressPolicy
from providers.base import Route
from services.account_actions import AccountActions
from services.account_care import AccountCare
from services.account_tests import AccountTests
from services.cooldown import scopes_of
from services.draining import Draining
from services.quota_learning import Learner
from services.quota_reports import QuotaReports
from services.quota_sync import QuotaSync
from services.transfer import Transfer


def account_care(ground: Ground, parts: ServingParts) -> AccountCare:
    """Return all of it."""
    settings, repositories, clock = ground.settings, ground.repositories, ground.clock
    snapshots, cooldowns, quotas = ground.snapshots, ground.resting.cooldowns, parts.quotas

    def succeeded(account_id: str, proxy_id: str | None, route: Route, *, since: float) -> None:
        cooldowns.succeeded(account_id, proxy_id, scopes_of(route), since=since)

    actions = AccountActions(
        repositories.accounts,
        snapshots.changed,
        clock,
        rests=cooldowns.active,
        release=cooldowns.release,
        tell=ground.events.tell,
    )
    affinity = settings.affinity
    return AccountCare(
        tests=AccountTests(
            accounts=repositories.accounts,
            snapshot=ground.snapshot,
            ways=parts.ways,
            calls=parts.calls,
            discoveries=parts.discoveries,
            succeeded=succeeded,
            release=cooldowns.release,
            clock=clock,
        ),
        actions=actions,
        draining=Draining(
            ground.snapshot,
            parts.pool.inflight,
            ground.shared,
            repositories.quotas,
            actions,
            clock,
            remembered_s=affinity.ttl_s if affinity.enabled else 0.0,
        ),
        transfer=Transfer(
            repositories.accounts,
            repositories.providers,
            ground.guard,
            snapshots.changed,
            clock,
            default_policy=EgressPolicy(settings.egress.default_policy),
        ),
        quotas=QuotaReports(
            quotas,
            repositories.quotas,
            ground.snapshot,
            cooldowns.active,
            cooldowns.release,
            clock,
        ),
        quota_sync=QuotaSync(
            quotas,
            Learner(quotas, repositories.quotas, ground.shared, clock),
            repositories.quotas,
            clock,
        ),
    )
