import pytest

from models.account import EgressPolicy
from models.errors import ErrorKind
from models.rest import EVERY_MODEL, Rest
from tests.handlers.api import OAUTH_DATA, UNKNOWN_ID, Api, account_body, proxy_body, running_api

ALL = "/api/v1/accounts"


async def test_a_new_account_is_shown_with_every_field_and_without_its_credential(
    api: Api,
) -> None:
    told = await api.made(
        ALL, account_body(metadata={"owner": "ann"}, priority=3, models=["gpt-5", "o3"])
    )
    assert told.headers["Location"] == f"{ALL}/{told.id}"
    assert told.json == {
        "id": told.id,
        "provider_id": "openai",
        "label": "team a",
        "auth_type": "api_key",
        "metadata": {"owner": "ann"},
        "is_active": True,
        "state": "available",
        "priority": 3,
        "models": ["gpt-5", "o3"],
        "max_concurrent": 0,
        "weight": 1,
        "identity": None,
        "is_draining": False,
        "drain_until": None,
        "status_reason": None,
        "egress_policy": "auto",
        "egress_status": "direct",
        "egress_bound": False,
        "proxy_id": None,
        "token_state": "ok",
        "token_error": None,
        "expires_at": None,
        "created_at": "2027-01-15T08:00:00Z",
        "updated_at": "2027-01-15T08:00:00Z",
    }
    assert (await api.get(f"{ALL}/{told.id}")).json == told.json


async def test_the_list_tells_how_each_account_is(api: Api) -> None:
    well = (await api.made(ALL, account_body(label="well"))).id
    rests = (await api.made(ALL, account_body(label="rests"))).id
    off = (await api.made(ALL, account_body(label="off", is_active=False))).id
    now = api.clock.now()
    rest = Rest(rests, EVERY_MODEL, now, now + 60, ErrorKind.QUOTA)
    api.gateway.rests._cooldowns.begin(rest)
    told = {one["id"]: one["state"] for one in (await api.get(ALL)).data}
    assert told == {well: "available", rests: "cooling", off: "inactive"}
    assert (await api.get(f"{ALL}/{rests}")).json["state"] == "cooling"
    quota = "/api/v1/quota/accounts?state=cooling"
    assert [one["account_id"] for one in (await api.get(quota)).data] == [rests]


async def test_credentials_are_stored_as_given(api: Api) -> None:
    data = {
        **OAUTH_DATA,
        "access_token": "access-1",
        "client_secret": "with space",
        "expires_at": "2030-01-01T01:00:00+01:00",
        "scopes": ["read", "write"],
        "token_body": "json",
        "token_params": {"audience": "x y"},
    }
    told = await api.made(ALL, account_body(auth_type="oauth", auth_data=data))
    assert told.json["expires_at"] == "2030-01-01T00:00:00Z"
    stored = await api.stores.accounts.get(told.id)
    assert stored is not None
    assert stored.credentials.oauth is not None
    assert (
        stored.credentials.access,
        stored.credentials.refresh,
        stored.credentials.expires_at,
        stored.credentials.oauth.client_secret,
        stored.credentials.oauth.scopes,
        stored.credentials.oauth.token_body,
        stored.credentials.oauth.token_params,
    ) == (
        "access-1",
        "refresh-1",
        1893456000.0,
        "with space",
        ("read", "write"),
        "json",
        {"audience": "x y"},
    )


@pytest.mark.parametrize("given", [1893456000, 1893456000.0, "2030-01-01T00:00:00Z"])
async def test_the_end_of_a_token_is_read_as_seconds_and_as_text(api: Api, given: object) -> None:
    data = {**OAUTH_DATA, "expires_at": given}
    told = await api.made(ALL, account_body(auth_type="oauth", auth_data=data))
    assert told.json["expires_at"] == "2030-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("auth_type", "auth_data", "blamed"),
    [
        pytest.param("api_key", {}, ["auth_data.api_key"], id="missing key"),
        pytest.param("api_key", {"api_key": ""}, ["auth_data.api_key"], id="empty key"),
        pytest.param("api_key", {"api_key": 5}, ["auth_data.api_key"], id="not text"),
        pytest.param("api_key", {"api_key": "a\r\nb: c"}, ["auth_data.api_key"], id="CRLF"),
        pytest.param("api_key", {"api_key": "a\u0000"}, ["auth_data.api_key"], id="NUL"),
        pytest.param("api_key", {"api_key": "a\u00e9"}, ["auth_data.api_key"], id="not ASCII"),
        pytest.param("api_key", {"api_key": " a"}, ["auth_data.api_key"], id="space"),
        pytest.param(
            "api_key",
            {"token": "t"},
            ["auth_data.api_key", "auth_data.token"],
            id="shape of another type",
        ),
        pytest.param("bearer", {"token": "a\nb"}, ["auth_data.token"], id="newline in token"),
        pytest.param("bearer", "t", ["auth_data"], id="not an object"),
        pytest.param("bearer", None, ["auth_data"], id="null"),
        pytest.param(
            "oauth",
            {**OAUTH_DATA, "refresh_token": "a\nb"},
            ["auth_data.refresh_token"],
            id="newline in refresh token",
        ),
        pytest.param(
            "oauth",
            {**OAUTH_DATA, "token_url": "https://u:p@192.0.2.9/"},
            ["auth_data.token_url"],
            id="password in the token URL",
        ),
        pytest.param(
            "oauth",
            {**OAUTH_DATA, "token_url": "ftp://192.0.2.9/"},
            ["auth_data.token_url"],
            id="scheme of the token URL",
        ),
        pytest.param(
            "oauth",
            {**OAUTH_DATA, "expires_at": "2030-01-01T00:00:00"},
            ["auth_data.expires_at"],
            id="time without offset",
        ),
        pytest.param(
            "oauth", {**OAUTH_DATA, "expires_at": True}, ["auth_data.expires_at"], id="bool time"
        ),
        pytest.param(
            "oauth", {**OAUTH_DATA, "expires_at": 1e300}, ["auth_data.expires_at"], id="far time"
        ),
        pytest.param(
            "oauth",
            {**OAUTH_DATA, "expires_at": "0001-01-01T00:00:00+23:59"},
            ["auth_data.expires_at"],
            id="early time",
        ),
        pytest.param(
            "oauth",
            {**OAUTH_DATA, "token_params": {"grant_type": "x"}},
            ["auth_data.token_params"],
            id="reserved parameter",
        ),
        pytest.param(
            "oauth",
            {**OAUTH_DATA, "token_body": "xml"},
            ["auth_data.token_body"],
            id="unknown body",
        ),
        pytest.param("cookie", {"api_key": "k"}, ["auth_type"], id="unknown type"),
    ],
)
async def test_a_wrong_credential_is_refused_by_the_name_of_its_field(
    api: Api, auth_type: str, auth_data: object, blamed: list[str]
) -> None:
    told = await api.call("POST", ALL, account_body(auth_type=auth_type, auth_data=auth_data))
    assert (told.status, told.error["code"], told.fields) == (422, "invalid_request", blamed)
    assert (await api.get(ALL)).json["total"] == 0


@pytest.mark.parametrize(
    ("changes", "blamed"),
    [
        pytest.param({"label": "a\u001b[31m"}, "label", id="escape in the label"),
        pytest.param({"label": "a\u2028b"}, "label", id="line separator in the label"),
        pytest.param({"label": "x" * 201}, "label", id="long label"),
        pytest.param({"label": None}, "label", id="null label"),
        pytest.param({"priority": "1"}, "priority", id="number as text"),
        pytest.param({"priority": 1.0}, "priority", id="fraction"),
        pytest.param({"priority": 2**31}, "priority", id="large number"),
        pytest.param({"priority": True}, "priority", id="flag as number"),
        pytest.param({"is_active": 1}, "is_active", id="number as flag"),
        pytest.param({"models": []}, "models", id="no models"),
        pytest.param({"models": ["a b"]}, "models[0]", id="space in a model"),
        pytest.param({"models": "gpt-5"}, "models", id="models as text"),
        pytest.param({"metadata": []}, "metadata", id="metadata as list"),
        pytest.param({"metadata": {"project_id": 5}}, "metadata", id="a project by its number"),
        pytest.param({"metadata": {"project_id": "a\nb"}}, "metadata", id="lines in a project"),
        pytest.param({"metadata": {"a": 2**70}}, "metadata", id="huge integer"),
        pytest.param({"metadata": {"a": "x" * 20_000}}, "metadata", id="large metadata"),
        pytest.param({"egress_policy": "never"}, "egress_policy", id="unknown policy"),
        pytest.param({"provider_id": "nobody"}, "provider_id", id="unknown provider"),
        pytest.param({"provider_id": "Open AI"}, "provider_id", id="not a provider id"),
    ],
)
async def test_a_wrong_field_is_refused_by_its_name(
    api: Api, changes: dict[str, object], blamed: str
) -> None:
    told = await api.call("POST", ALL, account_body(**changes))
    assert (told.status, told.fields) == (422, [blamed])


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/token",
        "http://169.254.169.254/latest",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://localhost:8088/api/v1/accounts",
    ],
)
async def test_a_token_url_inside_our_own_network_is_refused(api: Api, url: str) -> None:
    data = {**OAUTH_DATA, "token_url": url}
    told = await api.call("POST", ALL, account_body(auth_type="oauth", auth_data=data))
    assert (told.status, told.fields) == (422, ["auth_data.token_url"])
    created = await api.made(ALL, account_body(auth_type="oauth", auth_data=OAUTH_DATA))
    told = await api.call("PATCH", f"{ALL}/{created.id}", {"auth_data": data})
    assert (told.status, told.fields) == (422, ["auth_data.token_url"])


async def test_patch_changes_what_it_names_and_nothing_else(api: Api) -> None:
    created = await api.made(ALL, account_body(metadata={"a": 1}, models=["gpt-5"], priority=7))
    api.clock.advance(60)
    told = await api.call("PATCH", f"{ALL}/{created.id}", {"label": "new", "models": None})
    assert told.status == 200
    assert told.json == {
        **created.json,
        "label": "new",
        "models": None,
        "updated_at": "2027-01-15T08:01:00Z",
    }
    stored = await api.stores.accounts.get(created.id)
    assert stored is not None
    assert (stored.credentials.access, stored.account.token_version) == ("sk-plain", 0)


async def test_patch_with_a_credential_replaces_it_whole(api: Api) -> None:
    created = await api.made(ALL, account_body(auth_type="oauth", auth_data=OAUTH_DATA))
    path = f"{ALL}/{created.id}"
    told = await api.call(
        "PATCH", path, {"auth_data": {**OAUTH_DATA, "refresh_token": "refresh-2"}}
    )
    assert told.status == 200
    stored = await api.stores.accounts.get(created.id)
    assert stored is not None
    assert (stored.credentials.refresh, stored.account.token_version) == ("refresh-2", 1)


@pytest.mark.parametrize(
    ("changes", "blamed"),
    [
        pytest.param({"auth_data": {"token": "t"}}, "auth_data", id="shape of another type"),
        pytest.param({"auth_type": "bearer"}, "auth_data", id="type without credential"),
        pytest.param({"provider_id": "anthropic"}, "provider_id", id="another provider"),
        pytest.param({"label": None}, "label", id="null for text"),
        pytest.param({"is_active": None}, "is_active", id="null for a flag"),
        pytest.param({"egress_policy": None}, "egress_policy", id="null for a policy"),
        pytest.param({"auth_data": None}, "auth_data", id="null for a credential"),
    ],
)
async def test_a_patch_that_does_not_fit_changes_nothing(
    api: Api, changes: dict[str, object], blamed: str
) -> None:
    created = await api.made(ALL, account_body())
    told = await api.call("PATCH", f"{ALL}/{created.id}", {**changes, "priority": 9})
    assert (told.status, told.fields) == (422, [blamed])
    assert (await api.get(f"{ALL}/{created.id}")).json == created.json


async def test_another_auth_type_comes_with_its_credential(api: Api) -> None:
    created = await api.made(ALL, account_body())
    told = await api.call(
        "PATCH",
        f"{ALL}/{created.id}",
        {"auth_type": "bearer", "auth_data": {"token": "t-1"}},
    )
    assert told.json["auth_type"] == "bearer"
    stored = await api.stores.accounts.get(created.id)
    assert stored is not None
    assert stored.credentials.access == "t-1"


async def test_put_sets_left_out_fields_back_but_keeps_the_credential(api: Api) -> None:
    created = await api.made(
        ALL, account_body(metadata={"a": 1}, priority=7, models=["gpt-5"], is_active=False)
    )
    told = await api.call(
        "PUT", f"{ALL}/{created.id}", {"provider_id": "openai", "auth_type": "api_key"}
    )
    assert told.status == 200
    assert told.json == {
        **created.json,
        "label": "",
        "metadata": {},
        "priority": 0,
        "models": None,
        "is_active": True,
        "state": "available",
    }
    stored = await api.stores.accounts.get(created.id)
    assert stored is not None
    assert stored.credentials.access == "sk-plain"


async def test_put_needs_the_fields_that_have_no_default(api: Api) -> None:
    created = await api.made(ALL, account_body())
    told = await api.call("PUT", f"{ALL}/{created.id}", {"label": "x"})
    assert (told.status, told.fields) == (422, ["provider_id", "auth_type"])


async def test_accounts_are_listed_in_pages_and_by_filter(api: Api) -> None:
    ids = [(await api.made(ALL, account_body(label=f"n{n}"))).id for n in range(5)]
    other = await api.made(ALL, account_body(provider_id="anthropic", is_active=False))
    page = await api.get(f"{ALL}?limit=2&offset=3&provider_id=openai")
    assert [entry["id"] for entry in page.data] == ids[3:5]
    assert (page.json["total"], page.json["limit"], page.json["offset"]) == (5, 2, 3)
    inactive = await api.get(f"{ALL}?is_active=false")
    assert [entry["id"] for entry in inactive.data] == [other.id]
    assert (await api.get(f"{ALL}?egress_status=waiting")).json["total"] == 0
    assert (await api.get(f"{ALL}?offset=100")).data == []


async def test_a_deleted_account_is_gone(api: Api) -> None:
    created = await api.made(ALL, account_body())
    told = await api.call("DELETE", f"{ALL}/{created.id}")
    assert (told.status, told.text) == (204, "")
    assert (await api.get(f"{ALL}/{created.id}")).status == 404


async def test_reset_voids_the_cooldowns_that_began_before(api: Api) -> None:
    created = await api.made(ALL, account_body())
    api.clock.advance(5)
    told = await api.call("POST", f"{ALL}/{created.id}/reset")
    assert told.status == 200
    stored = await api.stores.accounts.get(created.id)
    assert stored is not None
    assert stored.account.cooldown_reset_at == api.clock.now()


async def test_every_change_is_told_to_the_replicas(api: Api) -> None:
    created = await api.made(ALL, account_body())
    path = f"{ALL}/{created.id}"
    await api.call("PATCH", path, {"label": "b"})
    await api.call("POST", f"{path}/reset")
    await api.call("DELETE", path)
    assert len(api.changes) == 4
    await api.call("PATCH", path, {"label": "c"})
    assert len(api.changes) == 4


async def test_the_policy_of_accounts_that_name_none_is_configured() -> None:
    async with running_api(default_policy=EgressPolicy.REQUIRED) as api:
        told = await api.made(ALL, account_body())
        assert (told.json["egress_policy"], told.json["egress_status"]) == ("required", "waiting")
        named = await api.made(ALL, account_body(egress_policy="direct"))
        assert named.json["egress_status"] == "direct"


async def test_a_bound_account_goes_direct_only_by_order(api: Api) -> None:
    proxy = await api.made("/api/v1/proxies", proxy_body())
    account = await api.made(ALL, account_body())
    assert (account.json["proxy_id"], account.json["egress_status"]) == (proxy.id, "assigned")
    await api.call("DELETE", f"/api/v1/proxies/{proxy.id}")
    waiting = (await api.get(f"{ALL}/{account.id}")).json
    assert (waiting["proxy_id"], waiting["egress_status"]) == (None, "waiting")
    told = await api.call("PATCH", f"{ALL}/{account.id}", {"egress_policy": "direct"})
    assert (told.json["egress_status"], told.json["egress_bound"]) == ("direct", False)


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "account_id", [UNKNOWN_ID, "1", "A" * 32, f"{UNKNOWN_ID}%20", "%00", "..%2f", "'%20OR%201=1"]
)
async def test_an_unknown_id_is_not_found(api: Api, method: str, account_id: str) -> None:
    body = {"provider_id": "openai", "auth_type": "api_key"} if method == "PUT" else {}
    told = await api.call(method, f"{ALL}/{account_id}", body)
    assert (told.status, told.error["code"]) == (404, "not_found")
