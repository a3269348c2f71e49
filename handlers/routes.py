"""The one table of all routes."""

from collections.abc import Sequence

from handlers import (
    account_actions,
    accounts,
    affinity,
    api_keys,
    egress_care,
    egresses,
    events,
    explain,
    health,
    metrics,
    oauth,
    providers_api,
    quotas,
    rests,
    root,
    stats,
    traces,
    transfer,
)
from handlers.endpoint import Endpoint
from handlers.reference import Reference


def all_endpoints(model_routes: Sequence[Endpoint], version: str) -> list[Endpoint]:
    """Return every route: the given model routes, `/api/v1`, health, and the reference of all."""
    routes = [
        *model_routes,
        *accounts.endpoints(),
        *account_actions.endpoints(),
        *transfer.endpoints(),
        *quotas.endpoints(),
        *egresses.endpoints(),
        *egress_care.endpoints(),
        *rests.endpoints(),
        *providers_api.endpoints(),
        *api_keys.endpoints(),
        *stats.endpoints(),
        *traces.endpoints(),
        *explain.endpoints(),
        *affinity.endpoints(),
        *events.endpoints(),
        *oauth.endpoints(),
        *health.endpoints(),
        *metrics.endpoints(),
        *root.endpoints(),
    ]
    return [*routes, *Reference(routes, version).endpoints()]
