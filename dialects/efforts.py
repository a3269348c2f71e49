"""How hard a model shall think, between vendors that count tokens and vendors that use words.

No vendor publishes such a table; this one is in wide use among gateways.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from models.chat import Effort, Thinking

BUDGETS: Mapping[Effort, int] = MappingProxyType(
    {
        "none": 0,
        "minimal": 512,
        "low": 1024,
        "medium": 8192,
        "high": 24576,
        "xhigh": 32768,
        "max": 128000,
    }
)
"""Tokens that stand for a word."""

_ORDER: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_UPPER_BOUNDS: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high")


def parse_effort(value: object) -> Effort | None:
    """Return `value` if it is a word of the scale."""
    if value is None:
        return None
    return next((effort for effort in _ORDER if effort == value), None)


def budget_for(effort: Effort) -> int:
    """Return the tokens that `effort` stands for."""
    return BUDGETS[effort]


def effort_for(budget_tokens: int) -> Effort | None:
    """Return the word for a budget; None for a negative one, which means "as you like"."""
    if budget_tokens < 0:
        return None
    for effort in _UPPER_BOUNDS:
        if budget_tokens <= BUDGETS[effort]:
            return effort
    return "xhigh"


def clamp(effort: Effort, accepted: Sequence[Effort]) -> Effort | None:
    """Return the nearest accepted word, the stronger of two equally near; None without any.

    Thinking that was asked for is never switched off: `none` answers only `none`.
    """
    if effort in accepted:
        return effort
    rank = _ORDER.index(effort)
    usable = [word for word in accepted if word != "none"]
    return min(
        usable,
        key=lambda word: (abs(_ORDER.index(word) - rank), -_ORDER.index(word)),
        default=None,
    )


def asked_effort(thinking: Thinking) -> Effort | None:
    """Return the word that a client's wish amounts to; None when it leaves it to the model."""
    match thinking.mode:
        case "off":
            return "none"
        case "effort":
            return thinking.effort
        case "budget" if thinking.effort is None and thinking.budget_tokens is not None:
            return effort_for(thinking.budget_tokens)
        case _:
            return thinking.effort
