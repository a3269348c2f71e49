"""What users of other gateways suffered with their tokens, as promises of this one.

The numbers are those of the list that the project was begun with. Where a promise is older than
this file, its test stands elsewhere:

1. two refreshers spend one refresh token: `test_tokens.test_processes_share_one_refresh`,
   `test_tokens.test_a_token_that_came_while_we_refreshed_in_vain_is_used`
2. losers delete the winner's tokens: below, and
   `test_tokens.test_an_operator_s_new_credentials_win_over_a_refresh_on_its_way`
3. several servers share a credential: `fault/test_refresh_storm.py`, `fault/test_refresh_kill.py`
7. a 401 before the end of a token: `test_tokens.test_a_thousand_refusals_cause_one_refresh`,
   `test_tokens.test_each_version_is_forced_once_and_then_left_to_the_scan`
8. dead and passing errors mixed up: `auth/test_oauth.py`,
   `test_tokens.test_a_dead_refresh_token_needs_a_new_login_and_is_never_tried_again`
9. logs hold what was sent:
   `test_tokens.test_the_operator_sees_the_class_of_the_last_failure_and_not_the_body`
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from models.account import Account, EgressPolicy, EgressStatus, TokenState
from models.egress import EgressProxy
from models.errors import NoCapacity, UpstreamError
from models.event import EventKind
from repositories.base import AccountChange
from services.ways_out import WaysOut
from tests.builders import make_snapshot
from tests.fakes.proxies import FakeProxy
from tests.services.token_rig import TokenRig, open_rig
from tests.waiting import until

HOUR = 3600.0


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[TokenRig]:
    async with open_rig(tmp_path) as opened:
        yield opened


async def test_pain_2_the_loser_of_a_race_harms_nothing_of_the_winner(rig: TokenRig) -> None:
    """A refusal concerns the tokens that were refused, not whatever the account has by then."""
    stored = await rig.account()
    won = replace(stored.credentials, access="access-won", refresh="r", expires_at=None)
    rig.idp.always = "invalid_client"
    rig.idp.latency_s = 0.05
    async with rig.keeper() as loser:
        flight = asyncio.create_task(loser.get(stored))
        await until(lambda: rig.idp.asked)
        await rig.accounts.update(stored.account.id, AccountChange(credentials=won))
        assert (await flight).access == "access-won"
    row = await rig.stored(stored.account.id)
    assert (row.credentials.access, row.account.token_state) == ("access-won", TokenState.OK)
    assert rig.told == []


async def test_pain_4_an_account_that_waits_for_its_quota_comes_back_with_a_fresh_token(
    rig: TokenRig,
) -> None:
    """The scan asks the table of accounts, never who may serve: pool and cooldowns are not here."""
    resting = await rig.account(1, expires_in=200)
    draining = await rig.account(2, expires_in=200, is_draining=True)
    async with rig.keeper() as tokens:
        await tokens.refresh_due()
    for stored in (resting, draining):
        assert (await rig.stored(stored.account.id)).account.token_version == 1


async def test_pain_5_an_account_that_is_switched_off_lives_on_through_a_proxy(
    rig: TokenRig,
) -> None:
    """It holds no place and may not go direct: it borrows the way that it would get now."""
    proxy = FakeProxy()
    await proxy.start()
    full = EgressProxy("1" * 32, "full", "http://127.0.0.1:1", max_accounts=1, assigned=1)
    open_ = EgressProxy("2" * 32, "open", proxy.url)
    parked = await rig.account(
        1, expires_in=200, is_active=False, egress_policy=EgressPolicy.REQUIRED
    )
    assert parked.account.egress_status is EgressStatus.WAITING
    ways = WaysOut(lambda: make_snapshot(proxies=[full, open_]), _no_place)
    rig.egress_of = ways.of_account
    try:
        async with rig.keeper() as tokens:
            await tokens.refresh_due()
    finally:
        await proxy.stop()
    assert (await rig.stored(parked.account.id)).account.token_version == 1
    assert [f"http://{host}:{port}" for host, port in proxy.targets] == [rig.idp.url]


async def test_an_active_account_that_waits_borrows_nothing(rig: TokenRig) -> None:
    ways = WaysOut(lambda: make_snapshot(proxies=[EgressProxy("2" * 32, "p", "x")]), _no_place)
    rig.egress_of = ways.of_account
    stored = await rig.account(egress_policy=EgressPolicy.REQUIRED)
    async with rig.keeper() as tokens:
        with pytest.raises(UpstreamError):
            await tokens.get(stored)
    assert rig.idp.counts["calls"] == 0


async def test_pain_6_a_refresh_that_is_late_is_seen_and_complained_of(
    rig: TokenRig, caplog: pytest.LogCaptureFixture
) -> None:
    stored = await rig.account(expires_in=290)
    rig.idp.always = "500"
    async with rig.keeper() as tokens:
        await tokens.refresh_due()
        assert "tokens are refreshed late" not in caplog.text
        first = await tokens.outlook(await rig.stored(stored.account.id))
        assert (first.failures, first.account.token_error) == (1, "status_500")
        assert first.last_success_at is None
        assert first.last_attempt_at == rig.clock.now()
        assert first.next_attempt_at is not None
        assert 0.8 <= first.next_attempt_at - rig.clock.now() <= 1.0
        assert not first.is_late
        rig.clock.advance(141)
        await tokens.refresh_due()
        assert "tokens are refreshed late" in caplog.text
        second = await tokens.outlook(await rig.stored(stored.account.id))
        assert (second.failures, second.is_late) == (2, True)
        rig.idp.always = "ok"
        rig.clock.advance(5)
        await tokens.refresh_due()
        third = await tokens.outlook(await rig.stored(stored.account.id))
    assert (third.failures, third.is_late) == (0, False)
    assert third.last_success_at == third.last_attempt_at == rig.clock.now()
    # A fifth of an hour before its end, give or take a tenth.
    lead_s = rig.clock.now() + HOUR - (third.next_attempt_at or 0)
    assert 0.9 * 720 <= lead_s <= 1.1 * 720


async def test_an_account_that_needs_a_login_is_told_of_once_and_never_tried(
    rig: TokenRig,
) -> None:
    stored = await rig.account()
    rig.idp.families["family1"].is_dead = True
    async with rig.keeper() as tokens:
        for _ in range(3):
            await tokens.refresh_due()
            rig.clock.advance(HOUR)
        with pytest.raises(UpstreamError):
            await tokens.refresh_now(await rig.stored(stored.account.id))
        outlook = await tokens.outlook(await rig.stored(stored.account.id))
    assert (outlook.next_attempt_at, outlook.is_late) == (None, True)
    assert rig.told == [
        (
            EventKind.ACCOUNT_NEEDS_LOGIN,
            stored.account.id,
            {"reason": "refresh_token_reused"},
        )
    ]
    assert rig.idp.counts["calls"] == 1


async def test_who_is_due_first_is_refreshed_first(rig: TokenRig) -> None:
    rig.times = replace(rig.times, concurrency=1)
    ages = {1: 250.0, 2: 50.0, 3: 150.0, 4: None, 5: -10.0}
    for number, expires_in in ages.items():
        access = "" if expires_in is None else "access-old"
        await rig.account(number, expires_in=expires_in, access=access)
    async with rig.keeper() as tokens:
        await tokens.refresh_due()
    order = [asked.fields["refresh_token"] for asked in rig.idp.asked]
    assert order == [f"refresh-family{number}-0" for number in (4, 5, 2, 3, 1)]


async def test_in_the_steady_state_no_request_waits_for_a_refresh(rig: TokenRig) -> None:
    """T-03: the scan is early enough that requests always find a token good for a while."""
    stored = [await rig.account(number, expires_in=None, access="") for number in range(1, 11)]
    given: list[float] = []
    waited = 0
    async with rig.keeper() as tokens:
        await tokens.refresh_due()
        for _ in range(2 * 120):  # two hours of a scan every 30 s
            rig.clock.advance(30)
            await tokens.refresh_due()
            for one in stored:
                call = tokens.get(one)
                try:
                    call.send(None)
                    waited += 1
                except StopIteration as done:
                    given.append(done.value.expires_at - rig.clock.now())
                finally:
                    call.close()
    assert waited == 0
    assert min(given) > 60
    assert rig.idp.counts["calls"] < 10 * 5


def _no_place(account: Account) -> EgressProxy | None:
    raise NoCapacity(f"account {account.id} waits for an outbound proxy")
