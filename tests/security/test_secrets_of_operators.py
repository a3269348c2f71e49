"""What operators bring and fetch leaves no secret behind: logins, files, lists, tests, webhook.

Secrets stand in every new slot, providers repeat them in their errors; then every answer, log
line, file, and all of Redis is searched.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from aiohttp import web
from redis import Redis

from handlers.endpoint import Access
from tests.e2e.harness import Rig, open_rig
from tests.fakes.login_idp import LoginIdp, _jwt
from tests.fakes.provider import Failure
from tests.security.canaries import Canaries, LogWatch, leaks
from tests.security.requests import PLAIN
from tests.security.stage import QUICK, Stage
from tests.security.test_access_matrix import ROUTES
from tests.security.test_secrets_in_process import files_of, watch
from tests.waiting import until

__all__ = ["watch"]  # a fixture

pytestmark = pytest.mark.timeout(180)

SLOTS = (
    "client_secret of a login",
    "tokens of a login",
    "id token",
    "webhook password",
    "webhook path",
    "webhook secret",
    "passphrase",
    "wrong passphrase",
    "imported api_key",
    "imported token",
    "imported refresh_token",
    "imported client_secret",
    "misplaced in an import",
    "proxy password in a list",
    "proxy password in a bad line",
)


@dataclass
class EchoingIdp(LoginIdp):
    """Repeats all that it is sent in its errors; its tokens hold secrets known by sight."""

    canaries: Canaries = field(default_factory=Canaries)
    echoes: bool = False

    def _answer(self, fields: Mapping[str, str]) -> web.Response:
        if not self.echoes:
            return super()._answer(fields)
        told = {"error_description": json.dumps(dict(fields)), "error_uri": str(fields)}
        error: object = {"message": str(fields), "code": str(fields), "type": "x"}
        return web.json_response({**fields, **told, "error": error}, status=400)

    def _granted(self, user: str) -> web.Response:
        answer = super()._granted(self.canaries["tokens of a login"].strip("b/+d="))
        told = json.loads(answer.text or "")
        claims = {"email": f"{user}@example.com", "jti": self.canaries["id token"]}
        return web.json_response({**told, "id_token": _jwt(claims), "account": {}})


@dataclass
class Receiver:
    """Takes events, or refuses them and repeats how it was asked."""

    status: int = 200
    taken: int = 0
    url: str = ""

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._post)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _post(self, request: web.Request) -> web.Response:
        self.taken += 1
        text = f"{request.path} {request.headers}"
        return web.Response(status=self.status, text=text, headers={"Location": request.path})


@dataclass
class House:
    """Everything, with a secret in every slot."""

    stage: Stage
    idp: EchoingIdp
    receiver: Receiver

    async def login(self) -> tuple[Any, str]:
        """Begin a login that somebody agrees to; the answer says the state, and must."""
        rig = self.stage.rig
        begun = await rig.api("POST", "/oauth/init", {"provider_id": "openai"})
        address = self.idp.redirected(begun["authorize_url"])
        query = parse_qs(urlsplit(address).query)
        number = len(self.stage.canaries.values)
        self.stage.canaries.values[f"state {number}"] = query["state"][0]
        self.stage.canaries.values[f"code {number}"] = query["code"][0].split("/")[1].rstrip("+=%")
        return begun, address

    async def visit(self, path: str, cookie: str = "") -> str:
        """Open a page; return the cookie that it sets."""
        rig = self.stage.rig
        url = path if "://" in path else rig.url + path
        headers = {"cookie": cookie} if cookie else {}
        async with rig.http.get(url, headers=headers, allow_redirects=False) as response:
            if response.status != 303:  # that leads to the provider, with the state
                self.stage.seen.texts.append(f"{response.headers} {await response.text()}")
            return response.headers.get("set-cookie", "").partition(";")[0]


@pytest.fixture
def canaries() -> Canaries:
    made = Canaries()
    made.values |= {slot: f"b/{secrets.token_hex(14)}+d=" for slot in SLOTS}
    return made


@pytest.fixture
async def house(
    tmp_path: Path, canaries: Canaries, redis_url: str, watch: LogWatch
) -> AsyncIterator[House]:
    idp = EchoingIdp(client_secret=canaries["client_secret of a login"], canaries=canaries)
    receiver = Receiver()
    runners = [await idp.start(), await receiver.start()]
    password, path = (quote(canaries[f"webhook {name}"], safe="") for name in ("password", "path"))
    client = {
        "client_id": idp.client_id,
        "client_secret": canaries["client_secret of a login"],
        "authorize_url": f"{idp.url}/authorize",
        "token_url": f"{idp.url}/token",
        "device_url": f"{idp.url}/device",
        "scopes": ["openid"],
    }
    environment = {
        "AIGATEWAY_SECURITY__ADMIN_KEY": canaries["admin key"],
        "AIGATEWAY_REDIS__URL": redis_url,
        "AIGATEWAY_OAUTH__CLIENTS": json.dumps({"openai": client}),
        "AIGATEWAY_EVENTS__WEBHOOK_URL": f"http://u:{password}@{receiver.url}/hook/{path}",
        "AIGATEWAY_EVENTS__WEBHOOK_SECRET": canaries["webhook secret"],
        **QUICK,
    }
    try:
        async with open_rig(tmp_path, environment) as rig:
            canaries.values["client key"] = rig.key[3:35]
            idp.redirect_uris = {f"{rig.url}/oauth/callback/openai"}
            await rig.api("PATCH", "/providers/openai", {"base_url": idp.url})
            stage = Stage(rig, canaries, idp, None, None)  # type: ignore[arg-type]  # no proxies
            yield House(stage, idp, receiver)
    finally:
        for runner in runners:
            await runner.cleanup()


async def test_nothing_that_operators_bring_shows_anywhere(
    house: House, watch: LogWatch, tmp_path: Path, redis_url: str
) -> None:
    stage = house.stage
    await log_in(house)
    await log_in_elsewhere(house)
    await bring_accounts(house)
    await bring_proxies(house)
    await fail_on_purpose(house)
    await crawl(house)
    await until(lambda: house.receiver.taken > 2)
    assert len(stage.seen.texts) > 120
    assert leaks(stage.canaries, stage.seen.texts) == []
    # The text of an answer that did not fit a login's page is nobody's; the rest is searched.
    assert leaks(stage.canaries, watch.texts) == []
    for name, data in files_of(tmp_path).items():
        assert stage.canaries.found_in(data) == [], name
    for key, value in dumped(redis_url):
        assert stage.canaries.found_in(key + value) == [], key


async def log_in(house: House) -> None:
    """Log in by pasting and by the pages, well and badly."""
    stage = house.stage
    for echoes in (True, False):
        house.idp.echoes = echoes
        begun, address = await house.login()
        bare = address.partition("code=")[2].partition("&")[0]
        for text in (f"{bare}#nonsense", f"https://evil.test/?{bare}", bare, f"{address}&code=2"):
            await stage.api("POST", "/oauth/exchange", {"text": text})
        other = {"text": address, "flow_id": "0" * 64}
        await stage.api("POST", "/oauth/exchange", other)
        await stage.api("POST", "/oauth/exchange", {"text": address, address: address})
        for _ in range(2):
            await stage.api("POST", "/oauth/exchange", {"text": address})
        await stage.api("GET", f"/oauth/flows/{begun['flow_id']}")
        begun, address = await house.login()
        for _ in range(2):
            await house.visit(address)
        cookie = await house.visit(begun["start_url"])
        stage.canaries.values[f"cookie {echoes}"] = cookie.partition("=")[2]
        assert len(cookie.partition("=")[2]) > 40
        await house.visit(begun["start_url"])
        await house.visit(f"{address}&error=x", cookie)
        for _ in range(2):
            await house.visit(address, cookie)
        await stage.api("GET", f"/oauth/flows/{begun['flow_id']}")
    for account in (await stage.api("GET", "/accounts"))["data"]:
        for echoes in (True, False):
            house.idp.echoes = echoes
            await stage.api("POST", "/oauth/refresh", {"account_id": account["id"]})
    for number, trade in enumerate(house.idp.traded):
        if verifier := trade.get("code_verifier"):
            stage.canaries.values[f"verifier {number}"] = verifier
    assert any(name.startswith("verifier") for name in stage.canaries.values)
    assert (await stage.api("GET", "/oauth/refreshes"))["total"] == 1


async def log_in_elsewhere(house: House) -> None:
    """Log in on another device."""
    stage, idp = house.stage, house.idp
    for echoes in (True, False):
        begun = await stage.api("POST", "/oauth/device", {"provider_id": "openai"})
        (code,) = [code for code, one in idp.devices.items() if one.user_code == begun["user_code"]]
        stage.canaries.values[f"device code {echoes}"] = code
        idp.echoes = echoes
        await stage.api("POST", "/oauth/device/poll", {"flow_id": begun["flow_id"]})
        idp.agree(begun["user_code"], "bob")
        await stage.api("POST", "/oauth/device/poll", {"flow_id": begun["flow_id"]})
    idp.echoes = False


async def bring_accounts(house: House) -> None:
    """Bring accounts, take them out, and bring the file again."""
    stage, canaries = house.stage, house.stage.canaries
    good = {"provider_id": "openai", "auth_type": "api_key", "is_active": False}
    key, misplaced = canaries["imported api_key"], canaries["misplaced in an import"]
    oauth = {
        "refresh_token": canaries["imported refresh_token"],
        "token_url": f"{house.idp.url}/token",
        "client_id": "c",
        "client_secret": canaries["imported client_secret"],
    }
    given: list[object] = [
        {**good, "auth_data": {"api_key": key}},
        {**good, "auth_data": {"api_key": key}},
        {**good, "auth_type": "bearer", "auth_data": {"token": canaries["imported token"]}},
        {**good, "auth_type": "oauth", "auth_data": oauth},
        {**good, "auth_data": {"api_key": misplaced + "\n"}},
        {**good, "auth_data": misplaced},
        {**good, "auth_data": {misplaced: "x"}},
        {**good, "auth_type": misplaced, "auth_data": {"api_key": "k"}},
        {**good, "provider_id": misplaced, "auth_data": {"api_key": "k"}},
        {**good, "auth_type": "oauth", "auth_data": {**oauth, "token_url": f"//{misplaced}"}},
        {**good, "auth_type": "oauth", "auth_data": {**oauth, "token_url": misplaced}},
        {**good, misplaced + misplaced: {}, "auth_data": {"token": misplaced}},
        {"auth_data": {"api_key": misplaced}},
    ]
    for body in (
        {"accounts": given, "dry_run": True},
        {"accounts": given},
        {"accounts": given, "update": True, "match": "label"},
        {"accounts": [misplaced]},
        {"accounts": misplaced},
        {"file": misplaced, "passphrase": canaries["wrong passphrase"]},
        {"passphrase": canaries["wrong passphrase"], "accounts": []},
    ):
        await stage.api("POST", "/accounts/import", body)
    await stage.api("GET", "/accounts/export")
    await stage.api("POST", "/accounts/export", {"passphrase": canaries["passphrase"][:11]})
    file = await stage.api("POST", "/accounts/export", {"passphrase": canaries["passphrase"]})
    for phrase in ("wrong passphrase", "passphrase"):
        body = {"file": file, "passphrase": canaries[phrase], "dry_run": phrase == "passphrase"}
        told = await stage.api("POST", "/accounts/import", body)
        assert ("error" in told) is (phrase == "wrong passphrase")


async def bring_proxies(house: House) -> None:
    """Bring proxies in every form, those that cannot be read among them."""
    stage = house.stage
    password = stage.canaries["proxy password in a list"]
    bad = stage.canaries["proxy password in a bad line"]
    lines = [
        f"127.0.0.1:3128:user:{password}",
        f"socks5h://user:{quote(password, safe='')}@127.0.0.1:1080",
        f"user:{password}@127.0.0.2:3128",
        f"user:{password}:127.0.0.3:3128",
        f"10.0.0.1:3128:user:{bad}",
        f"127.0.0.1:99999:user:{bad}",
        f"{bad}",
        f"ftp://user:{bad}@127.0.0.1:1",
        f"user {bad}",
        f"http://user:{quote(bad, safe='')}@[::1",
        f"# {bad}",
    ]
    for dry_run in (True, False, False):
        body = {"lines": "\n".join(lines), "dry_run": dry_run}
        told = await stage.api("POST", "/proxies/import", body)
        assert (told["created"] + told["exists"], told["invalid"]) == (4, 6)
    for odd in (
        {"lines": [bad]},
        {"lines": "x", "scheme": [bad]},
        {"lines": lines[0], "scheme": bad},
    ):
        await stage.api("POST", "/proxies/import", odd)
    await stage.api("GET", "/proxies/export")
    for proxy in (await stage.api("GET", "/proxies"))["data"]:
        await stage.api("POST", f"/proxies/{proxy['id']}/test")
        await stage.api("POST", f"/proxies/{proxy['id']}/rehome", {"dry_run": False})


async def fail_on_purpose(house: House) -> None:
    """Let providers repeat keys, to tests and to clients, and the receiver repeat what it got."""
    stage, canaries = house.stage, house.stage.canaries
    fake = await stage.rig.add_provider("messages", accounts=0)
    key = canaries["api_key"]
    body = {"provider_id": "anthropic", "auth_type": "api_key", "auth_data": {"api_key": key}}
    account = (await stage.api("POST", "/accounts", body))["id"]
    ask = {**PLAIN["messages"], "model": "claude-fake"}
    for status, receives in ((401, 200), (403, 302), (429, 500), (400, 200), (500, 401)):
        house.receiver.status = receives
        error = {"type": key, "message": f"refused {key} " + "x" * 1975 + key}
        told = json.dumps({"type": "error", "error": error, "request_id": key}).encode()
        fake.failures_by_key[key] = Failure(status, told, {"retry-after": "120"})
        for kind in ("generate", "models"):
            test = {"kind": kind, "model": "claude-fake"}
            await stage.api("POST", f"/accounts/{account}/test", test)
        for path in ("/v1/messages", "/v1/chat/completions"):
            await stage.seen.note(await stage.rig.post(path, ask))
        for action in ("disable", "enable", "drain"):
            given = None if action == "enable" else {"reason": "because"}
            await stage.api("POST", f"/accounts/{account}/{action}", given)
        await stage.api("POST", f"/accounts/{account}/enable")
        await stage.api("POST", f"/accounts/{account}/reset")
    house.receiver.status = 200


async def crawl(house: House) -> None:
    """Read every route that answers an operator, of everything that there is."""
    stage = house.stage
    ids = {
        "accounts": [one["id"] for one in (await stage.api("GET", "/accounts"))["data"]],
        "proxies": [one["id"] for one in (await stage.api("GET", "/proxies"))["data"]],
        "providers": ["anthropic", "openai"],
        "api-keys": [one["id"] for one in (await stage.api("GET", "/api-keys"))["data"]],
        "requests": [one["id"] for one in (await stage.rig.logs(4))],
    }
    read = 0
    for route in ROUTES:
        is_read = route.method == "GET" and route.access is Access.ADMIN
        if not is_read or not route.path.startswith("/api/v1"):
            continue
        if route.content_type == "text/event-stream":
            await listen(stage.rig, stage)
            continue
        path = route.path.removeprefix("/api/v1")
        kind = "proxies" if "/proxies/" in path else path.split("/")[1]
        for one in ids.get(kind, ["0" * 64]) if "{id}" in path else [""]:
            await stage.api("GET", path.replace("{id}", one))
            read += 1
    question = {"model": "claude-fake", "dialect": "chat", "session": "s", "key_id": "k"}
    await stage.api("POST", "/route/explain", question)
    assert read > 50


async def listen(rig: Rig, stage: Stage) -> None:
    """Hear what happened so far."""
    url = f"{rig.url}/api/v1/events/stream?after=0"
    async with rig.http.get(url, headers={"x-api-key": rig.admin_key}) as response:
        async with asyncio.timeout(10):
            while b"account.logged_in" not in (piece := await response.content.readany()):
                stage.seen.texts.append(piece.decode())
        stage.seen.texts.append(piece.decode())


def dumped(url: str) -> Iterator[tuple[bytes, bytes]]:
    """Return all that Redis holds."""
    with Redis.from_url(url) as connection:
        keys = list(connection.scan_iter())
        assert keys
        for key in keys:
            plain: object
            match connection.type(key):
                case b"string":
                    plain = connection.get(key)
                case b"hash":
                    plain = connection.hgetall(key)
                case b"zset":
                    plain = connection.zrange(key, 0, -1)
                case b"set":
                    plain = connection.smembers(key)
                case _:
                    plain = connection.dump(key)
            yield key, repr(plain).encode()
