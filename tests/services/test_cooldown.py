"""Who rests, who may try, and what ends a rest."""

import asyncio
import random

import pytest

from models.errors import Blame, ConnectFailed, ErrorKind, UpstreamError
from models.rest import EVERY_MODEL, NEVER, Rest
from repositories.shared_memory import MemoryState
from services.cooldown import Cooldowns
from services.pauses import Pauses
from services.rest_book import FORGOTTEN_S, MAX_RESTS, MAX_SCOPES
from tests.fakes.clock import FakeClock
from tests.services.resting_rig import (
    Desk,
    broken,
    disabled,
    limited,
    missing,
    overloaded,
    rejected,
    silent,
    unpaid,
    unreachable,
    used_up,
)

HOUR = 3_600.0
DAY = 24 * HOUR


@pytest.fixture
def desk() -> Desk:
    return Desk()


# --- never shortened but by evidence ---


def test_a_later_rest_never_shortens_an_earlier_one(desk: Desk) -> None:
    desk.failed(limited(retry_after_s=100))
    assert desk.failed(limited(retry_after_s=5)) is None
    assert desk.lasts_s(desk.rest()) == 100


def test_a_longer_one_lengthens_it(desk: Desk) -> None:
    desk.failed(limited(retry_after_s=100))
    longer = desk.failed(limited(retry_after_s=600))
    assert desk.rest() == longer
    assert desk.lasts_s(longer) == 600


def test_a_used_up_window_lengthens_a_short_pause_at_once(desk: Desk) -> None:
    desk.failed(limited())
    rest = desk.failed(used_up(5 * HOUR, blame=Blame.ACCOUNT_MODEL))
    assert desk.lasts_s(rest) == 5 * HOUR + 15.5


def test_requests_that_were_under_way_neither_lengthen_nor_repeat_a_rest(desk: Desk) -> None:
    first = desk.failed(limited())
    assert [desk.failed(limited()) for _ in range(50)] == [None] * 50
    assert desk.rest() == first
    desk.clock.advance(1)
    assert desk.lasts_s(desk.failed(limited())) == 2


def test_the_jitter_of_a_window_does_not_lengthen_it_again_and_again() -> None:
    clock, chance = FakeClock(), random.Random(7)
    desk = Desk(clock)
    desk.cooldowns._chance = chance.random
    assert desk.failed(used_up(HOUR)) is not None
    assert [desk.failed(used_up(HOUR)) for _ in range(50)] == [None] * 50


def test_a_success_of_a_request_from_before_the_rest_ends_nothing(desk: Desk) -> None:
    sent_at = desk.clock.now()
    desk.clock.advance(5)
    desk.failed(used_up(HOUR))
    desk.clock.advance(5)
    desk.succeeded()
    desk.succeeded(since=sent_at)
    assert desk.is_benched()


def test_a_success_of_a_request_from_within_the_rest_ends_it(desk: Desk) -> None:
    desk.failed(used_up(HOUR))
    desk.clock.advance(5)
    desk.succeeded(since=desk.clock.now())
    assert desk.rest() is None


def test_evidence_ends_a_rest_only_for_the_reasons_that_it_speaks_of(desk: Desk) -> None:
    limits = {ErrorKind.RATE_LIMIT, ErrorKind.QUOTA}
    desk.failed(unpaid(), "acc-1")
    desk.failed(used_up(HOUR), "acc-2")
    release = desk.cooldowns.release
    assert not release("acc-1", EVERY_MODEL, "5h window at 20 %", reasons=limits)
    assert release("acc-2", EVERY_MODEL, "5h window at 20 %", reasons=limits)
    assert not release("acc-2", EVERY_MODEL, "5h window at 20 %", reasons=limits)
    assert (desk.is_benched("acc-1"), desk.is_benched("acc-2")) == (True, False)


def test_a_reset_ends_the_rests_and_strikes_from_before_it(desk: Desk) -> None:
    for account in ("acc-1", "acc-2"):
        desk.failed(limited(), account)
        desk.clock.advance(1)
        desk.failed(limited(retry_after_s=100), account)
        desk.failed(disabled(), account)
    reset_at = desk.clock.now()
    desk.cooldowns.void({"acc-1": reset_at})
    assert (desk.rest("acc-1"), desk.is_benched("acc-2")) == (None, True)
    desk.clock.advance(1)
    again = desk.failed(limited(), "acc-1")
    assert desk.lasts_s(again) == 1
    desk.cooldowns.void({"acc-1": reset_at})
    assert desk.rest("acc-1") == again


def test_a_rest_right_after_a_reset_counts_though_the_clock_says_before(desk: Desk) -> None:
    desk.cooldowns.void({"acc-1": desk.clock.now() + 3})
    rest = desk.failed(limited(retry_after_s=60))
    assert rest is not None
    desk.cooldowns.void({"acc-1": desk.clock.now() + 3})
    assert desk.is_benched()


# --- half-open ---


def test_after_its_end_a_rest_is_half_open_until_a_request_succeeds(desk: Desk) -> None:
    rest = desk.failed(limited(retry_after_s=60))
    assert rest is not None
    desk.clock.advance(60)
    assert not desk.is_benched()
    assert desk.rest() == rest
    desk.succeeded()
    assert desk.rest() is None


def test_a_rest_that_nobody_tries_is_forgotten(desk: Desk) -> None:
    desk.failed(limited(retry_after_s=60))
    desk.clock.advance(60 + FORGOTTEN_S - 1)
    assert desk.rest() is not None
    desk.clock.advance(1)
    assert desk.rest() is None
    heard: list[str] = []
    desk.cooldowns.listeners.append(heard.append)
    desk.failed(limited(), "acc-2")
    assert sorted(heard) == ["acc-1", "acc-2"]
    assert len(desk.cooldowns) == 1


@pytest.mark.parametrize(
    ("pause_s", "trials_at"),
    [
        pytest.param(1_700, [], id="short: at its end"),
        pytest.param(2 * HOUR - 20, [900, 1800, 2700, 3600, 4500, 5400, 6300], id="long"),
    ],
)
def test_a_long_rest_is_tried_every_quarter_of_an_hour(
    desk: Desk, pause_s: float, trials_at: list[float]
) -> None:
    began, rest = desk.clock.now(), desk.failed(used_up(pause_s))
    found = []
    while rest is not None and rest.trial_at is not None:
        desk.clock.time = rest.trial_at
        found.append(round(rest.trial_at - began))
        assert not desk.is_benched()
        rest = desk.failed(limited(blame=Blame.ACCOUNT))
        assert desk.is_benched()
    assert found == trials_at
    assert desk.lasts_s(desk.rest()) == pytest.approx(pause_s + 15.5 - sum(trials_at[-1:]), abs=0.1)


def test_a_trial_that_succeeds_ends_a_rest_long_before_its_end(desk: Desk) -> None:
    desk.failed(used_up(8 * DAY))
    desk.clock.advance(900)
    desk.succeeded()
    assert desk.rest() is None


def test_who_needs_an_operator_is_not_tried(desk: Desk) -> None:
    desk.failed(disabled())
    desk.clock.advance(365 * DAY)
    assert desk.is_benched()


async def test_one_of_many_requests_on_three_replicas_may_try() -> None:
    clock = FakeClock()
    shared = MemoryState(clock)
    desks = [Desk(clock, shared) for _ in range(3)]
    rest = desks[0].failed(limited(retry_after_s=30))
    assert rest is not None
    for desk in desks[1:]:
        desk.cooldowns.take(rest)
    clock.advance(30)
    claims = [desk.cooldowns.claim_trial(rest) for desk in desks for _ in range(20)]
    assert sum(await asyncio.gather(*claims)) == 1


async def test_a_trial_that_is_lost_frees_itself() -> None:
    clock = FakeClock()
    shared = MemoryState(clock)
    one, two = Desk(clock, shared), Desk(clock, shared)
    rest = one.failed(limited(retry_after_s=30))
    assert rest is not None
    two.cooldowns.take(rest)
    clock.advance(30)
    assert await one.cooldowns.claim_trial(rest)
    assert not await two.cooldowns.claim_trial(rest)
    clock.advance(29)
    assert not await two.cooldowns.claim_trial(rest)
    clock.advance(1)
    assert await two.cooldowns.claim_trial(rest)
    assert not await one.cooldowns.claim_trial(rest)


async def test_a_new_rest_has_a_trial_of_its_own() -> None:
    desk = Desk(shared=MemoryState())
    for _ in range(5):
        rest = desk.failed(limited())
        assert rest is not None
        desk.clock.time = rest.until
        assert await desk.cooldowns.claim_trial(rest)


async def test_a_refused_claim_asks_the_shared_state_once_a_second() -> None:
    class Counting(MemoryState):
        asked = 0

        async def claim(self, key: str, ttl_s: float) -> bool:
            self.asked += 1
            return False

    shared = Counting()
    desk = Desk(shared=shared)
    rest = desk.failed(limited(retry_after_s=30))
    assert rest is not None
    desk.clock.advance(30)
    for _ in range(100):
        assert not await desk.cooldowns.claim_trial(rest)
    assert shared.asked == 1
    desk.clock.advance(1.1)
    assert not await desk.cooldowns.claim_trial(rest)
    assert shared.asked == 2


# --- strikes ---


def test_one_failure_is_chance_and_two_in_a_minute_are_not(desk: Desk) -> None:
    assert desk.failed(silent()) is None
    desk.clock.advance(61)
    assert desk.failed(broken()) is None
    desk.clock.advance(59)
    assert desk.lasts_s(desk.failed(silent())) == 10


def test_ten_successes_in_a_row_make_up_for_a_failure(desk: Desk) -> None:
    for _ in range(20):
        assert desk.failed(broken()) is None
        desk.succeeded(times=10)
        desk.clock.advance(1)


def test_an_account_that_fails_half_the_time_is_benched_longer_and_longer(desk: Desk) -> None:
    dice, pauses = random.Random(1), []
    for _ in range(4_000):
        if desk.is_benched():
            rest = desk.rest()
            assert rest is not None
            pauses.append(round(rest.until - rest.began_at))
            desk.clock.time = rest.until
        if dice.random() < 0.5:
            desk.failed(broken())
        else:
            desk.succeeded()
        desk.clock.advance(0.2)
        if len(pauses) >= 8:
            break
    assert pauses == [10, 20, 40, 80, 160, 300, 300, 300]


def test_once_it_has_struck_one_failure_is_enough(desk: Desk) -> None:
    desk.failed(broken())
    rest = desk.failed(broken())
    assert rest is not None
    desk.clock.time = rest.until
    desk.succeeded(times=9)
    assert desk.lasts_s(desk.failed(broken())) == 20


def test_quiet_time_takes_strikes_back(desk: Desk) -> None:
    for lasts_s in (1, 2, 4):
        assert desk.lasts_s(desk.failed(limited())) == lasts_s
        desk.clock.advance(lasts_s)
    desk.clock.advance(60)
    assert desk.lasts_s(desk.failed(limited())) == 4
    desk.clock.advance(4 + 4 * 60)
    assert desk.lasts_s(desk.failed(limited())) == 1


def test_rests_of_a_limit_settle_at_what_it_takes(desk: Desk) -> None:
    """Five requests a minute: not 300 s of rest for each minute's limit."""
    window_began, left, lasts = desk.clock.now(), 5, []
    for _ in range(400):
        if desk.is_benched():
            lasts.append(desk.lasts_s(desk.rest()) or 0.0)
            desk.clock.advance(lasts[-1])
        if desk.clock.now() - window_began >= 60:
            window_began, left = desk.clock.now(), 5
        if left:
            left -= 1
            desk.succeeded()
        else:
            desk.failed(limited())
        desk.clock.advance(0.1)
    assert max(lasts) <= 64


def test_strikes_tell_who_did_badly_lately(desk: Desk) -> None:
    scopes = (EVERY_MODEL, "m")
    assert desk.cooldowns.strikes("acc-1", scopes) == 0
    desk.failed(broken())
    once = desk.cooldowns.strikes("acc-1", scopes)
    desk.failed(broken())
    assert 0 < once < desk.cooldowns.strikes("acc-1", scopes)
    assert desk.cooldowns.strikes("acc-1", (EVERY_MODEL, "other")) == 0
    desk.clock.advance(10 * 60)
    assert desk.cooldowns.strikes("acc-1", scopes) == 0


def test_kinds_of_failures_are_counted_apart(desk: Desk) -> None:
    for lasts_s in (1, 2, 4, 8):
        desk.failed(limited())
        desk.clock.advance(lasts_s)
    assert desk.failed(broken()) is None
    assert desk.lasts_s(desk.failed(broken())) == 10


# --- proxies ---


def test_a_dead_proxy_rests_itself_and_not_the_account(desk: Desk) -> None:
    found = [desk.failed(unreachable(), f"acc-{n}", proxy_id="proxy") for n in range(3)]
    assert [rest is not None for rest in found] == [False, False, True]
    rest = desk.cooldowns.found("proxy", (EVERY_MODEL,), desk.clock.now())
    assert rest is not None
    assert (rest.subject_kind, desk.lasts_s(rest)) == ("proxy", 30)
    assert desk.rest("acc-1") is None


def test_a_proxy_is_suspect_from_its_first_failure_until_a_success(desk: Desk) -> None:
    desk.failed(unreachable(), proxy_id="proxy")
    assert desk.cooldowns.strikes("proxy", (EVERY_MODEL,)) == 1
    desk.succeeded("acc-2", proxy_id="proxy")
    assert desk.cooldowns.strikes("proxy", (EVERY_MODEL,)) == 0


def test_failures_of_a_proxy_count_only_in_a_row(desk: Desk) -> None:
    for _ in range(20):
        assert desk.failed(unreachable(), proxy_id="proxy") is None
        assert desk.failed(unreachable(), proxy_id="proxy") is None
        desk.succeeded(proxy_id="proxy")


def test_a_proxy_that_recovered_and_fails_again_rests_longer(desk: Desk) -> None:
    for _ in range(3):
        desk.failed(unreachable(), proxy_id="proxy")
    desk.clock.advance(30)
    desk.succeeded(proxy_id="proxy")
    assert desk.cooldowns.found("proxy", (EVERY_MODEL,), desk.clock.now()) is None
    assert desk.lasts_s(desk.failed(unreachable(), proxy_id="proxy")) == 60


def test_a_block_page_without_a_proxy_is_held_against_nobody_at_first(desk: Desk) -> None:
    assert desk.failed(unreachable()) is None
    assert desk.rest() is None


# --- what the provider does to everybody ---


def test_a_failure_of_most_accounts_within_ten_seconds_benches_nobody(desk: Desk) -> None:
    for number in range(6):
        desk.failed(overloaded(), f"acc-{number}")
        desk.clock.advance(1)
    assert [desk.is_benched(f"acc-{number}") for number in range(10)] == [False] * 10
    assert len(desk.cooldowns) == 0
    assert desk.failed(overloaded(), "acc-7") is None


def test_no_more_than_half_rest_for_what_passes(desk: Desk) -> None:
    for number in range(10):
        desk.failed(overloaded(), f"acc-{number}")
        desk.clock.advance(2.9)  # so that never more than half fail within ten seconds
        benched = sum(desk.is_benched(f"acc-{number}") for number in range(10))
        assert benched <= 5


@pytest.mark.parametrize(("peers", "benched"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)])
def test_somebody_always_stays(desk: Desk, peers: int, benched: int) -> None:
    desk = Desk(pauses=Pauses(overloaded_s=60))
    found = 0
    for number in range(peers):
        desk.failed(overloaded(), f"acc-{number}", peers=peers)
        found = max(found, sum(desk.is_benched(f"acc-{n}") for n in range(peers)))
        desk.clock.advance(11)
    assert found == benched


def test_after_an_outage_nobody_is_the_worse_for_it(desk: Desk) -> None:
    for _ in range(20):
        for number in range(10):
            desk.failed(broken(), f"acc-{number}")
        desk.clock.advance(1)
    desk.clock.advance(30)
    assert desk.failed(broken(), "acc-1") is None
    assert desk.lasts_s(desk.failed(broken(), "acc-1")) == 10


def test_who_served_in_between_does_not_count_as_failed(desk: Desk) -> None:
    for number in range(10):
        desk.failed(overloaded(), f"acc-{number}")
        desk.succeeded(f"acc-{number}", since=desk.clock.now() + 1)
    desk.failed(overloaded(), "acc-1")
    assert desk.is_benched("acc-1")


def test_limits_are_nobody_elses_fate(desk: Desk) -> None:
    for number in range(10):
        desk.failed(limited(retry_after_s=60), f"acc-{number}")
    assert all(desk.is_benched(f"acc-{number}") for number in range(10))


def test_rests_that_others_tell_of_count_for_the_half(desk: Desk) -> None:
    there = Desk(desk.clock)
    for number in range(5):
        rest = there.failed(overloaded(), f"acc-{number}")
        assert rest is not None
        desk.cooldowns.take(rest)
    desk.clock.advance(4)
    assert desk.failed(overloaded(), "acc-8") is None
    assert not desk.is_benched("acc-8")


# --- bounds ---


def test_many_names_of_models_leave_little_behind(desk: Desk) -> None:
    for number in range(1_000):
        desk.failed(missing(), model=f"invented-{number}")
    assert len(desk.cooldowns) == MAX_SCOPES
    desk.failed(rejected())
    assert desk.is_benched(model="m")
    desk.clock.advance(13 * HOUR)
    desk.failed(limited(), "acc-2")
    assert len(desk.cooldowns) == 1
    assert len(desk.cooldowns._strikes) <= 2


def test_invented_models_push_out_nothing_that_counts(desk: Desk) -> None:
    desk.failed(limited(retry_after_s=60), model="busy")
    desk.failed(rejected())
    for number in range(2 * MAX_SCOPES):
        desk.failed(missing(), model=f"invented-{number}")
    assert desk.is_benched(model="busy")
    assert desk.is_benched(model="any")
    assert desk.is_benched(model=f"invented-{2 * MAX_SCOPES - 1}")


def test_invented_models_leave_room_for_what_counts(desk: Desk) -> None:
    for account in range(MAX_RESTS // MAX_SCOPES + 1):
        for number in range(MAX_SCOPES):
            desk.failed(missing(), f"acc-{account}", model=f"invented-{number}")
    assert len(desk.cooldowns) == MAX_RESTS // 2
    desk.failed(limited(retry_after_s=60), "another", model="busy")
    assert desk.is_benched("another", model="busy")


def test_who_is_gone_is_forgotten(desk: Desk) -> None:
    desk.failed(disabled(), "acc-1")
    desk.failed(disabled(), "acc-2")
    desk.cooldowns.keep(lambda rest: rest.subject == "acc-2")
    assert [rest.subject for rest in desk.cooldowns.active(desk.clock.now())] == ["acc-2"]


def test_the_one_that_opens_last_is_found(desk: Desk) -> None:
    desk.failed(used_up(HOUR))
    desk.failed(limited(retry_after_s=60))
    rest = desk.rest()
    assert rest is not None
    assert rest.scope == EVERY_MODEL
    assert [rest.scope for rest in desk.cooldowns.active(desk.clock.now())] == [EVERY_MODEL, "m"]


def test_listeners_hear_of_whom_something_changed(desk: Desk) -> None:
    heard: list[str] = []
    desk.cooldowns.listeners.append(heard.append)
    desk.failed(limited())
    desk.clock.advance(1)
    desk.succeeded()
    for _ in range(3):
        desk.failed(unreachable(), proxy_id="proxy")
    assert heard == ["acc-1", "acc-1", "proxy"]


def test_evidence_says_what_was_read() -> None:
    desk = Desk()
    for account, error in (
        ("acc-1", used_up(60)),
        ("acc-2", broken()),
        ("acc-3", limited()),
        ("acc-4", silent()),
    ):
        desk.failed(error, account)
        desk.failed(error, account)
    found = {rest.subject: rest.evidence for rest in desk.cooldowns.active(desk.clock.now())}
    assert found == {
        "acc-1": "5h window rejected",
        "acc-2": "status 500",
        "acc-3": "",
        "acc-4": "too slow",
    }


def test_a_provider_that_cannot_be_reached_is_not_held_against_one_account(desk: Desk) -> None:
    error = ConnectFailed("no connection", blame=Blame.PROVIDER)
    for number in range(10):
        for _ in range(3):
            desk.failed(error, f"acc-{number}")
    assert len(desk.cooldowns) == 0


def test_a_rest_is_as_exact_as_the_database_keeps_it() -> None:
    clock = FakeClock(1_800_000_000.123456789)
    rest = Cooldowns(Pauses(), clock).begin(
        Rest("acc-1", "m", clock.now(), clock.now() + 1 / 3, ErrorKind.RATE_LIMIT)
    )
    assert (rest.began_at, rest.until) == (1_800_000_000.123457, 1_800_000_000.45679)
    assert rest.until < NEVER


def test_errors_of_requests_and_unknown_ones_bench_nobody(desk: Desk) -> None:
    for kind in ErrorKind:
        desk.failed(UpstreamError("x", blame=Blame.REQUEST, kind=kind))
    assert len(desk.cooldowns) == 0


def test_the_log_warns_of_who_waits_for_an_operator(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    with caplog.at_level("INFO", logger="services.rest_book"):
        desk.failed(limited())
        desk.failed(disabled(), "acc-2")
    told = [(entry.levelname, entry.getMessage(), entry.seconds) for entry in caplog.records]  # type: ignore[attr-defined] # a field of the event
    assert told == [
        ("INFO", "cooling down", 1.0),
        ("WARNING", "rests until an operator ends it", None),
    ]
