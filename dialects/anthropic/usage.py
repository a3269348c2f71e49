"""Token counts of the Messages format. `input_tokens` there excludes cached ones, as here."""

from typing import Final

from models.json_types import Json, JsonObject
from models.usage import NO_USAGE, Usage

_PER_AGE: Final = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")


def read_usage(usage: Json) -> Usage:
    """Read a `usage` object; never raises, and what is not a count is not reported."""
    if not isinstance(usage, dict):
        return NO_USAGE
    details = usage.get("output_tokens_details")
    return Usage(
        _count(usage.get("input_tokens")),
        _count(usage.get("output_tokens")),
        _count(usage.get("cache_read_input_tokens")),
        _cache_writes(usage),
        _count(details.get("thinking_tokens")) if isinstance(details, dict) else None,
    )


def write_usage(usage: Usage) -> JsonObject:
    """Return a `usage` object; clients demand the counts, so zero stands for "not reported"."""
    written: JsonObject = {
        "input_tokens": usage.input_tokens or 0,
        "cache_creation_input_tokens": usage.cache_write_tokens or 0,
        "cache_read_input_tokens": usage.cache_read_tokens or 0,
        "output_tokens": usage.output_tokens or 0,
    }
    if usage.reasoning_tokens is not None:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return written


def _cache_writes(usage: JsonObject) -> int | None:
    total = _count(usage.get("cache_creation_input_tokens"))
    split = usage.get("cache_creation")
    if total is not None or not isinstance(split, dict):
        return total
    counts = [count for key in _PER_AGE if (count := _count(split.get(key))) is not None]
    return sum(counts) if counts else None


def _count(value: Json) -> int | None:
    # By its type: true and false are integers, too.
    return value if type(value) is int and 0 <= value < 2**53 else None
