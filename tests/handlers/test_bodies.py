import pytest

from handlers.bodies import MAX_BODY_BYTES
from tests.handlers.api import Api, account_body

ACCOUNTS = "/api/v1/accounts"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut"),
        pytest.param(b"{'name': 1}", id="single quotes"),
        pytest.param(b'{"name": NaN}', id="NaN"),
        pytest.param(b'{"name": Infinity}', id="infinity"),
        pytest.param(b'{"name": 1e999}', id="beyond a double"),
        pytest.param(b'{"priority": ' + b"9" * 5000 + b"}", id="5000 digits"),
        pytest.param(b'\xef\xbb\xbf{"name": "a"}', id="byte order mark"),
        pytest.param(b'{"name": "\xff"}', id="not UTF-8"),
        pytest.param(b'{"name": "\\ud800"}', id="lone surrogate"),
        pytest.param(b'{"name": "a"} x', id="more after the end"),
        pytest.param(b'{"metadata":' * 900 + b"1" + b"}" * 900, id="900 deep"),
        pytest.param(b"[" * 200_000, id="200000 deep"),
    ],
)
async def test_what_is_not_json_is_a_bad_request(api: Api, raw: bytes) -> None:
    for method, path in (
        ("POST", ACCOUNTS),
        ("PATCH", f"{ACCOUNTS}/{'0' * 32}"),
        ("PUT", f"{ACCOUNTS}/{'0' * 32}"),
        ("POST", "/api/v1/proxies"),
        ("POST", "/api/v1/providers"),
        ("POST", "/api/v1/api-keys"),
    ):
        told = await api.call(method, path, raw=raw)
        assert (told.status, told.error["code"]) == (400, "invalid_request"), path


async def test_a_body_whose_fields_all_have_defaults_may_be_left_out(api: Api) -> None:
    account_id = (await api.made(ACCOUNTS, account_body())).id
    for action, is_active in (("drain", True), ("disable", False)):
        told = await api.call("POST", f"{ACCOUNTS}/{account_id}/{action}", raw=b"")
        assert (told.status, told.json["is_active"]) == (200, is_active)


@pytest.mark.parametrize("raw", [b"null", b"[]", b'"text"', b"5", b"true"])
async def test_json_that_is_no_object_is_refused_as_a_whole(api: Api, raw: bytes) -> None:
    told = await api.call("POST", ACCOUNTS, raw=raw)
    assert (told.status, told.fields) == (422, ["body"])


async def test_the_largest_body_is_read_and_a_larger_one_is_refused(api: Api) -> None:
    fits = b'{"name": "a"' + b" " * (MAX_BODY_BYTES - 13) + b"}"
    assert len(fits) == MAX_BODY_BYTES
    assert (await api.call("POST", "/api/v1/api-keys", raw=fits)).status == 201
    told = await api.call("POST", "/api/v1/api-keys", raw=fits + b" ")
    assert (told.status, told.error["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"],
)
async def test_another_content_type_is_refused(api: Api, content_type: str) -> None:
    told = await api.call("POST", ACCOUNTS, account_body(), headers={"Content-Type": content_type})
    assert (told.status, told.error["code"]) == (415, "invalid_request")


async def test_all_wrong_fields_are_named_at_once(api: Api) -> None:
    told = await api.call(
        "POST", ACCOUNTS, account_body(label=1, priority="x", models=["ok", "no t"], colour="red")
    )
    assert sorted(told.fields) == ["colour", "label", "models[1]", "priority"]
    assert told.error["message"] == "label: Input should be a valid string (and 3 more)"


async def test_a_made_up_field_name_is_shown_short_and_clean(api: Api) -> None:
    told = await api.call("POST", ACCOUNTS, account_body(**{"\u001b[31m" + "x" * 500: 1}))
    assert told.status == 422
    assert told.fields == ["?[31m" + "x" * 59 + "..."]


@pytest.mark.parametrize(
    ("query", "blamed"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=5.0", "limit"),
        ("limit=1_0", "limit"),
        ("limit=%2B5", "limit"),
        ("limit=%20%205", "limit"),
        ("limit=", "limit"),
        ("limit=%D9%A5", "limit"),
        ("limit=5&limit=6", "limit"),
        (f"limit={'9' * 5000}", "limit"),
        ("offset=-1", "offset"),
        ("offset=99999999999999999999", "offset"),
        ("offset=4294967296", "offset"),
        ("page=2", "page"),
        ("order_by=label%3BDROP%20TABLE%20accounts", "order_by"),
    ],
)
async def test_a_wrong_page_is_refused(api: Api, query: str, blamed: str) -> None:
    for path in (
        ACCOUNTS,
        "/api/v1/proxies",
        "/api/v1/proxies/assignments",
        "/api/v1/providers",
        "/api/v1/api-keys",
        "/api/v1/stats/logs",
    ):
        told = await api.get(f"{path}?{query}")
        assert (told.status, told.fields) == (422, [blamed]), path


@pytest.mark.parametrize(
    ("query", "blamed"),
    [
        ("is_active=1", "is_active"),
        ("is_active=yes", "is_active"),
        ("egress_status=lost", "egress_status"),
        ("provider_id=%27%20OR%201%3D1--", "provider_id"),
        ("proxy_id=1", "proxy_id"),
    ],
)
async def test_a_wrong_filter_is_refused(api: Api, query: str, blamed: str) -> None:
    told = await api.get(f"{ACCOUNTS}?{query}")
    assert (told.status, told.fields) == (422, [blamed])


async def test_a_page_without_words_is_the_first_fifty(api: Api) -> None:
    told = await api.get(ACCOUNTS)
    assert told.json == {"data": [], "total": 0, "limit": 50, "offset": 0}
    assert (await api.get(f"{ACCOUNTS}?limit=500&offset=0")).status == 200
