"""Accounts are switched on and off, and drain, with a reason that shows."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from repositories.sql.migrate import migrate
from tests.handlers.api import UNKNOWN_ID, Api, account_body, proxy_body, running_api

ALL = "/api/v1/accounts"


@pytest.fixture(params=["sqlite", "mariadb"])
async def both(request: pytest.FixtureRequest) -> AsyncGenerator[Api, None]:
    """The API over either engine."""
    url = "sqlite://"
    if request.param == "mariadb":
        url = str(request.getfixturevalue("mysql_url"))
        await asyncio.to_thread(migrate, url)
    async with running_api(url) as running:
        yield running


async def test_what_is_done_with_an_account_shows_with_its_reason(both: Api) -> None:
    account_id = (await both.made(ALL, account_body())).id
    steps: list[tuple[str, dict[str, object] | None, tuple[object, ...]]] = [
        ("disable", {"reason": "card expired"}, (False, False, "card expired", None)),
        ("enable", None, (True, False, None, None)),
        ("drain", {"reason": "moves"}, (True, True, "moves", None)),
        ("drain", {"deadline_s": 90}, (True, True, None, "2027-01-15T08:01:30Z")),
        ("drain", {"disable_when_idle": False}, (True, True, None, None)),
        ("disable", {}, (False, False, None, None)),
        ("drain", {}, (False, True, None, None)),
        ("enable", None, (True, False, None, None)),
    ]
    for action, body, shown in steps:
        told = await both.call("POST", f"{ALL}/{account_id}/{action}", body)
        names = ("is_active", "is_draining", "status_reason", "drain_until")
        assert tuple(told.json[name] for name in names) == shown, action
        assert (await both.get(f"{ALL}/{account_id}")).json == told.json


async def test_operators_hear_of_it(api: Api) -> None:
    account_id = (await api.made(ALL, account_body(label="ann"))).id
    for action in ("disable", "enable", "drain"):
        body = None if action == "enable" else {"reason": "because"}
        await api.call("POST", f"{ALL}/{account_id}/{action}", body)
    async with asyncio.timeout(10):
        while (found := await api.get("/api/v1/events")).json["total"] != 3:  # noqa: ASYNC110 - written by a task
            await asyncio.sleep(0.01)
    told = [(one["kind"], one["message"], one["details"], one["account_id"]) for one in found.data]
    assert told == [
        ("account.draining", "account 'ann' drains", {"reason": "because"}, account_id),
        ("account.enabled", "account 'ann' was switched on", {}, account_id),
        ("account.disabled", "account 'ann' was switched off", {"reason": "because"}, account_id),
    ]


async def test_the_place_of_an_account_that_is_switched_off_goes_to_another(both: Api) -> None:
    await both.made("/api/v1/proxies", proxy_body(max_accounts=1))
    first = await both.made(ALL, account_body(egress_policy="required"))
    second = await both.made(ALL, account_body(egress_policy="required"))
    await both.call("POST", f"{ALL}/{first.id}/disable", {})
    assert (await both.get(f"{ALL}/{second.id}")).json["egress_status"] == "assigned"
    told = await both.call("POST", f"{ALL}/{first.id}/enable")
    assert told.json["egress_status"] == "waiting"


@pytest.mark.parametrize(
    ("action", "body", "blamed"),
    [
        ("disable", {"reason": ""}, "reason"),
        ("disable", {"reason": "a\nb"}, "reason"),
        ("disable", {"reason": "x" * 201}, "reason"),
        ("drain", {"deadline_s": -1}, "deadline_s"),
        ("drain", {"deadline_s": "1"}, "deadline_s"),
        ("drain", {"disable_when_idle": 1}, "disable_when_idle"),
        ("drain", {"x": 1}, "x"),
        ("test", {"kind": "pay"}, "kind"),
        ("test", {"model": "a b"}, "model"),
        ("test", {"dialect": "embeddings"}, "dialect"),
    ],
)
async def test_a_wrong_field_is_refused_by_its_name(
    api: Api, action: str, body: dict[str, object], blamed: str
) -> None:
    account_id = (await api.made(ALL, account_body())).id
    told = await api.call("POST", f"{ALL}/{account_id}/{action}", body)
    assert (told.status, told.fields) == (422, [blamed])


@pytest.mark.parametrize("action", ["disable", "enable", "drain", "test"])
async def test_an_unknown_account_is_not_found(api: Api, action: str) -> None:
    for account_id in (UNKNOWN_ID, "1", "%00"):
        told = await api.call("POST", f"{ALL}/{account_id}/{action}", {})
        assert (told.status, told.error["code"]) == (404, "not_found")


async def test_concurrency_weight_and_identity_are_set_and_changed(both: Api) -> None:
    facts = {"max_concurrent": 2, "weight": 5, "identity": "ann@example.com"}
    told = await both.made(ALL, account_body(**facts))
    assert {name: told.json[name] for name in facts} == facts
    path = f"{ALL}/{told.id}"
    changes = {"max_concurrent": 0, "weight": 1, "identity": None}
    changed = await both.call("PATCH", path, changes)
    assert {name: changed.json[name] for name in facts} == changes
    replaced = await both.call(
        "PUT", path, {"provider_id": "openai", "auth_type": "api_key", "weight": 7}
    )
    assert (replaced.json["weight"], replaced.json["identity"]) == (7, None)


async def test_an_identity_is_one_accounts_alone(both: Api) -> None:
    await both.made(ALL, account_body(identity="ann"))
    other = await both.made(ALL, account_body(identity="ben"))
    told = await both.call("POST", ALL, account_body(identity="ann"))
    assert (told.status, told.error["code"]) == (409, "conflict")
    told = await both.call("PATCH", f"{ALL}/{other.id}", {"identity": "ann"})
    assert told.status == 409
    await both.made(ALL, account_body(identity="ann", provider_id="anthropic"))


@pytest.mark.parametrize(
    ("changes", "blamed"),
    [
        ({"weight": 0}, "weight"),
        ({"weight": 1001}, "weight"),
        ({"max_concurrent": -1}, "max_concurrent"),
        ({"identity": ""}, "identity"),
        ({"identity": " "}, "identity"),
        ({"identity": "x" * 256}, "identity"),
    ],
)
async def test_wrong_limits_are_refused(api: Api, changes: dict[str, object], blamed: str) -> None:
    told = await api.call("POST", ALL, account_body(**changes))
    assert (told.status, told.fields) == (422, [blamed])
