"""What kind of limit a window is, by the name that its provider gives it."""

import re
from typing import Final

from models.quota import QuotaWindow

_SPAN: Final = re.compile(r"(\d{1,4})(m|h|d|w)(?![a-z])", re.ASCII)
_UNITS: Final = {"m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_WORDS: Final = {"hour": 3_600.0, "day": 86_400.0, "week": 604_800.0, "month": 2_592_000.0}
_SHORT_S: Final = 3_600.0


def length_s(window: str) -> float | None:
    """Return how long a window lasts: `5h` or `7d-opus` say it, `requests` does not."""
    found = _SPAN.match(window)
    if found is not None:
        return float(found[1]) * _UNITS[found[2]]
    return _WORDS.get(window.partition("-")[0])


def is_rate(window: QuotaWindow) -> bool:
    """Whether it is a limit on the pace, which is full again within minutes: it says nothing of
    how long an account lasts."""
    length = length_s(window.window)
    if length is not None:
        return length < _SHORT_S
    return window.source == "header" and window.unit is not None
