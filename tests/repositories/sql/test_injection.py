import pytest

from models.errors import Conflict, GatewayError, NotFound
from models.ids import new_id
from models.provider import StoredProvider
from repositories.base import AccountChange, EgressChange, LogFilter
from repositories.open import Repositories
from tests.repositories.build import OPEN, account, proxy
from tests.repositories.sql.test_stats import record

PAYLOADS = [
    "' OR '1'='1",
    "' OR 1=1 -- ",
    '" OR ""="',
    "1; DROP TABLE accounts",
    "'; DELETE FROM request_logs; --",
    "x' UNION SELECT auth_data FROM accounts -- ",
    "\\' OR 1=1 #",
    "\\",
    "%",
    "_%",
    "%(x)s %s :x ?",
    "\u02bc OR 1=1",
    "\x00' OR 1=1",
    "\U0001f600'",
    "SLEEP(5)",
    "' AND (SELECT 1 FROM (SELECT SLEEP(5)) x) -- ",
]


async def _untouched(stores: Repositories) -> None:
    """Everything that was stored is there, once."""
    assert len(await stores.accounts.all()) == 1
    assert len(await stores.egress.all()) == 1
    assert len(await stores.providers.all()) == 2
    page = await stores.stats.logs(LogFilter(), limit=10, offset=0)
    assert [one.model for one in page.data] == ["gpt-5"]


async def test_filters_and_ids_are_values_and_never_sql(stores: Repositories) -> None:
    await stores.egress.create(proxy("one"))
    await stores.accounts.create(account(), OPEN)
    await stores.stats.store([record()])
    for payload in PAYLOADS:
        await _find_nothing(stores, payload)
        await _change_nothing(stores, payload)
        await _untouched(stores)


async def _find_nothing(stores: Repositories, payload: str) -> None:
    for name in ("provider_id", "egress_status", "proxy_id"):
        page = await stores.accounts.page(limit=5, offset=0, **{name: payload})  # type: ignore[arg-type]
        assert (page.total, page.data) == (0, []), name
    proxies = await stores.egress.page(limit=5, offset=0, provider_id=payload)
    assert (proxies.total, proxies.data) == (0, [])
    for name in ("provider_id", "account_id", "proxy_id", "key_id", "model", "error_code"):
        logs = await stores.stats.logs(LogFilter(**{name: payload}), limit=5, offset=0)  # type: ignore[arg-type]
        assert (logs.total, logs.data) == (0, []), name
    assert await stores.stats.proxy_days(payload, days=3, now=1_800_000_000.0) == []
    assert await stores.accounts.get(payload) is None
    assert await stores.egress.get(payload) is None
    assert await stores.keys.get(payload) is None
    assert await stores.providers.get(payload) is None
    assert await stores.accounts.refresh_lease(payload) is None


async def _change_nothing(stores: Repositories, payload: str) -> None:
    assert not await stores.accounts.take_refresh_lease(payload, payload, 0, now=1, lease_s=1)
    assert not await stores.accounts.store_tokens(payload, 0, OPEN)
    await stores.accounts.release_refresh_lease(payload, payload)
    for refused in (
        stores.accounts.update(payload, AccountChange(label=payload)),
        stores.accounts.delete(payload),
        stores.egress.update(payload, EgressChange(label=payload)),
        stores.egress.delete(payload),
        stores.egress.assignments(payload),
        stores.keys.update(payload, name=payload),
        stores.keys.delete(payload),
        stores.providers.update(payload, name=payload),
        stores.providers.delete(payload),
        stores.providers.store_models(payload, [{"id": payload}], now=1.0),
        stores.accounts.create(account(provider_id=payload), OPEN),
    ):
        with pytest.raises(NotFound):
            await refused


async def test_what_looks_like_sql_is_stored_as_it_is(stores: Repositories) -> None:
    for payload in PAYLOADS:
        await _store(stores, payload)


async def _store(stores: Repositories, payload: str) -> None:
    created = await stores.accounts.create(
        account(label=payload, models=(payload,), metadata={payload: payload}), OPEN
    )
    assert (created.label, created.models) == (payload, (payload,))
    assert created.metadata == {payload: payload}
    way = await stores.egress.create(proxy("one", label=payload))
    assert way.label == payload
    await stores.egress.delete(way.id)
    await stores.providers.store_models("openai", [{"id": payload}], now=1.0)
    assert await stores.providers.models() == {"openai": [{"id": payload}]}
    assert await stores.jobs.claim(payload, payload, payload, now=1.0)
    assert not await stores.jobs.claim(payload, payload, payload, now=1.0)
    await stores.stats.store([record(model=payload, client_request_id=payload)])
    page = await stores.stats.logs(LogFilter(model=payload), limit=5, offset=0)
    assert [(one.model, one.client_request_id) for one in page.data] == [(payload, payload)]


async def test_text_that_no_column_holds_is_never_our_failure(stores: Repositories) -> None:
    lone = "x\ud800"
    for refused in (
        stores.accounts.create(account(label=lone), OPEN),
        stores.egress.create(proxy("one", label=lone)),
        stores.providers.create(StoredProvider(lone, lone, "chat")),
        stores.keys.update(lone, name=lone),
        stores.stats.logs(LogFilter(model=lone), limit=5, offset=0),
    ):
        with pytest.raises(GatewayError) as caught:
            await refused
        assert 400 <= caught.value.status < 500


async def test_numbers_that_no_column_holds_are_never_our_failure(stores: Repositories) -> None:
    for refused in (
        stores.accounts.create(account(priority=2**70), OPEN),
        stores.egress.create(proxy("one", 2**70)),
    ):
        with pytest.raises(GatewayError) as caught:
            await refused
        assert 400 <= caught.value.status < 500
    with pytest.raises(Conflict):
        await stores.providers.create(StoredProvider("openai", "again", "chat"))
    stored = await stores.accounts.create(account(id=new_id()), OPEN)
    assert stored.egress_status == "direct"
