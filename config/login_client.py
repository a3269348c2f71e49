"""An OAuth client of the operator's own, by which accounts of one provider log in."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, SecretStr, model_validator

from config.fields import ProviderId, PublicUrl, WebUrl
from config.frozen import Frozen

_Visible = Annotated[str, Field(pattern=r"^[!-~]{1,500}$")]
_ClientId = Annotated[str, Field(pattern=r"^[ -~]{1,2000}$")]
_ParamName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]
_Secret = Annotated[SecretStr, Field(min_length=1, max_length=16_384)]
_Redirect = Annotated[str, Field(max_length=2048, pattern=r"^([a-z][a-z0-9+.-]*:[!-~]+)?$")]

# The gateway sets these itself, anew for each login.
_OURS = frozenset(
    {
        "client_id",
        "client_secret",
        "code",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "device_code",
        "grant_type",
        "redirect_uri",
        "refresh_token",
        "response_type",
        "state",
    }
)


def _not_ours(params: Mapping[str, object]) -> Mapping[str, object]:
    if taken := sorted(_OURS & params.keys()):
        raise ValueError(f"must not set {', '.join(taken)}")
    return MappingProxyType(dict(params))


def _no_scope(params: Mapping[str, object]) -> Mapping[str, object]:
    if "scope" in params:  # a refresh could only lose some by it
        raise ValueError("must not set scope; `scopes` says what a login asks for")
    return params


_Params = Annotated[
    Mapping[_ParamName, Annotated[str, Field(max_length=2048)]],
    AfterValidator(_not_ours),
    PlainSerializer(dict),
]
_SecretParams = Annotated[
    Mapping[_ParamName, _Secret],
    AfterValidator(_not_ours),
    AfterValidator(_no_scope),
    PlainSerializer(dict),
]
_Facts = Annotated[
    Mapping[_ParamName, _Visible], AfterValidator(MappingProxyType), PlainSerializer(dict)
]


class LoginClient(Frozen):
    """An OAuth client of the operator's own; none is shipped."""

    client_id: _ClientId
    """Id of a client that you registered, or may use."""

    client_secret: _Secret | None = None
    """Its secret; empty for a public client."""

    authorize_url: PublicUrl = ""
    """Where a browser is sent to log in. Empty: no login in the browser."""

    token_url: WebUrl
    """Where codes and refresh tokens are traded for access tokens."""

    device_url: PublicUrl = ""
    """Where a login on another device begins. Empty: there is none."""

    userinfo_url: PublicUrl = ""
    """Asked with the new token who it belongs to. Empty: not asked."""

    scopes: tuple[_Visible, ...] = ()
    """What is asked for."""

    redirect_uri: _Redirect = ""
    """Where the provider sends the browser back, as it is registered there. Empty: the callback
    page of this gateway, `/oauth/callback/` and the provider's id."""

    token_body: Literal["form", "json"] = "form"  # noqa: S105 - an encoding, not a secret
    """How the token endpoint wants its requests."""

    client_auth: Literal["post", "basic", "none"] = "post"
    """How the client shows its secret: in the body, in a header, not at all."""

    authorize_params: _Params = Field(default_factory=dict)
    """Further parameters of the address where the browser is sent."""

    token_params: _SecretParams = Field(default_factory=dict)
    """Further parameters of every token request. Never shown."""

    sends_state: bool = False
    """Whether the token endpoint wants the `state` of the login with its code."""

    identity: _Visible = "email"
    """What tells one account from another: a field of the user info, of the id token or of the
    token answer, looked for in this order; dots lead into objects."""

    facts: _Facts = Field(default_factory=dict)
    """What goes into the account's metadata: key there, and the field that it comes from."""

    device: Literal["rfc8628", "openai"] = "rfc8628"
    """The kind of login on another device. `openai`: `device_url` is the address that
    `/api/accounts/deviceauth/usercode` and the like are appended to."""

    issuer: _Visible | None = None
    """What `iss` in a callback must be, where the provider sends it (RFC 9207)."""

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        if not self.authorize_url and not self.device_url:
            raise ValueError("authorize_url or device_url must be given")
        return self


LoginClients = Annotated[
    Mapping[ProviderId, LoginClient], AfterValidator(MappingProxyType), PlainSerializer(dict)
]
