"""Token counts of the Responses format: nested there, disjoint here."""

from dialects.openai_chat.usage import count, details_of, disjoint
from models.json_types import JsonObject
from models.usage import NO_USAGE, Usage


def read_usage(payload: JsonObject) -> Usage:
    """Return the usage of a response object; never raises."""
    usage = payload.get("usage")
    if not isinstance(usage, dict):
        return NO_USAGE
    given, output = count(usage.get("input_tokens")), count(usage.get("output_tokens"))
    details = details_of(usage, "input_tokens_details")
    cached, written = count(details.get("cached_tokens")), count(details.get("cache_write_tokens"))
    reasoning = details_of(usage, "output_tokens_details").get("reasoning_tokens")
    return disjoint(given, output, cached, written, count(reasoning))


def write_usage(usage: Usage) -> JsonObject | None:
    """Write the usage object, whose every count clients demand; None when none was reported."""
    if not usage.is_reported:
        return None
    output_tokens = usage.output_tokens or 0
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.prompt_tokens + output_tokens,
    }
