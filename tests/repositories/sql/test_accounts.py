import asyncio
from dataclasses import replace

import pytest

from models.account import (
    Account,
    AuthType,
    Credentials,
    EgressPolicy,
    OAuthClient,
    TokenState,
)
from models.errors import Conflict, NotFound
from repositories.base import AccountChange
from repositories.open import Repositories
from tests.fakes.clock import FakeClock
from tests.repositories.build import OPEN, account, add_accounts, proxy

OAUTH = Credentials(
    access="access-1",
    refresh="refresh-1",
    expires_at=1_800_003_600.5,
    oauth=OAuthClient(
        "https://id.example/token",
        "client",
        client_secret="secret",
        scopes=("a", "b"),
        token_body="json",
        token_params={"audience": "x"},
    ),
    facts={"project": "p\u00fcnkt \U0001f600"},
)


async def _add(stores: Repositories, **changes: object) -> Account:
    wanted = account(EgressPolicy.AUTO, auth_type=AuthType.OAUTH, **changes)
    return await stores.accounts.create(wanted, OAUTH)


async def test_an_account_reads_back_as_it_was_created(
    stores: Repositories, clock: FakeClock
) -> None:
    wanted = account(
        EgressPolicy.DIRECT,
        auth_type=AuthType.OAUTH,
        label="B\u00fcro \U0001f511",
        priority=-3,
        models=("gpt-5", "GPT-5"),
        metadata={"tier": 2, "tags": ["x", None, True], "n\u00e4me": {"deep": 1.5}},
    )
    created = await stores.accounts.create(wanted, OAUTH)
    expected = replace(
        wanted,
        expires_at=OAUTH.expires_at,
        created_at=clock.now(),
        updated_at=clock.now(),
    )
    assert created == expected
    stored = await stores.accounts.get(wanted.id)
    assert stored is not None
    assert (stored.account, stored.credentials) == (expected, OAUTH)
    assert await stores.accounts.all() == [stored]


async def test_credentials_of_the_simple_kinds_read_back(stores: Repositories) -> None:
    created = await stores.accounts.create(account(), Credentials("sk-1"))
    stored = await stores.accounts.get(created.id)
    assert stored is not None
    assert stored.credentials == Credentials("sk-1")


async def test_what_does_not_exist(stores: Repositories) -> None:
    assert await stores.accounts.get("0" * 32) is None
    assert await stores.accounts.refresh_lease("0" * 32) is None
    for refused in (
        stores.accounts.update("0" * 32, AccountChange(label="x")),
        stores.accounts.delete("0" * 32),
        stores.accounts.reset_cooldowns("0" * 32, 1.0),
        stores.accounts.create(account(provider_id="nobody"), OPEN),
    ):
        with pytest.raises(NotFound):
            await refused


async def test_a_used_id_is_a_conflict(stores: Repositories) -> None:
    created = await _add(stores)
    with pytest.raises(Conflict):
        await stores.accounts.create(created, OPEN)


async def test_a_change_touches_what_it_names_and_nothing_else(
    stores: Repositories, clock: FakeClock
) -> None:
    created = await _add(stores, models=("a",), metadata={"x": 1})
    clock.advance(5)
    changed = await stores.accounts.update(created.id, AccountChange(label="new", models=None))
    assert changed == replace(created, label="new", models=None, updated_at=clock.now())
    changed = await stores.accounts.update(
        created.id,
        AccountChange(
            metadata={"y": [1]}, models=(), priority=4, is_active=False, auth_type=AuthType.BEARER
        ),
    )
    assert (changed.metadata, changed.models, changed.priority) == ({"y": [1]}, (), 4)
    assert (changed.is_active, changed.auth_type) == (False, AuthType.BEARER)
    stored = await stores.accounts.get(created.id)
    assert stored is not None
    assert (stored.account, stored.credentials) == (changed, OAUTH)


async def test_pages_are_in_id_order_and_filtered(stores: Repositories) -> None:
    created = await stores.egress.create(proxy("a", 1))
    first = await add_accounts(stores, 3, EgressPolicy.REQUIRED)
    second = await add_accounts(stores, 2, EgressPolicy.DIRECT, provider_id="anthropic")
    await stores.accounts.update(second[0].id, AccountChange(is_active=False))
    ids = [one.id for one in (*first, *second)]

    async def listed(**filters: object) -> list[str]:
        page = await stores.accounts.page(limit=10, offset=0, **filters)  # type: ignore[arg-type]
        assert page.total == len(page.data)
        return [one.id for one in page.data]

    page = await stores.accounts.page(limit=2, offset=1)
    assert ([one.id for one in page.data], page.total) == (ids[1:3], 5)
    assert (page.limit, page.offset) == (2, 1)
    assert await listed(provider_id="anthropic") == ids[3:]
    assert await listed(is_active=False) == [ids[3]]
    assert await listed(is_active=True, provider_id="anthropic") == [ids[4]]
    assert await listed(egress_status="waiting") == ids[1:3]
    assert await listed(proxy_id=created.id) == [ids[0]]
    assert await listed(provider_id="Anthropic") == []


async def test_new_credentials_make_a_new_version_and_void_lease_and_cooldowns(
    stores: Repositories,
) -> None:
    created = await _add(stores)
    await stores.accounts.set_token_state(created.id, 0, TokenState.NEEDS_REAUTH, "invalid_grant")
    assert await stores.accounts.take_refresh_lease(created.id, "w1", 0, now=1.0, lease_s=60)
    changed = await stores.accounts.update(created.id, AccountChange(credentials=OPEN))
    assert (changed.token_version, changed.token_state) == (1, TokenState.OK)
    assert (changed.token_error, changed.expires_at) == (None, None)
    assert changed.cooldown_reset_at == changed.updated_at
    assert await stores.accounts.refresh_lease(created.id) is None
    assert not await stores.accounts.store_tokens(created.id, 0, OAUTH)
    stored = await stores.accounts.get(created.id)
    assert stored is not None
    assert stored.credentials == OPEN


async def test_reset_is_seen_by_every_replica(stores: Repositories) -> None:
    created = await _add(stores)
    before = await stores.revisions.current()
    changed = await stores.accounts.reset_cooldowns(created.id, 1_800_000_123.25)
    assert changed.cooldown_reset_at == 1_800_000_123.25
    assert await stores.revisions.current() == before + 1


async def test_a_lease_is_free_again_when_it_ran_out_or_was_given_back(
    stores: Repositories,
) -> None:
    created = await _add(stores)

    async def take(owner: str, now: float, version: int = 0) -> bool:
        return await stores.accounts.take_refresh_lease(
            created.id, owner, version, now=now, lease_s=60
        )

    assert await take("w1", 100.0)
    assert not await take("w2", 159.0)
    assert await take("w1", 120.0)
    assert await stores.accounts.refresh_lease(created.id) == ("w1", 180.0)
    assert not await take("w2", 180.0)
    assert await take("w2", 180.5)
    await stores.accounts.release_refresh_lease(created.id, "w1")
    assert not await take("w1", 190.0)
    await stores.accounts.release_refresh_lease(created.id, "w2")
    assert await stores.accounts.refresh_lease(created.id) is None
    assert not await take("w1", 300.0, version=1)
    assert await take("w1", 300.0)


async def test_stored_tokens_end_the_lease_and_raise_version_and_revision(
    stores: Repositories,
) -> None:
    created = await _add(stores)
    await stores.accounts.take_refresh_lease(created.id, "w1", 0, now=100.0, lease_s=60)
    await stores.accounts.set_token_state(created.id, 0, TokenState.UNCERTAIN, "timeout")
    before = await stores.revisions.current()
    renewed = replace(OAUTH, access="access-2", refresh="refresh-2", expires_at=1_800_007_200.0)
    assert await stores.accounts.store_tokens(created.id, 0, renewed)
    assert await stores.revisions.current() == before + 1
    stored = await stores.accounts.get(created.id)
    assert stored is not None
    assert stored.credentials == renewed
    found = stored.account
    assert (found.token_version, found.expires_at) == (1, 1_800_007_200.0)
    assert (found.token_state, found.token_error) == (TokenState.OK, None)
    assert await stores.accounts.refresh_lease(created.id) is None


async def test_a_version_that_has_passed_changes_nothing(stores: Repositories) -> None:
    created = await _add(stores)
    assert await stores.accounts.store_tokens(created.id, 0, OAUTH)
    before = await stores.revisions.current()
    assert not await stores.accounts.store_tokens(created.id, 0, OPEN)
    assert not await stores.accounts.set_token_state(created.id, 0, TokenState.NEEDS_REAUTH, "x")
    assert not await stores.accounts.store_tokens("0" * 32, 0, OPEN)
    assert await stores.revisions.current() == before
    stored = await stores.accounts.get(created.id)
    assert stored is not None
    assert (stored.credentials, stored.account.token_state) == (OAUTH, TokenState.OK)


async def test_a_token_state_is_set_with_its_reason(stores: Repositories) -> None:
    created = await _add(stores)
    before = await stores.revisions.current()
    state = TokenState.NEEDS_REAUTH
    assert await stores.accounts.set_token_state(created.id, 0, state, "e" * 999)
    stored = await stores.accounts.get(created.id)
    assert stored is not None
    assert (stored.account.token_state, stored.account.token_error) == (state, "e" * 255)
    assert await stores.revisions.current() == before + 1


async def test_metadata_is_completed_without_losing_what_others_wrote(
    stores: Repositories,
) -> None:
    created = await _add(stores)
    await stores.accounts.update(created.id, AccountChange(metadata={"a": 1, "b": None, "c": None}))
    before = await stores.revisions.current()
    completed = await stores.accounts.complete_metadata(created.id, {"a": 2, "b": 3, "d": 4})
    assert completed.metadata == {"a": 1, "b": 3, "c": None, "d": 4}
    assert await stores.revisions.current() == before + 1
    stored = await stores.accounts.get(created.id)
    assert stored is not None
    assert (stored.account, stored.credentials) == (completed, OAUTH)
    with pytest.raises(NotFound):
        await stores.accounts.complete_metadata("0" * 32, {"project_id": "p"})


async def test_metadata_completed_at_the_same_time_keeps_every_part(stores: Repositories) -> None:
    created = await _add(stores)
    await asyncio.gather(
        *(
            stores.accounts.complete_metadata(created.id, {f"k{number}": number})
            for number in range(8)
        )
    )
    stored = await stores.accounts.get(created.id)
    assert stored is not None
    assert {f"k{number}": number for number in range(8)}.items() <= stored.account.metadata.items()
