import asyncio
from dataclasses import replace

import pytest

from models.errors import Conflict, NotFound
from models.json_types import JsonObject
from models.provider import StoredProvider
from repositories.open import Repositories
from tests.fakes.clock import FakeClock
from tests.repositories.build import add_accounts, proxy
from tests.repositories.conftest import PROVIDERS

OWN = StoredProvider("my-llm", "Mine", "chat", base_url="https://llm.example/v1", prefixes=("my",))


async def test_seeding_again_keeps_an_operators_changes(stores: Repositories) -> None:
    changed = await stores.providers.update(
        "openai", base_url="https://elsewhere.example/v1", prefixes=None
    )
    before = await stores.revisions.current()
    await asyncio.gather(*(stores.providers.seed(PROVIDERS) for _ in range(3)))
    assert await stores.providers.get("openai") == changed
    assert (changed.base_url, changed.prefixes) == ("https://elsewhere.example/v1", None)
    assert await stores.revisions.current() == before


async def test_several_may_seed_at_once(stores: Repositories) -> None:
    new = StoredProvider("glm", "GLM", "chat", is_builtin=True)
    await asyncio.gather(*(stores.providers.seed((*PROVIDERS, new)) for _ in range(5)))
    assert [one.id for one in await stores.providers.all()] == ["anthropic", "glm", "openai"]


async def test_an_own_provider_reads_back_changes_and_goes(
    stores: Repositories, clock: FakeClock
) -> None:
    before = await stores.revisions.current()
    created = await stores.providers.create(OWN)
    assert created == replace(OWN, created_at=clock.now(), updated_at=clock.now())
    assert await stores.providers.get("my-llm") == created
    clock.advance(5)
    changed = await stores.providers.update(
        "my-llm", name="Ours", dialect="messages", base_url=None, prefixes=(), is_active=False
    )
    expected = StoredProvider(
        "my-llm",
        "Ours",
        "messages",
        prefixes=(),
        is_active=False,
        created_at=created.created_at,
        updated_at=clock.now(),
    )
    assert changed == expected
    await stores.providers.delete("my-llm")
    assert await stores.providers.get("my-llm") is None
    assert await stores.revisions.current() == before + 3


async def test_a_taken_id_is_a_conflict(stores: Repositories) -> None:
    with pytest.raises(Conflict):
        await stores.providers.create(replace(OWN, id="openai"))


async def test_what_does_not_exist(stores: Repositories) -> None:
    assert await stores.providers.get("nobody") is None
    for refused in (
        stores.providers.update("nobody", name="x"),
        stores.providers.delete("nobody"),
        stores.providers.store_models("nobody", [{"id": "x"}], now=1.0),
        stores.providers.store_models("nobody", [], now=1.0),
    ):
        with pytest.raises(NotFound):
            await refused


async def test_a_provider_that_is_used_stays(stores: Repositories) -> None:
    await stores.providers.create(OWN)
    with pytest.raises(Conflict, match="built in"):
        await stores.providers.delete("openai")
    (used,) = await add_accounts(stores, 1, provider_id="my-llm")
    with pytest.raises(Conflict, match="1 accounts"):
        await stores.providers.delete("my-llm")
    await stores.accounts.delete(used.id)
    kept = await stores.egress.create(proxy("one", provider_id="my-llm"))
    with pytest.raises(Conflict, match="1 proxies"):
        await stores.providers.delete("my-llm")
    await stores.egress.delete(kept.id)
    await stores.providers.store_models("my-llm", [{"id": "x"}], now=1.0)
    await stores.providers.delete("my-llm")
    assert await stores.providers.models() == {}


async def test_pages_are_in_id_order(stores: Repositories) -> None:
    page = await stores.providers.page(limit=1, offset=1)
    assert ([one.id for one in page.data], page.total) == (["openai"], 2)


async def test_model_lists_keep_order_case_and_entries(stores: Repositories) -> None:
    entries: list[JsonObject] = [
        {"id": "gpt-z", "created": 1, "display_name": "Z \U0001f600"},
        {"id": "gpt-a", "created": None},
        {"id": "GPT-A"},
    ]
    await stores.providers.store_models("openai", entries, now=1.0)
    await stores.providers.store_models("anthropic", [{"id": "claude-x"}], now=1.0)
    assert await stores.providers.models() == {
        "openai": entries,
        "anthropic": [{"id": "claude-x"}],
    }


async def test_only_another_set_of_ids_raises_the_revision(stores: Repositories) -> None:
    before = await stores.revisions.current()
    await stores.providers.store_models("openai", [{"id": "a"}, {"id": "b"}], now=1.0)
    assert await stores.revisions.current() == before + 1
    await stores.providers.store_models("openai", [{"id": "b"}, {"id": "a", "n": 2}], now=2.0)
    assert await stores.revisions.current() == before + 1
    assert await stores.providers.models() == {"openai": [{"id": "b"}, {"id": "a", "n": 2}]}
    await stores.providers.store_models("openai", [], now=3.0)
    assert await stores.revisions.current() == before + 2
    assert await stores.providers.models() == {}


async def test_odd_model_entries_do_not_spoil_the_list(stores: Repositories) -> None:
    odd: list[JsonObject] = [
        {"id": "a", "n": 1},
        {"id": "a", "n": 2},
        {"id": ""},
        {"id": 7},
        {},
        {"id": "x" * 300},
    ]
    await stores.providers.store_models("openai", odd, now=1.0)
    assert await stores.providers.models() == {"openai": [{"id": "a", "n": 1}]}


async def test_several_may_store_one_list_at_once(stores: Repositories) -> None:
    lists: list[list[JsonObject]] = [[{"id": f"m{n}"}, {"id": "all"}] for n in range(8)]
    await asyncio.gather(
        *(stores.providers.store_models("openai", entries, now=1.0) for entries in lists)
    )
    assert (await stores.providers.models())["openai"] in lists
