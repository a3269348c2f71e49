"""The assembled services, as the handlers see them."""

from dataclasses import dataclass

from services.account_care import AccountCare
from services.accounts import Accounts
from services.affinity import Affinity
from services.egress_care import EgressCare
from services.egresses import Egresses
from services.event_feed import EventFeed
from services.events import Events
from services.explain import Explain
from services.health import Health
from services.keys import Keys
from services.metrics import Metrics
from services.oauth import OAuth
from services.providers import Providers
from services.rests import Rests
from services.statistics import Statistics
from services.traces import Traces


@dataclass(frozen=True, slots=True)
class Gateway:
    """One typed object instead of many application keys."""

    accounts: Accounts
    account_care: AccountCare
    egresses: Egresses
    egress_care: EgressCare
    keys: Keys
    providers: Providers
    rests: Rests
    statistics: Statistics
    affinity: Affinity
    events: Events
    event_feed: EventFeed
    traces: Traces
    explain: Explain
    oauth: OAuth
    health: Health
    metrics: Metrics
