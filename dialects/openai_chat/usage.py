"""Token counts of the Chat format: nested there, disjoint here."""

from models.json_types import Json, JsonObject
from models.usage import NO_USAGE, Usage


def read_usage(payload: JsonObject) -> Usage:
    """Return the usage of an answer or a chunk; never raises."""
    usage = payload.get("usage")
    if isinstance(usage, dict):
        return _read(usage)
    # Moonshot reports inside the choice.
    choices = payload.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        nested = choices[0].get("usage")
        if isinstance(nested, dict):
            return _read(nested)
    return NO_USAGE


def encode_usage(usage: Usage) -> JsonObject:
    """Write the usage object: input includes cached tokens, output includes reasoning."""
    output_tokens = usage.output_tokens or 0
    written: JsonObject = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": usage.prompt_tokens + output_tokens,
    }
    if usage.cache_read_tokens is not None:
        written["prompt_tokens_details"] = {"cached_tokens": usage.cache_read_tokens}
    if usage.reasoning_tokens is not None:
        written["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return written


def _read(usage: JsonObject) -> Usage:
    prompt = count(usage.get("prompt_tokens"))
    output = count(usage.get("completion_tokens"))
    if output is None and prompt is not None:
        total = count(usage.get("total_tokens"))
        output = None if total is None else max(total - prompt, 0)
    cached = written = reasoning = None
    if isinstance(details := usage.get("prompt_tokens_details"), dict):
        cached = count(details.get("cached_tokens"))
        written = count(details.get("cache_write_tokens"))
    if cached is None:  # DeepSeek and Moonshot have names of their own
        cached = count(usage.get("prompt_cache_hit_tokens", usage.get("cached_tokens")))
    if isinstance(details := usage.get("completion_tokens_details"), dict):
        reasoning = count(details.get("reasoning_tokens"))
    return disjoint(prompt, output, cached, written, reasoning)


def disjoint(
    prompt: int | None,
    output: int | None,
    cached: int | None,
    written: int | None,
    reasoning: int | None,
) -> Usage:
    """Return counts of which the prompt includes those of caches, as OpenAI's formats have it."""
    if prompt is not None and (cached or written):
        prompt = max(prompt - (cached or 0) - (written or 0), 0)
    return Usage(prompt, output, cached, written, reasoning)


def details_of(usage: JsonObject, key: str) -> JsonObject:
    """Return the counts that are nested under a key; none of them where there are none."""
    details = usage.get(key)
    return details if isinstance(details, dict) else {}


def count(value: Json) -> int | None:
    """Return a plausible count: it must fit the columns that sum it up."""
    if type(value) is int:  # true and false are of a type of their own
        return value if 0 <= value < 2**53 else None
    return count(int(value)) if isinstance(value, float) and value.is_integer() else None
