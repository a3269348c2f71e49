"""Finish reasons of the Chat format, both directions."""

from collections.abc import Mapping, Sequence
from typing import Final

from dialects.finish import agreed
from models.chat import FinishReason
from models.content import Part, Refusal, ToolCall

NETWORK_ERROR: Final = "network_error"
"""GLM's word for a failure in an answer of status 200."""

_READ: Final[Mapping[str, FinishReason]] = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "sensitive": FinishReason.CONTENT_FILTER,
    "model_context_window_exceeded": FinishReason.CONTEXT_LENGTH,
}

_WRITTEN: Final[Mapping[FinishReason, str]] = {
    FinishReason.LENGTH: "length",
    FinishReason.CONTEXT_LENGTH: "length",
    FinishReason.TOOL_CALLS: "tool_calls",
    FinishReason.CONTENT_FILTER: "content_filter",
    FinishReason.REFUSAL: "content_filter",
}


def read_finish(word: str | None, parts: Sequence[type[Part]]) -> FinishReason:
    """Return the reason, corrected by which kinds of parts the answer has."""
    reason = FinishReason.STOP if not word else _READ.get(word, FinishReason.OTHER)
    reason = agreed(reason, has_calls=ToolCall in parts)
    if reason is FinishReason.STOP and Refusal in parts:
        return FinishReason.REFUSAL
    return reason


def write_finish(
    reason: FinishReason, *, is_legacy: bool, has_calls: bool, has_refusal: bool
) -> str:
    """Return the word for a reason; a refusal that has its own field stops as any answer."""
    reason = agreed(reason, has_calls=has_calls)
    if reason is FinishReason.TOOL_CALLS and is_legacy:
        return "function_call"
    if reason is FinishReason.REFUSAL and has_refusal:
        return "stop"
    return _WRITTEN.get(reason, "stop")
