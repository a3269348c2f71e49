"""Bodies of `/api/v1/accounts`. Credentials go in and never come out."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from models.account import (
    Account,
    AccountState,
    AuthType,
    Credentials,
    EgressPolicy,
    EgressStatus,
    OAuthClient,
    TokenState,
)
from models.rest import NEVER
from openapi.addresses import WebUrl
from openapi.common import Listing, PageQuery
from openapi.fields import (
    Answer,
    Body,
    Capacity,
    FormSecret,
    HeaderSecret,
    Id,
    Identity,
    Label,
    Metadata,
    ModelName,
    ParamName,
    Patch,
    Priority,
    QueryFlag,
    Scope,
    Slug,
    Weight,
    When,
    instant,
    moment,
)

_DAY_S = 86_400.0
_RESERVED_PARAMS = frozenset({"grant_type", "refresh_token", "client_id", "client_secret", "scope"})

Models: TypeAlias = Annotated[
    list[ModelName], Field(min_length=1, max_length=1000, examples=[["claude-sonnet-5-5"]])
]


class ApiKeyData(Body):
    """Credential of an `api_key` account."""

    api_key: HeaderSecret

    def credentials(self) -> Credentials:
        return Credentials(access=self.api_key.get_secret_value())


class BearerData(Body):
    """Credential of a `bearer` account."""

    token: HeaderSecret

    def credentials(self) -> Credentials:
        return Credentials(access=self.token.get_secret_value())


class OAuthData(Body):
    """Credential of an `oauth` account: tokens, and the operator's own OAuth client."""

    access_token: HeaderSecret | None = None
    """Without one the account is refreshed before its first call."""
    refresh_token: FormSecret
    expires_at: When | None = None
    """When the access token ends; null when that is not known."""
    token_url: WebUrl
    """Where the refresh token is traded for access tokens."""
    client_id: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[ -~]+$")]
    client_secret: FormSecret | None = None
    scopes: Annotated[list[Scope], Field(max_length=100)] = Field(default_factory=list)
    token_body: Literal["form", "json"] = "form"  # noqa: S105 - an encoding, not a secret
    """How the token endpoint wants its request."""
    client_auth: Literal["post", "basic", "none"] = "post"
    """How the client shows its secret: in the body, in a header, not at all."""
    token_params: Annotated[dict[ParamName, FormSecret], Field(max_length=50)] = Field(
        default_factory=dict
    )
    """Further parameters of every token request."""

    @field_validator("token_params")
    @classmethod
    def _no_reserved_params(cls, params: dict[str, SecretStr]) -> dict[str, SecretStr]:
        if taken := sorted(_RESERVED_PARAMS & params.keys()):
            raise ValueError(f"must not set {', '.join(taken)}")
        return params

    def credentials(self) -> Credentials:
        access = self.access_token
        return Credentials(
            access=access.get_secret_value() if access else "",
            refresh=self.refresh_token.get_secret_value(),
            expires_at=self.expires_at,
            oauth=OAuthClient(
                token_url=self.token_url,
                client_id=self.client_id,
                client_secret=_text(self.client_secret),
                scopes=tuple(self.scopes),
                token_body=self.token_body,
                client_auth=self.client_auth,
                token_params={
                    name: value.get_secret_value() for name, value in self.token_params.items()
                },
            ),
        )


AuthData: TypeAlias = ApiKeyData | BearerData | OAuthData
_SHAPES: dict[AuthType, type[ApiKeyData | BearerData | OAuthData]] = {
    AuthType.API_KEY: ApiKeyData,
    AuthType.BEARER: BearerData,
    AuthType.OAUTH: OAuthData,
}


def auth_type_of(data: AuthData) -> AuthType:
    """Tell which kind of account the credential is for."""
    match data:
        case ApiKeyData():
            return AuthType.API_KEY
        case BearerData():
            return AuthType.BEARER
        case OAuthData():
            return AuthType.OAUTH


def _read_auth_data(value: object, info: ValidationInfo) -> AuthData:
    """Read the credential in the shape that `auth_type` demands, so that errors name its fields.

    Without a (good) `auth_type` the fields tell the shape.
    """
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    auth_type = info.data.get("auth_type")
    shape = _SHAPES[_guess(value) if auth_type is None else auth_type]
    return shape.model_validate(value)


def _guess(value: dict[object, object]) -> AuthType:
    if "api_key" in value:
        return AuthType.API_KEY
    return AuthType.BEARER if "token" in value else AuthType.OAUTH


class AccountCreate(Body):
    """A new account."""

    provider_id: Slug
    label: Label = ""
    auth_type: AuthType
    """Stands before `auth_data`: it decides its shape."""
    auth_data: AuthData
    metadata: Metadata = Field(default_factory=dict)
    is_active: bool = True
    priority: Priority = 0
    models: Models | None = None
    """Models it may serve; null means all of its provider's."""
    egress_policy: EgressPolicy | None = None
    """Null means the configured default."""
    max_concurrent: Capacity = 0
    """Requests that it may serve at once, over all replicas; 0 means any number."""
    weight: Weight = 1
    """Its share, where the provider's strategy is `weighted`."""
    identity: Identity | None = None
    """Who it is at the provider, such as an e-mail address; a provider has one account of each."""

    _shape = field_validator("auth_data", mode="plain", json_schema_input_type=AuthData)(
        _read_auth_data
    )


class AccountReplace(Body):
    """The whole account anew; what is left out goes back to its default.

    Only `auth_data` is kept when left out, because it never comes back.
    """

    provider_id: Slug
    """Must be the account's own."""
    label: Label = ""
    auth_type: AuthType
    auth_data: AuthData | None = None
    """Null keeps the stored credential."""
    metadata: Metadata = Field(default_factory=dict)
    is_active: bool = True
    priority: Priority = 0
    models: Models | None = None
    egress_policy: EgressPolicy | None = None
    max_concurrent: Capacity = 0
    weight: Weight = 1
    identity: Identity | None = None

    @field_validator("auth_data", mode="plain", json_schema_input_type=AuthData | None)
    @classmethod
    def _shape(cls, value: object, info: ValidationInfo) -> AuthData | None:
        return None if value is None else _read_auth_data(value, info)


class AccountPatch(Patch):
    """Changes of an account."""

    provider_id: Slug = ""
    """Must be the account's own."""
    label: Label = ""
    # Before `auth_type`, so that the default of that one does not decide the shape of this one.
    auth_data: AuthData = ApiKeyData.model_construct(api_key=SecretStr(""))
    """Replaces the whole credential."""
    auth_type: AuthType = AuthType.API_KEY
    """Another one needs `auth_data`, too."""
    metadata: Metadata = Field(default_factory=dict)
    is_active: bool = True
    priority: Priority = 0
    models: Models | None = None
    egress_policy: EgressPolicy = EgressPolicy.AUTO
    """`direct` also undoes `egress_bound`."""
    max_concurrent: Capacity = 0
    weight: Weight = 1
    identity: Identity | None = None

    _shape = field_validator("auth_data", mode="plain", json_schema_input_type=AuthData)(
        _read_auth_data
    )


class AccountQuery(PageQuery):
    """Which accounts to list."""

    provider_id: Slug | None = None
    is_active: QueryFlag | None = None
    egress_status: EgressStatus | None = None
    proxy_id: Id | None = None


class AccountAnswer(Answer):
    """An account without its credentials."""

    id: str
    provider_id: str
    label: str
    auth_type: AuthType
    metadata: Metadata
    is_active: bool
    state: AccountState
    """How it is now; `/api/v1/quota/accounts` tells its rests and limits."""
    priority: int
    models: list[str] | None
    max_concurrent: int
    weight: int
    identity: str | None
    is_draining: bool
    """It goes on with the conversations that it has, and begins none."""
    drain_until: datetime | None
    """When a draining account is switched off at the latest; null: not by itself, or no limit."""
    status_reason: str | None
    """Why it was switched off or drains."""
    egress_policy: EgressPolicy
    egress_status: EgressStatus
    """How it leaves the house now."""
    egress_bound: bool
    """It once had a proxy, so it never goes direct again unless its policy becomes `direct`."""
    proxy_id: str | None
    token_state: TokenState
    token_error: str | None
    """Class of the last failed refresh."""
    expires_at: datetime | None
    """When the access token ends."""
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, account: Account, state: AccountState) -> "AccountAnswer":
        """Show an account."""
        return cls(
            id=account.id,
            provider_id=account.provider_id,
            label=account.label,
            auth_type=account.auth_type,
            metadata=account.metadata,
            is_active=account.is_active,
            state=state,
            priority=account.priority,
            models=None if account.models is None else list(account.models),
            max_concurrent=account.max_concurrent,
            weight=account.weight,
            identity=account.identity,
            is_draining=account.is_draining,
            drain_until=_limit(account.drain_until),
            status_reason=account.status_reason,
            egress_policy=account.egress_policy,
            egress_status=account.egress_status,
            egress_bound=account.egress_bound,
            proxy_id=account.proxy_id,
            token_state=account.token_state,
            token_error=account.token_error,
            expires_at=moment(account.expires_at),
            created_at=instant(account.created_at),
            updated_at=instant(account.updated_at),
        )


class AccountList(Listing[AccountAnswer]):
    """A page of accounts."""


def _limit(drain_until: float | None) -> datetime | None:
    # The last moment that a column keeps is a little before the last there is.
    is_limit = drain_until is not None and drain_until < NEVER - _DAY_S
    return moment(drain_until) if is_limit else None


def _text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
