import asyncio

import pytest

from auth.keys import hash_key, well_formed
from tests.handlers.api import PEPPER, UNKNOWN_ID, Api, running_api

ALL = "/api/v1/api-keys"


async def test_a_new_key_is_shown_once_and_kept_as_a_hash(api: Api) -> None:
    told = await api.made(ALL, {"name": "ci", "expires_at": "2030-01-01T00:00:00Z"})
    secret = str(told.json["key"])
    assert well_formed(secret)
    shown = {
        "id": told.id,
        "name": "ci",
        "hint": secret[-4:],
        "is_admin": False,
        "is_active": True,
        "expires_at": "2030-01-01T00:00:00Z",
        "created_at": "2027-01-15T08:00:00Z",
    }
    assert told.json == {**shown, "key": secret}
    assert told.headers["Cache-Control"] == "no-store"
    assert (await api.get(f"{ALL}/{told.id}")).json == shown
    stored = await api.stores.keys.get(told.id)
    assert stored is not None
    assert stored.key_hash == hash_key(secret, PEPPER)


async def test_patch_changes_what_it_names_and_put_replaces(api: Api) -> None:
    created = await api.made(ALL, {"name": "ci", "expires_at": 1893456000})
    path = f"{ALL}/{created.id}"
    patched = await api.call("PATCH", path, {"is_active": False})
    assert (patched.json["is_active"], patched.json["expires_at"]) == (
        False,
        "2030-01-01T00:00:00Z",
    )
    replaced = await api.call("PUT", path, {"name": "new"})
    assert (
        replaced.json["name"],
        replaced.json["is_active"],
        replaced.json["expires_at"],
        replaced.json["hint"],
    ) == ("new", True, None, created.json["hint"])


@pytest.mark.parametrize(
    ("body", "blamed"),
    [
        pytest.param({}, "name", id="no name"),
        pytest.param({"name": ""}, "name", id="empty name"),
        pytest.param({"name": "a\r\nb"}, "name", id="CRLF"),
        pytest.param({"name": "a", "is_admin": "true"}, "is_admin", id="flag as text"),
        pytest.param({"name": "a", "expires_at": "soon"}, "expires_at", id="no time"),
        pytest.param({"name": "a", "expires_at": -1}, "expires_at", id="before 1970"),
        pytest.param({"name": "a", "key": "ak_mine"}, "key", id="own secret"),
        pytest.param({"name": "a", "key_hash": "00"}, "key_hash", id="own hash"),
    ],
)
async def test_a_wrong_field_is_refused_by_its_name(
    api: Api, body: dict[str, object], blamed: str
) -> None:
    told = await api.call("POST", ALL, body)
    assert (told.status, told.fields) == (422, [blamed])
    assert (await api.get(ALL)).json["total"] == 0


@pytest.mark.parametrize(
    ("method", "body"),
    [
        pytest.param("DELETE", None, id="delete"),
        pytest.param("PATCH", {"is_active": False}, id="switch off"),
        pytest.param("PATCH", {"is_admin": False}, id="demote"),
        pytest.param("PATCH", {"expires_at": 1}, id="expire"),
        pytest.param("PUT", {"name": "x"}, id="replace"),
    ],
)
async def test_the_last_usable_admin_key_stays(
    api: Api, method: str, body: dict[str, object] | None
) -> None:
    last = await api.made(ALL, {"name": "root", "is_admin": True})
    await api.made(ALL, {"name": "no admin"})
    await api.made(ALL, {"name": "expired", "is_admin": True, "expires_at": 1})
    before = (await api.get(f"{ALL}/{last.id}")).json
    told = await api.call(method, f"{ALL}/{last.id}", body)
    assert (told.status, told.error["code"]) == (409, "conflict")
    assert (await api.get(f"{ALL}/{last.id}")).json == before
    await api.made(ALL, {"name": "second", "is_admin": True})
    assert (await api.call(method, f"{ALL}/{last.id}", body)).status in {200, 204}


async def test_two_admins_cannot_remove_each_other_at_once(api: Api) -> None:
    keys = [await api.made(ALL, {"name": f"n{n}", "is_admin": True}) for n in range(2)]
    told = await asyncio.gather(*(api.call("DELETE", f"{ALL}/{key.id}") for key in keys))
    assert sorted(answer.status for answer in told) == [204, 409]


async def test_an_admin_key_from_outside_lets_the_last_one_go() -> None:
    async with running_api(has_outside_admin_key=True) as api:
        last = await api.made(ALL, {"name": "root", "is_admin": True})
        assert (await api.call("DELETE", f"{ALL}/{last.id}")).status == 204


async def test_the_last_admin_key_can_be_renamed(api: Api) -> None:
    last = await api.made(ALL, {"name": "root", "is_admin": True})
    told = await api.call("PATCH", f"{ALL}/{last.id}", {"name": "boss"})
    assert (told.status, told.json["name"]) == (200, "boss")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_unknown_key_is_not_found(api: Api, method: str) -> None:
    told = await api.call(method, f"{ALL}/{UNKNOWN_ID}", {})
    assert (told.status, told.error["code"]) == (404, "not_found")
