"""Who may call what: every route of the whole program with every kind of key (A-09)."""

import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from auth.keys import new_key
from dialects import DIALECTS
from handlers.app import build_app
from handlers.endpoint import Access, Endpoint
from handlers.listed import listed_endpoints
from openapi.document import plain_path
from services.authenticator import Authenticator
from tests.e2e.harness import Rig, open_rig
from tests.fakes.clock import FakeClock
from tests.security.shapes import error_of, failures_in
from tests.security.wire import Answer, connected

ROUTES = listed_endpoints(DIALECTS, "0.0.0-test")
UNKNOWN_ID = "0" * 32
# Which of several fields they take is open, but one it must be.
ONE_OF = {("POST", "/api/v1/accounts/import"), ("DELETE", "/api/v1/affinity")}
PLACES = ("Authorization: Bearer ", "X-Api-Key: ", "x-goog-api-key: ")


@pytest.fixture
async def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        caplog.set_level(logging.DEBUG)
        yield opened
    assert failures_in(caplog) == []


def path_of(route: Endpoint) -> str:
    method = re.search(r"{method:(\w+)", route.path)
    path = plain_path(route.path).replace("{method}", method[1] if method else "")
    return re.sub(r"\{\w+\}", "none", path.replace("{id}", UNKNOWN_ID))


def expected(route: Endpoint) -> int:
    """The status for a caller who may: an empty body, and an id that nothing has."""
    if route.path == "/v1/responses" and route.method == "GET":
        return 405  # nobody asks for a WebSocket here
    if route.path.startswith("/oauth/"):
        return 400  # pages of logins: there is none
    if route.dialect is not None:
        return 404 if "{id" in route.path else 400 if route.method == "POST" else 200
    models = (getattr(model, "model_fields", {}) for model in (route.request, route.query))
    fields = [field for model in models for field in model.values()]
    if any(field.is_required() for field in fields) or (route.method, route.path) in ONE_OF:
        return 422
    return 404 if "{id}" in route.path else route.status


async def asked(rig: Rig, route: Endpoint, *lines: str, query: str = "") -> Answer:
    """Call a route with an empty object as body; lines and query are the only credentials."""
    size = "Content-Length: 2" if route.method in {"POST", "PUT", "PATCH"} else "X-Nothing: 1"
    start = [f"{route.method} {path_of(route)}{query} HTTP/1.1", "Host: x", "Connection: close"]
    head = "\r\n".join([*start, "Content-Type: application/json", size, *lines, "", ""])
    async with connected(rig) as wire:
        await wire.send(head.encode() + (b"{}" if size.endswith("2") else b""))
        answer = await wire.answer()
    assert answer is not None
    return answer


async def keys(rig: Rig) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return keys that let nobody in, that let models be called, and that let everything."""

    async def made(name: str, **fields: object) -> tuple[str, str]:
        told = await rig.api("POST", "/api-keys", {"name": name, **fields})
        return told["id"], told["key"]

    off_id, off = await made("off", is_admin=True)
    await rig.api("PATCH", f"/api-keys/{off_id}", {"is_active": False})
    gone_id, gone = await made("gone", is_admin=True)
    await rig.api("DELETE", f"/api-keys/{gone_id}")
    past_id, past = await made("past", is_admin=True)
    await rig.api("PATCH", f"/api-keys/{past_id}", {"expires_at": 1})
    lowered_id, lowered = await made("lowered", is_admin=True)
    await rig.api("PATCH", f"/api-keys/{lowered_id}", {"is_admin": False})
    _, ordinary = await made("ordinary")
    _, admin = await made("admin", is_admin=True)
    strangers = {
        "malformed": "nonsense",
        "unknown": new_key(),
        "cut": admin[:-1],
        "longer": admin + "0",
        "other case": admin.swapcase(),
        "expired": past,
        "switched off": off,
        "deleted": gone,
        "id instead of key": off_id,
        "hash-like": "0" * 64,
        "master key's look": rig.admin_key[:-1],
        "star": "*",
        "true": "true",
        "null": "null",
        "very long": "x" * 5000,
    }
    users = {"ordinary": ordinary, "no admin any more": lowered}
    return strangers, users, {"admin": admin, "from outside": rig.admin_key}


async def test_every_route_lets_in_whom_it_declares_and_nobody_else(rig: Rig) -> None:
    assert len(ROUTES) > 35
    strangers, users, admins = await keys(rig)
    faults = []

    async def expect(route: Endpoint, who: str, status: int, *lines: str, query: str = "") -> None:
        answer = await asked(rig, route, *lines, query=query)
        headers = answer.headers
        if headers["server"] != "aigateway" or (
            route.access is not Access.PUBLIC and headers["cache-control"] != "no-store"
        ):
            faults.append(f"{route.method} {route.path} as {who}: {headers}")
        if answer.status != status:
            faults.append(f"{route.method} {route.path} as {who}: {answer.status}, not {status}")
        elif status in {401, 403}:
            # Where the caller decides, a key of Google's kind makes it one of Google's.
            is_google = query or any("goog" in line for line in lines)
            is_theirs = route.path.startswith("/v1/models") and is_google
            error_of("/v1beta" if is_theirs else path_of(route), answer.body)

    for route in ROUTES:
        is_public = route.access is Access.PUBLIC
        nobody = expected(route) if is_public else 401
        await expect(route, "nobody", nobody)
        for who, key in strangers.items():
            # One place for each: the server reads all of them in one way.
            place = PLACES[len(who) % len(PLACES)]
            await expect(route, who, nobody, f"{place}{key}")
            if key.isalnum():
                await expect(route, who, nobody, query=f"?key={key}")
        for line in (f"Authorization: Basic {admins['admin']}", f"Cookie: key={admins['admin']}"):
            await expect(route, "the wrong place", nobody, line)
        for who, key in users.items():
            status = 403 if route.access is Access.ADMIN else expected(route)
            for place in PLACES:
                await expect(route, who, status, f"{place}{key}")
            # A placeholder in another place locks nobody out.
            both = (f"X-Api-Key: {strangers['unknown']}", f"Authorization: Bearer {key}")
            await expect(route, f"{who} and unknown", status, *both)
            in_query = status if route.takes_query_key else nobody
            await expect(route, f"{who} in the query", in_query, query=f"?key={key}")
    assert faults == []
    # Last, because these may change something. A stream of events has no end.
    for route in ROUTES:
        if route.content_type == "text/event-stream":
            continue
        for who, key in admins.items():
            await expect(route, who, expected(route), f"X-Api-Key: {key}")
    assert faults == []


def test_a_route_must_say_who_may_call_it() -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response()

    with pytest.raises(TypeError, match="access"):
        Endpoint("GET", "/x", handler, summary="s", tag="t")  # type: ignore[call-arg]  # the point
    twice = [Endpoint("GET", path, handler, Access.PUBLIC, "s", "t") for path in ("/a", "/b")]
    with pytest.raises(ValueError, match="share a handler"):
        build_app(twice, _authenticator(), DIALECTS)


async def test_a_route_added_behind_the_gate_stops_the_start() -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="nobody said who may see this")

    app = build_app([], _authenticator(), DIALECTS)
    app.router.add_get("/backdoor", handler)
    with pytest.raises(ValueError, match="backdoor"):
        await TestServer(app).start_server()


def _authenticator() -> Authenticator:
    async def look_again() -> None: ...

    def nothing() -> None:
        raise AssertionError("nobody is authenticated here")

    return Authenticator(nothing, look_again, b"p" * 32, FakeClock())  # type: ignore[arg-type]  # never called
