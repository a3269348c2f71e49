"""Token counts of the Gemini format, where the prompt includes what was cached."""

from models.json_types import Json, JsonObject
from models.usage import NO_USAGE, Usage


def read_usage(payload: JsonObject) -> Usage:
    """Read `usageMetadata` of an answer or a chunk; never raises."""
    told = payload.get("usageMetadata")
    if not isinstance(told, dict):
        return NO_USAGE
    prompt, cached = count(told, "promptTokenCount"), count(told, "cachedContentTokenCount")
    thoughts, of_tools = count(told, "thoughtsTokenCount"), count(told, "toolUsePromptTokenCount")
    return Usage(
        None if prompt is None else max(0, prompt - (cached or 0)) + (of_tools or 0),
        _output(told, (prompt or 0) + (of_tools or 0), thoughts),
        cached,
        None,
        thoughts,
    )


def write_usage(usage: Usage) -> JsonObject:
    """Return `usageMetadata`."""
    output, thoughts = usage.output_tokens or 0, usage.reasoning_tokens or 0
    written: JsonObject = {"promptTokenCount": usage.prompt_tokens}
    if usage.cache_read_tokens:
        written["cachedContentTokenCount"] = usage.cache_read_tokens
    written["candidatesTokenCount"] = max(0, output - thoughts)
    if thoughts:
        written["thoughtsTokenCount"] = thoughts
    written["totalTokenCount"] = usage.prompt_tokens + max(output, thoughts)
    return written


def _output(told: JsonObject, prompt: int, thoughts: int | None) -> int | None:
    """Return all output, thoughts included; from the total where it is not told."""
    visible, total = count(told, "candidatesTokenCount"), count(told, "totalTokenCount")
    if visible is None and total is not None:
        visible = max(0, total - prompt - (thoughts or 0))
    if visible is None:
        return thoughts
    return visible + (thoughts or 0)


def count(told: JsonObject, key: str) -> int | None:
    """Return a count, be it written as a string; None for anything else."""
    value: Json = told.get(key)
    if type(value) is int:  # true and false are of a type of their own
        return value if 0 <= value < 2**53 else None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
        return int(value)
    return None
