import pytest

from providers.waits import (
    MAX_WAIT_S,
    moment_in,
    retry_after_s,
    seconds_to_beijing_midnight,
    seconds_until,
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
