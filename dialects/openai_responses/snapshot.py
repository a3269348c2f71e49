"""The response object, which every answer and the first and last events of a stream hold."""

from typing import Final

from dialects.base import ReplyContext
from dialects.openai_responses.usage import write_usage
from models.chat import FinishReason
from models.errors import ErrorKind, GatewayError, UpstreamError
from models.events import Start
from models.json_types import Json, JsonObject
from models.usage import NO_USAGE, Usage

_DEFAULTS: Final[JsonObject] = {
    "background": False,
    "completed_at": None,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}
_NESTED: Final = ("reasoning", "text")
_LENGTHS: Final = (FinishReason.LENGTH, FinishReason.CONTEXT_LENGTH)


class Snapshot:
    """What does not change while an answer is told, and its states."""

    def __init__(self, context: ReplyContext, start: Start) -> None:
        self._fixed: JsonObject = {
            "id": f"resp_{context.reply_id}",
            "object": "response",
            "created_at": start.created or context.created,
            "status": "in_progress",
            **_DEFAULTS,
            **_echo(context.request.echo),
            "model": start.model or context.request.model,
        }

    def begun(self) -> JsonObject:
        """Return the object while the answer is in progress."""
        return {**self._fixed, "output": [], "usage": None}

    def finished(
        self, reason: FinishReason, output: list[Json], usage: Usage, *, has_refusal: bool
    ) -> JsonObject:
        """Return the object of an answer that ended for `reason`."""
        told = self._ended("completed", output, usage)
        why = incomplete_reason(reason, has_refusal=has_refusal)
        if why is not None:
            told.update({"status": "incomplete", "incomplete_details": {"reason": why}})
        return told

    def failed(self, error: JsonObject, output: list[Json], usage: Usage = NO_USAGE) -> JsonObject:
        """Return the object of an answer that broke off."""
        return {**self._ended("failed", output, usage), "error": error}

    def _ended(self, status: str, output: list[Json], usage: Usage) -> JsonObject:
        return {**self._fixed, "status": status, "output": output, "usage": write_usage(usage)}


def incomplete_reason(reason: FinishReason, *, has_refusal: bool) -> str | None:
    """Return why an answer is incomplete; None for one that is not."""
    if reason in _LENGTHS:
        return "max_output_tokens"
    is_blocked = reason is FinishReason.REFUSAL and not has_refusal
    return "content_filter" if is_blocked or reason is FinishReason.CONTENT_FILTER else None


def malformed(reason: FinishReason) -> GatewayError | None:
    """Return the failure that a reason amounts to: an answer nobody can use."""
    if reason is not FinishReason.MALFORMED:
        return None
    return UpstreamError("the model's answer is malformed", kind=ErrorKind.UPSTREAM)


def _echo(given: JsonObject) -> JsonObject:
    echoed = dict(given)
    for key in _NESTED:
        default, said = _DEFAULTS[key], given.get(key)
        if isinstance(default, dict) and isinstance(said, dict):
            echoed[key] = {**default, **said}
    tools = given.get("tools")
    if isinstance(tools, list):
        echoed["tools"] = [_whole_tool(tool) for tool in tools]
    return echoed


def _whole_tool(tool: Json) -> Json:
    """Return a function with the keys that clients demand."""
    if not isinstance(tool, dict) or tool.get("type") != "function":
        return tool
    return {**tool, "parameters": tool.get("parameters"), "strict": tool.get("strict", False)}
