"""How long somebody rests: the table of failures, before anything else is considered."""

from collections.abc import Callable
from typing import Final

import pytest

from models.account import AuthType
from models.errors import Blame, ErrorKind, UpstreamError
from models.rest import EVERY_MODEL, NEVER
from tests.services.resting_rig import (
    Desk,
    broken,
    cut,
    disabled,
    forbidden,
    limited,
    missing,
    overloaded,
    rejected,
    silent,
    unpaid,
    unreachable,
    used_up,
)

Make = Callable[[], UpstreamError]

HOUR: Final = 3_600.0
DAY: Final = 24 * HOUR


def pauses(desk: Desk, error: Make, times: int, *, auth_type: AuthType) -> list[float | None]:
    """Fail again and again, each time when the rest is over; return how long each lasted."""
    found: list[float | None] = []
    for _ in range(times):
        lasts_s = desk.lasts_s(desk.failed(error(), auth_type=auth_type, proxy_id="proxy"))
        found.append(lasts_s)
        desk.clock.advance(min(lasts_s or 0.0, 30 * DAY) + 0.001)
    return found


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(limited, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300], id="429 no hint"),
        pytest.param(lambda: limited(retry_after_s=0.2), [1, 1, 1], id="429 tiny hint"),
        pytest.param(lambda: limited(retry_after_s=42), [42, 42], id="429 hint"),
        pytest.param(lambda: limited(retry_after_s=1e9), [6 * HOUR], id="429 absurd hint"),
        pytest.param(lambda: used_up(2 * HOUR), [2 * HOUR + 15.5], id="window, with jitter"),
        pytest.param(lambda: used_up(8 * DAY), [8 * DAY + 15.5], id="window of a week"),
        pytest.param(unpaid, [1800, 3600, 7200, 14400, 28800, 57600, DAY, DAY], id="402"),
        pytest.param(missing, [12 * HOUR, 12 * HOUR], id="404 model"),
        pytest.param(overloaded, [5, 10, 20, 40, 60, 60], id="529"),
        pytest.param(lambda: overloaded(retry_after_s=20), [20, 20, 20, 40], id="529 hint"),
        pytest.param(lambda: overloaded(retry_after_s=9_999), [60], id="529 absurd hint"),
        pytest.param(broken, [None, 10, 20, 40, 80, 160, 300, 300], id="500"),
        pytest.param(silent, [None, 10, 20], id="timeout"),
        pytest.param(cut, [None, 10, 20], id="truncated"),
        pytest.param(unreachable, [None, None, 30, 60, 120, 240, 480, 600, 600], id="proxy"),
        pytest.param(lambda: UpstreamError("x", blame=Blame.REQUEST), [None] * 5, id="request"),
        pytest.param(
            lambda: UpstreamError("x", kind=ErrorKind.CANCELLED, blame=Blame.PROVIDER),
            [None] * 5,
            id="client left",
        ),
        pytest.param(lambda: UpstreamError("x", kind=ErrorKind.CONFLICT), [None] * 5, id="409"),
    ],
)
def test_pauses_in_a_row(error: Make, expected: list[float | None]) -> None:
    found = pauses(Desk(), error, len(expected), auth_type=AuthType.API_KEY)
    assert found == pytest.approx(expected)


def test_an_oauth_account_whose_token_is_refused_rests_ten_minutes_each_time() -> None:
    assert pauses(Desk(), rejected, 3, auth_type=AuthType.OAUTH) == [600, 600, 600]


@pytest.mark.parametrize("auth_type", [AuthType.API_KEY, AuthType.BEARER])
def test_a_key_that_is_refused_twice_within_ten_minutes_needs_its_operator(
    auth_type: AuthType,
) -> None:
    desk = Desk()
    first = desk.failed(rejected(), auth_type=auth_type)
    assert first is not None
    assert not first.needs_operator
    desk.clock.time = first.until
    second = desk.failed(rejected(), auth_type=auth_type)
    assert second is not None
    assert second.needs_operator
    assert second.scope == EVERY_MODEL


def test_a_key_that_was_refused_once_long_ago_has_a_second_chance() -> None:
    desk = Desk()
    desk.failed(rejected())
    desk.clock.advance(601)
    again = desk.failed(rejected())
    assert again is not None
    assert not again.needs_operator


def test_a_permission_that_lacks_thrice_in_three_hours_needs_the_operator_for_that_model() -> None:
    desk = Desk()
    needs_operator = []
    for _ in range(3):
        rest = desk.failed(forbidden())
        assert rest is not None
        needs_operator.append(rest.needs_operator)
        desk.clock.advance(601)
    assert needs_operator == [False, False, True]
    assert desk.is_benched(model="m")
    assert not desk.is_benched(model="other")


def test_a_disabled_organisation_waits_for_its_operator_at_once() -> None:
    rest = Desk().failed(disabled())
    assert rest is not None
    assert (rest.until, rest.trial_at) == (NEVER, None)


@pytest.mark.parametrize(
    ("error", "model", "scope"),
    [
        pytest.param(limited(), "m", "m", id="429: the model"),
        pytest.param(used_up(60), "m", EVERY_MODEL, id="window of the account"),
        pytest.param(
            used_up(60, blame=Blame.FAMILY, family="opus"),
            "opus-5",
            "family:opus",
            id="window of a family",
        ),
        pytest.param(used_up(60, blame=Blame.FAMILY), "opus-5", "family:opus", id="family known"),
        pytest.param(used_up(60, blame=Blame.FAMILY), "m", "m", id="no family"),
        pytest.param(unpaid(), "m", EVERY_MODEL, id="402: the account"),
        pytest.param(rejected(), "m", EVERY_MODEL, id="401: the account"),
        pytest.param(forbidden(), "m", "m", id="403: the model"),
        pytest.param(missing(), "m", "m", id="404: the model"),
        pytest.param(overloaded(), "m", "m", id="529: the model"),
    ],
)
def test_what_somebody_rests_for(error: UpstreamError, model: str, scope: str) -> None:
    rest = Desk().failed(error, model=model)
    assert rest is not None
    assert (rest.subject, rest.scope) == ("acc-1", scope)
