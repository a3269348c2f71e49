"""What the token keeper promises to requests, to providers and to operators."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from models.account import Account, AuthType, Credentials, StoredAccount, TokenState
from models.egress import EgressProxy
from models.errors import Blame, ErrorKind, NoCapacity, UpstreamError
from repositories.base import AccountChange
from repositories.shared_memory import MemoryState
from services.journal import open_journal
from services.sealed import TokenRecord
from services.shared_tokens import TOKENS_CHANNEL, SharedTokens
from services.tokens import Tokens
from tests.fakes.proxies import FakeProxy
from tests.services.token_rig import VAULT, TokenRig, make_account, open_rig
from tests.waiting import until

EXPIRED = -1.0
HOUR = 3600.0


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[TokenRig]:
    async with open_rig(tmp_path) as opened:
        yield opened


@pytest.fixture
async def tokens(rig: TokenRig) -> AsyncIterator[Tokens]:
    async with rig.keeper() as keeper:
        yield keeper


# --- the request path -------------------------------------------------------------------------


@pytest.mark.parametrize("auth_type", [AuthType.API_KEY, AuthType.BEARER])
async def test_what_never_expires_is_given_at_once(tokens: Tokens, auth_type: AuthType) -> None:
    stored = StoredAccount(make_account(auth_type=auth_type), Credentials("sk-1"))
    assert (await tokens.get(stored)).access == "sk-1"
    assert await tokens.rejected(stored, "sk-1") is None


@pytest.mark.parametrize("expires_in", [HOUR, None])
async def test_a_fresh_token_is_given_without_giving_up_the_loop(
    rig: TokenRig, tokens: Tokens, expires_in: float | None
) -> None:
    call = tokens.get(await rig.account(expires_in=expires_in))
    with pytest.raises(StopIteration) as done:
        call.send(None)
    assert done.value.value.access == "access-old"
    assert rig.idp.counts["calls"] == 0


@pytest.mark.parametrize(("expires_in", "access"), [(EXPIRED, "access-old"), (None, "")])
async def test_an_expired_or_missing_token_is_refreshed_and_stored(
    rig: TokenRig, tokens: Tokens, expires_in: float | None, access: str
) -> None:
    stored = await rig.account(expires_in=expires_in, access=access)
    credentials = await tokens.get(stored)
    assert credentials.access == "access-family1-1"
    assert credentials.expires_at == rig.clock.now() + HOUR
    row = await rig.stored(stored.account.id)
    assert row.credentials == credentials
    assert (row.account.token_version, row.account.token_state) == (1, TokenState.OK)
    assert rig.idp.asked[0].user_agent == "aigateway/test"


async def test_a_thousand_requests_cause_one_refresh(rig: TokenRig, tokens: Tokens) -> None:
    rig.idp.latency_s = 0.05
    stored = await rig.account()
    found = await asyncio.gather(*(tokens.get(stored) for _ in range(1000)))
    assert {credentials.access for credentials in found} == {"access-family1-1"}
    assert rig.idp.counts == {"calls": 1, "refreshed": 1}


async def test_an_old_snapshot_gets_the_new_token_from_memory(
    rig: TokenRig, tokens: Tokens
) -> None:
    stored = await rig.account()
    await tokens.get(stored)
    assert (await tokens.get(stored)).access == "access-family1-1"
    assert rig.idp.counts["calls"] == 1


async def test_a_newer_snapshot_replaces_memory_and_an_older_one_never_does(
    rig: TokenRig, tokens: Tokens
) -> None:
    old = await rig.account()
    await tokens.get(old)
    brought = Credentials("access-operator", "refresh-x", None, old.credentials.oauth)
    await rig.accounts.update(old.account.id, AccountChange(credentials=brought))
    new = await rig.stored(old.account.id)
    assert (await tokens.get(old)).access == "access-family1-1"
    assert (await tokens.get(new)).access == "access-operator"


async def test_a_token_near_its_end_still_serves_while_it_is_refreshed(
    rig: TokenRig, tokens: Tokens
) -> None:
    stored = await rig.account(expires_in=200)
    assert (await tokens.get(stored)).access == "access-old"
    await until(lambda: rig.idp.counts["refreshed"])
    await until(lambda: not tokens._flights)
    assert (await tokens.get(stored)).access == "access-family1-1"


async def test_in_its_last_minute_a_token_is_refreshed_first(rig: TokenRig, tokens: Tokens) -> None:
    assert (await tokens.get(await rig.account(expires_in=59))).access == "access-family1-1"


async def test_short_lived_tokens_are_not_refreshed_all_the_time(
    rig: TokenRig, tokens: Tokens
) -> None:
    rig.idp.expires_in = 60
    stored = await rig.account()
    for _ in range(3):
        await tokens.get(stored)
    await tokens.refresh_due()
    assert rig.idp.counts["calls"] == 1
    rig.clock.advance(55)
    assert (await tokens.get(stored)).access == "access-family1-2"


async def test_a_caller_that_leaves_cancels_nothing(rig: TokenRig, tokens: Tokens) -> None:
    rig.idp.latency_s = 0.1
    stored = await rig.account()
    leaving = asyncio.create_task(tokens.get(stored))
    staying = asyncio.create_task(tokens.get(stored))
    await until(lambda: rig.idp.asked)
    leaving.cancel()
    assert (await staying).access == "access-family1-1"
    assert leaving.cancelled()
    assert rig.idp.counts["calls"] == 1


async def test_closing_awaits_a_refresh_nobody_waits_for(rig: TokenRig) -> None:
    rig.idp.latency_s = 0.1
    stored = await rig.account()
    async with rig.keeper() as tokens:
        leaving = asyncio.create_task(tokens.get(stored))
        await until(lambda: rig.idp.asked)
        leaving.cancel()
    assert (await rig.stored(stored.account.id)).credentials.access == "access-family1-1"
    with pytest.raises(UpstreamError):
        await tokens.get(await rig.account(2))
    assert rig.idp.counts["calls"] == 1


async def test_an_account_without_a_refresh_token_serves_until_its_token_expires(
    rig: TokenRig, tokens: Tokens
) -> None:
    stored = await rig.account(expires_in=30)
    brought = replace(stored.credentials, refresh=None)
    await rig.accounts.update(stored.account.id, AccountChange(credentials=brought))
    stored = await rig.stored(stored.account.id)
    assert (await tokens.get(stored)).access == "access-old"
    rig.clock.advance(31)
    with pytest.raises(UpstreamError, match="no_refresh_token"):
        await tokens.get(stored)
    row = await rig.stored(stored.account.id)
    assert row.account.token_state is TokenState.NEEDS_REAUTH


# --- egress -----------------------------------------------------------------------------------


async def test_a_refresh_leaves_through_the_account_s_own_proxy(rig: TokenRig) -> None:
    proxy = FakeProxy()
    await proxy.start()
    egress = EgressProxy("p1", "proxy 1", proxy.url)
    rig.egress_of = lambda _account: egress
    try:
        async with rig.keeper() as tokens:
            await tokens.get(await rig.account())
    finally:
        await proxy.stop()
    assert [f"http://{host}:{port}" for host, port in proxy.targets] == [rig.idp.url]


async def test_a_dead_proxy_pays_for_the_refresh_that_failed(rig: TokenRig) -> None:
    egress = EgressProxy("p1", "proxy 1", "http://127.0.0.1:1")
    rig.egress_of = lambda _account: egress
    stored = await rig.account()
    async with rig.keeper() as tokens:
        with pytest.raises(UpstreamError) as caught:
            await tokens.get(stored)
        with pytest.raises(UpstreamError) as again:
            await tokens.get(stored)
    assert (caught.value.blame, caught.value.kind) == (Blame.EGRESS, ErrorKind.EGRESS)
    assert caught.value.retry_after_s is None
    # It was not tried a second time, so the proxy has not failed again; the account waits.
    assert again.value.blame is Blame.ACCOUNT
    assert again.value.retry_after_s == 1.0
    row = (await rig.stored(stored.account.id)).account
    assert (row.token_state, row.token_error) == (TokenState.OK, "proxy_failed")
    assert rig.idp.counts["calls"] == 0


async def test_an_account_without_its_proxy_never_refreshes_directly(rig: TokenRig) -> None:
    def waiting(_account: Account) -> EgressProxy | None:
        raise NoCapacity("waits for a proxy")

    rig.egress_of = waiting
    stored = await rig.account()
    async with rig.keeper() as tokens:
        with pytest.raises(UpstreamError) as caught:
            await tokens.get(stored)
    assert (caught.value.kind, caught.value.status) == (ErrorKind.EGRESS, 503)
    assert caught.value.retryable
    assert rig.idp.counts["calls"] == 0
    assert await rig.accounts.refresh_lease(stored.account.id) is None


# --- several processes ------------------------------------------------------------------------


async def test_processes_share_one_refresh(rig: TokenRig) -> None:
    rig.idp.latency_s = 0.1
    stored = await rig.account()
    async with rig.keeper() as first, rig.keeper() as second, rig.keeper() as third:
        keepers = (first, second, third)
        found = await asyncio.gather(*(keeper.get(stored) for keeper in keepers * 50))
    assert {credentials.access for credentials in found} == {"access-family1-1"}
    assert rig.idp.counts == {"calls": 1, "refreshed": 1}


async def test_a_published_token_is_used_without_asking_anybody(rig: TokenRig) -> None:
    stored = await rig.account()
    heard = asyncio.ensure_future(anext(aiter(rig.shared.subscribe(TOKENS_CHANNEL))))
    await asyncio.sleep(0)
    async with rig.keeper() as first:
        await first.get(stored)
    assert await heard == stored.account.id.encode()
    rig.lose()
    async with rig.keeper() as second:
        assert (await second.get(stored)).access == "access-family1-1"


async def test_shared_copies_are_sealed(rig: TokenRig, tokens: Tokens) -> None:
    stored = await rig.account()
    await tokens.get(stored)
    value = await rig.shared.get(f"auth:openai:{stored.account.id}")
    assert value is not None
    assert value.startswith(b"v1.")
    rig.clock.advance(HOUR)
    assert await rig.shared.get(f"auth:openai:{stored.account.id}") is None


async def test_a_tampered_copy_is_passed_over(rig: TokenRig, tokens: Tokens) -> None:
    stored = await rig.account()
    await rig.shared.put(f"auth:openai:{stored.account.id}", b"v1.x.\xff", 60)
    await rig.shared.put(f"auth:openai:{stored.account.id}:backoff", b'["x"', 60)
    assert (await tokens.get(stored)).access == "access-family1-1"


async def test_who_waits_for_another_process_gives_up_in_time(rig: TokenRig) -> None:
    rig.configure(wait_s=0.05)
    stored = await rig.account()
    await _lease(rig, stored, "other", lease_s=60)
    async with rig.keeper() as tokens:
        with pytest.raises(UpstreamError) as caught:
            await tokens.get(stored)
    error = caught.value
    assert (error.kind, error.status, error.blame) == (ErrorKind.TIMEOUT, 504, Blame.ACCOUNT)
    assert error.retryable
    assert rig.idp.counts["calls"] == 0


async def test_a_foreign_lease_is_taken_over_only_after_the_grace(rig: TokenRig) -> None:
    rig.configure(wait_s=0.05)
    stored = await rig.account()
    await _lease(rig, stored, "dead", lease_s=60)
    rig.clock.advance(119)
    async with rig.keeper() as impatient:
        with pytest.raises(UpstreamError):
            await impatient.get(stored)
    assert rig.idp.counts["calls"] == 0
    rig.clock.advance(2)
    rig.configure(wait_s=5.0)
    async with rig.keeper() as tokens:
        assert (await tokens.get(stored)).access == "access-family1-1"


async def test_the_answer_of_a_dead_process_is_used_and_not_asked_for_again(
    rig: TokenRig, tokens: Tokens
) -> None:
    """It died after its sealed copy went out; its disk is not ours, its lease still runs."""
    stored = await rig.account()
    await _lease(rig, stored, "dead", lease_s=60)
    new = replace(stored.credentials, access="access-dead", expires_at=rig.clock.now() + HOUR)
    copies = SharedTokens(rig.shared, VAULT, rig.clock)
    await copies.put_reply(stored.account, TokenRecord(stored.account.id, 1, new))
    assert (await tokens.get(stored)).access == "access-dead"
    assert (await rig.stored(stored.account.id)).credentials.access == "access-dead"
    assert rig.idp.counts["calls"] == 0
    assert await rig.accounts.refresh_lease(stored.account.id) is None


async def test_a_token_that_came_while_we_refreshed_in_vain_is_used(
    rig: TokenRig, tokens: Tokens
) -> None:
    """The refresh token was spent by somebody else: that is no death of the account."""
    stored = await rig.account()
    brought = replace(stored.credentials, access="access-other", refresh="r", expires_at=None)
    rig.idp.latency_s = 0.1
    rig.idp.always = "invalid_client"
    flight = asyncio.create_task(tokens.get(stored))
    await until(lambda: rig.idp.asked)
    await rig.accounts.update(stored.account.id, AccountChange(credentials=brought))
    assert (await flight).access == "access-other"
    row = await rig.stored(stored.account.id)
    assert row.account.token_state is TokenState.OK


async def test_an_operator_s_new_credentials_win_over_a_refresh_on_its_way(
    rig: TokenRig, tokens: Tokens
) -> None:
    rig.idp.latency_s = 0.1
    stored = await rig.account()
    brought = replace(stored.credentials, access="access-operator", refresh="r", expires_at=None)
    flight = asyncio.create_task(tokens.get(stored))
    await until(lambda: rig.idp.asked)
    await rig.accounts.update(stored.account.id, AccountChange(credentials=brought))
    assert (await flight).access == "access-operator"
    assert (await rig.stored(stored.account.id)).credentials.access == "access-operator"


async def test_an_account_deleted_meanwhile_is_an_error_of_the_account_only(
    rig: TokenRig, tokens: Tokens
) -> None:
    stored = await rig.account()
    await rig.accounts.delete(stored.account.id)
    with pytest.raises(UpstreamError, match="deleted"):
        await tokens.get(stored)
    await tokens.refresh_due()


# --- failures ---------------------------------------------------------------------------------


async def test_a_dead_refresh_token_needs_a_new_login_and_is_never_tried_again(
    rig: TokenRig, tokens: Tokens
) -> None:
    stored = await rig.account()
    rig.idp.families["family1"].is_dead = True
    for _ in range(3):
        with pytest.raises(UpstreamError, match="refresh_token_reused"):
            await tokens.get(stored)
        rig.clock.advance(HOUR)
    with pytest.raises(UpstreamError) as caught:
        await tokens.get(stored)
    assert (caught.value.kind, caught.value.retryable) == (ErrorKind.UPSTREAM_AUTH, True)
    row = (await rig.stored(stored.account.id)).account
    assert (row.token_state, row.token_error) == (TokenState.NEEDS_REAUTH, "refresh_token_reused")
    async with rig.keeper() as other:
        with pytest.raises(UpstreamError):
            await other.get(stored)
    await tokens.refresh_due()
    assert rig.idp.counts["calls"] == 1


async def test_new_credentials_bring_a_dead_account_back(rig: TokenRig, tokens: Tokens) -> None:
    stored = await rig.account()
    rig.idp.families["family1"].is_dead = True
    with pytest.raises(UpstreamError):
        await tokens.get(stored)
    brought = replace(stored.credentials, refresh=rig.idp.add_family("again"))
    await rig.accounts.update(stored.account.id, AccountChange(credentials=brought))
    assert (await tokens.get(await rig.stored(stored.account.id))).access == "access-again-1"


@pytest.mark.parametrize("behaviour", ["500", "502", "html", "malformed", "throttle", "drop"])
async def test_the_old_token_serves_until_it_expires_while_the_token_server_fails(
    rig: TokenRig, tokens: Tokens, behaviour: str
) -> None:
    rig.idp.always = behaviour
    stored = await rig.account(expires_in=30)
    assert (await tokens.get(stored)).access == "access-old"
    rig.clock.advance(31)
    with pytest.raises(UpstreamError) as caught:
        await tokens.get(stored)
    assert caught.value.retryable
    assert caught.value.retry_after_s is not None
    rig.idp.always = "ok"
    rig.clock.advance(60)
    assert (await tokens.get(stored)).access == "access-family1-1"


async def test_failures_back_off_doubling_for_every_process_together(rig: TokenRig) -> None:
    rig.idp.always = "500"
    stored = await rig.account()
    async with rig.keeper() as first, rig.keeper() as second:
        times: list[float] = []
        began = rig.clock.now()
        while rig.clock.now() < began + 1200:
            before = rig.idp.counts["calls"]
            await asyncio.gather(
                *(keeper.get(stored) for keeper in (first, second)), return_exceptions=True
            )
            if rig.idp.counts["calls"] > before:
                assert rig.idp.counts["calls"] == before + 1
                times.append(rig.clock.now() - began)
            rig.clock.advance(0.5)
    pauses = [later - earlier for earlier, later in pairwise(times)]
    for number, pause_s in enumerate(pauses):
        full = min(2.0**number, 300.0)
        assert 0.8 * full <= pause_s <= full + 0.5
    assert len(times) >= 10


async def test_retry_after_of_the_token_server_is_honoured(rig: TokenRig, tokens: Tokens) -> None:
    rig.idp.behaviours = ["throttle"]
    stored = await rig.account()
    for wait_s in (0.0, 6.5):
        rig.clock.advance(wait_s)
        with pytest.raises(UpstreamError, match="throttled"):
            await tokens.get(stored)
    assert rig.idp.counts["calls"] == 1
    rig.clock.advance(1)
    assert (await tokens.get(stored)).access == "access-family1-1"


async def test_the_operator_sees_the_class_of_the_last_failure_and_not_the_body(
    rig: TokenRig, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    rig.idp.behaviours = ["html"]
    stored = await rig.account()
    with pytest.raises(UpstreamError) as caught:
        await tokens.get(stored)
    row = (await rig.stored(stored.account.id)).account
    assert row.token_error == "malformed"
    assert await rig.accounts.refresh_lease(stored.account.id) is None
    shown = f"{caught.value} {caplog.text} {[record.__dict__ for record in caplog.records]}"
    for secret in ("canary", "access-old", "refresh-family1"):
        assert secret not in shown


@pytest.mark.parametrize("behaviour", ["commit_drop", "commit_hang"])
async def test_a_lost_answer_makes_the_account_uncertain_then_one_try_decides(
    rig: TokenRig, behaviour: str
) -> None:
    rig.configure(http_timeout_s=1.0)
    rig.idp.behaviours = [behaviour]
    stored = await rig.account()
    async with rig.keeper() as tokens:
        with pytest.raises(UpstreamError):
            await tokens.get(stored)
        row = (await rig.stored(stored.account.id)).account
        assert row.token_state is TokenState.UNCERTAIN
        for _ in range(3):
            rig.clock.advance(400)
            with pytest.raises(UpstreamError):
                await tokens.get(await rig.stored(stored.account.id))
    row = (await rig.stored(stored.account.id)).account
    assert row.token_state is TokenState.NEEDS_REAUTH
    assert rig.idp.counts["calls"] == 2


async def test_an_uncertain_account_recovers_where_the_old_token_still_works(
    rig: TokenRig, tokens: Tokens
) -> None:
    rig.idp.behaviours = ["drop", "500"]
    stored = await rig.account()
    for _ in range(2):
        with pytest.raises(UpstreamError):
            await tokens.get(stored)
        row = (await rig.stored(stored.account.id)).account
        assert row.token_state is TokenState.UNCERTAIN
        rig.clock.advance(10)
    assert (await tokens.get(stored)).access == "access-family1-1"
    row = (await rig.stored(stored.account.id)).account
    assert (row.token_state, row.token_error) == (TokenState.OK, None)


async def test_a_lease_left_by_a_dead_process_makes_the_account_uncertain(
    rig: TokenRig, tokens: Tokens
) -> None:
    stored = await rig.account()
    await _lease(rig, stored, "dead", lease_s=60)
    rig.clock.advance(121)
    rig.idp.latency_s = 0.1
    flight = asyncio.create_task(tokens.get(stored))
    await until(lambda: rig.idp.asked)
    row = (await rig.stored(stored.account.id)).account
    assert row.token_state is TokenState.UNCERTAIN
    lease = await rig.accounts.refresh_lease(stored.account.id)
    assert lease is not None
    assert lease[1] == rig.clock.now() + rig.times.lease_s
    await flight


async def test_a_server_that_cannot_be_reached_leaves_the_account_certain(
    rig: TokenRig, tokens: Tokens
) -> None:
    stored = await rig.account()
    client = stored.credentials.oauth
    assert client is not None
    brought = replace(
        stored.credentials, oauth=replace(client, token_url="http://127.0.0.1:1/token")
    )
    await rig.accounts.update(stored.account.id, AccountChange(credentials=brought))
    stored = await rig.stored(stored.account.id)
    with pytest.raises(UpstreamError, match="connect_failed"):
        await tokens.get(stored)
    row = (await rig.stored(stored.account.id)).account
    assert (row.token_state, row.token_error) == (TokenState.OK, "connect_failed")


async def test_a_mistake_of_ours_is_not_repeated_at_once(
    rig: TokenRig, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_account: Account) -> EgressProxy | None:
        raise KeyError("a mistake")

    rig.egress_of = broken
    stored = await rig.account()
    async with rig.keeper() as tokens:
        for _ in range(3):
            with pytest.raises(UpstreamError):
                await tokens.get(stored)
        with pytest.raises(UpstreamError) as caught:
            await tokens.get(stored)
    assert (caught.value.kind, caught.value.status) == (ErrorKind.UNAVAILABLE, 503)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


# --- a 401 before expiry ----------------------------------------------------------------------


async def test_a_thousand_refusals_cause_one_refresh(rig: TokenRig, tokens: Tokens) -> None:
    rig.idp.latency_s = 0.05
    stored = await rig.account(expires_in=HOUR)
    found = await asyncio.gather(*(tokens.rejected(stored, "access-old") for _ in range(1000)))
    assert {credentials and credentials.access for credentials in found} == {"access-family1-1"}
    assert rig.idp.counts["calls"] == 1
    late = await tokens.rejected(stored, "access-old")
    assert late is not None
    assert late.access == "access-family1-1"
    assert rig.idp.counts["calls"] == 1


async def test_refusals_in_several_processes_cause_one_refresh(rig: TokenRig) -> None:
    stored = await rig.account(expires_in=HOUR)
    async with rig.keeper() as first, rig.keeper() as second:
        for keeper in (first, second):
            credentials = await keeper.rejected(stored, "access-old")
            assert credentials is not None
            assert credentials.access == "access-family1-1"
    assert rig.idp.counts["calls"] == 1


async def test_each_version_is_forced_once_and_then_left_to_the_scan(
    rig: TokenRig, tokens: Tokens
) -> None:
    rig.idp.behaviours = ["500"]
    stored = await rig.account(expires_in=HOUR)
    for _ in range(3):
        assert await tokens.rejected(stored, "access-old") is None
        rig.clock.advance(10)
    assert rig.idp.counts["calls"] == 1
    await tokens.refresh_due()
    assert (await tokens.get(stored)).access == "access-family1-1"


async def test_a_refused_token_whose_refresh_is_refused_gives_nothing(
    rig: TokenRig, tokens: Tokens
) -> None:
    stored = await rig.account(expires_in=HOUR)
    rig.idp.families["family1"].is_dead = True
    for _ in range(3):
        assert await tokens.rejected(stored, "access-old") is None
    assert rig.idp.counts["calls"] == 1
    row = (await rig.stored(stored.account.id)).account
    assert row.token_state is TokenState.NEEDS_REAUTH


# --- the background scan ----------------------------------------------------------------------


async def test_the_scan_refreshes_what_is_about_to_expire_used_or_not(
    rig: TokenRig, tokens: Tokens
) -> None:
    soon = await rig.account(1, expires_in=200)
    inactive = await rig.account(2, expires_in=200, is_active=False)
    later = await rig.account(3, expires_in=HOUR)
    never = await rig.account(4, expires_in=None)
    dead = await rig.account(5, expires_in=200, token_state=TokenState.NEEDS_REAUTH)
    everyone = (soon, inactive, later, never, dead)
    await tokens.refresh_due()
    rows = [await rig.stored(stored.account.id) for stored in everyone]
    assert [row.account.token_version for row in rows] == [1, 1, 0, 0, 0]


async def test_the_scan_comes_at_a_fifth_of_the_life_give_or_take_a_tenth(
    rig: TokenRig, tokens: Tokens
) -> None:
    rig.idp.expires_in = 10 * HOUR
    stored = [await rig.account(number) for number in range(1, 21)]
    await tokens.refresh_due()
    assert rig.idp.counts["calls"] == 20
    rig.clock.advance(10 * HOUR - 2 * HOUR * 1.11)
    await tokens.refresh_due()
    assert rig.idp.counts["calls"] == 20
    rig.clock.advance(2 * HOUR * 0.11)
    await tokens.refresh_due()
    assert 20 < rig.idp.counts["calls"] < 40
    rig.clock.advance(2 * HOUR * 0.11)
    await tokens.refresh_due()
    assert rig.idp.counts["calls"] == 40
    assert len({(await tokens.get(account)).access for account in stored}) == 20


async def test_the_scan_asks_for_a_few_at_a_time(rig: TokenRig) -> None:
    rig.times = replace(rig.times, http_timeout_s=1.0, concurrency=4)
    rig.idp.always = "hang"
    for number in range(1, 11):
        await rig.account(number)
    async with rig.keeper() as tokens:
        scan = asyncio.create_task(tokens.refresh_due())
        await until(lambda: rig.idp.counts["calls"] == 4)
        await asyncio.sleep(0.05)
        assert rig.idp.counts["calls"] == 4
        scan.cancel()


async def test_refreshes_outlive_the_scan_that_began_them(rig: TokenRig) -> None:
    rig.idp.latency_s = 0.1
    stored = await rig.account()
    async with rig.keeper() as tokens:
        scan = asyncio.create_task(tokens.refresh_due())
        await until(lambda: rig.idp.asked)
        scan.cancel()
    assert (await rig.stored(stored.account.id)).account.token_version == 1


# --- the database is away ---------------------------------------------------------------------


async def test_without_the_database_nobody_is_asked_and_the_old_token_serves(
    rig: TokenRig,
) -> None:
    stored = await rig.account(expires_in=30)
    away = rig.lose()
    async with rig.keeper() as tokens:
        assert (await tokens.get(stored)).access == "access-old"
        rig.clock.advance(31)
        with pytest.raises(UpstreamError) as caught:
            await tokens.get(stored)
        assert (caught.value.kind, caught.value.status) == (ErrorKind.UNAVAILABLE, 503)
        assert rig.idp.counts["calls"] == 0
        away.is_away = False
        rig.clock.advance(2)
        assert (await tokens.get(stored)).access == "access-family1-1"


async def test_a_token_that_cannot_be_stored_serves_from_memory_and_is_stored_later(
    rig: TokenRig,
) -> None:
    stored = await rig.account()
    away = rig.lose("store_tokens")
    async with rig.keeper() as tokens, rig.keeper() as other:
        assert (await tokens.get(stored)).access == "access-family1-1"
        assert (await tokens.get(stored)).access == "access-family1-1"
        assert (await other.get(stored)).access == "access-family1-1"
        assert (await rig.stored(stored.account.id)).account.token_version == 0
        copy = f"auth:openai:{stored.account.id}:1"
        assert await rig.shared.get(copy) is not None
        away.is_away = False
        await until(lambda: not tokens._store.has_unsaved)
        async with asyncio.timeout(10):  # the copy goes last
            while await rig.shared.get(copy) is not None:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.005)
    assert (await rig.stored(stored.account.id)).credentials.access == "access-family1-1"
    assert list(rig.journal_dir.iterdir()) == []
    assert rig.idp.counts["calls"] == 1


async def test_what_was_not_stored_before_the_end_is_stored_at_the_next_start(
    rig: TokenRig,
) -> None:
    stored = await rig.account()
    away = rig.lose("store_tokens")
    async with rig.keeper() as tokens:
        await tokens.get(stored)
    assert len(list(rig.journal_dir.iterdir())) == 1
    away.is_away = False
    async with rig.keeper():
        row = await rig.stored(stored.account.id)
        assert (row.credentials.access, row.account.token_version) == ("access-family1-1", 1)
    assert list(rig.journal_dir.iterdir()) == []


async def test_what_a_dead_process_left_is_stored_by_a_living_one(
    rig: TokenRig, tokens: Tokens
) -> None:
    stored = await rig.account(expires_in=HOUR)
    await _left_behind(rig, stored, 1)
    await tokens.refresh_due()
    await until(lambda: not tokens._store.has_unsaved)
    assert (await rig.stored(stored.account.id)).credentials.access == "access-journal"


async def test_an_old_database_put_back_gets_the_newer_token_of_the_journal(
    rig: TokenRig,
) -> None:
    stored = await rig.account(expires_in=HOUR)
    await _left_behind(rig, stored, 5)
    async with rig.keeper():
        row = await rig.stored(stored.account.id)
    assert (row.credentials.access, row.account.token_version) == ("access-journal", 1)
    assert list(rig.journal_dir.iterdir()) == []


async def test_what_was_left_for_a_deleted_account_is_dropped(rig: TokenRig) -> None:
    stored = await rig.account(expires_in=HOUR)
    await _left_behind(rig, stored, 1)
    await rig.accounts.delete(stored.account.id)
    async with rig.keeper():
        pass
    assert list(rig.journal_dir.iterdir()) == []


async def test_a_lease_is_kept_while_the_database_lacks_the_new_token(rig: TokenRig) -> None:
    """Another process must not ask with a token that is spent, even if nothing is shared."""
    stored = await rig.account()
    rig.lose("store_tokens")
    async with rig.keeper() as tokens:
        await tokens.get(stored)
        rig.configure(wait_s=0.1)
        rig.accounts = rig.repositories.accounts
        rig.shared = MemoryState(rig.clock)
        rig.journal_dir = rig.journal_dir.with_name("elsewhere")
        async with rig.keeper() as other:
            with pytest.raises(UpstreamError) as caught:
                await other.get(stored)
    assert caught.value.kind is ErrorKind.TIMEOUT
    assert rig.idp.counts["calls"] == 1


async def test_a_token_goes_on_to_the_database_when_the_journal_cannot_be_written(
    rig: TokenRig, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("services.journal._write", full)
    stored = await rig.account()
    assert (await tokens.get(stored)).access == "access-family1-1"
    assert (await rig.stored(stored.account.id)).credentials.access == "access-family1-1"


async def test_a_refusal_that_cannot_be_confirmed_kills_nobody(rig: TokenRig) -> None:
    stored = await rig.account()
    rig.idp.families["family1"].is_dead = True
    away = rig.lose("set_token_state")
    async with rig.keeper() as tokens:
        for _ in range(3):
            with pytest.raises(UpstreamError):
                await tokens.get(stored)
            rig.clock.advance(10)
        row = (await rig.stored(stored.account.id)).account
        assert row.token_state is TokenState.OK
        away.is_away = False
        with pytest.raises(UpstreamError):
            await tokens.get(stored)
    row = (await rig.stored(stored.account.id)).account
    assert row.token_state is TokenState.NEEDS_REAUTH
    assert rig.idp.counts["calls"] == 1


async def _left_behind(rig: TokenRig, stored: StoredAccount, version: int) -> None:
    """The journal of a process that died before it could store what it had got."""
    credentials = replace(stored.credentials, access="access-journal", refresh="r")
    async with open_journal(rig.journal_dir.with_name("dead"), VAULT) as journal:
        await journal.append(TokenRecord(stored.account.id, version, credentials))
    rig.journal_dir.mkdir(exist_ok=True)
    for path in rig.journal_dir.with_name("dead").iterdir():
        path.rename(rig.journal_dir / path.name)


async def _lease(rig: TokenRig, stored: StoredAccount, owner: str, *, lease_s: float) -> None:
    won = await rig.repositories.accounts.take_refresh_lease(
        stored.account.id,
        owner,
        stored.account.token_version,
        now=rig.clock.now(),
        lease_s=lease_s,
    )
    assert won
