"""The same API over MariaDB or MySQL, which compare, cut and round as SQLite does not."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from repositories.sql.migrate import migrate
from tests.handlers.api import OAUTH_DATA, Api, account_body, proxy_body, running_api
from tests.handlers.test_safety import PATHS, SQL_WORDS, key_body, provider_body


@pytest.fixture
async def api(mysql_url: str) -> AsyncGenerator[Api, None]:
    await asyncio.to_thread(migrate, mysql_url)
    async with running_api(mysql_url) as running:
        yield running


async def test_every_resource_is_made_changed_listed_and_deleted(api: Api) -> None:
    provider = await api.made("/api/v1/providers", provider_body())
    proxy = await api.made("/api/v1/proxies", proxy_body(max_accounts=1))
    oauth = {**OAUTH_DATA, "expires_at": "2030-01-01T00:00:00.123Z"}
    account = await api.made(
        "/api/v1/accounts",
        account_body(provider_id="house", auth_type="oauth", auth_data=oauth, models=["M", "m"]),
    )
    key = await api.made("/api/v1/api-keys", key_body(expires_at=1893456000.5))
    assert account.json["proxy_id"] == proxy.id
    assert account.json["expires_at"] == "2030-01-01T00:00:00.123000Z"
    assert key.json["expires_at"] == "2030-01-01T00:00:00.500000Z"
    for path, told, change in (
        ("/api/v1/accounts", account, {"label": "new", "metadata": {"ü": [1.5, None]}}),
        ("/api/v1/proxies", proxy, {"label": "new", "priority": -(2**31) + 1}),
        ("/api/v1/providers", provider, {"name": "new", "prefixes": ["a-"]}),
        ("/api/v1/api-keys", key, {"name": "new", "is_active": False}),
    ):
        one = f"{path}/{told.id}"
        shown = {name: value for name, value in told.json.items() if name != "key"}
        if path != "/api/v1/proxies":  # the account took a place meanwhile
            assert (await api.get(one)).json == shown
        changed = await api.call("PATCH", one, change)
        assert (changed.status, changed.json | change) == (200, changed.json)
        assert told.id in [entry["id"] for entry in (await api.get(f"{path}?limit=500")).data]
    for path, told in (
        ("/api/v1/accounts", account),
        ("/api/v1/proxies", proxy),
        ("/api/v1/providers", provider),
        ("/api/v1/api-keys", key),
    ):
        assert (await api.call("DELETE", f"{path}/{told.id}")).status == 204
        assert (await api.get(f"{path}/{told.id}")).status == 404


async def test_the_longest_values_fit(api: Api) -> None:
    wide = "👩" * 200
    provider = await api.made(
        "/api/v1/providers",
        provider_body(
            id="x" * 32,
            name=wide,
            base_url="http://192.0.2.7/" + "p" * 2031,
            prefixes=[f"{number:03}" + "y" * 97 for number in range(100)],
        ),
    )
    account = await api.made(
        "/api/v1/accounts",
        account_body(
            provider_id=provider.id,
            label=wide,
            auth_data={"api_key": "k" * 16_384},
            models=[f"{number:04}" + "m" * 196 for number in range(1000)],
            metadata={"note": "n" * 16_000},
            priority=2**31 - 1,
        ),
    )
    password = "p" * 255
    proxy = await api.made(
        "/api/v1/proxies",
        proxy_body(url=f"http://{'u' * 255}:{password}@192.0.2.1:65535", label=wide),
    )
    key = await api.made("/api/v1/api-keys", key_body(name=wide, expires_at=253_402_300_799))
    assert (await api.get(f"/api/v1/accounts/{account.id}")).json["label"] == wide
    assert (await api.get(f"/api/v1/providers/{provider.id}")).json["name"] == wide
    assert (await api.get(f"/api/v1/proxies/{proxy.id}")).json["label"] == wide
    assert (await api.get(f"/api/v1/api-keys/{key.id}")).json["expires_at"] == (
        "9999-12-31T00:00:00Z"
    )


async def test_words_of_sql_are_only_words(api: Api) -> None:
    for number, words in enumerate(SQL_WORDS):
        await api.made("/api/v1/accounts", account_body(label=words, metadata={words: words}))
        await api.made("/api/v1/proxies", proxy_body(number + 1, label=words))
        await api.made("/api/v1/providers", provider_body(id=f"p{number}", name=words))
        await api.made("/api/v1/api-keys", key_body(name=words))
    for path in PATHS:
        listed = (await api.get(path)).data
        shown = [entry.get("label", entry.get("name")) for entry in listed]
        assert [words for words in SQL_WORDS if words not in shown] == [], path


async def test_accounts_added_at_once_never_exceed_the_capacity(api: Api) -> None:
    proxy = await api.made("/api/v1/proxies", proxy_body(max_accounts=4))
    await asyncio.gather(
        *(api.made("/api/v1/accounts", account_body(egress_policy="required")) for _ in range(12))
    )
    assert (await api.get(f"/api/v1/proxies/{proxy.id}")).json["assigned"] == 4
    waiting = await api.get("/api/v1/accounts?egress_status=waiting")
    assert waiting.json["total"] == 8
