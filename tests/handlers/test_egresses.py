import asyncio

import pytest

from models.errors import ErrorKind
from models.rest import EVERY_MODEL, Rest
from tests.handlers.api import UNKNOWN_ID, Api, account_body, proxy_body

ALL = "/api/v1/proxies"
ACCOUNTS = "/api/v1/accounts"


async def test_a_new_proxy_is_shown_with_every_field_and_its_password_masked(api: Api) -> None:
    told = await api.made(
        ALL,
        {
            "label": "exit 1",
            "url": "socks5h://user:s3cret@192.0.2.1:1080",
            "provider_id": "openai",
            "priority": -2,
            "max_accounts": 3,
        },
    )
    assert told.headers["Location"] == f"{ALL}/{told.id}"
    assert told.json == {
        "id": told.id,
        "label": "exit 1",
        "url": "socks5h://user:***@192.0.2.1:1080",
        "provider_id": "openai",
        "priority": -2,
        "max_accounts": 3,
        "assigned": 0,
        "is_active": True,
        "health": "healthy",
        "quarantined_until": None,
        "failures": 0,
        "exit_address": None,
        "exit_country": None,
        "checked_at": None,
        "check_error": None,
        "latency_ms": None,
        "created_at": "2027-01-15T08:00:00Z",
        "updated_at": "2027-01-15T08:00:00Z",
    }
    stored = await api.stores.egress.get(told.id)
    assert stored is not None
    assert stored.url == "socks5h://user:s3cret@192.0.2.1:1080"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("ftp://192.0.2.1:21", id="scheme"),
        pytest.param("socks4://192.0.2.1:1080", id="socks4"),
        pytest.param("192.0.2.1:3128", id="no scheme"),
        pytest.param("http://192.0.2.1", id="no port"),
        pytest.param("http://192.0.2.1:0", id="port 0"),
        pytest.param("http://192.0.2.1:99999", id="port beyond"),
        pytest.param("http://192.0.2.1:x", id="port as text"),
        pytest.param("http://192.0.2.1:3128/path", id="path"),
        pytest.param("http://192.0.2.1:3128?q", id="query"),
        pytest.param("http://192.0.2.1:3128#f", id="fragment"),
        pytest.param("http://:3128", id="no host"),
        pytest.param("http://[::1", id="broken address"),
        pytest.param("http://user:a%0d%0ab@192.0.2.1:3128", id="CRLF in the password"),
        pytest.param("http://us%00er:a@192.0.2.1:3128", id="NUL in the user name"),
        pytest.param("http://user:%ff@192.0.2.1:3128", id="password not UTF-8"),
        pytest.param(f"http://user:{'x' * 256}@192.0.2.1:3128", id="long password"),
        pytest.param("http://192.0.2.1:3128\r\nX: y", id="CRLF"),
        pytest.param("http://192.0.2.1\t:3128", id="tab"),
        pytest.param("http://192.0.2.1:31\u0000", id="NUL"),
        pytest.param("http://pröxy.example:3128", id="not ASCII"),
        pytest.param("http://a\\@192.0.2.1:3128", id="backslash"),
        pytest.param("http://127.0.0.1:3128", id="loopback"),
        pytest.param("http://169.254.169.254:80", id="cloud metadata"),
        pytest.param("socks5://[::ffff:127.0.0.1]:1080", id="mapped loopback"),
        pytest.param("http://user:***@192.0.2.1:3128", id="masked password"),
        pytest.param("", id="empty"),
        pytest.param(None, id="null"),
    ],
)
async def test_a_wrong_address_is_refused_without_being_repeated(api: Api, url: object) -> None:
    told = await api.call("POST", ALL, proxy_body(url=url))
    assert (told.status, told.fields) == (422, ["url"])
    assert not url or str(url) not in told.text
    assert (await api.get(ALL)).json["total"] == 0


async def test_one_address_has_one_spelling(api: Api) -> None:
    told = await api.made(ALL, proxy_body(url="HTTP://User:Pass@Exit.Example.COM:3128/"))
    assert told.json["url"] == "http://User:***@exit.example.com:3128"
    again = await api.call("POST", ALL, proxy_body(url="http://User:Pass@exit.example.com:3128"))
    assert again.status == 409


@pytest.mark.parametrize(
    ("change", "health"),
    [
        pytest.param({"url": "http://192.0.2.77:3128"}, "healthy", id="another address"),
        pytest.param({"label": "new"}, "quarantined", id="another label"),
    ],
)
async def test_a_proxy_with_another_address_is_in_quarantine_no_more(
    api: Api, change: dict[str, object], health: str
) -> None:
    created = await api.made(ALL, proxy_body())
    now = api.clock.now()
    rest = Rest(created.id, EVERY_MODEL, now, now + 600, ErrorKind.EGRESS)
    api.gateway.rests._cooldowns.begin(rest)
    path = f"{ALL}/{created.id}"
    assert (await api.get(path)).json["health"] == "quarantined"
    assert (await api.call("PATCH", path, change)).json["health"] == health


async def test_patch_changes_what_it_names_and_put_replaces(api: Api) -> None:
    created = await api.made(ALL, proxy_body(priority=5, max_accounts=2, provider_id="openai"))
    path = f"{ALL}/{created.id}"
    patched = await api.call("PATCH", path, {"max_accounts": 4, "provider_id": None})
    assert patched.json == {**created.json, "max_accounts": 4, "provider_id": None}
    replaced = await api.call("PUT", path, {"url": "http://192.0.2.1:3128"})
    assert replaced.json == {
        **created.json,
        "label": "",
        "priority": 0,
        "max_accounts": 0,
        "provider_id": None,
    }
    missing = await api.call("PUT", path, {"label": "x"})
    assert (missing.status, missing.fields) == (422, ["url"])


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_the_address_as_shown_keeps_the_stored_one(api: Api, method: str) -> None:
    created = await api.made(ALL, proxy_body(url="http://user:s3cret@192.0.2.1:3128"))
    told = await api.call(
        method, f"{ALL}/{created.id}", {"url": created.json["url"], "label": "renamed"}
    )
    assert told.json["label"] == "renamed"
    stored = await api.stores.egress.get(created.id)
    assert stored is not None
    assert stored.url == "http://user:s3cret@192.0.2.1:3128"


async def test_a_masked_password_at_another_address_is_refused(api: Api) -> None:
    created = await api.made(ALL, proxy_body(url="http://user:s3cret@192.0.2.1:3128"))
    told = await api.call("PATCH", f"{ALL}/{created.id}", {"url": "http://user:***@192.0.2.2:3128"})
    assert (told.status, told.fields) == (422, ["url"])


async def test_the_same_address_twice_is_a_conflict(api: Api) -> None:
    await api.made(ALL, proxy_body())
    told = await api.call("POST", ALL, proxy_body(label="again"))
    assert (told.status, told.error["code"]) == (409, "conflict")


async def test_assignments_show_who_leaves_where(api: Api) -> None:
    first = await api.made(ALL, proxy_body(1, max_accounts=2))
    second = await api.made(ALL, proxy_body(2))
    ids = [(await api.made(ACCOUNTS, account_body())).id for _ in range(3)]
    told = await api.get(f"{ALL}/{first.id}/assignments")
    assert [account["id"] for account in told.data] == ids[:2]
    assert told.json["total"] == 2
    everything = await api.get(f"{ALL}/assignments")
    assert (
        [
            (entry["proxy_id"], [account["id"] for account in entry["accounts"]])  # type: ignore[index, union-attr, call-overload] # asserted by the comparison
            for entry in everything.data
        ]
        == [(first.id, ids[:2]), (second.id, ids[2:])]
    )
    assert everything.json["total"] == 2
    assert (await api.get(f"{ALL}/assignments?limit=1&offset=1")).data[0]["proxy_id"] == second.id


async def test_recalculate_mends_a_wrong_counter(api: Api) -> None:
    proxy = await api.made(ALL, proxy_body(max_accounts=5))
    await api.made(ACCOUNTS, account_body())
    told = await api.call("POST", f"{ALL}/recalculate")
    assert (told.status, told.json) == (200, {"proxies": 1, "corrected": 0, "placed": 0})
    assert (await api.get(f"{ALL}/{proxy.id}")).json["assigned"] == 1


async def test_accounts_added_at_once_never_exceed_the_capacity(api: Api) -> None:
    proxy = await api.made(ALL, proxy_body(max_accounts=4))
    await asyncio.gather(
        *(api.made(ACCOUNTS, account_body(egress_policy="required")) for _ in range(12))
    )
    assert (await api.get(f"{ALL}/{proxy.id}")).json["assigned"] == 4
    assert (await api.get(f"{ACCOUNTS}?egress_status=waiting")).json["total"] == 8
    assert (await api.get(f"{ACCOUNTS}?proxy_id={proxy.id}")).json["total"] == 4


async def test_a_deleted_proxy_is_gone(api: Api) -> None:
    created = await api.made(ALL, proxy_body())
    assert (await api.call("DELETE", f"{ALL}/{created.id}")).status == 204
    assert (await api.get(f"{ALL}/{created.id}")).status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{ALL}/{UNKNOWN_ID}"),
        ("PATCH", f"{ALL}/{UNKNOWN_ID}"),
        ("DELETE", f"{ALL}/{UNKNOWN_ID}"),
        ("GET", f"{ALL}/{UNKNOWN_ID}/assignments"),
        ("GET", f"{ALL}/recalculate"),
        ("DELETE", f"{ALL}/assignments"),
    ],
)
async def test_an_unknown_proxy_is_not_found(api: Api, method: str, path: str) -> None:
    told = await api.call(method, path, {} if method == "PATCH" else None)
    assert (told.status, told.error["code"]) == (404, "not_found")


async def test_a_proxy_for_an_unknown_provider_is_refused(api: Api) -> None:
    told = await api.call("POST", ALL, proxy_body(provider_id="nobody"))
    assert (told.status, told.fields) == (422, ["provider_id"])
