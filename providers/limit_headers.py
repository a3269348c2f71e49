"""Readers for headers that tell of limits; their values may be hostile.

`headers` have lower-case names, or are a mapping that ignores case.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from models.quota import QuotaWindow
from providers.waits import (
    MAX_WAIT_S,
    Wait,
    duration_s,
    instant,
    number,
    seconds_until,
    wait,
    within,
)

_MAX_COUNT: Final = 10**15
_EPOCH_FROM: Final = 1e9
_MAX_SHARE: Final = 10.0


def counted(
    headers: Mapping[str, str],
    model: str,
    window: tuple[str, str],
    names: tuple[str, str, str],
    now: float,
) -> QuotaWindow | None:
    """Return a limit that is counted down; None where the headers do not tell it.

    `window` is its name and its unit; `names` are the headers of limit, rest and reset.
    """
    limit_told, left_told = headers.get(names[0]), headers.get(names[1])
    if limit_told is None and left_told is None:
        return None  # as in most answers
    limit, left = _count(limit_told), _count(left_told)
    if limit is None and left is None:
        return None
    return QuotaWindow(
        account_id="",
        model=model,
        window=window[0],
        used_ratio=_used_ratio(limit, left),
        limit=limit,
        remaining=left,
        unit=window[1],
        resets_at=coming(_moment(headers.get(names[2]), now), now),
        updated_at=now,
    )


def exhausted(windows: Iterable[QuotaWindow], length: str, now: float) -> Wait | None:
    """Return the longest wait for counted limits with nothing left; None without one."""
    waits = (
        wait(
            within(length, seconds_until(window.resets_at, now)),
            f"{window.window} used up, resets in",
        )
        for window in windows
        if window.remaining == 0 and window.resets_at is not None
    )
    return max((one for one in waits if one is not None), key=_seconds, default=None)


def coming(at: float | None, now: float) -> float | None:
    """Return when a limit begins anew; None where that is not known, or has passed."""
    return None if at is None or at <= now else min(at, now + MAX_WAIT_S)


def share(value: str | None, whole: float = 1.0) -> float | None:
    """Return the used share of a window, 1 where it is used up; None where it is not told."""
    found = number(value)
    return None if found is None else min(found / whole, _MAX_SHARE)


def _moment(value: str | None, now: float) -> float | None:
    """Return an instant that is told as one, as a duration, or as seconds to go."""
    seconds = duration_s(value) if value is not None else None
    if seconds is None and (told := number(value)) is not None and told < _EPOCH_FROM:
        seconds = told
    return instant(value) if seconds is None else now + seconds


def _used_ratio(limit: int | None, left: int | None) -> float | None:
    if limit is None or left is None:
        return None
    return max(0.0, 1 - left / limit) if limit else 1.0


def _count(value: str | None) -> int | None:
    found = number(value)
    return int(found) if found is not None and found <= _MAX_COUNT else None


def _seconds(waits: Wait) -> float:
    return waits.seconds
