"""Many accounts in and out at once."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator

import pytest

from models.account import Credentials
from models.json_types import JsonObject
from repositories.sql.migrate import migrate
from tests.handlers.api import OAUTH_DATA, Api, Told, account_body, proxy_body, running_api

ALL = "/api/v1/accounts"
IMPORT = f"{ALL}/import"
EXPORT = f"{ALL}/export"
PASSPHRASE = "correct horse battery"
CANARY = "CANARY"


@pytest.fixture(params=["sqlite", "mariadb"])
async def both(request: pytest.FixtureRequest) -> AsyncGenerator[Api, None]:
    """The API over either engine."""
    url = "sqlite://"
    if request.param == "mariadb":
        url = str(request.getfixturevalue("mysql_url"))
        await asyncio.to_thread(migrate, url)
    async with running_api(url) as running:
        yield running


def body(number: int, **changes: object) -> dict[str, object]:
    data = {"api_key": f"{CANARY}-{number}"}
    return account_body(**{"label": f"n{number}", "auth_data": data, **changes})


async def taken(api: Api, given: object) -> Told:
    told = await api.call("POST", IMPORT, given)
    assert told.status == 200, told.text
    return told


def outcomes(told: Told) -> list[object]:
    return [entry["outcome"] for entry in told.data]


def counts(told: Told) -> tuple[object, ...]:
    return tuple(told.json[name] for name in ("created", "updated", "exists", "invalid"))


async def credentials_of(api: Api, account_id: object) -> Credentials:
    stored = await api.stores.accounts.get(str(account_id))
    assert stored is not None
    return stored.credentials


# --- in -------------------------------------------------------------------------------------------


async def test_many_accounts_are_added_and_placed(both: Api) -> None:
    proxy = await both.made("/api/v1/proxies", proxy_body(max_accounts=150))
    told = await taken(both, [body(number) for number in range(230)])
    assert counts(told) == (230, 0, 0, 0)
    assert [entry["index"] for entry in told.data] == list(range(230))
    assert (await both.get(f"/api/v1/proxies/{proxy.id}")).json["assigned"] == 150
    last = told.data[-1]
    assert (await both.get(f"{ALL}/{last['account_id']}")).json["label"] == "n229"
    assert (await credentials_of(both, last["account_id"])).access == f"{CANARY}-229"


async def test_the_replicas_are_told_once_however_many_accounts_came(api: Api) -> None:
    await taken(api, {"accounts": [body(number) for number in range(300)]})
    assert len(api.changes) == 1


async def test_one_that_is_wrong_keeps_out_nobody_else(both: Api) -> None:
    given = [
        body(1),
        body(2, label="a\nb"),
        body(3, provider_id="nobody"),
        {"provider_id": "openai"},
        {},
        body(4, auth_type="bearer"),
        body(5, unheard="of"),
        {
            **body(6),
            "auth_type": "oauth",
            "auth_data": {**OAUTH_DATA, "token_url": "http://[::1]/"},
        },
        body(7),
    ]
    told = await taken(both, given)
    assert outcomes(told) == ["created", *["invalid"] * 7, "created"]
    reasons = [str(entry["reason"]).split(":")[0] for entry in told.data]
    assert reasons == [
        "None",
        "label",
        "provider_id",
        "auth_type",
        "provider_id",
        "auth_data.token",
        "unheard",
        "auth_data.token_url",
        "None",
    ]
    assert (await both.get(ALL)).json["total"] == 2


async def test_a_dry_run_tells_the_same_and_does_nothing(both: Api) -> None:
    await taken(both, [body(1)])
    given = {"accounts": [body(1, priority=9), body(2), {}], "update": True}
    dry = await taken(both, {**given, "dry_run": True})
    assert (dry.json["dry_run"], counts(dry)) == (True, (1, 1, 0, 1))
    listed = await both.get(ALL)
    assert [(one["label"], one["priority"]) for one in listed.data] == [("n1", 0)]
    assert counts(await taken(both, given)) == (1, 1, 0, 1)


async def test_the_same_accounts_are_not_added_twice(both: Api) -> None:
    oauth = account_body(label="o", auth_type="oauth", auth_data=OAUTH_DATA)
    given = [
        body(1),
        body(1, label="twin"),
        body(2, identity="ann"),
        body(3, identity="ann"),
        oauth,
    ]
    told = await taken(both, given)
    assert outcomes(told) == ["created", "exists", "created", "exists", "created"]
    assert [told.data[n]["reason"] for n in (1, 3)] == [
        "the same credential as entry 0",
        "the same identity as entry 2",
    ]
    again = await taken(both, given)
    assert outcomes(again) == ["exists"] * 5
    assert again.data[4]["reason"] == "found by its credential"
    assert again.data[4]["account_id"] == told.data[4]["account_id"]


async def test_an_account_that_is_there_changes_only_on_demand_and_in_what_is_given(
    both: Api,
) -> None:
    first = await taken(both, [body(1, identity="ann", priority=3, metadata={"a": 1})])
    account_id = first.data[0]["account_id"]
    given = [{**body(9, identity="ann"), "label": "new"}]
    assert outcomes(await taken(both, given)) == ["exists"]
    told = await taken(both, {"accounts": given, "update": True})
    assert (outcomes(told), told.data[0]["account_id"]) == (["updated"], account_id)
    shown = (await both.get(f"{ALL}/{account_id}")).json
    assert (shown["label"], shown["priority"], shown["metadata"]) == ("new", 3, {"a": 1})
    assert (await credentials_of(both, account_id)).access == f"{CANARY}-9"
    same = await taken(both, {"accounts": given, "update": True})
    assert outcomes(same) == ["exists"]


async def test_a_credential_that_stays_the_same_is_not_written_anew(api: Api) -> None:
    oauth = account_body(auth_type="oauth", auth_data={**OAUTH_DATA, "access_token": "newer"})
    account_id = (await taken(api, [oauth])).data[0]["account_id"]
    older = {**oauth, "auth_data": {**OAUTH_DATA, "access_token": "older"}, "label": "b"}
    assert outcomes(await taken(api, {"accounts": [older], "update": True})) == ["updated"]
    stored = await api.stores.accounts.get(str(account_id))
    assert stored is not None
    assert (stored.credentials.access, stored.account.token_version) == ("newer", 0)


async def test_labels_count_when_the_caller_says_so(api: Api) -> None:
    await taken(api, [body(1), {**body(2), "label": "twin"}, {**body(3), "label": "twin"}])
    given = {
        "accounts": [{**body(8), "label": "n1"}, {**body(9), "label": "twin"}],
        "match": "label",
        "update": True,
    }
    told = await taken(api, given)
    assert outcomes(told) == ["updated", "invalid"]
    assert told.data[1]["reason"] == "label: 2 accounts have it"


async def test_an_identity_that_another_account_has_is_told(both: Api) -> None:
    await taken(both, [body(1, identity="ann"), body(2)])
    given = {"accounts": [body(2, identity="ben"), body(3)], "update": True}
    assert outcomes(await taken(both, given)) == ["updated", "created"]
    # Found by its identity, though its credential is another account's.
    told = await taken(both, {"accounts": [body(3, identity="ann")], "update": True})
    assert outcomes(told) == ["updated"]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        pytest.param({}, 422, id="nothing"),
        pytest.param({"accounts": [], "file": None, "passphrase": PASSPHRASE}, 422, id="two"),
        pytest.param({"accounts": {}}, 422, id="no list"),
        pytest.param({"accounts": ["x"]}, 422, id="no objects"),
        pytest.param([[]], 422, id="lists in a list"),
        pytest.param({"accounts": [{}] * 10_001}, 422, id="too many"),
        pytest.param({"accounts": [], "match": "name"}, 422, id="another match"),
        pytest.param("x", 422, id="text"),
    ],
)
async def test_what_is_no_import_is_refused(api: Api, given: object, status: int) -> None:
    assert (await api.call("POST", IMPORT, given)).status == status


async def test_an_import_of_nothing_does_nothing(api: Api) -> None:
    assert counts(await taken(api, [])) == (0, 0, 0, 0)


# --- out ------------------------------------------------------------------------------------------


async def test_an_export_shows_everything_but_the_credentials(both: Api) -> None:
    await taken(both, [body(1, identity="ann", models=["gpt-5"], weight=3, max_concurrent=2)])
    told = await both.get(EXPORT)
    assert told.headers["Content-Disposition"].startswith("attachment")
    accounts = told.json["accounts"]
    assert isinstance(accounts, list)
    (account,) = accounts
    assert isinstance(account, dict)
    assert account == {
        "id": account["id"],
        "provider_id": "openai",
        "label": "n1",
        "auth_type": "api_key",
        "metadata": {},
        "is_active": True,
        "priority": 0,
        "models": ["gpt-5"],
        "max_concurrent": 2,
        "weight": 3,
        "identity": "ann",
        "egress_policy": "auto",
    }
    assert CANARY not in told.text


async def exported(api: Api, passphrase: str = PASSPHRASE) -> JsonObject:
    told = await api.call("POST", EXPORT, {"passphrase": passphrase})
    assert told.status == 200, told.text
    return told.json


async def test_a_sealed_export_holds_every_kind_of_credential(both: Api) -> None:
    data = {
        **OAUTH_DATA,
        "access_token": f"{CANARY}-access",
        "client_secret": f"{CANARY} secret",
        "expires_at": "2030-01-01T00:00:00Z",
        "scopes": ["read"],
        "token_body": "json",
        "token_params": {"audience": "x"},
    }
    await taken(
        both,
        [
            body(1, metadata={"ü": [1.5, None]}),
            account_body(auth_type="bearer", auth_data={"token": f"{CANARY}-bearer"}),
            account_body(auth_type="oauth", auth_data=data),
            account_body(auth_type="oauth", auth_data={**OAUTH_DATA, "refresh_token": "r"}),
        ],
    )
    before = await both.stores.accounts.all()
    file = await exported(both)
    assert CANARY not in json.dumps(file)
    for stored in before:
        await both.call("DELETE", f"{ALL}/{stored.account.id}")
    told = await taken(both, {"file": file, "passphrase": PASSPHRASE})
    assert counts(told) == (4, 0, 0, 0)
    after = await both.stores.accounts.all()
    assert [one.credentials for one in after] == [one.credentials for one in before]
    assert [one.account.metadata for one in after] == [one.account.metadata for one in before]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"version": 2}, 422, id="newer"),
        pytest.param({"format": "x"}, 422, id="another file"),
        pytest.param({"ciphertext": "%%%"}, 422, id="no base64"),
        pytest.param({"ciphertext": "AAAA"}, 400, id="changed"),
        pytest.param(
            {"kdf": {"name": "scrypt", "n": 2**22, "r": 64, "p": 16, "salt": "AAAA"}},
            400,
            id="costly",
        ),
    ],
)
async def test_a_file_that_is_none_is_refused(api: Api, changes: JsonObject, status: int) -> None:
    file = {**await exported(api), **changes}
    told = await api.call("POST", IMPORT, {"file": file, "passphrase": PASSPHRASE})
    assert told.status == status


@pytest.mark.parametrize("passphrase", ["", "short", "x" * 11, None, 5])
async def test_a_short_passphrase_is_refused_and_not_repeated(api: Api, passphrase: object) -> None:
    told = await api.call("POST", EXPORT, {"passphrase": passphrase})
    assert (told.status, told.fields) == (422, ["passphrase"])
    assert not passphrase or str(passphrase) not in told.text.replace("422", "")


async def test_no_secret_shows_in_answers_or_logs(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret_phrase = f"{CANARY} the passphrase"
    told = [await taken(api, [body(1), body(2, label="a\nb"), {**body(3), "api_key": CANARY}])]
    file = await exported(api, secret_phrase)
    for passphrase in (secret_phrase, f"{CANARY} another one"):
        given = {"file": file, "passphrase": passphrase}
        told.append(await api.call("POST", IMPORT, given))
    told.append(
        await api.call("POST", IMPORT, {"accounts": [body(4)], "passphrase": secret_phrase})
    )
    told.append(await api.call("POST", EXPORT, {"passphrase": secret_phrase, "x": CANARY}))
    told.append(await api.get(EXPORT))
    for answer in told:
        assert CANARY not in answer.text
    assert CANARY not in json.dumps(file)
    assert CANARY not in caplog.text


async def test_names_that_are_never_found_hold_up_no_import(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def never(host: str) -> list[str]:
        asked.append(host)
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr("services.guard._resolve", never)
    monkeypatch.setattr("services.lookups._LIMIT_S", 0.1)
    many = [
        body(
            number,
            auth_type="oauth",
            auth_data={**OAUTH_DATA, "refresh_token": f"r-{number}", "token_url": url},
        )
        for number in range(40)
        for url in (f"https://idp-{number}.test/a", f"https://idp-{number}.test/b")
    ]
    async with asyncio.timeout(30):
        told = await taken(api, [*many, body(1)])
    assert counts(told)[0] == 1
    assert set(outcomes(told)) == {"created", "exists", "invalid"}
    assert "in time" in str(told.data[0]["reason"])
    assert 1 < len(asked) <= 16


async def test_an_address_inside_comes_in_by_no_change_either(api: Api) -> None:
    data = {"auth_type": "oauth", "auth_data": OAUTH_DATA, "identity": "ann@example.com"}
    made = (await taken(api, [body(1, **data)])).data[0]["account_id"]
    inside = {**OAUTH_DATA, "refresh_token": "other", "token_url": "http://10.1.1.1/token"}
    given = {"accounts": [body(1, **{**data, "auth_data": inside})], "update": True}
    for changes in ({"dry_run": True}, {}):
        told = await taken(api, {**given, **changes})
        assert outcomes(told) == ["invalid"]
        assert "private or reserved network" in str(told.data[0]["reason"])
    client = (await credentials_of(api, made)).oauth
    assert client is not None
    assert client.token_url == OAUTH_DATA["token_url"]
