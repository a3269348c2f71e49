"""OAuth 2.0 towards providers: builds requests and reads token answers; sends nothing.

Authlib's primitives know the form of the messages; what the answers mean is decided here.
Sources: RFC 6749 sections 4.1, 5 and 6, RFC 7636, RFC 8628, and what public token endpoints are
seen to answer. Authlib is imported by the first login or refresh.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote_plus, urlencode

import orjson

from auth.jwt import claims_of
from auth.token_failures import RefreshFailed, number_of, read_failure
from models.account import Credentials, OAuthClient
from models.exchange import UpstreamRequest
from models.json_types import Json, JsonObject

if TYPE_CHECKING:
    from authlib.oauth2.auth import ClientAuth

ISSUED_AT: Final = "issued_at"
"""Name among `Credentials.facts`: when the access token was got, epoch seconds UTC as text."""

DEFAULT_LIFETIME_S: Final = 3600.0
"""Lifetime of an access token when neither the answer nor the token itself names one."""

_MAX_LIFETIME_S: Final = 10 * 366 * 86_400.0
_OUR_FIELDS: Final = frozenset(
    {
        "body",
        "client_id",
        "client_secret",
        "code",
        "code_verifier",
        "device_code",
        "grant_type",
        "redirect_uri",
        "refresh_token",
        "state",
    }
)
_DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"


def refresh_request(
    client: OAuthClient, refresh_token: str, *, user_agent: str = "aigateway"
) -> UpstreamRequest:
    """Build the POST that trades a refresh token for an access token.

    The answer may carry a new refresh token; the old one is then dead.
    Source: RFC 6749 section 6; scopes are not sent, they could only be narrowed.
    """
    return _token_request(client, "refresh_token", {"refresh_token": refresh_token}, user_agent)


def code_request(
    client: OAuthClient,
    code: str,
    *,
    redirect_uri: str,
    verifier: str,
    state: str | None = None,
    user_agent: str = "aigateway",
) -> UpstreamRequest:
    """Build the POST that trades an authorization code for tokens; a code works once.

    `redirect_uri` is the one that the browser was sent with. Source: RFC 6749 section 4.1.3,
    RFC 7636 section 4.5.
    """
    fields = {"code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
    if state is not None:
        fields["state"] = state
    return _token_request(client, "authorization_code", fields, user_agent)


def device_token_request(
    client: OAuthClient, device_code: str, *, user_agent: str = "aigateway"
) -> UpstreamRequest:
    """Build the POST that asks whether the person has agreed. Source: RFC 8628 section 3.4."""
    return _token_request(client, _DEVICE_GRANT, {"device_code": device_code}, user_agent)


def device_request(
    client: OAuthClient, device_url: str, *, user_agent: str = "aigateway"
) -> UpstreamRequest:
    """Build the POST that begins a login on another device. Source: RFC 8628 section 3.1."""
    form = urlencode({"scope": " ".join(client.scopes)}) if client.scopes else ""
    return _post(client, device_url, form, user_agent)


def authorize_url(
    client: OAuthClient,
    url: str,
    *,
    redirect_uri: str,
    state: str,
    challenge: str,
    params: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the address where a browser logs in. Source: RFC 6749 section 4.1.1, RFC 7636."""
    from authlib.common.urls import add_params_to_uri
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri

    address: str = prepare_grant_uri(
        url,
        client.client_id,
        "code",
        redirect_uri=redirect_uri,
        scope=" ".join(client.scopes),
        state=state,
        code_challenge=challenge,
        code_challenge_method="S256",
    )
    return str(add_params_to_uri(address, list(params))) if params else address


def _token_request(
    client: OAuthClient, grant: str, fields: Mapping[str, str], user_agent: str
) -> UpstreamRequest:
    from authlib.oauth2.rfc6749.parameters import prepare_token_request

    extra = {name: text for name, text in client.token_params.items() if name not in _OUR_FIELDS}
    form = prepare_token_request(grant, **fields, **extra)
    return _post(client, client.token_url, form, user_agent)


def _post(client: OAuthClient, url: str, form: str, user_agent: str) -> UpstreamRequest:
    headers = {
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/x-www-form-urlencoded",
        "user-agent": user_agent,
    }
    url, headers, form = _authentication(client).prepare("POST", url, headers, form)
    body = form.encode()
    if client.token_body == "json":  # noqa: S105 - the encoding of the request, not a secret
        headers["content-type"] = "application/json"
        body = orjson.dumps(dict(parse_qsl(form, keep_blank_values=True)))
    lowered = {name.lower(): text for name, text in headers.items()}
    return UpstreamRequest("POST", url, lowered, body)


def _authentication(client: OAuthClient) -> "ClientAuth":
    from authlib.oauth2.auth import ClientAuth

    if not client.client_secret or client.client_auth == "none":
        return ClientAuth(client.client_id, None, "none")
    if client.client_auth == "basic":
        # RFC 6749 section 2.3.1 wants both form-encoded first; Authlib leaves that to us.
        id_, secret = quote_plus(client.client_id), quote_plus(client.client_secret)
        return ClientAuth(id_, secret, "client_secret_basic")
    return ClientAuth(client.client_id, client.client_secret, "client_secret_post")


def read_token(
    status: int, headers: Mapping[str, str], body: bytes, *, previous: Credentials, now: float
) -> Credentials:
    """Return the credentials of an answer; what it does not name stays as in `previous`.

    Raises RefreshRejected, RefreshThrottled or RefreshFailed.
    """
    from authlib.oauth2.rfc6749.wrappers import OAuth2Token

    payload = read_object(body)
    if payload is None or not 200 <= status < 300 or "access_token" not in payload:
        raise read_failure(status, headers, payload, now)
    lifetime_s = _lifetime_s(payload, now)
    token = OAuth2Token.from_dict({**payload, "expires_at": int(now + lifetime_s)})
    access, refresh = token["access_token"], token.get("refresh_token")
    if not _is_token(access):
        raise RefreshFailed("malformed", is_lost=True)
    return replace(
        previous,
        access=access,
        refresh=refresh if _is_token(refresh) else previous.refresh,
        expires_at=float(token["expires_at"]),
        facts={**previous.facts, ISSUED_AT: str(int(now))},
    )


def jwt_expiry(token: str) -> float | None:
    """Return the `exp` claim of a token if it is a JWT that has one; no signature is checked."""
    return number_of(claims_of(token).get("exp"))


def read_object(body: bytes) -> JsonObject | None:
    """Return an answer that is a JSON object; None for everything else."""
    try:
        payload = orjson.loads(body)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def _is_token(value: Json) -> bool:
    """Tell whether a value can stand in a header: visible ASCII without blanks."""
    return isinstance(value, str) and bool(value) and all("!" <= sign <= "~" for sign in value)


def _lifetime_s(payload: JsonObject, now: float) -> float:
    named = number_of(payload.get("expires_in"))
    access = payload.get("access_token")
    if named is None and isinstance(access, str):
        expiry = jwt_expiry(access)
        named = expiry - now if expiry is not None else None
    return named if named is not None and 0 < named < _MAX_LIFETIME_S else DEFAULT_LIFETIME_S
