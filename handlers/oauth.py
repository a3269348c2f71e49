"""`/api/v1/oauth`, and the two pages that a browser comes to in between."""

import re
from functools import partial
from typing import Final

from aiohttp import web

from handlers.bodies import answer, body, listing, query
from handlers.endpoint import Access, Endpoint
from handlers.gate import PRINCIPAL
from handlers.keys import GATEWAY
from handlers.login_pages import HEADERS, STATUSES, page
from models.errors import BadRequest, NotFound
from openapi.common import PageQuery
from openapi.fields import instant, moment
from openapi.oauth import (
    DeviceBegin,
    DeviceBegunAnswer,
    DevicePoll,
    LoginAnswer,
    LoginBegin,
    LoginBegunAnswer,
    LoginExchange,
    OAuthProviderAnswer,
    OAuthProviderList,
    RefreshAnswer,
    RefreshList,
    RefreshNow,
    RefreshQuery,
)
from repositories.base import OAuthFlow, Page
from services.logins import Page as PageName
from services.token_outlook import Outlook

_BASE = "/api/v1/oauth"
_route = partial(Endpoint, access=Access.ADMIN, tag="oauth")
_HOST: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?", re.ASCII)
_browser = partial(Endpoint, "GET", access=Access.PUBLIC, tag="oauth")


def endpoints() -> list[Endpoint]:
    """Return the routes of logins and tokens."""
    return [
        _route(
            "GET",
            f"{_BASE}/providers",
            _providers,
            summary="List the providers whose accounts can log in",
            query=PageQuery,
            response=OAuthProviderList,
        ),
        _route(
            "POST",
            f"{_BASE}/init",
            _init,
            summary="Begin a login in a browser",
            request=LoginBegin,
            response=LoginBegunAnswer,
            status=201,
        ),
        _route(
            "POST",
            f"{_BASE}/exchange",
            _exchange,
            summary="End a login by what the browser showed",
            request=LoginExchange,
            response=LoginAnswer,
        ),
        _route(
            "POST",
            f"{_BASE}/device",
            _device,
            summary="Begin a login on another device",
            request=DeviceBegin,
            response=DeviceBegunAnswer,
            status=201,
        ),
        _route(
            "POST",
            f"{_BASE}/device/poll",
            _poll,
            summary="Ask how a login on another device stands",
            request=DevicePoll,
            response=LoginAnswer,
        ),
        _route(
            "GET",
            f"{_BASE}/flows/{{id}}",
            _flow,
            summary="Tell how a login stands",
            response=LoginAnswer,
        ),
        _route(
            "POST",
            f"{_BASE}/refresh",
            _refresh,
            summary="Refresh the token of an account now",
            request=RefreshNow,
            response=RefreshAnswer,
        ),
        _route(
            "GET",
            f"{_BASE}/refreshes",
            _refreshes,
            summary="Tell how it stands with the tokens",
            query=RefreshQuery,
            response=RefreshList,
        ),
        _browser("/oauth/start/{state}", _start, summary="Begin a login in this browser, once"),
        _browser(
            "/oauth/callback/{provider}",
            _callback,
            summary="End a login of this browser",
        ),
    ]


async def _providers(request: web.Request) -> web.Response:
    asked = query(request, PageQuery)
    logins = request.app[GATEWAY].oauth.logins
    known = [
        OAuthProviderAnswer(
            provider_id=login.provider_id,
            flows=list(login.flows),
            redirect_uri=logins.redirect_uri(login, _origin(request)),
            scopes=list(login.client.scopes),
        )
        for login in logins.providers()
    ]
    shown = known[asked.offset : asked.offset + asked.limit]
    return listing(
        Page(shown, len(known), asked.limit, asked.offset), lambda one: one, OAuthProviderList
    )


async def _init(request: web.Request) -> web.Response:
    asked = await body(request, LoginBegin)
    begun = await request.app[GATEWAY].oauth.logins.begin(asked, _key_id(request), _origin(request))
    shown = LoginBegunAnswer(
        flow_id=begun.flow.id,
        start_url=begun.start_url,
        authorize_url=begun.authorize_url,
        redirect_uri=begun.redirect_uri,
        proxy_id=begun.flow.proxy_id,
        expires_at=instant(begun.flow.expires_at),
    )
    return answer(shown, status=201, location=f"{_BASE}/flows/{begun.flow.id}")


async def _exchange(request: web.Request) -> web.Response:
    asked = await body(request, LoginExchange)
    flow = await request.app[GATEWAY].oauth.logins.exchange(asked, _key_id(request))
    return _shown(request, flow)


async def _device(request: web.Request) -> web.Response:
    asked = await body(request, DeviceBegin)
    flow, device = await request.app[GATEWAY].oauth.devices.begin(asked, _key_id(request))
    shown = DeviceBegunAnswer(
        flow_id=flow.id,
        user_code=device.user_code,
        verification_uri=device.verification_uri,
        verification_uri_complete=device.verification_uri_complete,
        interval_s=device.interval_s,
        proxy_id=flow.proxy_id,
        expires_at=instant(flow.expires_at),
    )
    return answer(shown, status=201, location=f"{_BASE}/flows/{flow.id}")


async def _poll(request: web.Request) -> web.Response:
    asked = await body(request, DevicePoll)
    state = await request.app[GATEWAY].oauth.devices.poll(asked.flow_id, _key_id(request))
    return _shown(request, state.flow, state.retry_after_s)


async def _flow(request: web.Request) -> web.Response:
    flow = await request.app[GATEWAY].oauth.logins.flow(request.match_info["id"], _key_id(request))
    return _shown(request, flow)


async def _refresh(request: web.Request) -> web.Response:
    asked = await body(request, RefreshNow)
    return answer(_outlook(await request.app[GATEWAY].oauth.refreshes.refresh(asked.account_id)))


async def _refreshes(request: web.Request) -> web.Response:
    page = await request.app[GATEWAY].oauth.refreshes.page(query(request, RefreshQuery))
    return listing(page, _outlook, RefreshList)


# --- the browser's pages ---


async def _start(request: web.Request) -> web.Response:
    if request.method == "HEAD":  # a look at the link, not its use
        return _page("gone")
    try:
        opened = await request.app[GATEWAY].oauth.logins.open(request.match_info["state"])
    except NotFound:
        return _page("gone")
    # 303, and no Referer: the state in our address is nobody else's business.
    response = web.Response(status=303, headers={**HEADERS, "Location": opened.authorize_url})
    response.set_cookie(
        opened.cookie,
        opened.value,
        max_age=int(opened.ttl_s),
        path="/",
        secure=opened.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return response


async def _callback(request: web.Request) -> web.Response:
    if request.method == "HEAD":
        return _page("gone")
    provider_id, logins = request.match_info["provider"], request.app[GATEWAY].oauth.logins
    name, spent = await logins.callback(
        provider_id, request.rel_url.raw_query_string, request.cookies
    )
    response = _page(name)
    if spent is not None:
        is_secure = spent.startswith("__Host-")
        response.del_cookie(spent, path="/", secure=is_secure, httponly=True, samesite="Lax")
    return response


def _page(name: PageName) -> web.Response:
    return web.Response(
        body=page(name),
        status=STATUSES[name],
        content_type="text/html",
        charset="utf-8",
        headers=HEADERS,
    )


# --- shapes ---


def _key_id(request: web.Request) -> str:
    return request[PRINCIPAL].key_id


def _origin(request: web.Request) -> str:
    """Return how the caller reached us. Raises BadRequest: aiohttp takes any Host."""
    try:
        origin = request.url.origin()
    except ValueError:
        origin = None
    if origin is None or _HOST.fullmatch(request.host) is None:
        raise BadRequest("header Host: expected a name or an address, and maybe a port")
    return str(origin)


def _shown(
    request: web.Request, flow: OAuthFlow, retry_after_s: float | None = None
) -> web.Response:
    status = request.app[GATEWAY].oauth.logins.status(flow)
    return answer(
        LoginAnswer(
            flow_id=flow.id,
            provider_id=flow.provider_id,
            kind=flow.kind,
            status=status,
            reason=flow.outcome if status in ("denied", "expired", "failed") else None,
            account_id=flow.account_id,
            proxy_id=flow.proxy_id,
            retry_after_s=retry_after_s,
            created_at=instant(flow.created_at),
            expires_at=instant(flow.expires_at),
        )
    )


def _outlook(found: Outlook) -> RefreshAnswer:
    account = found.account
    return RefreshAnswer(
        account_id=account.id,
        provider_id=account.provider_id,
        is_active=account.is_active,
        token_state=account.token_state,
        token_error=account.token_error,
        expires_at=moment(account.expires_at),
        last_success_at=moment(found.last_success_at),
        last_attempt_at=moment(found.last_attempt_at),
        next_attempt_at=moment(found.next_attempt_at),
        failures=found.failures,
        is_late=found.is_late,
    )
