"""Headers: nothing breaks into them, and only what is allowed goes on to a provider (I-05)."""

import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from aigateway import __version__
from tests.e2e.harness import MODELS, Rig, open_rig
from tests.fakes.provider import Failure, Kind
from tests.fakes.proxies import FakeProxy
from tests.security.requests import PATHS, PLAIN
from tests.security.shapes import error_of, failures_in
from tests.security.wire import answers, head

KINDS: tuple[Kind, ...] = ("messages", "chat", "glm")


@pytest.fixture
async def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        for kind in KINDS:
            await opened.add_provider(kind)
        caplog.set_level(logging.DEBUG)
        yield opened
    assert failures_in(caplog) == []


# --- what an operator may set -------------------------------------------------------------------

BREAKS = (
    "\r\nX-Injected: 1",
    "\nX-Injected: 1",
    "\rX-Injected: 1",
    "\u0000",
    "\u0007",
    "\u001b[31m",
    "\u007f",
    "\u0085",
    "\u00a0",
    "\u2028",
    "\u00e9",
    "\ud83d\ude00",
    "\u010a",  # its low byte is a line feed
)
OAUTH = {
    "refresh_token": "r",
    "token_url": "http://127.0.0.1:9/token",
    "client_id": "c",
}


def account(auth_type: str, data: Mapping[str, object], **fields: object) -> dict[str, object]:
    return {"provider_id": "anthropic", "auth_type": auth_type, "auth_data": data, **fields}


def provider(**fields: object) -> dict[str, object]:
    base = {"id": "house", "name": "H", "dialect": "chat", "base_url": "http://127.0.0.1:9"}
    return {**base, **fields}


def broken(text: str) -> dict[str, tuple[str, dict[str, object]]]:
    """Bodies with a text at every place that ends up in a header or an address."""
    url = f"http://127.0.0.1:9/{text}"
    return {
        "api_key": ("/accounts", account("api_key", {"api_key": f"k{text}k"})),
        "api_key begins": ("/accounts", account("api_key", {"api_key": f"{text}k"})),
        "api_key ends": ("/accounts", account("api_key", {"api_key": f"k{text}"})),
        "token": ("/accounts", account("bearer", {"token": f"k{text}k"})),
        "access": ("/accounts", account("oauth", {**OAUTH, "access_token": f"k{text}"})),
        "refresh": ("/accounts", account("oauth", {**OAUTH, "refresh_token": f"k{text}"})),
        "client_id": ("/accounts", account("oauth", {**OAUTH, "client_id": f"k{text}"})),
        "client_secret": ("/accounts", account("oauth", {**OAUTH, "client_secret": f"k{text}"})),
        "scopes": ("/accounts", account("oauth", {**OAUTH, "scopes": [f"k{text}"]})),
        "params": ("/accounts", account("oauth", {**OAUTH, "token_params": {"a": f"k{text}"}})),
        "param": ("/accounts", account("oauth", {**OAUTH, "token_params": {f"k{text}": "a"}})),
        "token_url": ("/accounts", account("oauth", {**OAUTH, "token_url": url})),
        "models": ("/accounts", account("api_key", {"api_key": "k"}, models=[f"m{text}"])),
        "provider_id": ("/accounts", account("api_key", {"api_key": "k"}) | {"provider_id": text}),
        "base_url": ("/providers", provider(base_url=url)),
        "base_url host": ("/providers", provider(base_url=f"http://127.0.0.1{text}:9/")),
        "id": ("/providers", provider(id=f"house{text}")),
        "prefixes": ("/providers", provider(prefixes=[f"p{text}"])),
        "proxy": ("/proxies", {"url": f"http://u:p{text}@127.0.0.1:9"}),
        "proxy user": ("/proxies", {"url": f"http://u{text}:p@127.0.0.1:9"}),
        "proxy host": ("/proxies", {"url": f"http://127.0.0.1{text}:9"}),
        "proxy end": ("/proxies", {"url": f"http://127.0.0.1:9{text}"}),
    }


async def test_what_breaks_headers_is_refused_at_every_place(rig: Rig) -> None:
    before = {path: await rig.api("GET", path) for path in ("/accounts", "/providers", "/proxies")}
    for text in BREAKS:
        for name, (path, body) in broken(text).items():
            told = await rig.api("POST", path, body, expect=422)
            assert set(told["error"]) == {"code", "message", "details"}, (name, text)
    assert before == {path: await rig.api("GET", path) for path in before}


async def test_encoded_line_breaks_in_a_proxy_password_stay_inside_it(rig: Rig) -> None:
    await rig.api("POST", "/proxies", {"url": "http://u:p%0d%0aX:1@127.0.0.1:9"}, expect=422)
    await rig.api("POST", "/proxies", {"url": "socks5://u:p%00@127.0.0.1:9"}, expect=422)
    proxy = FakeProxy("us er", "p:w@d")
    await proxy.start()
    rig.stack.push_async_callback(proxy.stop)
    url = f"http://us%20er:p%3Aw%40d@127.0.0.1:{proxy.port}"
    await rig.api("POST", "/proxies", {"url": url, "provider_id": "anthropic"})
    await rig.add_account("anthropic", "key-0", egress_policy="required", models=["claude-p"])
    assert (
        await rig.post("/v1/messages", {**PLAIN["messages"], "model": "claude-p"})
    ).status == 200
    assert (len(proxy.targets), proxy.refused) == (1, 0)


# --- what a client sends --------------------------------------------------------------------------

FOREIGN = {
    "Cookie": "session=1",
    "Proxy-Authorization": "Basic Zm9v",
    "X-Forwarded-For": "10.0.0.1",
    "X-Forwarded-Host": "evil.test",
    "X-Forwarded-Proto": "https",
    "X-Real-IP": "10.0.0.1",
    "Forwarded": "for=10.0.0.1",
    "Via": "1.1 client",
    "Referer": "https://client.test/secret",
    "Origin": "https://client.test",
    "User-Agent": "Client/1.0 (secret)",
    "X-Stainless-Lang": "python",
    "X-Stainless-Retry-Count": "0",
    "OpenAI-Organization": "org-client",
    "OpenAI-Project": "proj-client",
    "X-Goog-Api-Key": "g",
    "Api-Key": "azure",
    "Accept-Language": "de",
    "Accept-Encoding": "br, gzip",
    "Accept": "text/html",
    "Idempotency-Key": "1",
    "Traceparent": "00-1-1-01",
    "X-Request-Id": "client-id-1",
    "X-Custom": "1",
    "Host-Override": "evil.test",
    "Keep-Alive": "timeout=1",
    "Upgrade-Insecure-Requests": "1",
    "Range": "bytes=0-1",
    "If-None-Match": "x",
    "anthropic-dangerous-direct-browser-access": "true",
    "anthropic-organization-id": "o",
}
EXPECTED = {
    "messages": {"x-api-key": "key-0", "anthropic-version": "2023-06-01"},
    "chat": {"authorization": "Bearer key-0"},
    "glm": {"authorization": "Bearer key-0"},
}


def expected(kind: Kind, url: str, *, stream: bool, length: int) -> dict[str, str]:
    """The exact headers that a provider gets."""
    return {
        "host": url.removeprefix("http://"),
        "content-type": "application/json",
        "accept": "text/event-stream" if stream else "application/json",
        "accept-encoding": "identity",
        "user-agent": f"aigateway/{__version__}",
        "content-length": str(length),
        **EXPECTED[kind],
    }


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", PATHS)
async def test_a_provider_gets_the_allowed_headers_and_no_other(
    rig: Rig, dialect: str, stream: bool
) -> None:
    for kind in KINDS:
        body = {**PLAIN[dialect], "model": MODELS[kind], "stream": stream}
        for key_header in ("authorization", "x-api-key"):
            value = rig.key if key_header == "x-api-key" else f"Bearer {rig.key}"
            headers = {**FOREIGN, key_header: value, "authorization": f"Bearer {rig.key}"}
            assert (await rig.post(PATHS[dialect], body, headers=headers)).status == 200
            provider = rig.providers[kind]
            seen = provider.seen[-1]
            wanted = expected(kind, provider.url, stream=stream, length=len(seen.body))
            assert dict(seen.headers) == wanted
            assert rig.key not in str(seen)


async def test_only_messages_clients_choose_version_and_betas_and_only_of_anthropic(
    rig: Rig,
) -> None:
    chosen = {"anthropic-version": "2024-01-01", "anthropic-beta": "a-1,b-2"}
    for dialect, path in PATHS.items():
        for kind in KINDS:
            body = {**PLAIN[dialect], "model": MODELS[kind]}
            assert (await rig.post(path, body, headers=chosen)).status == 200
            seen = rig.providers[kind].seen[-1]
            sent = {name: seen.headers.get(name) for name in chosen}
            if (dialect, kind) == ("messages", "messages"):
                assert sent == chosen
            else:
                version = EXPECTED[kind].get("anthropic-version")
                assert sent == {"anthropic-version": version, "anthropic-beta": None}


async def test_hop_by_hop_headers_of_a_client_end_here(rig: Rig) -> None:
    body = json.dumps(PLAIN["messages"]).encode()
    lines = (
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close, anthropic-version, x-custom",
        "X-Custom: 1",
        "TE: trailers",
        "Trailer: X-Custom",
        "Keep-Alive: 5",
    )
    (answer,) = await answers(rig, head("POST /v1/messages HTTP/1.1", rig, *lines) + body)
    assert answer.status == 200
    provider = rig.providers["messages"]
    wanted = expected("messages", provider.url, stream=False, length=len(body))
    assert dict(provider.seen[-1].headers) == wanted


ODD_VALUES = (
    b"a\rX-Injected: 1",
    b"a\nX-Injected: 1",
    b"a\x00b",
    b"\x01",
    b"\x0b",
    b"\x1b[31m",
    b"\x7f",
    b"\x85",
    b"\xff\xfe",
    "é".encode(),
    "\u2028".encode(),
    "\u010a".encode(),
    "\U0001f600".encode(),
)
MODEL_HEADERS = ("anthropic-beta", "anthropic-version", "x-request-id", "accept", "x-custom")


async def test_odd_values_of_headers_are_refused_or_left_out(rig: Rig) -> None:
    body = json.dumps(PLAIN["messages"]).encode()
    for name in MODEL_HEADERS:
        for value in ODD_VALUES:
            lines = ("Content-Type: application/json", f"Content-Length: {len(body)}")
            request = head("POST /v1/messages HTTP/1.1", rig, *lines, "Connection: close")
            request = request[:-2] + name.encode() + b": " + value + b"\r\n\r\n" + body
            (answer,) = await answers(rig, request)
            assert answer.status in (200, 400), (name, value)
            assert "x-injected" not in answer.headers
            if answer.status == 200:
                assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
                sent = rig.providers["messages"].seen[-1].headers
                assert "x-injected" not in sent
                assert all(text.isascii() and text.isprintable() for text in sent.values())


async def test_odd_keys_of_clients_are_401(rig: Rig) -> None:
    body = json.dumps(PLAIN["messages"]).encode()
    for value in (b"", b" ", b"\xff\xfe", "é".encode(), b"Bearer", b"Bearer ", b"x" * 8000):
        for name in (b"authorization", b"x-api-key"):
            start = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            length = f"Content-Length: {len(body)}".encode()
            request = start + length + b"\r\n" + name + b": " + value + b"\r\n\r\n" + body
            (answer,) = await answers(rig, request)
            assert answer.status == 401, (name, value)
            error_of("/v1/messages", answer.body)
    assert rig.providers["messages"].seen == []


# --- what comes back out --------------------------------------------------------------------------


async def test_names_that_a_client_made_up_break_no_header_of_the_answer(rig: Rig) -> None:
    for dialect, model in (("chat", "claude-fake"), ("messages", "gpt-fake")):
        for text in (*BREAKS, "a,b", "x" * 9000):
            for stream in (False, True):
                body = {**PLAIN[dialect], "model": model, "stream": stream, f"n{text}": 1}
                response = await rig.post(PATHS[dialect], body)
                assert response.status == 200
                dropped = response.headers["x-aigateway-dropped"]
                assert dropped.isascii()
                assert dropped.isprintable()
                assert "x-injected" not in response.headers


async def test_odd_names_of_models_are_told_as_unknown(rig: Rig) -> None:
    for text in BREAKS:
        for model in (f"none{text}", f"nobody/{text}", f"{text}:m"):
            for dialect, path in PATHS.items():
                response = await rig.post(path, {**PLAIN[dialect], "model": model})
                assert response.status == 404, model
                error = error_of(path, await response.read())
                assert "\r" not in error["message"]
    for row in await rig.logs(len(BREAKS) * 3 * 2):
        assert row["status"] == 404


WHOLE = b'{"id":"m","type":"message","role":"assistant","model":"m","content":[],"usage":{}}'


async def test_a_provider_decides_about_no_header_of_the_answer(rig: Rig) -> None:
    provider = rig.providers["messages"]
    theirs = {
        "set-cookie": "a=1",
        "server": "cloud",
        "x-injected": "1",
        "location": "http://evil.test",
        "x-aigateway-account": "forged",
        "access-control-allow-origin": "*",
        "www-authenticate": "Basic",
        "clear-site-data": '"*"',
    }
    for status in (200, 400, 401, 404, 429, 500):
        body = b"" if status != 200 else WHOLE
        provider.failures = [Failure(status, body, theirs)]
        response = await rig.post("/v1/messages", PLAIN["messages"])
        assert response.status == {401: 502, 500: 502}.get(status, status)
        shown = {name.lower(): value for name, value in response.headers.items()}
        assert not [name for name in theirs if shown.get(name) == theirs[name]]
        assert response.headers["server"] == "aigateway"
        (account_row,) = [
            row
            for row in (await rig.api("GET", "/accounts"))["data"]
            if row["provider_id"] == "anthropic"
        ]
        await rig.api("POST", f"/accounts/{account_row['id']}/reset")
