"""What OpenAI's models take and refuse, by their names."""

import re
from typing import Any

from tests.fakes.formats.base import need

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def reasons(model: str) -> bool | None:
    """Say whether the model reasons; None for a name of nobody's."""
    if re.match(r"o\d|gpt-[5-9](?!.*-chat)|codex-", model):
        return True
    return False if re.match(r"gpt-[34]|chatgpt-", model) else None


def check_effort(effort: object, model: str, name: str) -> None:
    """Refuse an effort that is none, or a model without efforts."""
    if effort is None:
        return
    need(effort in _EFFORTS, f"Invalid value: '{effort}'. Supported values are: {_EFFORTS}.")
    need(
        reasons(model) is not False,
        f"Unsupported parameter: '{name}' is not supported with this model.",
    )


def check_samplers(payload: dict[str, Any], model: str) -> None:
    """Refuse samplers at models that reason, and values out of range."""
    need(
        0 <= (payload.get("temperature") or 0) <= 2, "Invalid 'temperature': decimal above maximum"
    )
    need(0 <= (payload.get("top_p") or 0) <= 1, "Invalid 'top_p': decimal above maximum value")
    if not reasons(model):
        return
    for name in ("temperature", "top_p"):
        need(
            payload.get(name) in (None, 1),
            f"Unsupported value: '{name}' does not support {payload.get(name)} with this model. "
            "Only the default (1) value is supported.",
        )
    for name in ("presence_penalty", "frequency_penalty", "logprobs", "stop", "logit_bias"):
        need(
            not payload.get(name),
            f"Unsupported parameter: '{name}' is not supported with this model.",
        )
