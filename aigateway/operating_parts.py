"""What operators work with: the use cases behind `/api/v1`."""

from contextlib import AbstractAsyncContextManager

from aigateway.account_care import account_care
from aigateway.egress_care import egress_care
from aigateway.ground import USER_AGENT, Ground
from aigateway.login_rules import login_rules
from aigateway.master_key import key_pepper
from aigateway.metrics_parts import make_metrics
from aigateway.serving_parts import ServingParts, make_explain
from models.account import EgressPolicy
from services.accounts import Accounts
from services.admission import Admission
from services.affinity import Affinity
from services.authenticator import Authenticator
from services.egress_care import EgressCare
from services.egresses import Egresses
from services.event_feed import EventFeed
from services.executor import Executor
from services.gateway import Gateway
from services.health import Health
from services.keys import Keys
from services.oauth import OAuth, open_oauth
from services.providers import Providers
from services.request_meter import RequestMeter
from services.rests import Rests
from services.statistics import Statistics
from services.stored_responses import Keeping, StoredResponses
from services.traces import Traces


def open_logins(ground: Ground, parts: ServingParts) -> AbstractAsyncContextManager[OAuth]:
    """Return what lets accounts log in."""
    return open_oauth(
        login_rules(ground.settings),
        accounts=ground.repositories.accounts,
        providers=ground.repositories.providers,
        flows=ground.repositories.oauth_flows,
        flow_key=ground.vault.subkey("oauth_flows"),
        shared=ground.shared,
        snapshot=ground.snapshot,
        changed=ground.snapshots.changed,
        ways=parts.ways,
        tokens=parts.tokens,
        transport=ground.transport,
        guard=ground.guard,
        clock=ground.clock,
        user_agent=USER_AGENT,
        tell=ground.events.tell,
    )


def make_authenticator(ground: Ground) -> Authenticator:
    """Return what knows the keys of callers."""
    admin_key = ground.settings.security.admin_key
    return Authenticator(
        ground.snapshot,
        ground.snapshots.look_again,
        key_pepper(ground.vault),
        ground.clock,
        admin_key=admin_key.get_secret_value() if admin_key is not None else None,
    )


def make_stored_responses(ground: Ground) -> StoredResponses:
    """Return what keeps answers that clients may come back to."""
    chosen = ground.settings.responses
    keeping = Keeping(is_on=chosen.store, ttl_s=chosen.ttl_s, max_bytes=chosen.max_bytes)
    return StoredResponses(ground.shared, ground.vault, keeping)


def make_gateway(
    ground: Ground,
    parts: ServingParts,
    oauth: OAuth,
    affinity: Affinity,
    executor: Executor,
    meter: RequestMeter,
    admission: Admission,
) -> Gateway:
    """Return the use cases."""
    stores, guard, clock = ground.repositories, ground.guard, ground.clock
    changed, resting = ground.snapshots.changed, ground.resting
    care, health = egress_care(ground), _health(ground)
    return Gateway(
        accounts=Accounts(
            stores.accounts,
            stores.providers,
            guard,
            changed,
            clock,
            default_policy=EgressPolicy(ground.settings.egress.default_policy),
        ),
        account_care=account_care(ground, parts),
        egresses=_egresses(ground, care),
        egress_care=care,
        keys=Keys(
            stores.keys,
            key_pepper(ground.vault),
            changed,
            clock,
            has_outside_admin_key=ground.settings.security.admin_key is not None,
        ),
        providers=Providers(stores.providers, guard, changed, clock),
        rests=Rests(resting.cooldowns, resting.provider_of, resting.label_of, clock),
        statistics=Statistics(stores.stats, stores.egress, ground.shared, clock),
        affinity=affinity,
        events=ground.events,
        event_feed=EventFeed(stores.events, ground.shared),
        traces=Traces(stores.stats, stores.attempts, ground.recorder.find, ground.snapshot),
        explain=make_explain(ground, parts.pool, affinity),
        oauth=oauth,
        health=health,
        metrics=make_metrics(ground, executor, meter, admission, care.conditions, health),
    )


def _egresses(ground: Ground, care: EgressCare) -> Egresses:
    stores = ground.repositories
    return Egresses(
        stores.egress,
        stores.providers,
        ground.guard,
        ground.snapshots.changed,
        ground.clock,
        proxies=ground.proxies,
        conditions=care.conditions,
    )


def _health(ground: Ground) -> Health:
    components = {"database": lambda: ground.snapshots.is_fresh}
    if ground.settings.redis_url:
        components["redis"] = lambda: ground.shared.is_available
    return Health(components)
