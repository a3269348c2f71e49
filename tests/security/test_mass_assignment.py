"""Fields that are not the caller's to set are refused, and nothing changes (I-12)."""

import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.endpoint import Endpoint
from tests.e2e.harness import Rig, open_rig
from tests.security.shapes import failures_in
from tests.security.test_access_matrix import ROUTES, path_of
from tests.security.test_request_fuzz import ANY_JSON

CHANGES = [route for route in ROUTES if route.request is not None]
BODIES: dict[str, dict[str, Any]] = {
    "accounts": {
        "provider_id": "anthropic",
        "auth_type": "oauth",
        "auth_data": {
            "refresh_token": "r",
            "token_url": "http://127.0.0.1:9/token",
            "client_id": "c",
        },
    },
    "proxies": {"url": "http://127.0.0.1:99", "label": "p"},
    "providers": {"name": "H", "dialect": "chat", "base_url": "http://127.0.0.1:9"},
    "api-keys": {"name": "k"},
}
WRITES = [
    route
    for route in CHANGES
    if re.fullmatch(rf"/api/v1/({'|'.join(BODIES)})(/{{id}})?", route.path)
]
"""What writes a thing whole, or fields of it."""
DEEDS = [route for route in CHANGES if route not in WRITES]
"""What does something, and takes a body for it."""
FOREIGN = (
    "role",
    "roles",
    "is_admin",
    "isAdmin",
    "admin",
    "is_superuser",
    "permissions",
    "scopes",
    "balance",
    "quota",
    "user_id",
    "owner",
    "tenant",
    "hash",
    "key",
    "key_hash",
    "url_hash",
    "hint",
    "id",
    "ID",
    "_id",
    "created_at",
    "updated_at",
    "token_version",
    "token_state",
    "token_error",
    "lease_owner",
    "lease_until",
    "egress_bound",
    "egress_status",
    "proxy_id",
    "assigned",
    "cooldown_reset_at",
    "is_builtin",
    "credentials",
    "revision",
    "deleted",
    "password",
    "__proto__",
    "constructor",
    "__class__",
    "model_config",
    "model_fields_set",
    "__pydantic_extra__",
    "provider_id ",
    " is_active",
    "is_active\u0000",
    "Is_Active",
    "",
)
VALUES: tuple[object, ...] = (True, 1, "x", None, {}, [])


@pytest.fixture
async def rig(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path) as opened:
        caplog.set_level(logging.DEBUG)
        yield opened
    assert failures_in(caplog) == []


def kind_of(route: Endpoint) -> str:
    return route.path.split("/")[3]


def own(kind: str) -> set[str]:
    """Fields that bodies of this kind have."""
    return {
        name
        for route in WRITES
        if kind_of(route) == kind
        for name in getattr(route.request, "model_fields", {})
    }


async def plant(rig: Rig) -> dict[str, str]:
    """Make one of each kind; return their ids."""
    ids = {}
    for kind, body in BODIES.items():
        extra = {"id": "house"} if kind == "providers" else {}
        ids[kind] = (await rig.api("POST", f"/{kind}", {**body, **extra}))["id"]
    return ids


async def state(rig: Rig) -> list[Any]:
    return [await rig.api("GET", f"/{kind}?limit=500") for kind in BODIES]


async def refused(
    rig: Rig, route: Endpoint, ids: dict[str, str], field: str, value: object
) -> bool:
    """Add a field to a body that is good without it; tell whether that is refused as it should."""
    kind = kind_of(route)
    body = {**BODIES[kind], field: value}
    if kind == "providers" and route.method == "POST":
        body.setdefault("id", "other")
    if kind == "proxies" and route.method == "POST":
        body["url"] = "http://127.0.0.1:98"
    path = route.path.replace("{id}", ids[kind]).removeprefix("/api/v1")
    headers = {"x-api-key": rig.admin_key}
    url = f"{rig.url}/api/v1{path}"
    async with rig.http.request(route.method, url, json=body, headers=headers) as response:
        told = await response.json()
    if response.status != 422:
        return False
    faults = told["error"]["details"]["fields"]
    return [fault["message"] for fault in faults] == ["Extra inputs are not permitted"]


async def test_no_write_takes_a_field_that_is_not_the_callers(rig: Rig) -> None:
    assert {kind_of(route) for route in WRITES} == set(BODIES)
    assert len(WRITES) == 3 * len(BODIES)
    ids = await plant(rig)
    before = await state(rig)
    taken = []
    for route in WRITES:
        for number, field in enumerate(FOREIGN):
            if field in own(kind_of(route)):
                continue
            if not await refused(rig, route, ids, field, VALUES[number % len(VALUES)]):
                taken.append((route.method, route.path, field))
    assert taken == []
    assert await state(rig) == before


@pytest.mark.parametrize("route", DEEDS, ids=lambda route: route.path)
async def test_nothing_that_is_done_takes_a_field_that_is_not_the_caller_s(
    rig: Rig, route: Endpoint
) -> None:
    headers = {"x-api-key": rig.admin_key}
    fields = getattr(route.request, "model_fields", {})
    before = await state(rig)
    for number, field in enumerate(FOREIGN):
        if field in fields:
            continue
        body = {field: VALUES[number % len(VALUES)]}
        url = rig.url + path_of(route)
        async with rig.http.request(route.method, url, json=body, headers=headers) as response:
            told = await response.json()
        assert response.status == 422, field
        faults = told["error"]["details"]["fields"]
        assert "Extra inputs are not permitted" in [fault["message"] for fault in faults], field
    assert await state(rig) == before


async def test_credentials_take_no_foreign_field_either(rig: Rig) -> None:
    shapes: dict[str, dict[str, Any]] = {
        "api_key": {"api_key": "k"},
        "bearer": {"token": "t"},
        "oauth": BODIES["accounts"]["auth_data"],
    }
    before = await state(rig)
    for auth_type, data in shapes.items():
        for field in FOREIGN:
            if field in {"scopes"} and auth_type == "oauth":
                continue
            body = {
                "provider_id": "anthropic",
                "auth_type": auth_type,
                "auth_data": {**data, field: True},
            }
            told = await rig.api("POST", "/accounts", body, expect=422)
            assert [fault["path"] for fault in told["error"]["details"]["fields"]]
    assert await state(rig) == before


@hypothesis.settings(
    max_examples=150, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@given(
    route=st.sampled_from(WRITES),
    field=st.sampled_from(FOREIGN) | st.text(max_size=20),
    value=ANY_JSON,
)
async def test_no_name_and_no_value_slips_through(
    rig: Rig, route: Endpoint, field: str, value: object
) -> None:
    hypothesis.assume(field not in own(kind_of(route)))
    if (await rig.api("GET", "/accounts"))["total"] == 0:
        await plant(rig)
    ids = {kind: (await rig.api("GET", f"/{kind}"))["data"][-1]["id"] for kind in BODIES}
    before = await state(rig)
    assert await refused(rig, route, ids, field, value)
    assert await state(rig) == before


async def test_only_keys_may_be_made_admins_and_only_by_admins(rig: Rig) -> None:
    made = await rig.api("POST", "/api-keys", {"name": "a", "is_admin": True})
    assert made["is_admin"] is True
    body = {"name": "b", "is_admin": True}
    headers = {"x-api-key": rig.key}
    async with rig.http.post(f"{rig.url}/api/v1/api-keys", json=body, headers=headers) as response:
        assert response.status == 403
    own_id = next(
        key["id"] for key in (await rig.api("GET", "/api-keys"))["data"] if key["name"] == "test"
    )
    url = f"{rig.url}/api/v1/api-keys/{own_id}"
    async with rig.http.patch(url, json={"is_admin": True}, headers=headers) as response:
        assert response.status == 403
    assert (await rig.api("GET", f"/api-keys/{own_id}"))["is_admin"] is False
