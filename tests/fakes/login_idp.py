"""A pretend identity provider with everything of a login: pages, codes, devices, user info.

Pages are HTML with forms, as a browser and a person want them. It is strict: redirect addresses
must be registered, PKCE is demanded with S256, each code works once and for its own client,
redirect address and verifier.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from urllib.parse import parse_qs, urlencode

from aiohttp import web

from tests.fakes.idp import FakeIdp

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass
class Asked:
    """A browser's wish to log in."""

    query: Mapping[str, str]
    user: str = ""


@dataclass
class Device:
    """A login on another device."""

    user_code: str
    user: str = ""
    answer: str = "authorization_pending"
    """`ok` once somebody agreed."""


@dataclass
class LoginIdp(FakeIdp):
    """`FakeIdp` refreshes what this one hands out."""

    client_id: str = "client-1"
    passwords: dict[str, str] = field(default_factory=lambda: {"ann": "pw-ann", "bob": "pw-bob"})
    redirect_uris: set[str] = field(default_factory=set)
    issuer: str | None = None
    device_answers: list[str] = field(default_factory=list)
    """Words that polling gets before the true answer, in order."""
    interval: int | str = 5
    codes: dict[str, Asked] = field(default_factory=dict)
    """Those that were not traded yet."""
    devices: dict[str, Device] = field(default_factory=dict)
    """By device code."""
    asked_paths: list[str] = field(default_factory=list)
    """Every path but the browser's."""
    traded: list[Mapping[str, str]] = field(default_factory=list)
    """Fields of token requests that are no refreshes."""
    authorizations: list[str] = field(default_factory=list)
    """`Authorization` headers of token requests and of user info."""
    cookies_seen: list[str] = field(default_factory=list)
    referers_seen: list[str] = field(default_factory=list)
    userinfo_status: int = 200
    _pages: dict[str, Asked] = field(default_factory=dict)

    def app(self) -> web.Application:
        app = super().app()
        app.middlewares.append(self._watch)
        app.router.add_get("/authorize", self._login_page)
        app.router.add_post("/login", self._logged_in)
        app.router.add_post("/consent", self._consented)
        app.router.add_get("/show", self._shown)
        app.router.add_post("/device", self._device_begin)
        app.router.add_get("/activate", self._device_page)
        app.router.add_post("/activate", self._device_agreed)
        app.router.add_post("/api/accounts/deviceauth/usercode", self._openai_begin)
        app.router.add_post("/api/accounts/deviceauth/token", self._openai_poll)
        app.router.add_get("/userinfo", self._userinfo)
        return app

    @web.middleware
    async def _watch(self, request: web.Request, handler: object) -> web.StreamResponse:
        if request.path in ("/token", "/device", "/userinfo") or request.path.startswith("/api/"):
            self.asked_paths.append(request.path)
            self.authorizations.append(request.headers.get("authorization", ""))
        else:
            self.cookies_seen.append(request.headers.get("cookie", ""))
            self.referers_seen.append(request.headers.get("referer", ""))
        assert callable(handler)
        response: web.StreamResponse = await handler(request)
        return response

    # --- the browser's pages ---

    async def _login_page(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        fault = self._fault(query)
        if fault is not None:  # a redirect address that is not registered gets nothing
            return web.Response(status=400, text=fault)
        page = secrets.token_urlsafe(8)
        self._pages[page] = Asked(query)
        return _html(
            f'<form method="post" action="/login"><input name="page" value="{page}" hidden>'
            '<input name="user" id="user"><input name="password" id="password" type="password">'
            '<button id="login">Log in</button></form>'
        )

    def _fault(self, query: Mapping[str, str]) -> str | None:
        wanted = {
            "response_type": "code",
            "client_id": self.client_id,
            "code_challenge_method": "S256",
        }
        wrong = [name for name, text in wanted.items() if query.get(name) != text]
        if query.get("redirect_uri") not in self.redirect_uris:
            wrong.append("redirect_uri")
        if len(query.get("code_challenge", "")) != 43 or len(query.get("state", "")) < 43:
            wrong.append("code_challenge or state")
        return f"wrong: {', '.join(wrong)}" if wrong else None

    async def _logged_in(self, request: web.Request) -> web.Response:
        fields = await request.post()
        asked = self._pages.get(str(fields["page"]))
        user = str(fields["user"])
        if asked is None or self.passwords.get(user) != fields["password"]:
            return web.Response(status=403, text="no")
        asked.user = user
        scope = escape(asked.query.get("scope", ""))
        return _html(
            f'<p id="scope">{scope}</p><form method="post" action="/consent">'
            f'<input name="page" value="{escape(str(fields["page"]))}" hidden>'
            '<button id="allow" name="answer" value="allow">Allow</button>'
            '<button id="deny" name="answer" value="deny">Deny</button></form>'
        )

    async def _consented(self, request: web.Request) -> web.Response:
        fields = await request.post()
        asked = self._pages.pop(str(fields["page"]))
        query = {"state": asked.query["state"]}
        if self.issuer is not None:
            query["iss"] = self.issuer
        if fields["answer"] == "allow":
            query["code"] = self.new_code(asked.user, asked.query)
        else:
            query |= {"error": "access_denied", "error_description": "<b>canary</b>"}
        address = f"{asked.query['redirect_uri']}?{urlencode(query)}"
        return web.Response(status=303, headers={"Location": address})

    async def _shown(self, request: web.Request) -> web.Response:
        """A vendor's page that shows `code#state` instead of going back."""
        text = f"{request.query['code']}#{request.query['state']}"
        return _html(f'<code id="shown">{escape(text)}</code>')

    def new_code(self, user: str, query: Mapping[str, str]) -> str:
        """Let somebody agree without a browser; returns the code."""
        code = f"code/{secrets.token_urlsafe(8)}+=%"
        self.codes[code] = Asked(query, user)
        return code

    def redirected(self, authorize_url: str, user: str = "ann") -> str:
        """Do what a browser would: the address where somebody who agreed arrives."""
        query = {name: texts[0] for name, texts in parse_qs(authorize_url.split("?")[1]).items()}
        assert self._fault(query) is None
        back = {"code": self.new_code(user, query), "state": query["state"]}
        if self.issuer is not None:
            back["iss"] = self.issuer
        return f"{query['redirect_uri']}?{urlencode(back)}"

    # --- devices ---

    async def _device_begin(self, request: web.Request) -> web.Response:
        fields = await request.post()
        if fields.get("client_id") != self.client_id:
            return web.json_response({"error": "invalid_client"}, status=401)
        code, device = self._new_device()
        return web.json_response(
            {
                "device_code": code,
                "user_code": device.user_code,
                "verification_uri": f"{self.url}/activate",
                "verification_uri_complete": f"{self.url}/activate?user_code={device.user_code}",
                "expires_in": 600,
                "interval": self.interval,
            }
        )

    def _new_device(self) -> tuple[str, Device]:
        code = secrets.token_urlsafe(12)
        device = self.devices[code] = Device(secrets.token_hex(3).upper())
        return code, device

    async def _device_page(self, request: web.Request) -> web.Response:
        known = escape(request.query.get("user_code", ""))
        return _html(
            f'<form method="post"><input name="user_code" id="user_code" value="{known}">'
            '<input name="user" id="user"><input name="password" id="password" type="password">'
            '<button id="allow" name="answer" value="ok">Allow</button>'
            '<button id="deny" name="answer" value="access_denied">Deny</button></form>'
        )

    async def _device_agreed(self, request: web.Request) -> web.Response:
        fields = await request.post()
        user = str(fields["user"])
        if self.passwords.get(user) != fields["password"]:
            return web.Response(status=403, text="no")
        self.agree(str(fields["user_code"]), user, str(fields["answer"]))
        return _html('<p id="over">You may go back.</p>')

    def agree(self, user_code: str, user: str = "ann", answer: str = "ok") -> None:
        """Let somebody answer on the other device."""
        (device,) = (one for one in self.devices.values() if one.user_code == user_code)
        device.user, device.answer = user, answer

    async def _openai_begin(self, request: web.Request) -> web.Response:
        assert (await request.json()) == {"client_id": self.client_id}
        code, device = self._new_device()
        return web.json_response(
            {"device_auth_id": code, "user_code": device.user_code, "interval": "5"}
        )

    async def _openai_poll(self, request: web.Request) -> web.Response:
        fields = await request.json()
        device = self.devices.get(fields["device_auth_id"])
        if device is None or device.user_code != fields["user_code"] or device.answer != "ok":
            return web.json_response({"error": {"code": "not_yet"}}, status=403)
        del self.devices[fields["device_auth_id"]]
        verifier = secrets.token_urlsafe(32)
        query = {
            "redirect_uri": f"{self.url}/deviceauth/callback",
            "code_challenge": _challenge(verifier),
        }
        code = self.new_code(device.user, query)
        return web.json_response({"authorization_code": code, "code_verifier": verifier})

    # --- tokens ---

    def _answer(self, fields: Mapping[str, str]) -> web.Response:
        grant = fields.get("grant_type")
        if grant == "refresh_token":
            return super()._answer(fields)
        self.traded.append(fields)
        if self.client_secret is not None and fields.get("client_secret") != self.client_secret:
            return web.json_response({"error": "invalid_client"}, status=401)
        if grant == "authorization_code":
            return self._code_answer(fields)
        if grant == DEVICE_GRANT:
            return self._device_answer(fields)
        return web.json_response({"error": "unsupported_grant_type"}, status=400)

    def _code_answer(self, fields: Mapping[str, str]) -> web.Response:
        asked = self.codes.pop(fields.get("code", ""), None)
        if (
            asked is None
            or asked.query["redirect_uri"] != fields.get("redirect_uri")
            or asked.query["code_challenge"] != _challenge(fields.get("code_verifier", ""))
        ):
            self.counts["bad_codes"] += 1
            return web.json_response({"error": "invalid_grant"}, status=400)
        return self._granted(asked.user)

    def _device_answer(self, fields: Mapping[str, str]) -> web.Response:
        if self.device_answers:
            return web.json_response({"error": self.device_answers.pop(0)}, status=400)
        device = self.devices.get(fields.get("device_code", ""))
        if device is None:
            return web.json_response({"error": "expired_token"}, status=400)
        if device.answer != "ok":
            return web.json_response({"error": device.answer}, status=400)
        del self.devices[fields["device_code"]]
        return self._granted(device.user)

    def _granted(self, user: str) -> web.Response:
        name = f"{user}-{len(self.families)}"
        self.add_family(name)
        answer = self._rotated(self.families[name])
        answer["id_token"] = _jwt({"email": f"{user}@example.com", "https://x/y": {"org": user}})
        answer["account"] = {"uuid": f"uuid-{user}", "email_address": f"{user}@example.com"}
        self.counts["logins"] += 1
        return web.json_response(answer)

    async def _userinfo(self, request: web.Request) -> web.Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        owners = [name for name, family in self.families.items() if family.access == token]
        if not owners or self.userinfo_status != 200:
            wrong = {"error": "invalid_token", "email": "nobody@example.com"}
            return web.json_response(wrong, status=401 if not owners else self.userinfo_status)
        user = owners[0].partition("-")[0]
        return web.json_response({"email": f"{user}@example.com", "sub": f"sub-{user}"})


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _jwt(claims: Mapping[str, object]) -> str:
    parts = ({"alg": "none"}, claims)
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join([*(text.rstrip("=") for text in texts), "c2ln"])


def _html(body: str) -> web.Response:
    return web.Response(text=f"<!doctype html><title>idp</title>{body}", content_type="text/html")
