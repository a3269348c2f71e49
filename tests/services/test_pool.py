"""Who serves next, who after it, and what those are told whom nobody can serve."""

from collections import Counter
from dataclasses import replace

import pytest

from models.account import AuthType, EgressPolicy, EgressStatus, Strategy, TokenState
from models.errors import ErrorKind, NoCapacity, UpstreamError
from models.rest import NEVER
from tests.builders import assigned, make_egress, make_snapshot, make_stored
from tests.services.pool_rig import ROUTE, House, account_id, number_of, route_of

LIMITED = UpstreamError("slow down", kind=ErrorKind.RATE_LIMIT, retry_after_s=60)


async def test_every_account_serves_the_same_number_of_requests() -> None:
    house = House(7)
    served = Counter([await house.next() for _ in range(7 * 30)])
    assert set(served.values()) == {30}


async def test_failover_takes_the_following_account_without_another_turn() -> None:
    house = House(3)
    assert await house.walk() == [1, 2, 3]
    assert await house.walk() == [2, 3, 1]
    assert house.asked == ["increment account:rr:openai:gpt-x"] * 2


async def test_failover_follows_on_though_the_failed_account_has_left() -> None:
    """Seven of five is the third; once it rests, the fourth of those left would be the fifth."""
    house = House(5)
    for _ in range(7):
        await house.next()
    turn = house.pool.desk(ROUTE).walk()
    first = await turn.next()
    assert first is not None
    assert number_of(first) == 3
    turn.failed(first)
    house.pool.report(first, ROUTE, LIMITED)
    second = await turn.next()
    assert second is not None
    assert (number_of(second), second.choice, second.counter) == (4, "failover", 7)


async def test_pain_20_no_account_is_asked_twice_for_one_request() -> None:
    house = House(4)
    walked = await house.walk()
    assert sorted(map(str, walked)) == ["1", "2", "3", "4"]


async def test_failover_prefers_an_account_that_has_not_failed_lately() -> None:
    house = House(4)
    struck = await house.lease(home=2)
    assert struck is not None
    house.pool.report(struck, ROUTE, UpstreamError("boom", kind=ErrorKind.UPSTREAM))
    assert house.cooldowns.strikes(account_id(2), ("*", "gpt-x")) > 0
    assert await house.walk() == [1, 3, 4, 2]


async def test_with_one_candidate_the_counter_is_left_alone() -> None:
    house = House([make_stored(1), make_stored(2, is_active=False)])
    lease = await house.lease()
    assert lease is not None
    assert (lease.counter, lease.choice, house.asked) == (None, "strategy", [])


@pytest.mark.parametrize(
    "change",
    [
        {"is_active": False},
        {"is_draining": True},
        {"models": ("gpt-other",)},
        {"egress_status": EgressStatus.WAITING, "egress_policy": EgressPolicy.REQUIRED},
        {"proxy_id": "gone", "egress_status": EgressStatus.ASSIGNED},
        {"proxy_id": "gone", "egress_status": EgressStatus.DIRECT},
        {"egress_bound": True, "egress_status": EgressStatus.DIRECT},
        {"auth_type": AuthType.OAUTH, "token_state": TokenState.NEEDS_REAUTH},
    ],
)
async def test_an_account_that_may_not_serve_is_passed_over(change: dict[str, object]) -> None:
    house = House([make_stored(1, **change), make_stored(2)])
    assert {await house.next() for _ in range(4)} == {2}
    alone = House([make_stored(1, **change)])
    assert await alone.next() is None
    assert alone.pool.desk(ROUTE).is_able() is change.get("is_draining", False)


async def test_a_resting_account_returns_when_its_time_is_over() -> None:
    house = House(2)
    house.rest(1, 60)
    assert {await house.next() for _ in range(4)} == {2}
    house.clock.advance(60.1)
    tried = await house.lease()
    assert tried is not None
    assert (number_of(tried), tried.choice) == (1, "trial")
    assert {await house.next() for _ in range(4)} == {2}, "one request at a time may try"
    house.pool.succeeded(tried, ROUTE)
    assert {await house.next() for _ in range(4)} == {1, 2}


async def test_a_rest_of_one_model_leaves_the_others_alone() -> None:
    house = House(2)
    house.rest(1, 60, scope="gpt-x")
    other = replace(ROUTE, model="gpt-y")
    assert {await house.next() for _ in range(4)} == {2}
    assert {await house.next(other) for _ in range(4)} == {1, 2}


async def test_the_best_priority_serves_alone_until_nobody_of_it_can() -> None:
    house = House([make_stored(1, priority=0), make_stored(2, priority=5)])
    assert {await house.next() for _ in range(4)} == {2}
    assert await house.walk() == [2, 1]
    house.rest(2, 60)
    assert await house.next() == 1


async def test_a_bound_account_never_goes_direct() -> None:
    egress = make_egress(is_active=False)
    house = House([], snapshot=make_snapshot([assigned(make_stored(1), egress)], [egress]))
    account = house.snapshot.by_provider["openai"][0].account
    with pytest.raises(NoCapacity):
        house.pool.egress_of(account)
    assert await house.next() is None


async def test_a_new_snapshot_counts_at_once() -> None:
    house = House(1)
    assert await house.next() == 1
    house.snapshot = make_snapshot([make_stored(5)], revision=2)
    assert await house.next() == 5
    house.snapshot = make_snapshot([make_stored(5, is_active=False), make_stored(6)], revision=3)
    assert await house.next() == 6
    house.snapshot = make_snapshot([make_stored(5), make_stored(6, priority=1)], revision=4)
    assert [await house.next() for _ in range(2)] == [6, 6]
    house.snapshot = make_snapshot([], revision=5)
    assert await house.next() is None


async def test_a_lease_has_what_the_newest_snapshot_says_of_the_account() -> None:
    house = House(1)
    await house.next()
    newer = make_stored(1, token_version=7)
    house.snapshot = make_snapshot([newer], revision=2)
    lease = await house.lease()
    assert lease is not None
    assert lease.stored is newer


async def test_requests_under_way_are_counted_and_given_back_once() -> None:
    house = House(1)
    one, two = await house.lease(), await house.lease()
    assert one is not None
    assert two is not None
    assert house.pool.inflight(account_id(1)) == 2
    house.snapshot = make_snapshot([make_stored(1, priority=3)], revision=2)
    await house.next()
    one.release()
    one.release()
    assert house.pool.inflight(account_id(1)) == 1
    two.release()
    assert house.pool.inflight(account_id(1)) == 0
    assert house.pool.inflight("unknown") == 0


async def test_a_request_may_outlive_its_account() -> None:
    house = House(3, strategy=Strategy.LEAST_INFLIGHT)
    lease = await house.lease()
    assert lease is not None
    house.snapshot = make_snapshot([make_stored(2), make_stored(3)], revision=2)
    assert await house.walk() == [2, 3]
    lease.release()
    assert await house.walk() == [2, 3]


# --- homes ---


async def test_a_conversation_is_served_at_home_without_a_turn() -> None:
    house = House(3)
    lease = await house.lease(home=2)
    assert lease is not None
    assert (number_of(lease), lease.choice, lease.counter) == (2, "affinity", None)
    assert house.asked == []


async def test_a_draining_account_serves_only_the_conversations_that_live_there() -> None:
    house = House([make_stored(1, is_draining=True), make_stored(2)])
    assert {await house.next() for _ in range(4)} == {2}
    assert [await house.next(home=1) for _ in range(3)] == [1, 1, 1]
    alone = House([make_stored(1, is_draining=True)])
    assert alone.pool.desk(ROUTE).is_able(), "a glance does not know whose home it is"
    assert (await alone.next(), await alone.next(home=1)) == (None, 1)


@pytest.mark.parametrize(
    "change", [{"is_active": False}, {"models": ("gpt-other",)}, {"proxy_id": "gone"}]
)
async def test_pain_25_a_home_that_may_not_serve_is_passed_over_like_any_other(
    change: dict[str, object],
) -> None:
    house = House([make_stored(1, **change), make_stored(2)])
    lease = await house.lease(home=1)
    assert lease is not None
    assert (number_of(lease), lease.choice) == (2, "strategy")
    assert await house.next(home=77) == 2


async def test_pain_25_a_home_that_failed_does_not_keep_the_request_from_others() -> None:
    house = House(3)
    turn = house.pool.desk(ROUTE).walk(home=account_id(2))
    walked = []
    while (lease := await turn.next()) is not None:
        walked.append((number_of(lease), lease.choice))
        turn.failed(lease)
    assert walked == [(2, "affinity"), (3, "failover"), (1, "failover")]
    assert house.asked == [], "nobody's turn was taken"


async def test_a_home_that_rests_a_while_is_borrowed_from_and_one_that_rests_long_is_left() -> None:
    house = House(2)
    house.rest(1, 600)
    borrowed = await house.lease(home=1)
    assert borrowed is not None
    assert (number_of(borrowed), borrowed.choice) == (2, "borrowed")
    house.rest(1, 7200)
    left = await house.lease(home=1)
    assert left is not None
    assert (number_of(left), left.choice) == (2, "strategy")


@pytest.mark.parametrize("lender", [2, None], ids=["who lends itself", "nobody yet"])
async def test_a_turn_of_a_conversation_that_lives_elsewhere_is_borrowed(
    lender: int | None,
) -> None:
    house = House(2)
    home = None if lender is None else account_id(lender)
    lease = await house.pool.desk(ROUTE).walk(home=home, is_lent=True).next()
    assert lease is not None
    assert (number_of(lease), lease.choice) == (lender or 1, "borrowed")


async def test_a_home_whose_rest_is_over_is_tried_by_one_of_its_conversations() -> None:
    house = House(2)
    house.rest(1, 60)
    house.clock.advance(61)
    leases = [await house.lease(home=1) for _ in range(3)]
    assert [(number_of(lease), lease.choice) for lease in leases if lease] == [
        (1, "trial"),
        (2, "borrowed"),
        (2, "borrowed"),
    ]


# --- trials and last resorts ---


async def test_a_long_rest_is_tried_by_one_request_before_its_end() -> None:
    house = House(2)
    house.rest(1, 18_000, trial_after_s=900)
    assert {await house.next() for _ in range(4)} == {2}
    house.clock.advance(901)
    leases = [await house.lease() for _ in range(5)]
    assert Counter(lease.choice for lease in leases if lease) == {"trial": 1, "strategy": 4}


async def test_a_request_that_has_failed_already_tries_nobody_out_while_others_are_well() -> None:
    house = House(3)
    turn = house.pool.desk(ROUTE).walk()
    first = await turn.next()
    assert first is not None
    turn.failed(first)
    house.rest(2, 10)
    house.clock.advance(11)
    second = await turn.next()
    assert second is not None
    assert (number_of(second), second.choice) == (3, "failover")


async def test_nobody_of_a_worse_tier_is_tried_while_a_better_one_is_well() -> None:
    house = House([make_stored(1, priority=1), make_stored(2)])
    house.rest(2, 10)
    house.clock.advance(11)
    assert {await house.next() for _ in range(3)} == {1}
    assert house.asked == []


async def test_redis_is_asked_for_a_trial_about_once_a_second() -> None:
    house = House(2)
    assert await house.shared.claim("x", 1)  # somebody else's
    house.rest(1, 10)
    house.clock.advance(11)
    for _ in range(50):
        await house.next()
    assert house.asked.count("claim") <= 2 + 1


async def test_a_rest_that_has_ended_refuses_nobody_when_nobody_else_is_left() -> None:
    house = House(1)
    house.rest(1, 60)
    assert await house.next() is None
    house.clock.advance(61)
    leases = [await house.lease() for _ in range(3)]
    assert [lease.choice for lease in leases if lease] == ["trial", "last_resort", "last_resort"]


@pytest.mark.parametrize(
    "reason", [ErrorKind.RATE_LIMIT, ErrorKind.QUOTA, ErrorKind.UPSTREAM_AUTH, ErrorKind.BILLING]
)
async def test_whoever_rests_is_left_alone_until_the_rest_opens(reason: ErrorKind) -> None:
    house = House(2)
    for number in (1, 2):
        house.rest(number, 18_000, reason=reason, trial_after_s=900)
    assert await house.next() is None
    assert not house.pool.desk(ROUTE).is_able()
    house.clock.advance(901)
    tried = [await house.next() for _ in range(5)]
    assert sorted(map(str, tried)) == ["1", "2", "None", "None", "None"]


async def test_accounts_behind_a_proxy_in_quarantine_wait_and_the_others_serve() -> None:
    egress = make_egress()
    behind = assigned(make_stored(1), egress)
    house = House([], snapshot=make_snapshot([behind, make_stored(2)], [egress]))
    house.rest(egress.id, 30, reason=ErrorKind.EGRESS)
    assert {await house.next() for _ in range(4)} == {2}
    assert house.pool.refusal(ROUTE).details["reasons"] == {"proxy_down": 1, "available": 1}


async def test_one_way_out_is_kept_open_and_nobody_goes_direct() -> None:
    egress, other = make_egress(1), make_egress(2)
    accounts = [assigned(make_stored(1), egress), assigned(make_stored(2), other)]
    house = House([], snapshot=make_snapshot(accounts, [egress, other]))
    for proxy in (egress, other):
        house.rest(proxy.id, 30, reason=ErrorKind.EGRESS)
    leases = [await house.lease() for _ in range(4)]
    assert {lease.egress for lease in leases if lease} == {egress, other}
    assert {lease.choice for lease in leases if lease} == {"last_resort"}
    house.rest(1, 60)
    assert {await house.next() for _ in range(4)} == {2}, "its proxy was not all"


async def test_a_proxy_whose_rest_is_over_is_tried_by_one_request() -> None:
    egress = make_egress()
    accounts = [assigned(make_stored(1), egress), assigned(make_stored(2), egress), make_stored(3)]
    house = House([], snapshot=make_snapshot(accounts, [egress]))
    house.rest(egress.id, 30, reason=ErrorKind.EGRESS)
    house.clock.advance(31)
    leases = [await house.lease() for _ in range(5)]
    assert [lease.choice for lease in leases if lease] == ["trial"] + ["strategy"] * 4
    tried = leases[0]
    assert tried is not None
    house.pool.succeeded(tried, ROUTE)
    assert {await house.next() for _ in range(6)} == {1, 2, 3}


# --- refusals ---


async def test_all_resting_for_rates_is_429_with_the_earliest_end() -> None:
    house = House(2)
    house.rest(1, 30)
    house.rest(2, 31)
    refusal = house.pool.refusal(ROUTE)
    assert (refusal.status, refusal.kind, refusal.retry_after_s) == (429, ErrorKind.RATE_LIMIT, 30)
    assert refusal.details == {
        "reasons": {"cooling_rate_limit": 2},
        "earliest_recovery": "2027-01-15T08:00:30.000Z",
    }


async def test_other_obstacles_are_503_with_the_reasons_counted() -> None:
    house = House([make_stored(1, is_active=False), make_stored(2), make_stored(3)])
    house.rest(2, 60, reason=ErrorKind.UPSTREAM_AUTH)
    house.rest(3, 90)
    refusal = house.pool.refusal(ROUTE)
    assert (refusal.status, refusal.retry_after_s) == (503, 60)
    assert refusal.details["reasons"] == {
        "inactive": 1,
        "cooling_upstream_auth": 1,
        "cooling_rate_limit": 1,
    }


async def test_pain_40_nobody_is_told_429_for_want_of_accounts() -> None:
    nobody = House(0).pool.refusal(ROUTE)
    assert (nobody.status, nobody.retry_after_s) == (503, 30)
    assert "it has no accounts" in nobody.message
    revoked = House(1)
    revoked.rest(1, NEVER - revoked.clock.now(), reason=ErrorKind.UPSTREAM_AUTH)
    refusal = revoked.pool.refusal(ROUTE)
    assert (refusal.status, refusal.retry_after_s) == (503, 30)
    assert refusal.details == {"reasons": {"needs_operator": 1}}


# --- pictures ---


async def test_requests_share_a_picture_until_something_changes() -> None:
    house = House(3)
    one, two = await house.lease(), await house.lease()
    assert one is not None
    assert two is not None
    assert one.decision is two.decision
    assert one.decision is not None
    assert one.decision.eligible == (account_id(1), account_id(2), account_id(3))
    house.rest(2, 60)
    three = await house.lease()
    assert three is not None
    assert three.decision is not None
    assert three.decision.id != one.decision.id
    assert three.decision.eligible == (account_id(1), account_id(3))
    assert three.decision.excluded == {account_id(2): "cooling_rate_limit"}
    house.cooldowns.release(account_id(2), "*", "quota is back")
    again = house.pool.picture(ROUTE)
    assert (again.id, again is one.decision) == (one.decision.id, False), "equal ones are equal"


async def test_a_picture_names_200_accounts_and_counts_the_others() -> None:
    house = House(500)
    picture = house.pool.picture(ROUTE)
    assert len(picture.eligible) + len(picture.excluded) == 200
    assert picture.counts == {"available": 500}
    for number in range(1, 451):
        house.rest(number, 60)
    picture = house.pool.picture(ROUTE)
    assert (len(picture.eligible), len(picture.excluded)) == (50, 150)
    assert picture.counts == {"cooling_rate_limit": 450}


async def test_the_providers_strategy_stands_above_the_configured_one() -> None:
    house = House(3, strategy=Strategy.FILL_FIRST)
    assert [await house.next() for _ in range(3)] == [1, 1, 1]
    in_turn = route_of(Strategy.ROUND_ROBIN)
    assert [await house.next(in_turn) for _ in range(3)] == [1, 2, 3]
    assert house.pool.picture(ROUTE).strategy == "fill_first"
