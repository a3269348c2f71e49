"""Why the model stopped, in the words of the Gemini format. It has none for tool calls."""

from collections.abc import Mapping
from typing import Final

from dialects.finish import agreed
from models.chat import FinishReason

UNSIGNED: Final = "MISSING_THOUGHT_SIGNATURE"
"""The request was wrong, and the answer is none."""
_READ: Final[Mapping[str, FinishReason]] = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "CONTINUATION": FinishReason.PAUSE,
    **dict.fromkeys(
        (
            "BLOCKLIST",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "IMAGE_SAFETY",
            "MODEL_ARMOR",
            "PROHIBITED_CONTENT",
            "RECITATION",
            "SAFETY",
            "SPII",
        ),
        FinishReason.CONTENT_FILTER,
    ),
    **dict.fromkeys(
        (
            "MALFORMED_FUNCTION_CALL",
            "MALFORMED_RESPONSE",
            "TOO_MANY_TOOL_CALLS",
            "UNEXPECTED_TOOL_CALL",
        ),
        FinishReason.MALFORMED,
    ),
}
_WRITTEN: Final[Mapping[FinishReason, str]] = {
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.CONTEXT_LENGTH: "MAX_TOKENS",
    FinishReason.CONTENT_FILTER: "SAFETY",
    FinishReason.REFUSAL: "SAFETY",
    FinishReason.MALFORMED: "MALFORMED_FUNCTION_CALL",
    FinishReason.OTHER: "OTHER",
}


def read_finish(reason: str, *, has_calls: bool) -> FinishReason:
    """Return the reason, made to agree with whether tools were called."""
    return agreed(_READ.get(reason, FinishReason.OTHER), has_calls=has_calls)


def write_finish(reason: FinishReason, *, has_calls: bool, is_malformed: bool) -> str:
    """Return `finishReason`; `is_malformed`: a call's arguments were no JSON, so it is missing."""
    reason = agreed(reason, has_calls=has_calls)
    if is_malformed and reason is not FinishReason.LENGTH:
        reason = FinishReason.MALFORMED
    return _WRITTEN.get(reason, "STOP")
