"""Outbound proxies. Never plain "proxy": the product is one too."""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit


@dataclass(frozen=True, slots=True)
class EgressProxy:
    """One outbound proxy."""

    id: str
    label: str
    url: str = field(repr=False)
    """http, https, socks5 or socks5h, with credentials if it wants any."""
    provider_id: str | None = None
    """Only accounts of this provider may use it; None means any."""
    priority: int = 0
    max_accounts: int = 0
    """Capacity; 0 means no limit."""
    assigned: int = 0
    """Accounts that hold a place now."""
    is_active: bool = True
    exit_address: str | None = None
    """The address under which it reaches the world, as a probe target told it."""
    exit_country: str | None = None
    """Two letters, as a probe target told it."""
    checked_at: float | None = None
    """When it was last probed, epoch seconds UTC."""
    check_error: str | None = None
    """Why the last probe failed; None when it went well."""
    latency_ms: float | None = None
    """How long the last good probe took."""
    created_at: float = 0.0
    updated_at: float = 0.0


class EgressHealth(StrEnum):
    """How well a proxy is, as requests and probes found it."""

    HEALTHY = "healthy"
    SUSPECT = "suspect"
    """It failed and is used all the same, or its quarantine is over and one request may try."""
    QUARANTINED = "quarantined"
    """Nobody uses it for a while, unless nobody else is left."""


@dataclass(frozen=True, slots=True)
class EgressCondition:
    """How well a proxy is now, in the eyes of one process."""

    health: EgressHealth = EgressHealth.HEALTHY
    quarantined_until: float | None = None
    """Epoch seconds UTC; None unless it is quarantined."""
    failures: int = 0
    """Counted against it lately: those in a row until it is quarantined, then how often it was."""


@dataclass(frozen=True, slots=True)
class WatchedProxy:
    """A proxy, and how well it is."""

    proxy: EgressProxy
    condition: EgressCondition


def masked_url(url: str) -> str:
    """Return the address with its password replaced by `***`."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    userinfo, _, host = parts.netloc.rpartition("@")
    user = userinfo.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{user}:***@{host}"))
