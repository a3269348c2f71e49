"""Providers and token endpoints that repeat, in their errors, the secrets they were sent."""

import json
from collections.abc import Callable
from typing import SupportsIndex
from urllib.parse import quote

from aiohttp import web

from tests.e2e.harness import MODELS, PROVIDER_IDS, Rig
from tests.fakes.formats.messages import messages_stream
from tests.fakes.provider import Failure, FakeProvider
from tests.fakes.scenarios import Scenario
from tests.security.formats import FORMS
from tests.security.requests import PATHS, PLAIN
from tests.security.stage import Stage

_CLIENTS = ("messages", "chat", "gemini", "responses")


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
    return [text.encode() for text in (*texts, *_of_google(message, key))]


def _of_google(message: str, key: str) -> list[str]:
    """The forms of Google's services: with details, in a list, with a link for the account's owner,
    and another vendor's error inside the message."""
    address = f"https://console.google.test/verify?key={quote(key, safe='')}"
    metadata = {"service": "x", "consumer": f"api_key:{key}", "validation_link": address}
    details = [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "VALIDATION_REQUIRED",
            "metadata": metadata,
        },
        {
            "@type": "type.googleapis.com/google.rpc.Help",
            "links": [{"description": key, "url": address}],
        },
        {"@type": "type.googleapis.com/google.rpc.DebugInfo", "detail": f"?key={key}"},
    ]
    error = {"code": 403, "message": message, "status": "PERMISSION_DENIED", "details": details}
    inner = json.dumps({"type": "error", "error": {"type": "x", "message": message}})
    return [
        json.dumps({"error": error}),
        json.dumps([{"error": error}]),
        json.dumps({"error": {**error, "details": [], "message": inner}}),
    ]


def echoes() -> list[Callable[[str], Failure]]:
    """Answers of providers that repeat the key."""

    def told(status: int, number: int) -> Callable[[str], Failure]:
        return lambda key: Failure(status, _shapes(key)[number], {"x-echo": key})

    def page(status: int, content_type: str) -> Callable[[str], Failure]:
        return lambda key: Failure(status, f"<html>{key}</html>".encode(), {}, content_type)

    statuses = (200, 400, 401, 403, 404, 413, 422, 429, 500, 503, 529)
    count = len(_shapes(""))
    shapes = [told(status, number) for number in range(count) for status in statuses]
    pages = [
        page(status, kind) for status in (401, 403, 502) for kind in ("text/html", "text/plain")
    ]
    return shapes + pages


async def fail_at_providers(stage: Stage, *, every: int = 1) -> None:
    """Let every provider fail in every way, each time repeating the credential it got."""
    await _fail_in_streams(stage)
    for first, kind in enumerate(PROVIDER_IDS):
        fake, model = stage.rig.providers[kind], MODELS[kind]
        for number, shape in enumerate(echoes()[first::every]):
            fake.failures, seen = Echoing(fake, shape), len(fake.seen)
            await stage.reset(PROVIDER_IDS[kind])
            form, stream = FORMS[_CLIENTS[number % len(_CLIENTS)]], number % 3 == 0
            await stage.ask(form.at(model, stream=stream), form.asking(model, stream=stream))
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
                asked = {**PLAIN[dialect], "model": "anthropic/claude-fake", "stream": True}
                status = await stage.ask(path, asked)
                assert status == (200 if len(stream) > 2 else status)
                assert "***" in stage.seen.texts[-1]
    fake.raw_stream = None


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
