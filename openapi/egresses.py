"""Bodies of `/api/v1/proxies`. Passwords of proxies go in and come out as `***`."""

from datetime import datetime

from pydantic import SecretStr

from models.egress import EgressHealth, WatchedProxy, masked_url
from openapi.accounts import AccountAnswer
from openapi.addresses import ProxyUrl
from openapi.common import Listing, PageQuery
from openapi.fields import (
    Answer,
    Body,
    Capacity,
    Label,
    Patch,
    Priority,
    QueryFlag,
    Slug,
    instant,
    moment,
)


class ProxyCreate(Body):
    """A new outbound proxy."""

    label: Label = ""
    url: ProxyUrl
    """`http`, `https`, `socks5` or `socks5h`, with user name and password if it wants them."""
    provider_id: Slug | None = None
    """Only accounts of this provider may use it; null means any."""
    priority: Priority = 0
    """Higher ones fill first."""
    max_accounts: Capacity = 0
    """Accounts it takes; 0 means no limit."""
    is_active: bool = True


class ProxyReplace(ProxyCreate):
    """The whole proxy anew; what is left out goes back to its default.

    The address as it came out, password masked, keeps the stored one.
    """


class ProxyPatch(Patch):
    """Changes of a proxy. The address as it came out, password masked, keeps the stored one."""

    label: Label = ""
    url: ProxyUrl = SecretStr("")
    provider_id: Slug | None = None
    priority: Priority = 0
    max_accounts: Capacity = 0
    """A smaller number moves no account."""
    is_active: bool = True


class ProxyQuery(PageQuery):
    """Which proxies to list."""

    provider_id: Slug | None = None
    is_active: QueryFlag | None = None
    health: EgressHealth | None = None


class ProxyAnswer(Answer):
    """An outbound proxy, its password masked."""

    id: str
    label: str
    url: str
    provider_id: str | None
    priority: int
    max_accounts: int
    assigned: int
    """Accounts that hold a place now."""
    is_active: bool
    health: EgressHealth
    """`suspect`: it failed and is used all the same, or its quarantine is over and one request may
    try. `quarantined`: nobody uses it, unless nobody else is left."""
    quarantined_until: datetime | None
    failures: int
    """Counted against it lately, by the process that answers."""
    exit_address: str | None
    """The address from which a probe's target saw us come."""
    exit_country: str | None
    """Two letters, if the target told."""
    checked_at: datetime | None
    """When it was last probed."""
    check_error: str | None
    """Why the last probe failed; null when it went well."""
    latency_ms: float | None
    """How long the last good probe took."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, watched: WatchedProxy) -> "ProxyAnswer":
        """Show a proxy."""
        proxy, condition = watched.proxy, watched.condition
        return cls(
            id=proxy.id,
            label=proxy.label,
            url=masked_url(proxy.url),
            provider_id=proxy.provider_id,
            priority=proxy.priority,
            max_accounts=proxy.max_accounts,
            assigned=proxy.assigned,
            is_active=proxy.is_active,
            health=condition.health,
            quarantined_until=moment(condition.quarantined_until),
            failures=condition.failures,
            exit_address=proxy.exit_address,
            exit_country=proxy.exit_country,
            checked_at=moment(proxy.checked_at),
            check_error=proxy.check_error,
            latency_ms=proxy.latency_ms,
            created_at=instant(proxy.created_at),
            updated_at=instant(proxy.updated_at),
        )


class ProxyList(Listing[ProxyAnswer]):
    """A page of proxies."""


class AssignmentsAnswer(Answer):
    """The accounts that hold a place at one proxy."""

    proxy_id: str
    max_accounts: int
    assigned: int
    accounts: list[AccountAnswer]


class AssignmentsList(Listing[AssignmentsAnswer]):
    """A page of proxies with the accounts that hold places there."""


class RecalculatedAnswer(Answer):
    """What a recount of all places found and mended."""

    proxies: int
    corrected: int
    """Proxies whose counter did not equal the truth."""
    placed: int
    """Waiting accounts that got a place."""
