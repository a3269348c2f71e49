"""Upstream accounts and what signs their calls."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from models.json_types import JsonObject


class AuthType(StrEnum):
    """How an account signs its calls."""

    API_KEY = "api_key"
    BEARER = "bearer"
    OAUTH = "oauth"


class Strategy(StrEnum):
    """How a provider's next account is chosen among equals."""

    ROUND_ROBIN = "round_robin"
    WEIGHTED = "weighted"
    LEAST_INFLIGHT = "least_inflight"
    FILL_FIRST = "fill_first"
    SOONEST_RESET = "soonest_reset"
    LEAST_USED = "least_used"


AccountState: TypeAlias = Literal[
    "available",
    "limited",
    "draining",
    "cooling",
    "proxy_down",
    "needs_operator",
    "needs_login",
    "waiting_for_proxy",
    "inactive",
]
"""`limited`: it rests for some models; `cooling`: for all."""


class EgressPolicy(StrEnum):
    """How an account leaves the house."""

    AUTO = "auto"
    REQUIRED = "required"
    DIRECT = "direct"


class EgressStatus(StrEnum):
    """How an account leaves the house now."""

    ASSIGNED = "assigned"
    WAITING = "waiting"
    DIRECT = "direct"


class TokenState(StrEnum):
    """Whether an account's credential can be used."""

    OK = "ok"
    UNCERTAIN = "uncertain"
    """A refresh may have been answered without our keeping the answer; one more try is due."""
    NEEDS_REAUTH = "needs_reauth"


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """Facts about the operator's own OAuth client; nothing is shipped."""

    token_url: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ()
    token_body: str = "form"  # noqa: S105 - the encoding of the request, not a secret
    """`form` or `json`: how the token endpoint wants its request."""
    client_auth: str = "post"
    """`post`, `basic` or `none`: how the secret is shown, if there is one."""
    token_params: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Extra parameters of every token request."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signs a call. For `api_key` and `bearer` accounts only `access` is set."""

    access: str = field(repr=False)
    """API key or access token; empty when an OAuth account has only a refresh token yet."""
    refresh: str | None = field(default=None, repr=False)
    expires_at: float | None = None
    """Epoch seconds UTC; None means it does not expire as far as we know."""
    oauth: OAuthClient | None = None
    facts: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """One upstream account as the pool sees it."""

    id: str
    provider_id: str
    label: str
    auth_type: AuthType
    is_active: bool = True
    priority: int = 0
    egress_policy: EgressPolicy = EgressPolicy.AUTO
    egress_status: EgressStatus = EgressStatus.DIRECT
    egress_bound: bool = False
    """It once had a proxy, so it never goes direct again unless an operator says so."""
    proxy_id: str | None = None
    models: tuple[str, ...] | None = None
    """Models it may serve; None means all of its provider's."""
    max_concurrent: int = 0
    """Requests that it may serve at once, over all replicas; 0 means any number."""
    weight: int = 1
    """Its share, where the provider's strategy is `weighted`."""
    is_draining: bool = False
    """It goes on with the conversations that it has, and begins none."""
    draining_since: float | None = None
    """Epoch seconds UTC."""
    drain_until: float | None = None
    """When it is switched off at the latest, epoch seconds UTC; before that once it is idle. None:
    it drains until an operator does something."""
    status_reason: str | None = None
    """Why an operator switched it off or lets it drain."""
    identity: str | None = None
    """Who it is at the provider, such as an e-mail address; one account each."""
    metadata: JsonObject = field(default_factory=dict)
    token_version: int = 0
    token_state: TokenState = TokenState.OK
    token_error: str | None = None
    """Class of the last failed refresh, for the operator."""
    expires_at: float | None = None
    """Expiry of the access token, epoch seconds UTC; shown to the operator."""
    cooldown_reset_at: float = 0.0
    """Cooldowns that began before this instant (epoch seconds) are void."""
    created_at: float = 0.0
    updated_at: float = 0.0

    @property
    def goes_direct(self) -> bool:
        """Whether it leaves without a proxy; one that was bound to a proxy never does."""
        is_direct = self.proxy_id is None and self.egress_status is EgressStatus.DIRECT
        return is_direct and not self.egress_bound


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account with its decrypted credentials: lives in memory only."""

    account: Account
    credentials: Credentials
