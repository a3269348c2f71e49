"""Who may call what: every route of the table with every kind of key."""

import asyncio
import re

import pytest

from handlers.endpoint import Access, Endpoint
from openapi.document import plain_path
from tests.handlers.api import ADMIN_KEY, ROUTES, Api

PUBLIC = {"/health", "/health/live", "/health/ready", "/openapi.json", "/", "/docs"}
PAGES = {"/oauth/start/{state}", "/oauth/callback/{provider}"}
"""Browsers come here in the middle of a login, without any key; see test_oauth.py."""


def url(route: Endpoint) -> str:
    return re.sub(r"\{\w+\}", "x", plain_path(route.path).replace("{id}", "0" * 32))


async def status(api: Api, route: Endpoint, headers: dict[str, str]) -> int:
    async with api.client.request(
        route.method, url(route), data=b"{}", headers={"Content-Type": "application/json"} | headers
    ) as response:
        if response.content_type != "text/event-stream":  # that one has no end
            await response.read()
        return response.status


def test_only_a_name_health_the_reference_and_pages_of_logins_are_public() -> None:
    assert {route.path for route in ROUTES if route.access is Access.PUBLIC} == PUBLIC | PAGES
    assert {route.access for route in ROUTES if route.path.startswith("/api/")} == {Access.ADMIN}


async def made_key(api: Api, **facts: object) -> str:
    told = await api.made("/api/v1/api-keys", {"name": "k", **facts})
    return str(told.json["key"])


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
async def test_every_route_lets_in_whom_it_declares(api: Api, header: str) -> None:
    def carrying(key: str) -> dict[str, str]:
        return {header: f"Bearer {key}" if header == "authorization" else key}

    admin = carrying(await made_key(api, is_admin=True))
    user = carrying(await made_key(api))
    expired = await made_key(api, is_admin=True, expires_at=1)
    off = await api.made("/api/v1/api-keys", {"name": "off", "is_admin": True})
    switched = await api.call("PATCH", f"/api/v1/api-keys/{off.id}", {"is_active": False})
    assert switched.status == 200
    deleted = await api.made("/api/v1/api-keys", {"name": "gone", "is_admin": True})
    await api.call("DELETE", f"/api/v1/api-keys/{deleted.id}")
    strangers = [
        {},
        carrying("nonsense"),
        carrying(expired),
        carrying(str(off.json["key"])),
        carrying(str(deleted.json["key"])),
        carrying(ADMIN_KEY[:-1]),
        carrying(ADMIN_KEY.upper()),
    ]
    before = {path: (await api.get(path)).json for path in ("/api/v1/accounts", "/api/v1/api-keys")}
    for route in ROUTES:
        if route.access is Access.PUBLIC:
            wanted = 400 if route.path in PAGES else 200
            assert [await status(api, route, headers) for headers in strangers] == [wanted] * 7
            continue
        name = f"{route.method} {route.path}"
        assert [await status(api, route, headers) for headers in strangers] == [401] * 7, name
        assert await status(api, route, user) == 403, name
    for path, listed in before.items():
        assert (await api.get(path)).json == listed
    for route in ROUTES:
        if route.access is Access.ADMIN:
            assert await status(api, route, admin) in {200, 201, 404, 422}, route.path


@pytest.mark.parametrize(
    "path",
    [
        "//api/v1/accounts",
        "/api//v1/accounts",
        "/api/v1/accounts/",
        "/api/v1/./accounts",
        "/health/../api/v1/accounts",
        "/health/%2e%2e/api/v1/accounts",
        "/health%2f..%2fapi/v1/accounts",
        "/api%2fv1%2faccounts",
        "/API/v1/accounts",
        "/api/v1/accounts;x=1",
        "/api/v1/accounts%00",
        "/api/v1/accounts%20",
        "/docs/../api/v1/accounts",
        "/docs/api/v1/accounts",
        "/.//api/v1/accounts",
        "/api/v1/accounts?x-api-key=" + ADMIN_KEY,
        "/api/v1/accounts?key=" + ADMIN_KEY,
    ],
)
async def test_no_spelling_of_a_path_gets_around_the_gate(api: Api, path: str) -> None:
    host, port = api.client.server.host, api.client.server.port
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        first = await reader.readline()
    finally:
        writer.close()
        await writer.wait_closed()
    assert int(first.split()[1]) in {400, 401, 404}


async def test_errors_of_the_api_have_one_form(api: Api) -> None:
    told = [
        await api.get("/api/v1/accounts/1"),
        await api.get("/api/v1/nothing"),
        await api.get("/api/v1/accounts?limit=x"),
        await api.call("PUT", "/api/v1/accounts", {}),
        await api.call("POST", "/api/v1/accounts", raw=b"{"),
    ]
    assert [answer.status for answer in told] == [404, 404, 422, 405, 400]
    for answer in told:
        assert set(answer.json) == {"error"}
        assert set(answer.error) == {"code", "message", "details"}
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.headers["x-request-id"]
