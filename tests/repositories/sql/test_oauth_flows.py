"""Logins that have begun: each step is taken once, and their secrets lie sealed."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select

from auth.vault import VaultError
from models.errors import Conflict
from repositories.base import OAuthFlow
from repositories.open import Repositories
from repositories.sql.tables import oauth_flows
from tests.repositories.build import OPEN, account

FLOW = OAuthFlow(
    id="a" * 64,
    provider_id="openai",
    key_id="key-1",
    kind="code",
    secrets={"verifier": "canary-verifier", "redirect_uri": "http://r"},
    proxy_id=None,
    account_id=None,
    created_at=100.0,
    expires_at=700.0,
)


async def test_a_flow_comes_back_as_it_was_stored(stores: Repositories) -> None:
    device = replace(FLOW, id="b" * 64, kind="device", proxy_id="1" * 32, account_id="2" * 32)
    await stores.oauth_flows.create(FLOW)
    await stores.oauth_flows.create(device)
    assert await stores.oauth_flows.get(FLOW.id) == FLOW
    assert await stores.oauth_flows.get(device.id) == device
    assert await stores.oauth_flows.get("c" * 64) is None


async def test_secrets_lie_sealed_for_their_own_row_and_go_when_it_is_over(
    stores: Repositories,
) -> None:
    await stores.oauth_flows.create(FLOW)
    query = select(oauth_flows.c.sealed)
    sealed = await stores.db.read(lambda connection: connection.execute(query).scalar_one())
    assert "canary" not in sealed
    await stores.db.run(
        lambda connection: connection.execute(oauth_flows.update().values(id="d" * 64)).rowcount
    )
    with pytest.raises(VaultError):
        await stores.oauth_flows.get("d" * 64)
    await stores.oauth_flows.finish("d" * 64, "access_denied", None)
    over = await stores.oauth_flows.get("d" * 64)
    assert over is not None
    assert (over.secrets, over.outcome, over.account_id) == ({}, "access_denied", None)


async def test_of_many_callers_one_uses_a_flow_and_nobody_after_its_end(
    stores: Repositories,
) -> None:
    await stores.oauth_flows.create(FLOW)
    assert not await stores.oauth_flows.use(FLOW.id, now=700.0)
    tries = await asyncio.gather(*(stores.oauth_flows.use(FLOW.id, now=200.0) for _ in range(8)))
    assert sorted(tries) == [False] * 7 + [True]
    assert not await stores.oauth_flows.use("e" * 64, now=200.0)
    used = await stores.oauth_flows.get(FLOW.id)
    assert used is not None
    assert used.used_at == 200.0


async def test_one_browser_opens_a_flow(stores: Repositories) -> None:
    await stores.oauth_flows.create(FLOW)
    tries = await asyncio.gather(
        *(stores.oauth_flows.open_in(FLOW.id, f"{n}" * 64, now=200.0) for n in range(4))
    )
    assert sorted(tries) == [False] * 3 + [True]
    opened = await stores.oauth_flows.get(FLOW.id)
    assert opened is not None
    assert opened.browser == f"{tries.index(True)}" * 64
    late = replace(FLOW, id="b" * 64)
    await stores.oauth_flows.create(late)
    assert not await stores.oauth_flows.open_in(late.id, "x" * 64, now=700.0)
    await stores.oauth_flows.use(late.id, now=200.0)
    assert not await stores.oauth_flows.open_in(late.id, "x" * 64, now=201.0)


async def test_logins_of_a_key_are_counted_until_they_are_used_or_over(
    stores: Repositories,
) -> None:
    for number in range(3):
        await stores.oauth_flows.create(replace(FLOW, id=f"{number}" * 64))
    await stores.oauth_flows.create(replace(FLOW, id="9" * 64, key_id="key-2"))
    assert await stores.oauth_flows.pending("key-1", now=200.0) == 3
    await stores.oauth_flows.use("0" * 64, now=200.0)
    assert await stores.oauth_flows.pending("key-1", now=200.0) == 2
    assert await stores.oauth_flows.pending("key-1", now=700.0) == 0


async def test_old_flows_are_deleted(stores: Repositories) -> None:
    await stores.oauth_flows.create(FLOW)
    await stores.oauth_flows.create(replace(FLOW, id="b" * 64, expires_at=900.0))
    assert await stores.oauth_flows.delete_before(800.0) == 1
    assert await stores.oauth_flows.get(FLOW.id) is None


async def test_an_account_is_found_by_who_it_is_at_its_provider(stores: Repositories) -> None:
    created = await stores.accounts.create(account(identity="ann@example.com"), OPEN)
    await stores.accounts.create(account(identity="ann@example.com", provider_id="anthropic"), OPEN)
    for _ in range(2):  # those without one may be many
        await stores.accounts.create(account(), OPEN)
    assert await stores.accounts.by_identity("openai", "ann@example.com") == created
    assert await stores.accounts.by_identity("openai", "Ann@example.com") is None
    with pytest.raises(Conflict):
        await stores.accounts.create(account(identity="ann@example.com"), OPEN)
