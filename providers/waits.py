"""How long a provider asks us to wait: headers and texts that may be hostile."""

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_to_datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MAX_WAIT_S: Final = 8 * 86400.0
"""A week's window and a day: nobody's limit lasts longer."""

_LONGEST_S: Final[Mapping[str, float]] = {
    "minute": 120.0,
    "5h": 6 * 3600.0,
    "day": 25 * 3600.0,
    "7d": MAX_WAIT_S,
}
_MAX_VALUE_CHARS: Final = 64
_MAX_EPOCH_DIGITS: Final = 12
_BEIJING: Final = timezone(timedelta(hours=8))
_PACIFIC_STANDARD: Final = timezone(timedelta(hours=-8))
_UNITS_S: Final[Mapping[str, float]] = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_STEP: Final = r"\d{1,12}(?:\.\d{1,12})?(?:ms|[hms])"
_DURATION: Final = re.compile(rf"(?:{_STEP}){{1,4}}")
_STEPS: Final = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(ms|[hms])")
_TOLD_WAIT: Final = re.compile(rf"\b(?:after|in) ((?:{_STEP}){{1,4}})(?![A-Za-z0-9])")
_MOMENT: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})(?:\.\d{1,9})?\s?(Z|UTC|[+-]\d{2}:?\d{2})?"
)


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a provider asks us to wait, and where it said so."""

    seconds: float
    said: str
    """In a few words of ours: `RetryInfo 34 s`."""


def wait(seconds: float | None, where: str) -> Wait | None:
    """Return a wait that was told in `where`; None when none was told."""
    return None if seconds is None else Wait(seconds, f"{where} {round(seconds, 1):g} s")


def within(window: str, seconds: float | None) -> float | None:
    """Return a wait, at most a little longer than such a window lasts (`minute`, `5h`, `day`,
    `7d`): hints beyond that are wrong, and would keep a healthy account away for days."""
    return None if seconds is None else min(seconds, _LONGEST_S.get(window, MAX_WAIT_S))


def capped(window: str, waits: Wait) -> Wait:
    """Return a wait as `within` bounds it."""
    return replace(waits, seconds=min(waits.seconds, _LONGEST_S[window]))


def retry_after_s(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the seconds of `retry-after-ms` or `retry-after`; None without a usable one.

    `headers` have lower-case names. At most `MAX_WAIT_S`; negative and absurd values do not
    count. Dates are read against the answer's own `date`, so that a wrong clock does no harm.
    """
    milliseconds = number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, MAX_WAIT_S)
    value = headers.get("retry-after")
    seconds = number(value)
    if seconds is not None:
        return min(seconds, MAX_WAIT_S)
    at = _http_date(value)
    if at is None:
        return None
    sent = _http_date(headers.get("date"))
    return seconds_until(at, sent or now)


def seconds_until(at: float, now: float | None = None) -> float | None:
    """Return the seconds until `at` (epoch), at most `MAX_WAIT_S`; None when it has passed."""
    left = at - (time.time() if now is None else now)
    return min(left, MAX_WAIT_S) if left > 0 else None


def instant(value: str | None) -> float | None:
    """Return the epoch second of a header: epoch seconds or a date and time; None without one."""
    if value is None or len(value) > _MAX_VALUE_CHARS:
        return None
    if value.isascii() and value.isdigit():
        return float(value) if len(value) <= _MAX_EPOCH_DIGITS else None
    return moment_in(value)


def number(value: str | None) -> float | None:
    """Return the number of a header; None for what is negative, endless or none at all."""
    if value is None or len(value) > _MAX_VALUE_CHARS:
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if 0 <= found < math.inf else None


def moment_in(text: str) -> float | None:
    """Return the epoch second of the first date and time in a text; without a zone, UTC+8.

    Source: GLM writes Beijing time, also outside China.
    """
    found = _MOMENT.search(text[:4000])
    if found is None:
        return None
    day, clock, zone = found.groups()
    zone = "+00:00" if zone in ("Z", "UTC") else zone
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{zone or ''}")
        return (moment if moment.tzinfo else moment.replace(tzinfo=_BEIJING)).timestamp()
    except (ValueError, OverflowError):
        return None


def duration_s(text: str) -> float | None:
    """Return the seconds of `1h2m3.5s`, `900ms` or `34.07s`, at most `MAX_WAIT_S`.

    Source: Go's time.Duration and the JSON form of google.protobuf.Duration.
    """
    if _DURATION.fullmatch(text) is None:
        return None
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in _STEPS.findall(text))
    return min(seconds, MAX_WAIT_S)


def duration_in(text: str) -> float | None:
    """Return the seconds of `Please retry in 20.04s` or `will reset after 2h3m4s` in a text."""
    found = _TOLD_WAIT.search(text[:4000])
    return None if found is None else duration_s(found[1])


def seconds_to_beijing_midnight(now: float | None = None) -> float:
    """Return the seconds until the day ends in UTC+8."""
    return _seconds_to_midnight(_BEIJING, now)


def seconds_to_pacific_midnight(now: float | None = None) -> float:
    """Return the seconds until the day ends in California, by which Google counts days."""
    try:
        zone: tzinfo = ZoneInfo("America/Los_Angeles")
    except ZoneInfoNotFoundError:  # a machine without a zone database: an hour late in summer
        zone = _PACIFIC_STANDARD
    return _seconds_to_midnight(zone, now)


def _seconds_to_midnight(zone: tzinfo, now: float | None) -> float:
    moment = datetime.fromtimestamp(time.time() if now is None else now, UTC)
    tomorrow = moment.astimezone(zone).date() + timedelta(days=1)
    return (datetime.combine(tomorrow, datetime.min.time(), zone) - moment).total_seconds()


def _http_date(value: str | None) -> float | None:
    if value is None or len(value) > _MAX_VALUE_CHARS:
        return None
    try:
        moment = parsedate_to_datetime(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
