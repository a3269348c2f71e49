"""Who rests after a failure, and for how long."""

import pytest

from models.errors import Blame, ConnectFailed, ErrorKind, TimedOut, UpstreamError
from services.cooldown import EVERY_MODEL, Cooldowns, Pauses
from tests.fakes.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cooldowns(clock: FakeClock) -> Cooldowns:
    return Cooldowns(Pauses(), clock)


def limited(retry_after_s: float | None = None) -> UpstreamError:
    return UpstreamError("slow down", kind=ErrorKind.RATE_LIMIT, retry_after_s=retry_after_s)


def rejected() -> UpstreamError:
    return UpstreamError("no", kind=ErrorKind.UPSTREAM_AUTH, blame=Blame.ACCOUNT)


def test_retry_after_is_the_length_of_the_rest(cooldowns: Cooldowns, clock: FakeClock) -> None:
    rest = cooldowns.report("a", None, "m", limited(retry_after_s=42))
    assert rest is not None
    assert rest.until == clock.now() + 42
    assert cooldowns.resting("a", "m", clock.now() + 41.9) == rest
    assert cooldowns.resting("a", "m", clock.now() + 42) is None


def test_a_rate_limit_rests_the_model_and_a_bad_credential_the_account(
    cooldowns: Cooldowns, clock: FakeClock
) -> None:
    cooldowns.report("a", None, "m", limited())
    cooldowns.report("b", None, "m", rejected())
    assert cooldowns.resting("a", "other", clock.now()) is None
    assert cooldowns.resting("b", "other", clock.now()) is not None


def test_rests_without_a_hint_double_from_strike_to_strike(
    cooldowns: Cooldowns, clock: FakeClock
) -> None:
    lengths = []
    for _ in range(10):
        rest = cooldowns.report("a", None, "m", limited())
        assert rest is not None
        lengths.append(rest.until - clock.now())
        clock.advance(lengths[-1] + 0.1)
    assert lengths == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]


def test_failures_of_requests_already_on_their_way_count_once(
    cooldowns: Cooldowns, clock: FakeClock
) -> None:
    for _ in range(50):
        cooldowns.report("a", None, "m", limited())
    assert cooldowns.resting("a", "m", clock.now() + 0.9) is not None
    assert cooldowns.resting("a", "m", clock.now() + 1.1) is None


def test_one_transient_failure_is_forgiven_and_the_second_is_not(
    cooldowns: Cooldowns, clock: FakeClock
) -> None:
    assert cooldowns.report("a", None, "m", TimedOut("slow")) is None
    second = cooldowns.report("a", None, "m", TimedOut("slow"))
    assert second is not None
    assert second.until - clock.now() == 10


def test_a_success_between_two_failures_wipes_the_first(cooldowns: Cooldowns) -> None:
    cooldowns.report("a", None, "m", TimedOut("slow"))
    cooldowns.succeeded("a", "m")
    assert cooldowns.report("a", None, "m", TimedOut("slow")) is None


def test_a_dead_proxy_rests_itself_and_not_the_account(
    cooldowns: Cooldowns, clock: FakeClock
) -> None:
    cooldowns.report("a", "proxy", "m", ConnectFailed("dead", blame=Blame.EGRESS))
    assert cooldowns.resting("a", "m", clock.now()) is None
    assert cooldowns.resting("proxy", EVERY_MODEL, clock.now()) is not None


@pytest.mark.parametrize("blame", [Blame.REQUEST, Blame.PROVIDER])
def test_a_bad_request_or_a_provider_outage_benches_nobody(
    cooldowns: Cooldowns, blame: Blame
) -> None:
    assert cooldowns.report("a", "p", "m", UpstreamError("x", blame=blame)) is None
    assert len(cooldowns) == 0


def test_a_later_rest_never_shortens_an_earlier_one(cooldowns: Cooldowns, clock: FakeClock) -> None:
    cooldowns.report("a", None, "m", limited(retry_after_s=100))
    cooldowns.report("a", None, "m", limited(retry_after_s=5))
    assert cooldowns.resting("a", "m", clock.now() + 99) is not None


def test_a_reset_ends_the_rests_that_began_before_it(
    cooldowns: Cooldowns, clock: FakeClock
) -> None:
    cooldowns.report("a", None, "m", limited(retry_after_s=100))
    cooldowns.report("b", None, "m", limited(retry_after_s=100))
    cooldowns.void({"a": clock.now()})
    assert cooldowns.resting("a", "m", clock.now()) is None
    assert cooldowns.resting("b", "m", clock.now()) is not None
    clock.advance(1)
    again = cooldowns.report("a", None, "m", limited(retry_after_s=100))
    cooldowns.void({"a": clock.now() - 1})
    assert cooldowns.resting("a", "m", clock.now()) == again


def test_an_absurd_retry_after_is_cut(cooldowns: Cooldowns, clock: FakeClock) -> None:
    rest = cooldowns.report("a", None, "m", limited(retry_after_s=1e9))
    assert rest is not None
    assert rest.until == clock.now() + 21_600


def test_failures_on_their_way_when_a_rest_began_neither_lengthen_nor_repeat_it(
    cooldowns: Cooldowns, clock: FakeClock
) -> None:
    hinted = cooldowns.report("a", None, "m", limited(retry_after_s=60))
    assert hinted is not None
    clock.advance(0.5)
    assert cooldowns.report("a", None, "m", limited(retry_after_s=60)) is None
    clock.advance(30)
    assert cooldowns.report("a", None, "m", limited()) is None
    assert cooldowns.resting("a", "m", clock.now()) == hinted
    longer = cooldowns.report("a", None, "m", limited(retry_after_s=600))
    assert longer is not None
    assert longer.until == clock.now() + 600


def test_an_old_rest_does_not_make_every_transient_failure_the_first(
    cooldowns: Cooldowns, clock: FakeClock
) -> None:
    cooldowns.report("a", None, "m", limited())
    clock.advance(120)
    assert cooldowns.report("a", None, "m", TimedOut("slow")) is None
    clock.advance(5)
    assert cooldowns.report("a", None, "m", TimedOut("slow")) is not None


def test_a_new_snapshot_does_not_forget_strikes(cooldowns: Cooldowns, clock: FakeClock) -> None:
    cooldowns.report("a", None, "m", limited())
    clock.advance(1.1)
    cooldowns.void({})
    second = cooldowns.report("a", None, "m", limited())
    assert second is not None
    assert second.until - clock.now() == 2


def test_a_reset_forgets_strikes_that_made_no_rest_yet(
    cooldowns: Cooldowns, clock: FakeClock
) -> None:
    cooldowns.report("a", None, "m", TimedOut("slow"))
    cooldowns.void({"a": clock.now()})
    clock.advance(1)
    assert cooldowns.report("a", None, "m", TimedOut("slow")) is None


def test_many_names_of_models_leave_nothing_behind(cooldowns: Cooldowns, clock: FakeClock) -> None:
    missing = UpstreamError("no such model", kind=ErrorKind.MODEL_NOT_FOUND)
    for number in range(100):
        cooldowns.report("a", None, f"invented-{number}", missing)
        cooldowns.report("a", None, f"limited-{number}", limited())
    assert len(cooldowns) == 100
    clock.advance(300)
    cooldowns.report("a", None, "m", limited())
    assert len(cooldowns) == 1
    assert len(cooldowns._strikes) == 1
