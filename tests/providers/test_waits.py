from datetime import datetime

import pytest

from providers.waits import (
    MAX_WAIT_S,
    Wait,
    capped,
    duration_in,
    duration_s,
    instant,
    moment_in,
    number,
    retry_after_s,
    seconds_to_beijing_midnight,
    seconds_to_pacific_midnight,
    seconds_until,
    wait,
    within,
)

NOW = 1_760_000_000.0  # Thu, 09 Oct 2025 08:53:20 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "12", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "12", "retry-after-ms": "x"}, 12.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after": "9999999"}, MAX_WAIT_S),
        ({"retry-after": "Thu, 09 Oct 2025 08:54:20 GMT"}, 60.0),
        ({"retry-after": "Thu, 09 Oct 2025 08:52:20 GMT"}, None),
        ({"retry-after": "Thu, 09 Oct 9999 08:52:20 GMT"}, MAX_WAIT_S),
        ({"retry-after": "Thu, 09 Oct 0000 08:52:20 GMT"}, None),
    ],
)
def test_waits_are_read_from_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, now=NOW) == seconds


def test_dates_are_read_against_the_answers_own_clock() -> None:
    headers = {
        "retry-after": "Thu, 09 Oct 2025 08:54:20 GMT",
        "date": "Thu, 09 Oct 2025 08:54:10 GMT",
    }
    assert retry_after_s(headers, now=NOW + 86_400) == 10.0


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Your limit will reset at 2025-10-09 16:53:20", NOW),
        ("2025-10-09 16:53:20 重置", NOW),
        ("resets 2025-10-09T08:53:20Z", NOW),
        ("resets 2025-10-09T08:53:20.5+00:00", NOW),
        ("resets 2025-10-09T10:53:20+02:00 or so", NOW),
        ("2025-99-99 16:53:20", None),
        ("no time at all", None),
    ],
)
def test_moments_are_found_in_texts(text: str, moment: float | None) -> None:
    assert moment_in(text) == moment


def test_what_has_passed_is_no_wait() -> None:
    assert seconds_until(NOW - 1, NOW) is None
    assert seconds_until(NOW + 5, NOW) == 5
    assert seconds_until(NOW + 1e9, NOW) == MAX_WAIT_S


def test_the_day_ends_at_midnight_in_beijing() -> None:
    # 16:53:20 there.
    assert seconds_to_beijing_midnight(NOW) == 7 * 3600 + 6 * 60 + 40


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("34.07s", 34.07),
        ("900ms", 0.9),
        ("0s", 0.0),
        ("1h2m3.5s", 3723.5),
        ("2h", 7200.0),
        ("1.5h", 5400.0),
        ("90m", 5400.0),
        ("99999h", MAX_WAIT_S),
        ("", None),
        ("5", None),
        ("s", None),
        ("-5s", None),
        ("1d", None),
        ("5s ", None),
        ("1e3s", None),
        ("9" * 400 + "s", None),
    ],
)
def test_durations_are_gos_and_protobufs(text: str, seconds: float | None) -> None:
    found = duration_s(text)
    assert found == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please retry in 20.04s.", 20.04),
        ("Your quota will reset after 2h3m4s", 7384.0),
        ("quota exceeded; reset after 51s. limit in 5 steps", 51.0),
        ("retry in 12.3s, or after 5m", 12.3),
        ("in 5 seconds", None),
        ("after 5stars", None),
        ("", None),
        ("in " + "9" * 100_000 + "s", None),
    ],
)
def test_durations_are_found_in_texts(text: str, seconds: float | None) -> None:
    found = duration_in(text)
    assert found == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("moment", "hours"),
    [
        pytest.param("2026-01-15T00:00:00+00:00", 8.0, id="winter"),
        pytest.param("2026-07-15T00:00:00+00:00", 7.0, id="summer"),
        pytest.param("2026-07-15T07:00:00+00:00", 24.0, id="at midnight"),
        pytest.param("2026-03-08T08:00:00+00:00", 23.0, id="the clock goes forward"),
        pytest.param("2026-11-01T07:00:00+00:00", 25.0, id="the clock goes back"),
    ],
)
def test_googles_day_ends_at_midnight_in_california(moment: str, hours: float) -> None:
    now = datetime.fromisoformat(moment).timestamp()
    assert seconds_to_pacific_midnight(now) == hours * 3600


@pytest.mark.parametrize(
    ("window", "seconds", "bounded"),
    [
        ("5h", 18 * 86_400.0, 6 * 3600.0),
        ("5h", 60.0, 60.0),
        ("day", 48 * 3600.0, 25 * 3600.0),
        ("minute", 3600.0, 120.0),
        ("7d", 18 * 86_400.0, 8 * 86_400.0),
        ("some other", 18 * 86_400.0, 8 * 86_400.0),
        ("5h", None, None),
    ],
)
def test_no_window_lasts_much_longer_than_its_name(
    window: str, seconds: float | None, bounded: float | None
) -> None:
    assert within(window, seconds) == bounded


def test_a_wait_says_where_it_was_told() -> None:
    assert wait(34.07, "RetryInfo") == Wait(34.07, "RetryInfo 34.1 s")
    assert wait(None, "RetryInfo") is None
    assert capped("minute", Wait(3600.0, "RetryInfo 3600 s")).seconds == 120.0


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("1760000000", NOW),
        ("2025-10-09T08:53:20Z", NOW),
        ("soon", None),
        ("-1760000000", None),
        ("\u0661\u0662", None),
        ("9" * 13, None),
        ("2025-10-09T08:53:20Z" + " " * 60, None),
        (None, None),
    ],
)
def test_instants_of_headers_are_epoch_seconds_or_dates(
    value: str | None, moment: float | None
) -> None:
    assert instant(value) == moment


@pytest.mark.parametrize("value", ["-1", "NaN", "inf", "1e309", "x", "", None, "9" * 65])
def test_what_is_no_sane_number_is_none(value: str | None) -> None:
    assert number(value) is None
