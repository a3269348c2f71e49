"""What operators do with accounts, over a real database and a scripted provider."""

from collections.abc import Awaitable, Callable
from typing import cast

from models.account import EgressPolicy
from models.event import Tell
from providers.base import Route
from repositories.open import Repositories
from repositories.shared_memory import MemoryState
from services.account_actions import AccountActions
from services.account_calls import AccountCalls
from services.account_care import AccountCare
from services.account_tests import AccountTests
from services.cooldown import Cooldowns, scopes_of
from services.discovery import Discoveries
from services.draining import Draining
from services.guard import AddressGuard
from services.pool import Pool
from services.quota_learning import Learner
from services.quota_reports import QuotaReports
from services.quota_sync import QuotaSync
from services.quotas import Quotas
from services.snapshot import Snapshots
from services.tokens import Tokens
from services.transfer import Transfer
from services.ways_out import WaysOut
from tests.fakes.clock import FakeClock
from tests.fakes.transport import FakeTransport, whole
from tests.services.executor_rig import FakeTokens


def care_of(
    stores: Repositories,
    shared: MemoryState,
    snapshots: Snapshots,
    changed: Callable[[], Awaitable[None]],
    cooldowns: Cooldowns,
    guard: AddressGuard,
    clock: FakeClock,
    tell: Tell,
    default_policy: EgressPolicy,
) -> AccountCare:
    """Put it together as the program does; providers refuse every call."""

    def succeeded(account_id: str, proxy_id: str | None, route: Route, *, since: float) -> None:
        cooldowns.succeeded(account_id, proxy_id, scopes_of(route), since=since)

    pool = Pool(lambda: snapshots.current, shared, cooldowns, clock)
    quotas = Quotas(lambda: snapshots.current, cooldowns.release, lambda *_: None, clock)
    calls = AccountCalls(
        tokens=cast(Tokens, FakeTokens()),
        transport=FakeTransport(clock, lambda _: whole(b"{}", 401)),
        egress_of=pool.egress_of,
        user_agent="aigateway/test",
    )
    actions = AccountActions(
        stores.accounts,
        changed,
        clock,
        rests=cooldowns.active,
        release=cooldowns.release,
        tell=tell,
    )
    return AccountCare(
        tests=AccountTests(
            accounts=stores.accounts,
            snapshot=lambda: snapshots.current,
            ways=WaysOut(lambda: snapshots.current, pool.egress_of),
            calls=calls,
            discoveries=Discoveries(
                accounts=stores.accounts, changed=changed, calls=calls, clock=clock
            ),
            succeeded=succeeded,
            release=cooldowns.release,
            clock=clock,
        ),
        actions=actions,
        draining=Draining(
            lambda: snapshots.current,
            pool.inflight,
            shared,
            stores.quotas,
            actions,
            clock,
            remembered_s=3600.0,
        ),
        transfer=Transfer(
            stores.accounts,
            stores.providers,
            guard,
            changed,
            clock,
            default_policy=default_policy,
        ),
        quotas=QuotaReports(
            quotas,
            stores.quotas,
            lambda: snapshots.current,
            cooldowns.active,
            cooldowns.release,
            clock,
        ),
        quota_sync=QuotaSync(
            quotas, Learner(quotas, stores.quotas, shared, clock), stores.quotas, clock
        ),
    )
