"""OpenAI's limits as its headers tell them, which servers that resemble it send as well.

Keys have counted limits (`x-ratelimit-limit-requests`, `-remaining-`, `-reset-`), subscriptions
two windows (`x-codex-primary-used-percent`, `-window-minutes`, `-reset-at`). All come with every
answer: a reset counts only where nothing is left.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from models.quota import QuotaWindow
from models.rest import EVERY_MODEL
from providers.limit_headers import coming, counted, exhausted, share
from providers.verdicts import Verdict, used_up
from providers.waits import Wait, instant, number, seconds_until, within

_COUNTED: Final = tuple(
    (
        (unit, unit),
        (f"x-ratelimit-limit-{unit}", f"x-ratelimit-remaining-{unit}", f"x-ratelimit-reset-{unit}"),
    )
    for unit in ("requests", "tokens")
)
"""Name and unit of each limit, and its headers."""
_CODEX: Final = ("primary", "secondary")
# Minutes of a window -> its name.
_NAMES: Final[Mapping[float, str]] = {300.0: "5h", 1440.0: "day", 10_080.0: "7d"}


def read_quota(headers: Mapping[str, str], model: str, now: float) -> Sequence[QuotaWindow]:
    """Return what an answer's headers tell, whatever its status. Never raises."""
    return (*_windows(headers, now), *_counted(headers, model, now))


def rejection(
    headers: Mapping[str, str], resets_in_s: float | None, now: float, *, is_told: bool
) -> Verdict | None:
    """Return the verdict on windows of a subscription with nothing left; None without one.

    The body may tell of it without naming a window (`is_told`), and when it opens.
    """
    full = [one for one in _windows(headers, now) if (one.used_ratio or 0.0) >= 1]
    if not full:
        return used_up(within("7d", resets_in_s), "usage_limit_reached") if is_told else None
    waits = [within(one.window, seconds_until(one.resets_at, now)) for one in full if one.resets_at]
    pause_s = max((one for one in waits if one is not None), default=None)
    if resets_in_s is not None:
        pause_s = max(within(one.window, resets_in_s) or 0.0 for one in full)
    return used_up(pause_s, f"{' and '.join(one.window for one in full)} window used up")


def pace(headers: Mapping[str, str], now: float) -> Wait | None:
    """Return how long the counted limits ask to wait, where one has nothing left."""
    return exhausted(_counted(headers, "", now), "day", now)


def _counted(headers: Mapping[str, str], model: str, now: float) -> Iterator[QuotaWindow]:
    for window, names in _COUNTED:
        told = counted(headers, model, window, names, now)
        if told is not None:
            yield told


def _windows(headers: Mapping[str, str], now: float) -> Iterator[QuotaWindow]:
    for which in _CODEX:
        prefix = f"x-codex-{which}-"
        used = share(headers.get(f"{prefix}used-percent"), 100.0)
        if used is None:
            continue
        minutes = number(headers.get(f"{prefix}window-minutes")) or 0.0
        yield QuotaWindow(
            account_id="",
            model=EVERY_MODEL,
            window=_NAMES.get(minutes, which),
            used_ratio=used,
            resets_at=coming(_resets_at(headers, prefix, now), now),
            updated_at=now,
        )


def _resets_at(headers: Mapping[str, str], prefix: str, now: float) -> float | None:
    at = instant(headers.get(f"{prefix}reset-at"))
    if at is not None:
        return at
    to_go = number(headers.get(f"{prefix}reset-after-seconds"))
    return None if to_go is None else now + to_go
