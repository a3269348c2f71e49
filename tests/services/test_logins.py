"""Logins over several replicas, and callers that come together or leave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from auth.provider_login import ProviderLogin
from auth.vault import Vault
from models.account import Account, OAuthClient
from models.errors import BadRequest, NotFound
from models.event import tell_nobody
from models.provider import StoredProvider
from openapi.oauth import DeviceBegin, LoginBegin, LoginExchange
from repositories.base import OAuthFlow
from repositories.open import Repositories, open_repositories
from repositories.shared_memory import MemoryState
from services.authenticator import EXTERNAL_ADMIN
from services.guard import AddressGuard
from services.oauth import LoginRules, OAuth
from services.snapshot import Snapshots
from tests.fakes.clock import FakeClock
from tests.fakes.login_idp import LoginIdp
from tests.handlers.oauth_rig import running_oauth
from tests.waiting import until

KEY_ID = EXTERNAL_ADMIN.key_id
ORIGIN = "https://gateway.example"
CALLBACK = f"{ORIGIN}/oauth/callback/openai"
BODY = LoginBegin(provider_id="openai")


@dataclass
class Replicas:
    """Two gateways on one database, and their provider."""

    one: OAuth
    two: OAuth
    idp: LoginIdp
    stores: Repositories
    clock: FakeClock

    async def accounts(self) -> list[Account]:
        return [stored.account for stored in await self.stores.accounts.all()]


@pytest.fixture
async def replicas() -> AsyncIterator[Replicas]:
    clock, idp = FakeClock(), LoginIdp(redirect_uris={CALLBACK})
    guard = AddressGuard(["127.0.0.0/8"])
    async with AsyncExitStack() as stack:
        runner = await idp.start()
        stack.push_async_callback(runner.cleanup)
        login = ProviderLogin(
            "openai",
            OAuthClient(f"{idp.url}/token", "client-1"),
            authorize_url=f"{idp.url}/authorize",
            device_url=f"{idp.url}/device",
        )
        stores = await stack.enter_async_context(
            open_repositories("sqlite://", Vault.of(b"k" * 32), clock=clock)
        )
        await stores.providers.seed([StoredProvider("openai", "OpenAI", "chat")])
        shared = MemoryState(clock)
        found = []
        for _ in range(2):
            snapshots = await _snapshots(stores, shared, clock)
            found.append(
                await stack.enter_async_context(
                    running_oauth(
                        LoginRules({"openai": login}, public_url=ORIGIN),
                        stores,
                        shared,
                        snapshots,
                        snapshots.changed,
                        guard,
                        clock,
                        tell_nobody,
                    )
                )
            )
        one, two = found
        yield Replicas(one, two, idp, stores, clock)


async def _snapshots(stores: Repositories, shared: MemoryState, clock: FakeClock) -> Snapshots:
    snapshots = Snapshots(
        accounts=stores.accounts,
        egress=stores.egress,
        keys=stores.keys,
        providers=stores.providers,
        revisions=stores.revisions,
        shared=shared,
        assemble=lambda rows: {},
        prefixes={},
        clock=clock,
    )
    await snapshots.load()
    return snapshots


def pasted(text: str) -> LoginExchange:
    return LoginExchange(text=SecretStr(text))


async def test_a_login_survives_a_switch_of_replicas(replicas: Replicas) -> None:
    begun = await replicas.one.logins.begin(BODY, KEY_ID, ORIGIN)
    assert begun.start_url is not None
    opened = await replicas.two.logins.open(begun.start_url.rpartition("/")[2])
    assert opened.authorize_url == begun.authorize_url
    query = replicas.idp.redirected(opened.authorize_url).partition("?")[2]
    page, spent = await replicas.one.logins.callback("openai", query, {opened.cookie: opened.value})
    assert (page, spent) == ("done", opened.cookie)
    flow = await replicas.two.logins.flow(begun.flow.id, KEY_ID)
    assert replicas.two.logins.status(flow) == "done"
    assert [account.id for account in await replicas.accounts()] == [flow.account_id]


async def test_a_device_login_survives_a_switch_of_replicas(replicas: Replicas) -> None:
    flow, device = await replicas.one.devices.begin(DeviceBegin(provider_id="openai"), KEY_ID)
    replicas.idp.device_answers = ["slow_down"]
    slowed = await replicas.two.devices.poll(flow.id, KEY_ID)
    assert slowed.retry_after_s == 10
    replicas.idp.agree(device.user_code)
    replicas.clock.advance(9)
    assert (await replicas.one.devices.poll(flow.id, KEY_ID)).flow.outcome is None
    replicas.clock.advance(1)
    assert (await replicas.one.devices.poll(flow.id, KEY_ID)).flow.outcome == "done"
    assert replicas.idp.counts["calls"] == 2


async def test_of_many_who_bring_one_answer_one_trades_it(replicas: Replicas) -> None:
    replicas.idp.latency_s = 0.05
    begun = await replicas.one.logins.begin(BODY, KEY_ID, ORIGIN)
    body = pasted(replicas.idp.redirected(begun.authorize_url))
    ended = await asyncio.gather(
        *(
            replica.logins.exchange(body, KEY_ID)
            for replica in (replicas.one, replicas.two)
            for _ in range(5)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(one, OAuthFlow) for one in ended) == 1
    assert sum(isinstance(one, BadRequest) for one in ended) == 9
    assert replicas.idp.counts["calls"] == 1


async def test_two_logins_of_one_person_at_once_are_one_account(replicas: Replicas) -> None:
    replicas.idp.latency_s = 0.05
    begun = [
        await replica.logins.begin(BODY, KEY_ID, ORIGIN) for replica in (replicas.one, replicas.two)
    ]
    flows = await asyncio.gather(
        *(
            replica.logins.exchange(pasted(replicas.idp.redirected(one.authorize_url)), KEY_ID)
            for replica, one in zip((replicas.one, replicas.two), begun, strict=True)
        )
    )
    (account,) = await replicas.accounts()
    assert {flow.account_id for flow in flows} == {account.id}
    assert account.token_version == 1


async def test_a_caller_that_leaves_does_not_lose_the_login(replicas: Replicas) -> None:
    """A code cannot be traded twice, so what has begun goes on."""
    replicas.idp.latency_s = 0.1
    begun = await replicas.one.logins.begin(BODY, KEY_ID, ORIGIN)
    text = replicas.idp.redirected(begun.authorize_url)
    leaving = asyncio.create_task(replicas.one.logins.exchange(pasted(text), KEY_ID))
    await until(lambda: replicas.idp.asked)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    async with asyncio.timeout(10):
        while not await replicas.accounts():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        while (await replicas.two.logins.flow(begun.flow.id, KEY_ID)).outcome != "done":  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def test_a_state_is_worthless_where_flows_are_kept_under_another_key(
    replicas: Replicas,
) -> None:
    begun = await replicas.one.logins.begin(BODY, KEY_ID, ORIGIN)
    row = await replicas.stores.oauth_flows.get(begun.flow.id)
    assert row is not None
    state = (begun.start_url or "").rpartition("/")[2]
    assert state not in repr(row)
    assert begun.flow.secrets["verifier"] not in repr(begun)
    assert state not in repr(begun)


async def test_guesses_at_the_public_pages_never_reach_the_database(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr("repositories.sql.oauth_flows.SqlOAuthFlows.get", asked)
    for guess in ("", "x", "A" * 56, "..", "A" * 55 + "%00"):
        query = f"code=a&state={guess}"
        assert await replicas.one.logins.callback("openai", query, {}) == ("gone", None)
        with pytest.raises(NotFound):
            await replicas.one.logins.open(guess)


async def test_a_login_whose_account_is_deleted_meanwhile_makes_no_other(
    replicas: Replicas,
) -> None:
    begun = await replicas.one.logins.begin(BODY, KEY_ID, ORIGIN)
    text = replicas.idp.redirected(begun.authorize_url)
    account_id = (await replicas.one.logins.exchange(pasted(text), KEY_ID)).account_id
    again = await replicas.one.logins.begin(
        LoginBegin(provider_id="openai", account_id=account_id), KEY_ID, ORIGIN
    )
    await replicas.stores.accounts.delete(account_id or "")
    text = replicas.idp.redirected(again.authorize_url)
    with pytest.raises(NotFound, match="there is no account"):
        await replicas.one.logins.exchange(pasted(text), KEY_ID)
    flow = await replicas.one.logins.flow(again.flow.id, KEY_ID)
    assert (flow.outcome, await replicas.accounts()) == ("not_found", [])
    assert replicas.idp.counts["calls"] == 1  # nothing was traded for it
