"""Windows of limits, and sums of the ledger by account and model."""

import asyncio
from dataclasses import replace

import pytest

from models.account import Account, AuthType
from models.account import Credentials as Secret
from models.exchange import RequestRecord
from models.quota import QuotaWindow
from models.usage import NO_USAGE, Usage
from repositories.base import Use
from repositories.open import Repositories

ONE, TWO = "1" * 32, "2" * 32
FULL = QuotaWindow(
    ONE,
    "family:opus",
    "7d",
    0.25,
    limit=400,
    remaining=300,
    unit="tokens",
    resets_at=1_800_000_123.5,
    source="learned",
    confidence=0.3,
    samples=3,
    updated_at=1_800_000_000.25,
)


def window(account_id: str = ONE, model: str = "*", updated_at: float = 5.0) -> QuotaWindow:
    return QuotaWindow(account_id, model, "5h", 0.5, updated_at=updated_at)


async def test_a_window_comes_back_as_it_was(stores: Repositories) -> None:
    await stores.quotas.store([FULL, window(TWO)])
    assert sorted(await stores.quotas.all(), key=lambda one: one.account_id) == [FULL, window(TWO)]


async def test_the_later_one_stays_whatever_the_order(stores: Repositories) -> None:
    await stores.quotas.store([window(updated_at=5.0), window(model="gpt-5")])
    await stores.quotas.store([replace(window(updated_at=9.0), used_ratio=0.9)])
    await stores.quotas.store([replace(window(updated_at=7.0), used_ratio=0.7)])
    found = {one.model: one.used_ratio for one in await stores.quotas.all()}
    assert found == {"*": 0.9, "gpt-5": 0.5}


async def test_replicas_that_store_at_once_lose_nothing(stores: Repositories) -> None:
    batches = [
        [window(f"{account:032x}", updated_at=float(replica)) for account in range(20)]
        for replica in range(1, 5)
    ]
    await asyncio.gather(*(stores.quotas.store(batch) for batch in batches))
    assert [one.updated_at for one in await stores.quotas.all()] == [4.0] * 20


async def test_only_what_changed_since_is_read(stores: Repositories) -> None:
    await stores.quotas.store([window(updated_at=5.0), window(TWO, updated_at=6.0)])
    assert [one.account_id for one in await stores.quotas.updated_since(5.5)] == [TWO]


async def test_what_providers_tell_always_fits(stores: Repositories) -> None:
    odd = QuotaWindow(
        ONE,
        "m" * 400,
        "w" * 90,
        float("inf"),
        limit=-5,
        remaining=10**30,
        resets_at=1e300,
        updated_at=5.0,
    )
    await stores.quotas.store([odd])
    (found,) = await stores.quotas.all()
    assert (found.model, found.window) == ("m" * 255, "w" * 32)
    assert (found.used_ratio, found.limit, found.remaining) == (None, 0, 10**12)


async def test_windows_of_one_account_or_of_none_are_forgotten(stores: Repositories) -> None:
    await stores.accounts.create(
        Account(TWO, "openai", "two", AuthType.API_KEY, metadata={}), Secret("key")
    )
    await stores.quotas.store([window(ONE), window(TWO), window(TWO, "gpt-5")])
    assert await stores.quotas.delete_orphans() == 1
    assert {one.account_id for one in await stores.quotas.all()} == {TWO}
    await stores.quotas.delete(TWO)
    assert await stores.quotas.all() == []


# --- use --------------------------------------------------------------------------------------


def record(number: int, account_id: str = ONE, **facts: object) -> RequestRecord:
    made = RequestRecord(f"{number:032x}", 100.0 + number, "k", "chat", "alias", stream=False)
    made.account_id, made.provider_id, made.upstream_model = account_id, "glm", "glm-5"
    made.status, made.usage = 200, Usage(10, 5, 3, 2)
    for name, value in facts.items():
        setattr(made, name, value)
    return made


async def test_use_is_summed_by_account_and_model(stores: Repositories) -> None:
    await stores.stats.store(
        [
            record(1),
            record(2, usage=Usage(1, None, None, None)),
            record(3, upstream_model="glm-6"),
            record(4, TWO),
            record(5, status=499),
            record(6, usage=NO_USAGE),
        ]
    )
    found = await stores.quotas.use(since=100.0, provider_id="glm")
    assert sorted(found, key=lambda use: (use.account_id, use.model)) == [
        Use(ONE, "glm-5", 4, 41),
        Use(ONE, "glm-6", 1, 20),
        Use(TWO, "glm-5", 1, 20),
    ]
    assert await stores.quotas.use(since=103.5, account_id=ONE) == [Use(ONE, "glm-5", 2, 20)]


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"status": 429}, id="refused"),
        pytest.param({"status": 502}, id="failed"),
        pytest.param({"at": 50.0}, id="before"),
        pytest.param({"account_id": None}, id="nobody served"),
        pytest.param({"provider_id": "openai"}, id="another provider"),
    ],
)
async def test_what_used_nothing_does_not_count(
    stores: Repositories, facts: dict[str, object]
) -> None:
    made = record(1)
    for name, value in facts.items():
        setattr(made, name, value)
    await stores.stats.store([made])
    assert await stores.quotas.use(since=100.0, provider_id="glm") == []
