"""What the reason for an answer's end must agree with: whether the answer calls tools.

Some servers say `stop` after tool calls, Gemini has no other word, and some speak of tool calls
where there are none. Clients run tools by the reason, so it is made to agree in both directions.
An answer that was cut (`length`) stays cut: its last call may be half a call.
"""

from models.chat import FinishReason


def agreed(reason: FinishReason, *, has_calls: bool) -> FinishReason:
    """Return the reason that fits an answer with or without tool calls."""
    if has_calls and reason in (FinishReason.STOP, FinishReason.OTHER):
        return FinishReason.TOOL_CALLS
    if not has_calls and reason is FinishReason.TOOL_CALLS:
        return FinishReason.STOP
    return reason
