"""What keeps the outbound proxies well, as the handlers and the jobs see it."""

from dataclasses import dataclass

from services.egress_conditions import EgressConditions
from services.egress_lists import EgressLists
from services.egress_probes import EgressProbes
from services.rehoming import Rehoming


@dataclass(frozen=True, slots=True)
class EgressCare:
    """One object for what belongs together."""

    conditions: EgressConditions
    probes: EgressProbes
    rehoming: Rehoming
    lists: EgressLists
