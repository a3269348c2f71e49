"""Bodies of `/api/v1/oauth`: logins of accounts, and how it stands with their tokens."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from models.account import EgressPolicy, TokenState
from openapi.common import Listing, PageQuery
from openapi.fields import Answer, Body, Id, Label, QueryFlag, Slug


def _on_lines(secret: SecretStr) -> SecretStr:
    if not all(char.isprintable() or char in "\r\n\t" for char in secret.get_secret_value()):
        raise ValueError("must not contain control characters")
    return secret


FlowId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Pasted = Annotated[
    SecretStr,
    Field(min_length=1, max_length=16_384, json_schema_extra={"writeOnly": True}),
    AfterValidator(_on_lines),
]
_State = Annotated[
    SecretStr, Field(min_length=1, max_length=200, json_schema_extra={"writeOnly": True})
]


class OAuthProviderAnswer(Answer):
    """A provider whose accounts can log in here."""

    provider_id: str
    flows: list[Literal["code", "device"]]
    """`code`: in a browser; `device`: by a short code on another device."""
    redirect_uri: str
    """Where the provider sends the browser back; register this address there."""
    scopes: list[str]


class OAuthProviderList(Listing[OAuthProviderAnswer]):
    """A page of providers."""


class DeviceBegin(Body):
    """A login by a short code on another device."""

    provider_id: Slug
    label: Label = ""
    """Of a new account; empty takes its identity."""
    account_id: Id | None = None
    """The account that logs in again; null finds it by its identity, or makes a new one."""
    egress_policy: EgressPolicy | None = None
    """Of a new account; null means the configured default."""
    proxy_id: Id | None = None
    """The proxy that a new account and its login shall leave through; null means the first that
    has room."""


class LoginBegin(DeviceBegin):
    """A login in a browser."""

    redirect: Literal["callback", "manual"] | None = None
    """`callback`: the provider sends the browser back to this gateway, which ends the login.
    `manual`: a person pastes what the browser shows. Null: `callback` where the client allows."""


class LoginBegunAnswer(Answer):
    """A login that waits for somebody in a browser."""

    flow_id: str
    start_url: str | None
    """Open this in a browser, once: it goes on to `authorize_url`, and the login ends by itself in
    that browser. Null for `manual`."""
    authorize_url: str
    """Opened directly, the login ends by pasting what the browser shows to
    `POST /api/v1/oauth/exchange`."""
    redirect_uri: str
    proxy_id: str | None
    """The proxy that the login leaves through; null means direct."""
    expires_at: datetime


class DeviceBegunAnswer(Answer):
    """A login that waits for somebody on another device."""

    flow_id: str
    user_code: str
    """Type it in at `verification_uri`."""
    verification_uri: str
    verification_uri_complete: str | None
    """The same with the code in it, where the provider has that."""
    interval_s: float
    """How often `POST /api/v1/oauth/device/poll` makes sense."""
    proxy_id: str | None
    expires_at: datetime


class LoginExchange(Body):
    """What the browser showed at the end of a login."""

    text: _Pasted
    """The whole address, `code#state`, `code=...&state=...`, or the bare code."""
    flow_id: FlowId | None = None
    """Needed for a bare code; else it must fit."""
    state: _State | None = None
    """May stand here instead of in `text`."""


class DevicePoll(Body):
    """Which login to ask after."""

    flow_id: FlowId


class LoginAnswer(Answer):
    """How it stands with a login."""

    flow_id: str
    provider_id: str
    kind: Literal["code", "device"]
    status: Literal["pending", "done", "denied", "expired", "failed"]
    reason: str | None
    """Why it failed: one of a fixed set of words."""
    account_id: str | None
    """The account that has logged in; before that, the one that logs in again."""
    proxy_id: str | None
    retry_after_s: float | None = None
    """When to ask again."""
    created_at: datetime
    expires_at: datetime


class RefreshNow(Body):
    """Which account to refresh."""

    account_id: Id


class RefreshAnswer(Answer):
    """How it stands with the tokens of one account."""

    account_id: str
    provider_id: str
    is_active: bool
    token_state: TokenState
    token_error: str | None
    """Class of the last failed refresh."""
    expires_at: datetime | None
    """When the access token ends."""
    last_success_at: datetime | None
    """Null where an operator brought the tokens."""
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    """Null where none will come: no refresh token, no expiry, or a new login is needed."""
    failures: int
    """In a row."""
    is_late: bool
    """It needs a login, or its refresh is overdue by half of the time it had."""


class RefreshQuery(PageQuery):
    """Which accounts to list."""

    provider_id: Slug | None = None
    is_late: QueryFlag | None = None


class RefreshList(Listing[RefreshAnswer]):
    """A page of accounts: those that are late first, then whose token ends first."""
