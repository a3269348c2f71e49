"""Secrets that are known by sight, planted in every place for one, and looked for afterwards."""

import base64
import json
import logging
import re
import secrets
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, SupportsIndex
from urllib.parse import quote

import aiohttp
from aiohttp import web

from tests.e2e.harness import MODELS, PROVIDER_IDS, Rig
from tests.fakes.idp import FakeIdp
from tests.fakes.provider import Failure, FakeProvider
from tests.fakes.proxies import FakeProxy, FakeSocks
from tests.fakes.scenarios import Scenario, messages_stream
from tests.security.requests import PATHS, PLAIN

QUICK = {
    f"AIGATEWAY_COOLDOWN__{name}_S": "0.001"
    for name in ("RATE_LIMITED", "FAILED", "REJECTED", "EGRESS")
}
"""Settings with which a failure keeps nobody waiting."""

SLOTS = (
    "admin key",
    "api_key",
    "api_key chat",
    "token",
    "access_token",
    "refresh_token",
    "idp family",
    "client_secret",
    "token_params",
    "proxy password",
    "socks password",
    "refused api_key",
    "refused token_url",
    "refused proxy",
)


@dataclass
class Canaries:
    """One secret for each slot. None looks like any vendor's key: no pattern catches them."""

    values: dict[str, str] = field(
        default_factory=lambda: (
            {slot: f"b/{secrets.token_hex(14)}+d=" for slot in SLOTS if slot != "admin key"}
            | {"admin key": "admin" + secrets.token_hex(20)}
        )
    )

    def __getitem__(self, slot: str) -> str:
        return self.values[slot]

    def found_in(self, data: bytes | str) -> list[str]:
        """Return the slots whose secret is in the data, in any usual spelling."""
        text = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        slots = {
            spelling: slot for slot, value in self.values.items() for spelling in spellings(value)
        }
        pattern = re.compile(b"|".join(map(re.escape, slots)))
        return sorted({slots[found.group()] for found in pattern.finditer(text)})


def spellings(secret: str) -> Iterator[bytes]:
    """Return what of a secret shows in whatever way it is written.

    The middle of it has only letters and digits, which URLs, JSON and SQL leave as they are.
    """
    middle = secret.strip("b/+d=").encode()
    yield middle
    yield middle.hex().encode()
    yield middle.hex().upper().encode()
    yield middle[::-1]
    for shift in range(3):
        # The part of the base64 that does not depend on what stands before and behind.
        encoded = base64.b64encode(bytes(shift) + middle)
        yield encoded[4 : len(encoded) - 4]


# --- everything that is written -----------------------------------------------------------------


class LogWatch(logging.Handler):
    """Keeps all that is logged at any level, before any mask: messages, fields, tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []
        self.loggers: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.loggers.add(record.name)
        parts = [record.getMessage(), repr(record.args)]
        standard = logging.LogRecord("", 0, "", 0, "", None, None).__dict__
        parts += [
            f"{name}={value!r}" for name, value in record.__dict__.items() if name not in standard
        ]
        if record.exc_info and record.exc_info[1] is not None:
            parts += traceback.format_exception(record.exc_info[1])
        self.texts.append("\n".join(parts))


@dataclass
class Seen:
    """All that came back to anybody."""

    texts: list[str] = field(default_factory=list)

    async def note(self, response: aiohttp.ClientResponse) -> None:
        body = await response.read()
        headers = json.dumps(dict(response.headers))
        self.texts.append(
            f"{response.method} {response.url} {headers} {body.decode(errors='replace')}"
        )


# --- traffic -------------------------------------------------------------------------------------


@dataclass
class Stage:
    """The gateway with a secret in every slot, and the pretend world around it."""

    rig: Rig
    canaries: Canaries
    idp: FakeIdp
    proxy: FakeProxy
    socks: FakeSocks
    seen: Seen = field(default_factory=Seen)

    async def api(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Call `/api/v1` and keep what it answers, whatever that is."""
        headers = {"x-api-key": self.rig.admin_key}
        url = f"{self.rig.url}/api/v1{path}"
        async with self.rig.http.request(method, url, json=body, headers=headers) as response:
            await self.seen.note(response)
            return await response.json() if response.status != 204 else None

    async def reset(self, provider_id: str) -> None:
        """Let the accounts of a provider serve again."""
        for account in (await self.api("GET", f"/accounts?provider_id={provider_id}"))["data"]:
            await self.api("POST", f"/accounts/{account['id']}/reset")

    async def ask(self, path: str, body: Mapping[str, object]) -> int:
        """Call a model and keep the answer."""
        response = await self.rig.post(path, body)
        await self.seen.note(response)
        return response.status


async def set_up(rig: Rig, canaries: Canaries) -> Stage:
    """Plant the secrets."""
    idp = FakeIdp(client_secret=canaries["client_secret"])
    runner = await idp.start()
    rig.stack.push_async_callback(runner.cleanup)
    proxy = FakeProxy("user", canaries["proxy password"])
    socks = FakeSocks("user", canaries["socks password"])
    stage = Stage(rig, canaries, idp, proxy, socks)
    for way, slot, provider_id in (
        (proxy, "proxy password", "anthropic"),
        (socks, "socks password", "openai"),
    ):
        await way.start()
        rig.stack.push_async_callback(way.stop)
        password = quote(canaries[slot], safe="")
        url = f"{way.scheme}://user:{password}@127.0.0.1:{way.port}"
        body = {"url": url, "provider_id": provider_id, "max_accounts": 9}
        assert "id" in await stage.api("POST", "/proxies", body)
    for kind in PROVIDER_IDS:
        await rig.add_provider(kind, accounts=0)
    await _add_accounts(stage)
    return stage


async def _add_accounts(stage: Stage) -> None:
    canaries, idp = stage.canaries, stage.idp
    refresh = idp.add_family(canaries["idp family"])
    data = {
        "refresh_token": refresh,
        "token_url": f"{idp.url}/token",
        "client_id": "client-1",
        "client_secret": canaries["client_secret"],
        "token_params": {"audience": canaries["token_params"]},
    }
    for provider_id, auth_type, given in (
        ("anthropic", "api_key", {"api_key": canaries["api_key"]}),
        ("openai", "api_key", {"api_key": canaries["api_key chat"]}),
        ("openai", "bearer", {"token": canaries["token"]}),
        ("glm", "oauth", data),
    ):
        body: dict[str, object] = {
            "provider_id": provider_id,
            "auth_type": auth_type,
            "auth_data": given,
        }
        if provider_id == "glm":
            body["models"] = ["glm-fake"]
        assert "id" in await stage.api("POST", "/accounts", body)


async def serve(stage: Stage) -> None:
    """Answer every kind of request once, and change what can be changed."""
    for dialect, path in PATHS.items():
        for model in ("claude-fake", "gpt-fake", "glm-fake"):
            for stream in (False, True):
                await stage.ask(path, {**PLAIN[dialect], "model": model, "stream": stream})
    accounts = (await stage.api("GET", "/accounts"))["data"]
    for account in accounts:
        await stage.api("PATCH", f"/accounts/{account['id']}", {"label": "changed"})
    for proxy in (await stage.api("GET", "/proxies"))["data"]:
        # As it was shown, the password masked.
        await stage.api("PATCH", f"/proxies/{proxy['id']}", {"url": proxy["url"]})
        await stage.api("PATCH", f"/proxies/{proxy['id']}", {"label": "changed"})


class Echoing(list[Failure]):
    """Failures of a provider that repeats the credential it was just called with."""

    def __init__(self, fake: FakeProvider, shape: Callable[[str], Failure]) -> None:
        super().__init__([Failure(500)] * 4)
        self._fake = fake
        self._shape = shape

    def pop(self, index: SupportsIndex = -1, /) -> Failure:
        super().pop(index)
        return self._shape(self._fake.seen[-1].key)


def _shapes(key: str) -> list[bytes]:
    """Bodies of errors that repeat a key, in every form that providers have."""
    message = f"Incorrect API key provided: {key}. You can find your key elsewhere."
    letters = "".join(f"\\u{ord(letter):04x}" for letter in key)
    texts = [
        json.dumps(
            {"type": "error", "error": {"type": "authentication_error", "message": message}}
        ),
        json.dumps({"error": {"message": message, "type": "invalid_request_error", "code": key}}),
        json.dumps({"error": {"message": message, "param": key, "type": key}}),
        json.dumps({"error": message}),
        json.dumps({"message": message}),
        json.dumps({"detail": [{"loc": ["header"], "input": key}]}),
        json.dumps({"error": {"code": "1000", "message": message}}),
        json.dumps({"error": {"message": f"no such key {quote(key, safe='')}"}}),
        json.dumps({"error": {"type": "invalid_request_error", "message": message}}).replace(
            "/", "\\/"
        ),
        f'{{"type":"error","error":{{"type":"invalid_request_error","message":"{letters}"}}}}',
    ]
    return [text.encode() for text in texts]


def echoes() -> list[Callable[[str], Failure]]:
    """Answers of providers that repeat the key."""

    def told(status: int, number: int) -> Callable[[str], Failure]:
        return lambda key: Failure(status, _shapes(key)[number], {"x-echo": key})

    def page(status: int, content_type: str) -> Callable[[str], Failure]:
        return lambda key: Failure(status, f"<html>{key}</html>".encode(), {}, content_type)

    statuses = (200, 400, 401, 403, 404, 413, 422, 429, 500, 503, 529)
    shapes = [told(status, number) for number in range(10) for status in statuses]
    pages = [
        page(status, kind) for status in (401, 403, 502) for kind in ("text/html", "text/plain")
    ]
    return shapes + pages


async def fail_at_providers(stage: Stage, *, every: int = 1) -> None:
    """Let every provider fail in every way, each time repeating the credential it got."""
    await _fail_in_streams(stage)
    for first, (kind, model) in enumerate(MODELS.items()):
        fake = stage.rig.providers[kind]
        for number, shape in enumerate(echoes()[first::every]):
            fake.failures, seen = Echoing(fake, shape), len(fake.seen)
            await stage.reset(PROVIDER_IDS[kind])
            dialect = "messages" if number % 2 else "chat"
            body = {**PLAIN[dialect], "model": model, "stream": number % 3 == 0}
            await stage.ask(PATHS[dialect], body)
            assert len(fake.seen) > seen
        fake.failures = []


async def _fail_in_streams(stage: Stage) -> None:
    """The same inside streams: at their beginning, after content, raw and translated."""
    fake = stage.rig.providers["messages"]
    good = list(messages_stream(Scenario()))
    shapes = _shapes(stage.canaries["api_key"])
    for data in (shapes[0], shapes[0].replace(b"/", b"\\/"), shapes[9]):
        error = b"event: error\ndata: %b\n\n" % data
        for dialect, path in PATHS.items():
            for stream in ([error], [good[0], error], [*good[:4], error]):
                fake.raw_stream = stream
                await stage.reset("anthropic")
                asked = {**PLAIN[dialect], "model": "claude-fake", "stream": True}
                status = await stage.ask(path, asked)
                assert status == (200 if len(stream) > 2 else status)
                assert "***" in stage.seen.texts[-1]
    fake.raw_stream = None


async def fail_on_the_way(stage: Stage) -> None:
    """Let proxies refuse, break and vanish."""
    for way, model in ((stage.proxy, "claude-fake"), (stage.socks, "gpt-fake")):
        password, way.password = way.password, "another"
        for dialect, path in PATHS.items():
            await stage.ask(path, {**PLAIN[dialect], "model": model})
        way.password, way.mode = password, "drop"
        await stage.ask("/v1/messages", {**PLAIN["messages"], "model": model})
        way.mode = "serve"


async def fail_to_refresh(stage: Stage) -> None:
    """Let the token endpoint fail in every way, each time repeating what it was sent."""
    canaries, echo = stage.canaries, EchoingIdp()
    await echo.start(stage.rig)
    for number in range(len(echo.shapes)):
        echo.turn = number
        data = {
            "access_token": canaries["access_token"],
            "expires_at": 1,
            "refresh_token": canaries["refresh_token"],
            "token_url": echo.url,
            "client_id": "client-1",
            "client_secret": canaries["client_secret"],
            "token_params": {"audience": canaries["token_params"]},
            "token_body": "json" if number % 2 else "form",
        }
        model = f"glm-only-{number}"
        account = {"provider_id": "glm", "auth_type": "oauth", "auth_data": data, "models": [model]}
        made = await stage.api("POST", "/accounts", account)
        await stage.ask("/v1/chat/completions", {**PLAIN["chat"], "model": model})
        await stage.api("GET", f"/accounts/{made['id']}")
        await stage.api("DELETE", f"/accounts/{made['id']}")
    assert echo.asked >= len(echo.shapes)


class EchoingIdp:
    """A token endpoint that grants nothing and repeats what it was sent."""

    def __init__(self) -> None:
        self.turn = 0
        self.asked = 0
        self.url = ""
        self.shapes: list[Callable[[str], tuple[int, str]]] = [
            lambda sent: (400, json.dumps({"error": "invalid_grant", "error_description": sent})),
            lambda sent: (400, json.dumps({"error": sent})),
            lambda sent: (401, json.dumps({"error": {"code": sent, "message": sent}})),
            lambda sent: (403, f"<html>{sent}</html>"),
            lambda sent: (429, json.dumps({"error": "slow_down", "error_description": sent})),
            lambda sent: (500, sent),
            lambda sent: (502, json.dumps({"error": "server_error", "detail": sent})),
            lambda sent: (200, json.dumps({"error": sent})),
            lambda sent: (200, json.dumps({"access_token": f"{sent} ", "token_type": "Bearer"})),
            lambda sent: (200, json.dumps({"access_token": [sent]})),
            lambda sent: (200, sent[:-1]),
            lambda sent: (302, sent),
        ]

    async def start(self, rig: Rig) -> None:
        app = web.Application()
        app.router.add_post("/token", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        rig.stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        status, text = self.shapes[self.turn]((await request.read()).decode())
        headers = {"x-echo": quote(text[:200]), "location": f"/{quote(text[:200])}"}
        return web.Response(status=status, text=text, headers=headers)


async def misuse(stage: Stage) -> None:
    """Send secrets where they are refused: the refusal must not repeat them."""
    canaries = stage.canaries
    key, url, proxy = (canaries[f"refused {slot}"] for slot in ("api_key", "token_url", "proxy"))
    account = {"provider_id": "anthropic", "auth_type": "api_key"}
    oauth = {"refresh_token": key, "client_id": "c"}
    for body in (
        {**account, "auth_data": {"api_key": key + "\n"}},
        {**account, "auth_data": {"api_key": [key]}},
        {**account, "auth_data": {"api_key": "k", key: "x"}},
        {**account, "auth_data": key},
        {**account, "auth_data": {"token": key}},
        {**account, "auth_type": key, "auth_data": {"api_key": "k"}},
        {**account, "auth_data": {"api_key": "k"}, "priority": key},
        {**account, "auth_data": {"api_key": "k"}, "is_active": key},
        {**account, "auth_data": {"api_key": "k"}, "provider_id": key},
        {
            **account,
            "auth_type": "oauth",
            "auth_data": {**oauth, "token_url": f"https://x y/{url}"},
        },
        {**account, "auth_type": "oauth", "auth_data": {**oauth, "token_url": f"file:///{url}"}},
        {
            **account,
            "auth_type": "oauth",
            "auth_data": {**oauth, "token_url": f"http://10.1.1.1/{url}"},
        },
        {
            **account,
            "auth_type": "oauth",
            "auth_data": {**oauth, "token_url": f"http://u:{url}@x.test/"},
        },
        {**account, "auth_type": "oauth", "auth_data": {**oauth, "client_secret": key + "\u00e9"}},
    ):
        await stage.api("POST", "/accounts", body)
    for address in (
        f"http://u:{proxy}@127.0.0.1",
        f"ftp://u:{proxy}@127.0.0.1:1",
        f"http://u:{quote(proxy, safe='')}@127.0.0.1:1/path",
        f"http://u:{quote(proxy, safe='')}%0a@127.0.0.1:1",
        f"http://u:{quote(proxy, safe='')}@10.1.1.1:1",
        f"http://u:{quote(proxy, safe='')}@[::1:1",
        f"u:{proxy}@127.0.0.1:1",
        f"http://u:{quote(proxy, safe='')}@127.0.0.1:99999",
    ):
        await stage.api("POST", "/proxies", {"url": address})
    existing = stage.proxy
    password = quote(canaries["proxy password"], safe="")
    same = f"http://user:{password}@127.0.0.1:{existing.port}"
    await stage.api("POST", "/proxies", {"url": same})  # 409: it is there already
    for header in ("x-api-key", "authorization"):
        for wrong in (
            canaries["admin key"] + "x",
            canaries["api_key"],
            f"Bearer {canaries['token']}",
        ):
            response = await stage.rig.http.get(
                f"{stage.rig.url}/api/v1/accounts", headers={header: wrong}
            )
            await stage.seen.note(response)


async def look_around(stage: Stage) -> None:
    """Read everything that an operator or a stranger can read."""
    for path in (
        "/openapi.json",
        "/docs",
        "/health",
        "/health/live",
        "/health/ready",
        "/v1/models",
    ):
        headers = {"x-api-key": stage.rig.admin_key}
        await stage.seen.note(await stage.rig.http.get(stage.rig.url + path, headers=headers))
    for path in ("/accounts", "/proxies", "/providers", "/api-keys"):
        for entry in (await stage.api("GET", f"{path}?limit=500"))["data"]:
            await stage.api("GET", f"{path}/{entry['id']}")
            if path == "/proxies":
                await stage.api("GET", f"{path}/{entry['id']}/assignments")
                await stage.api("GET", f"/stats/proxies/{entry['id']}?days=3")
    for path in ("/proxies/assignments", "/stats/summary", "/stats/logs?limit=500"):
        await stage.api("GET", path)


def leaks(canaries: Canaries, texts: Iterable[str | bytes]) -> list[tuple[list[str], str]]:
    """Return what gives a secret away: which one, and where it stands."""
    return [(slots, str(text[:600])) for text in set(texts) if (slots := canaries.found_in(text))]
