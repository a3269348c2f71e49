"""Estimates of limits: how a sample moves one, how sure it is, what is left of it."""

from dataclasses import replace
from typing import Final

from models.quota import QuotaWindow

_WEEK_S: Final = 7 * 86_400.0
_SURE_AFTER: Final = 10
"""Samples until the confidence is 1."""


def sampled(known: QuotaWindow | None, used: int, now: float) -> QuotaWindow:
    """Return the estimate with one sample more: `limit`, `confidence`, `samples`."""
    if known is None or known.limit is None:
        estimate, samples = float(used), 0
    else:
        weight, samples = confidence_at(known, now), known.samples
        estimate = (known.limit * weight + used) / (weight + 1.0)
    return QuotaWindow(
        "",
        "",
        "",
        limit=round(estimate),
        source="learned",
        confidence=min(1.0, (samples + 1) / _SURE_AFTER),
        samples=samples + 1,
        updated_at=now,
    )


def confidence_at(window: QuotaWindow, now: float) -> float:
    """Return how sure an estimate is now: after a week without a sample it halves each week."""
    idle_s = now - window.updated_at - _WEEK_S
    return window.confidence if idle_s <= 0 else window.confidence * 0.5 ** (idle_s / _WEEK_S)


def as_learned(window: QuotaWindow, used: int | None, now: float) -> QuotaWindow:
    """Return an estimate with what was used of it; until the window opens, all of it is."""
    limit = window.limit or 1
    is_closed = window.resets_at is not None and window.resets_at > now
    if is_closed:
        used = max(used or 0, limit)
    return replace(
        window,
        used_ratio=None if used is None else used / limit,
        remaining=None if used is None else max(limit - used, 0),
        resets_at=window.resets_at if is_closed else None,
        confidence=confidence_at(window, now),
    )
