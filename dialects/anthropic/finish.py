"""Why the model stopped, in the words of the Messages format."""

from collections.abc import Mapping
from typing import Final

from dialects.finish import agreed
from models.chat import FinishReason
from models.json_types import Json, JsonObject

_READ: Final[Mapping[str, FinishReason]] = {
    "end_turn": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "tool_use": FinishReason.TOOL_CALLS,
    "pause_turn": FinishReason.PAUSE,
    "refusal": FinishReason.REFUSAL,
    "model_context_window_exceeded": FinishReason.CONTEXT_LENGTH,
}
_WRITTEN: Final[Mapping[FinishReason, str]] = {
    FinishReason.STOP: "end_turn",
    FinishReason.STOP_SEQUENCE: "stop_sequence",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.CONTEXT_LENGTH: "model_context_window_exceeded",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
    FinishReason.REFUSAL: "refusal",
    FinishReason.PAUSE: "pause_turn",
    FinishReason.MALFORMED: "end_turn",
    FinishReason.OTHER: "end_turn",
}


def read_finish(stop_reason: Json, *, has_calls: bool) -> FinishReason:
    """Return the reason, made to agree with whether tools were called."""
    known = isinstance(stop_reason, str) and stop_reason in _READ
    reason = _READ[str(stop_reason)] if known else FinishReason.OTHER
    return agreed(reason, has_calls=has_calls)


def write_finish(
    reason: FinishReason, stop_sequence: str | None, refusal: str | None, *, has_calls: bool
) -> JsonObject:
    """Return `stop_reason`, `stop_sequence` and, for a refusal, `stop_details`."""
    reason = agreed(reason, has_calls=has_calls)
    if reason is FinishReason.STOP_SEQUENCE and stop_sequence is None:
        reason = FinishReason.STOP
    written: JsonObject = {
        "stop_reason": _WRITTEN[reason],
        "stop_sequence": stop_sequence if reason is FinishReason.STOP_SEQUENCE else None,
    }
    if _WRITTEN[reason] == "refusal":
        written["stop_details"] = {"type": "refusal", "category": None, "explanation": refusal}
    return written
