"""Puts together what operators do with accounts besides storing them."""

from config.settings import Settings
from models.account import EgressPolicy
from models.ports import Clock
from providers.base import Route
from repositories.base import SharedState
from repositories.open import Repositories
from services.account_actions import AccountActions
from services.account_calls import AccountCalls
from services.account_care import AccountCare
from services.account_tests import AccountTests
from services.cooldown import Cooldowns, scopes_of
from services.discovery import Discoveries
from services.draining import Draining
from services.events import Events
from services.guard import AddressGuard
from services.pool import Pool
from services.quota_learning import Learner
from services.quota_reports import QuotaReports
from services.quota_sync import QuotaSync
from services.quotas import Quotas
from services.snapshot import Snapshots
from services.transfer import Transfer
from services.ways_out import WaysOut


def account_care(
    settings: Settings,
    repositories: Repositories,
    shared: SharedState,
    snapshots: Snapshots,
    cooldowns: Cooldowns,
    quotas: Quotas,
    pool: Pool,
    ways: WaysOut,
    calls: AccountCalls,
    discoveries: Discoveries,
    guard: AddressGuard,
    events: Events,
    clock: Clock,
) -> AccountCare:
    """Return all of it."""

    def succeeded(account_id: str, proxy_id: str | None, route: Route, *, since: float) -> None:
        cooldowns.succeeded(account_id, proxy_id, scopes_of(route), since=since)

    actions = AccountActions(
        repositories.accounts,
        snapshots.changed,
        clock,
        rests=cooldowns.active,
        release=cooldowns.release,
        tell=events.tell,
    )
    affinity = settings.affinity
    return AccountCare(
        tests=AccountTests(
            accounts=repositories.accounts,
            snapshot=lambda: snapshots.current,
            ways=ways,
            calls=calls,
            discoveries=discoveries,
            succeeded=succeeded,
            release=cooldowns.release,
            clock=clock,
        ),
        actions=actions,
        draining=Draining(
            lambda: snapshots.current,
            pool.inflight,
            shared,
            repositories.quotas,
            actions,
            clock,
            remembered_s=affinity.ttl_s if affinity.enabled else 0.0,
        ),
        transfer=Transfer(
            repositories.accounts,
            repositories.providers,
            guard,
            snapshots.changed,
            clock,
            default_policy=EgressPolicy(settings.egress.default_policy),
        ),
        quotas=QuotaReports(
            quotas,
            repositories.quotas,
            lambda: snapshots.current,
            cooldowns.active,
            cooldowns.release,
            clock,
        ),
        quota_sync=QuotaSync(
            quotas,
            Learner(quotas, repositories.quotas, shared, clock),
            repositories.quotas,
            clock,
        ),
    )
