"""Logins in a browser: begun by an operator, ended on the callback page or by a pasted text.

A login belongs to the key that began it, and is found by its state alone, which the browser and
the provider see and nobody stores. The callback page ends it only in the browser that opened its
start page: whoever learns the state, but has neither that browser nor the key, can do nothing.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from auth.oauth import authorize_url
from auth.pasted import Redirected, read_pasted, read_query
from auth.pkce import challenge_of, new_verifier
from auth.provider_login import ProviderLogin
from models.egress import EgressProxy
from models.errors import BadRequest, GatewayError, NotFound
from openapi.oauth import LoginBegin, LoginExchange
from repositories.base import OAuthFlow
from services.login_beginnings import Beginnings
from services.login_calls import Granted, LoginCalls
from services.login_ends import LoginEnds
from services.login_flows import Flows, Status, check_owner
from services.refusals import refused

Page: TypeAlias = Literal["done", "paste", "gone", "refused", "failed"]
"""What the callback page says: the login is done; paste the address; there is no such login (any
more); the provider or the person refused; it failed."""

_CALLBACK: Final = "/oauth/callback/"
_START: Final = "/oauth/start/"


@dataclass(frozen=True, slots=True)
class Begun:
    """A login that waits for somebody in a browser."""

    flow: OAuthFlow
    authorize_url: str = field(repr=False)
    start_url: str | None = field(repr=False)
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A login that a browser has opened, and goes on with elsewhere."""

    authorize_url: str = field(repr=False)
    cookie: str
    """Its name."""
    value: str = field(repr=False)
    is_secure: bool
    ttl_s: float


class Logins:
    """The code flow of OAuth 2.0, with PKCE."""

    def __init__(
        self,
        beginnings: Beginnings,
        flows: Flows,
        calls: LoginCalls,
        ends: LoginEnds,
        is_admin: Callable[[str], bool],
        *,
        public_url: str = "",
    ) -> None:
        """`is_admin`: whether a key of this id may begin logins now, and so end them in a browser.

        `public_url`: address of this gateway as browsers reach it; else each caller's own."""
        self._beginnings = beginnings
        self._flows = flows
        self._calls = calls
        self._ends = ends
        self._is_admin = is_admin
        self._public_url = public_url.rstrip("/")

    def providers(self) -> Sequence[ProviderLogin]:
        """Return every configured client, by provider id."""
        return [login for _, login in sorted(self._beginnings.logins.items())]

    def redirect_uri(self, login: ProviderLogin, origin: str) -> str:
        """Return where the provider sends browsers back."""
        own = f"{self._public_url or origin}{_CALLBACK}{login.provider_id}"
        return login.redirect_uri or own

    async def begin(self, body: LoginBegin, key_id: str, origin: str) -> Begun:
        """Begin a login. `origin`: scheme, host and port by which the caller reached us."""
        beginning = await self._beginnings.checked(body, key_id, "code")
        login, egress = beginning.login, beginning.egress
        redirect_uri = self.redirect_uri(login, origin)
        callback = f"{_CALLBACK}{login.provider_id}"
        comes_back = redirect_uri.endswith(callback)
        if body.redirect == "callback" and not comes_back:
            raise refused("redirect", "the client's redirect_uri is not our callback page")
        state = self._flows.new_state()
        flow = await self._flows.begin(
            "code",
            state,
            provider_id=login.provider_id,
            key_id=key_id,
            secrets={
                **beginning.wishes,
                "verifier": new_verifier(),
                "redirect_uri": redirect_uri,
            },
            proxy_id=egress.id if egress is not None else None,
            account_id=body.account_id,
            ttl_s=self._flows.ttl_s,
        )
        start_url = None
        if comes_back and body.redirect != "manual":
            start_url = f"{redirect_uri.removesuffix(callback)}{_START}{state}"
        return Begun(flow, _address(login, flow, state), start_url, redirect_uri)

    async def open(self, state: str) -> Opened:
        """Bind a login to the browser that asks, once.

        Raises NotFound for a login that there is not, was opened, or is over.
        """
        flow = await self._of_state(state)
        value = secrets.token_urlsafe(32)
        if flow.kind != "code" or not await self._flows.open_in(flow, value):
            raise NotFound("this login was opened before, or is over; begin a new one")
        login = self._beginnings.login_of(flow)
        cookie = cookie_name(flow)
        is_secure = cookie.startswith("__Host-")
        return Opened(_address(login, flow, state), cookie, value, is_secure, self._flows.ttl_s)

    async def callback(
        self, provider_id: str, query: str, cookies: Mapping[str, str]
    ) -> tuple[Page, str | None]:
        """End a login if this is the browser that opened it; tell what to show.

        The cookie that is of no more use comes with it. Nothing here proves who asks, so nothing
        is told but whether it went well.
        """
        found = await self._returned(provider_id, query)
        if found is None:
            return "gone", None
        flow, redirected = found
        cookie = cookie_name(flow)
        if flow.used_at is not None or self._flows.status(flow) != "pending":
            return "gone", None
        if not self._flows.is_browser(flow, cookies.get(cookie, "")):
            return "paste", None
        try:
            _ = await self._ends.to_its_end(self._ended(flow, redirected))
        except BadRequest:
            return "refused", cookie
        except GatewayError:
            return "failed", cookie
        return "done", cookie

    async def exchange(self, body: LoginExchange, key_id: str) -> OAuthFlow:
        """End a login by what the browser showed.

        Raises BadRequest for what cannot be read and for a login that is over, NotFound for an
        unknown one, Forbidden for that of another key.
        """
        redirected = read_pasted(body.text.get_secret_value())
        if redirected is None:
            raise BadRequest("text: holds neither a code nor an error", path="text")
        given = body.state.get_secret_value().strip() if body.state is not None else None
        if given and redirected.state and given != redirected.state:
            raise BadRequest("state: the text holds another one", path="state")
        state = redirected.state or given
        flow = await self._named(state, body.flow_id)
        check_owner(flow, key_id)
        if flow.kind != "code":
            raise BadRequest("flow_id: this login ends on another device", path="flow_id")
        ended = self._ended(flow, redirected, state=state)
        return await self._ends.to_its_end(ended)

    async def flow(self, flow_id: str, key_id: str) -> OAuthFlow:
        """Return a login. Raises NotFound, Forbidden for that of another key."""
        flow = await self._flows.of_id(flow_id)
        check_owner(flow, key_id)
        return flow

    def status(self, flow: OAuthFlow) -> Status:
        """Return how a login stands."""
        return self._flows.status(flow)

    async def _named(self, state: str | None, flow_id: str | None) -> OAuthFlow:
        if state is None and flow_id is None:
            raise BadRequest("flow_id: a bare code does not say to which login it belongs")
        flow = await (self._flows.of_state(state) if state else self._flows.of_id(flow_id or ""))
        if flow_id is not None and flow.id != flow_id:
            raise BadRequest("flow_id: the text belongs to another login", path="flow_id")
        return flow

    async def _of_state(self, state: str) -> OAuthFlow:
        """Return the login of a browser, which shows no key. Raises NotFound, also once the key
        that began it is not good any more."""
        flow = await self._flows.of_state(state)
        if not self._is_admin(flow.key_id):
            raise NotFound("the key that began this login is not good any more")
        return flow

    async def _returned(self, provider_id: str, query: str) -> tuple[OAuthFlow, Redirected] | None:
        """Return the login that a browser comes back from; each provider has a page of its own."""
        redirected = read_query(query)
        if redirected is None or redirected.state is None:
            return None
        try:
            flow = await self._of_state(redirected.state)
        except NotFound:
            return None
        return (flow, redirected) if flow.provider_id == provider_id else None

    async def _ended(
        self, flow: OAuthFlow, redirected: Redirected, *, state: str | None = None
    ) -> OAuthFlow:
        login = self._beginnings.login_of(flow)
        _check_issuer(login, redirected)
        state = state or redirected.state
        if login.sends_state and state is None:
            raise BadRequest("text: this provider needs the state beside the code", path="text")
        await self._flows.use(flow)
        if redirected.code is None:
            reason = redirected.error or "refused"
            await self._flows.finish(flow, reason)
            raise BadRequest(
                f"the provider refused the login ({reason})", details={"reason": reason}
            )
        code = redirected.code

        async def trade(egress: EgressProxy | None) -> Granted:
            return await self._calls.trade_code(
                login,
                code,
                egress,
                redirect_uri=flow.secrets["redirect_uri"],
                verifier=flow.secrets["verifier"],
                state=state if login.sends_state else None,
            )

        return await self._ends.traded(flow, trade)


def cookie_name(flow: OAuthFlow) -> str:
    """Return the name of the cookie that binds a browser: one for each login.

    With the prefix `__Host-` browsers take it from this very host alone, over TLS.
    """
    is_secure = flow.secrets.get("redirect_uri", "").startswith("https://")
    return f"{'__Host-' if is_secure else ''}aigateway-login-{flow.id[:16]}"


def _address(login: ProviderLogin, flow: OAuthFlow, state: str) -> str:
    return authorize_url(
        login.client,
        login.authorize_url,
        redirect_uri=flow.secrets["redirect_uri"],
        state=state,
        challenge=challenge_of(flow.secrets["verifier"]),
        params=tuple(login.authorize_params.items()),
    )


def _check_issuer(login: ProviderLogin, redirected: Redirected) -> None:
    """Refuse what another authorization server sends (RFC 9207); the login can still end."""
    if login.issuer and redirected.issuer and redirected.issuer != login.issuer:
        raise BadRequest("iss: this answer comes from another provider")
