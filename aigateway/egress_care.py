"""What keeps the outbound proxies well, made from the settings."""

from contextlib import AbstractAsyncContextManager

from aigateway.ground import USER_AGENT, Ground
from models.ports import Transport
from services.egress_care import EgressCare
from services.egress_conditions import EgressConditions
from services.egress_lists import EgressLists
from services.egress_probes import EgressProbes, ProbePlan
from services.reach import Reach
from services.rehoming import Rehoming
from services.transport import open_transport

# A proxy that hangs must be told from a target that does: its part ends before the whole.
_CONNECT_SHARE = 0.8


def egress_care(ground: Ground) -> EgressCare:
    """Put the parts together."""
    chosen, stores = ground.settings.egress, ground.repositories
    clock, changed = ground.clock, ground.snapshots.changed
    conditions = EgressConditions(
        ground.resting.cooldowns, lambda: ground.snapshot().proxies, clock
    )
    return EgressCare(
        conditions,
        _probes(ground, conditions),
        Rehoming(
            stores.egress,
            ground.proxies,
            conditions,
            changed,
            clock,
            tell=ground.events.tell,
            after_s=chosen.rehome_after_s,
        ),
        EgressLists(stores.egress, stores.providers, ground.guard, changed, clock),
    )


def _probes(ground: Ground, conditions: EgressConditions) -> EgressProbes:
    chosen, clock = ground.settings.egress, ground.clock
    reach = Reach(clock.monotonic)

    def open_way() -> AbstractAsyncContextManager[Transport]:
        connect_timeout_s = _CONNECT_SHARE * chosen.probe_timeout_s
        return open_transport(
            ground.guard,
            connect_timeout_s=connect_timeout_s,
            reach=reach,
            client=ground.settings.upstream.client,
        )

    plan = ProbePlan(
        urls=chosen.probe_urls,
        interval_s=chosen.probe_interval_s,
        timeout_s=chosen.probe_timeout_s,
        concurrency=chosen.probe_concurrency,
        user_agent=USER_AGENT,
    )
    return EgressProbes(
        ground.repositories.egress, ground.proxies, conditions, open_way, clock, plan
    )
