"""Anthropic's limits as its headers tell them.

Subscriptions have windows (`anthropic-ratelimit-unified-5h-status`, `-utilization`, `-reset`),
some of them for one family of models. Keys have limits per minute
(`anthropic-ratelimit-requests-limit`, `-remaining`, `-reset`). All come with every answer, so a
reset says nothing by itself: it counts only where nothing is left.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from models.errors import Blame
from models.quota import QuotaWindow
from models.rest import EVERY_MODEL, family_scope
from providers.limit_headers import coming, counted, exhausted, share
from providers.verdicts import Verdict, used_up
from providers.waits import Wait, instant, seconds_until, within

FAMILIES: Final = ("fable", "haiku", "mythos", "opus", "sonnet")

_UNIFIED: Final = "anthropic-ratelimit-unified-"
# Which family a window is for; `oi` (overage included) is observed to be Fable's.
_WINDOWS: Final[Mapping[str, str | None]] = {
    "5h": None,
    "7d": None,
    **{f"7d_{family}": family for family in FAMILIES},
    "7d_oi": "fable",
}
_UTILIZATION: Final = {name: f"{_UNIFIED}{name}-utilization" for name in _WINDOWS}
_STATUS: Final = {name: f"{_UNIFIED}{name}-status" for name in _WINDOWS}
# What `representative-claim` calls them.
_CLAIMS: Final[Mapping[str, str]] = {
    "five_hour": "5h",
    "seven_day": "7d",
    **{f"seven_day_{family}": f"7d_{family}" for family in FAMILIES},
    "seven_day_overage_included": "7d_oi",
}
_NEW: Final = "7d_model"
"""A window for some models that is not known here: it is meant for the model that was asked."""
_PER_MINUTE: Final = tuple(
    ((name, unit), (f"{prefix}-limit", f"{prefix}-remaining", f"{prefix}-reset"))
    for name, unit in (
        ("requests", "requests"),
        ("tokens", "tokens"),
        ("input-tokens", "tokens"),
        ("output-tokens", "tokens"),
    )
    for prefix in (f"anthropic-ratelimit-{name}",)
)
"""Name and unit of each limit, and its headers."""
_REJECTED: Final = "rejected"
_SHARED: Final = ("5h", "7d")


def read_quota(headers: Mapping[str, str], model: str, now: float) -> Sequence[QuotaWindow]:
    """Return what an answer's headers tell, whatever its status. Never raises."""
    return (*_windows(headers, now), *_per_minute(headers, model, now))


def rejection(headers: Mapping[str, str], now: float) -> Verdict | None:
    """Return the verdict on a 429 of a window with nothing left; None where the limit is one of
    pace."""
    full = [name for name in _WINDOWS if _is_used_up(headers, name)]
    shared = [name for name in full if name in _SHARED]
    if shared:
        return _verdict(headers, shared, now)
    claimed = _claimed(headers)
    # Of the windows of families, those of another family may be used up as well.
    if full and not _told(headers, "status").startswith("allowed"):
        return _verdict(headers, [claimed if claimed in full else full[0]], now)
    return None if claimed is None else _verdict(headers, [claimed], now)


def pace(headers: Mapping[str, str], now: float) -> Wait | None:
    """Return how long the limits per minute ask to wait, where one has nothing left."""
    return exhausted(_per_minute(headers, "", now), "minute", now)


# --- windows of subscriptions -----------------------------------------------------------------


def _windows(headers: Mapping[str, str], now: float) -> list[QuotaWindow]:
    found = []
    for name, family in _WINDOWS.items():
        utilization, status = headers.get(_UTILIZATION[name]), headers.get(_STATUS[name])
        if utilization is None and status is None:
            continue  # keys have none of them
        used = share(utilization)
        if status == _REJECTED:
            used = max(used or 0.0, 1.0)
        if used is not None:
            scope = EVERY_MODEL if family is None else family_scope(family)
            resets_at = coming(instant(headers.get(f"{_UNIFIED}{name}-reset")), now)
            found.append(QuotaWindow("", scope, name, used, resets_at=resets_at, updated_at=now))
    return found


def _is_used_up(headers: Mapping[str, str], name: str) -> bool:
    if _told(headers, f"{name}-status") == _REJECTED:
        return True
    used = share(_told(headers, f"{name}-utilization"))
    # Who pays for what exceeds a window is served beyond its end.
    return used is not None and used >= 1 and _told(headers, "overage-in-use") != "true"


def _claimed(headers: Mapping[str, str]) -> str | None:
    """Return the window that the headers as a whole reject, `unified` where they do not name it;
    None where they reject none, or one that says itself that it is open."""
    if _told(headers, "status") != _REJECTED:
        return None
    claim = _told(headers, "representative-claim")
    name = _CLAIMS.get(claim)
    if name is not None:
        return None if _told(headers, f"{name}-status").startswith("allowed") else name
    if claim.startswith("seven_day_"):
        return _NEW
    # Something new, or extra usage. Where the windows are open, the account has more to give.
    is_open = all(_told(headers, f"{one}-status").startswith("allowed") for one in _SHARED)
    return None if is_open else "unified"


def _verdict(headers: Mapping[str, str], names: Sequence[str], now: float) -> Verdict:
    """Return the verdict on windows that are used up: the one to blame rests until all open."""
    known = [pause for name in names if (pause := _pause_s(headers, name, now)) is not None]
    is_rejected = any(_told(headers, f"{name}-status") == _REJECTED for name in names)
    word = "rejected" if is_rejected or _told(headers, "status") == _REJECTED else "used up"
    is_for_some = names[0].startswith("7d_")
    return used_up(
        max(known, default=None),
        f"{' and '.join(names)} window {word}",
        Blame.FAMILY if is_for_some else Blame.ACCOUNT,
        _WINDOWS.get(names[0]),
    )


def _pause_s(headers: Mapping[str, str], name: str, now: float) -> float | None:
    told = (_told(headers, f"{name}-reset"), _told(headers, "reset"))
    at = next((at for one in told if (at := coming(instant(one), now)) is not None), None)
    length = name.partition("_")[0]
    return None if at is None else within(length, seconds_until(at, now))


def _told(headers: Mapping[str, str], name: str) -> str:
    return headers.get(_UNIFIED + name, "").strip().lower()


# --- limits per minute ------------------------------------------------------------------------


def _per_minute(headers: Mapping[str, str], model: str, now: float) -> list[QuotaWindow]:
    found = []
    for window, names in _PER_MINUTE:
        told = counted(headers, model, window, names, now)
        if told is not None:
            found.append(told)
    return found
