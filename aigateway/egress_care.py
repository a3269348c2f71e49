"""What keeps the outbound proxies well, made from the settings."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from config.settings import Settings
from models.egress import EgressProxy
from models.event import Tell
from models.ports import Clock, Transport
from repositories.open import Repositories
from services.cooldown import Cooldowns
from services.egress_care import EgressCare
from services.egress_conditions import EgressConditions
from services.egress_lists import EgressLists
from services.egress_probes import EgressProbes, ProbePlan
from services.guard import AddressGuard
from services.reach import Reach
from services.rehoming import Rehoming
from services.snapshot import Snapshots
from services.transport import open_transport

# A proxy that hangs must be told from a target that does: its part ends before the whole.
_CONNECT_SHARE = 0.8


def egress_care(
    settings: Settings,
    repositories: Repositories,
    snapshots: Snapshots,
    cooldowns: Cooldowns,
    guard: AddressGuard,
    clock: Clock,
    *,
    tell: Tell,
    user_agent: str,
) -> EgressCare:
    """Put the parts together."""
    chosen, stores = settings.egress, repositories
    reach = Reach(clock.monotonic)

    def proxies() -> Mapping[str, EgressProxy]:
        return snapshots.current.proxies

    def open_way() -> AbstractAsyncContextManager[Transport]:
        connect_timeout_s = _CONNECT_SHARE * chosen.probe_timeout_s
        return open_transport(guard, connect_timeout_s=connect_timeout_s, reach=reach)

    plan = ProbePlan(
        urls=chosen.probe_urls,
        interval_s=chosen.probe_interval_s,
        timeout_s=chosen.probe_timeout_s,
        concurrency=chosen.probe_concurrency,
        user_agent=user_agent,
    )
    conditions = EgressConditions(cooldowns, proxies, clock)
    return EgressCare(
        conditions,
        EgressProbes(stores.egress, proxies, conditions, open_way, clock, plan),
        Rehoming(
            stores.egress,
            proxies,
            conditions,
            snapshots.changed,
            clock,
            tell=tell,
            after_s=chosen.rehome_after_s,
        ),
        EgressLists(stores.egress, stores.providers, guard, snapshots.changed, clock),
    )
