"""Which way out a login takes: the one that its account will have."""

import pytest

from models.account import Account, EgressPolicy
from models.egress import EgressProxy
from models.errors import NoCapacity, Unprocessable
from services.ways_out import WaysOut
from tests.builders import make_account, make_egress, make_snapshot

AUTO, DIRECT, REQUIRED = EgressPolicy.AUTO, EgressPolicy.DIRECT, EgressPolicy.REQUIRED
OFF = make_egress(1, priority=9, is_active=False)
THEIRS = make_egress(2, priority=9, provider_id="anthropic")
FULL = make_egress(3, priority=9, max_accounts=2, assigned=2)
FIRST = make_egress(5, priority=1)
SECOND = make_egress(4, max_accounts=2, assigned=1)
ALL = (SECOND, FULL, FIRST, OFF, THEIRS)


def ways(*proxies: EgressProxy) -> WaysOut:
    snapshot = make_snapshot(proxies=proxies)

    def egress_of(account: Account) -> EgressProxy | None:
        if account.goes_direct:
            return None
        if account.proxy_id is None:
            raise NoCapacity("waits")
        return snapshot.proxies[account.proxy_id]

    return WaysOut(lambda: snapshot, egress_of)


@pytest.mark.parametrize(
    ("policy", "wished", "expected"),
    [
        (AUTO, None, FIRST),
        (REQUIRED, None, FIRST),
        (DIRECT, None, None),
        (DIRECT, SECOND.id, None),
        (AUTO, SECOND.id, SECOND),
        (REQUIRED, FULL.id, FIRST),
        (AUTO, OFF.id, FIRST),
        (AUTO, THEIRS.id, FIRST),
        (AUTO, "gone", FIRST),
    ],
)
def test_a_new_account_goes_where_it_will_be_placed(
    policy: EgressPolicy, wished: str | None, expected: EgressProxy | None
) -> None:
    assert ways(*ALL).of_new("openai", policy, wished) == expected


def test_without_room_auto_goes_direct_and_required_nowhere() -> None:
    assert ways(FULL, OFF).of_new("openai", AUTO, None) is None
    with pytest.raises(NoCapacity):
        ways(FULL, OFF).of_new("openai", REQUIRED, None)


@pytest.mark.parametrize(
    ("proxy", "message"),
    [(OFF, "no such proxy"), (THEIRS, "no such proxy"), (FULL, "full")],
)
def test_a_proxy_that_cannot_take_the_account_is_refused(proxy: EgressProxy, message: str) -> None:
    with pytest.raises(Unprocessable, match=message):
        ways(*ALL).check("openai", proxy.id)
    with pytest.raises(Unprocessable):
        ways().check("openai", proxy.id)


def test_one_that_can_is_not() -> None:
    ways(*ALL).check("openai", SECOND.id)
    ways(*ALL).check("anthropic", THEIRS.id)


def test_an_account_keeps_its_own_way() -> None:
    assert ways(*ALL).of_account(make_account(1)) is None
    bound = make_account(1, egress_policy=REQUIRED, egress_bound=True, proxy_id=SECOND.id)
    assert ways(*ALL).of_account(bound) == SECOND


def test_only_a_parked_account_borrows_one() -> None:
    waiting = make_account(1, egress_policy=REQUIRED, egress_bound=True)
    with pytest.raises(NoCapacity):
        ways(*ALL).of_account(waiting)
    parked = make_account(1, egress_policy=REQUIRED, egress_bound=True, is_active=False)
    assert ways(*ALL).of_account(parked) == FIRST
    with pytest.raises(NoCapacity):
        ways(FULL, OFF, THEIRS).of_account(parked)
