"""What a provider says of its limits, in the words of the client's own vendor.

Both vendors tell limit, rest and reset of requests and tokens, under other names and with another
idea of time. A client of the same vendor gets all that its vendor says of limits, as it is.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

_ANTHROPIC: Final = "anthropic-ratelimit-"
_OPENAI: Final = "x-ratelimit-"
_PREFIXES: Final[Mapping[str, str]] = {
    "messages": _ANTHROPIC,
    "chat": _OPENAI,
    "completions": _OPENAI,
    "embeddings": _OPENAI,
    "responses": _OPENAI,
}
"""By dialect, without what follows a dot; Google has no such headers."""

_SUBJECTS: Final = ("requests", "tokens")
_FACTS: Final = ("limit", "remaining", "reset")
_VALUE: Final = re.compile(r"[ -~]{1,64}", re.ASCII)
_NAME: Final = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_MAX_HEADERS: Final = 32
_MAX_S: Final = 10 * 365 * 86_400.0
_UNITS: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SPAN: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|[dhms])", re.ASCII)
_COUNT: Final = re.compile(r"\d{1,15}", re.ASCII)


def limits_told(
    headers: Mapping[str, str], upstream: str, client: str, now: float
) -> dict[str, str]:
    """Return the headers for the client.

    `headers`: the provider's answer's; `upstream`, `client`: names of dialects; `now`: epoch
    seconds. What cannot be read is left out.
    """
    theirs, ours = _prefixes(upstream, client)
    if not ours or theirs not in "\n".join(headers).lower():
        return {}  # one look at all names: so it is with most answers
    if theirs == ours:
        return _as_they_are(headers, theirs)
    told = {}
    for subject in _SUBJECTS:
        for fact in _FACTS:
            value = _translated(headers.get(_name(theirs, subject, fact), ""), fact, theirs, now)
            if value:
                told[_name(ours, subject, fact)] = value
    return told


@lru_cache
def _prefixes(upstream: str, client: str) -> tuple[str, str]:
    """Return what the names of both vendors' headers begin with; both empty where one has none."""
    theirs, ours = _prefix(upstream), _prefix(client)
    return (theirs, ours) if theirs and ours else ("", "")


def _prefix(dialect: str) -> str:
    return _PREFIXES.get(dialect.partition(".")[0], "")


def _name(prefix: str, subject: str, fact: str) -> str:
    order = (subject, fact) if prefix == _ANTHROPIC else (fact, subject)
    return prefix + "-".join(order)


def _as_they_are(headers: Mapping[str, str], prefix: str) -> dict[str, str]:
    told = [(name.lower(), value) for name, value in headers.items() if prefix in name.lower()]
    found = dict([one for one in told if one[0].startswith(prefix) and _NAME.fullmatch(one[0])])
    kept = [(name, value) for name, value in found.items() if _VALUE.fullmatch(value)]
    return dict(kept[:_MAX_HEADERS])


def _translated(value: str, fact: str, theirs: str, now: float) -> str:
    """Return a value in the other vendor's form; empty when it is none."""
    if fact != "reset":
        return value if _COUNT.fullmatch(value) else ""
    if theirs == _ANTHROPIC:
        seconds = _seconds_until(value, now)
        return "" if seconds is None else f"{math.ceil(seconds)}s"
    seconds = _seconds_of(value)
    if seconds is None:
        return ""
    return datetime.fromtimestamp(math.ceil(now + seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds_until(moment: str, now: float) -> float | None:
    try:
        at = datetime.fromisoformat(moment[:64])
    except ValueError:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return min(max(at.timestamp() - now, 0.0), _MAX_S)


def _seconds_of(span: str) -> float | None:
    """Read a span such as `6m0s` or `20ms`."""
    parts = _SPAN.findall(span[:64])
    if not parts or "".join(number + unit for number, unit in parts) != span:
        return None
    return min(sum(float(number) * _UNITS[unit] for number, unit in parts), _MAX_S)
