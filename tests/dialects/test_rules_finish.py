"""Why an answer ended: every reason, told to every client, whole and streamed."""

import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.openai_chat import CHAT
from models.chat import ChatResponse, FinishReason
from models.content import Part, Refusal, Text, ToolCall
from models.events import replay
from models.json_types import Json, JsonObject
from tests.dialects.test_rules_response import context
from tests.dialects.test_rules_stream import encoded, payloads

CALL = ToolCall("c", "f", "{}")
CUT = ToolCall("c", "f", '{"a":')
SAID = Text("x")


def told(client: Dialect, reason: FinishReason, *parts: Part, **fields: Json) -> JsonObject:
    """Return what a client is told of the end; the stream must tell the same as the whole."""
    answer = ChatResponse("u", "m", 1, parts, reason)
    whole = client.encode_response(answer, context(client, **fields))
    raw = encoded(client, list(replay(answer)), context(client, **fields))
    ends = [end for payload in payloads(raw) if (end := _end(client, payload)) is not None]
    assert ends == [_end(client, whole)]
    return ends[0]


def _end(client: Dialect, payload: JsonObject) -> JsonObject | None:
    holder: Json = payload
    if client is MESSAGES:
        holder = payload.get("delta", payload)
    elif isinstance(choices := payload["choices"], list):
        holder = choices[0] if choices else None
    if not isinstance(holder, dict):
        return None
    keys = ("stop_reason", "stop_details", "finish_reason")
    end = {key: holder[key] for key in keys if holder.get(key) is not None}
    return end or None


REFUSED: JsonObject = {
    "stop_reason": "refusal",
    "stop_details": {"type": "refusal", "category": None, "explanation": None},
}


@pytest.mark.parametrize(
    ("reason", "messages", "chat"),
    [
        (FinishReason.STOP, "end_turn", "stop"),
        (FinishReason.STOP_SEQUENCE, "end_turn", "stop"),
        (FinishReason.LENGTH, "max_tokens", "length"),
        (FinishReason.CONTEXT_LENGTH, "model_context_window_exceeded", "length"),
        (FinishReason.TOOL_CALLS, "end_turn", "stop"),
        (FinishReason.PAUSE, "pause_turn", "stop"),
        (FinishReason.MALFORMED, "end_turn", "stop"),
        (FinishReason.OTHER, "end_turn", "stop"),
    ],
)
def test_the_end_of_an_answer_without_calls(reason: FinishReason, messages: str, chat: str) -> None:
    assert told(MESSAGES, reason, SAID) == {"stop_reason": messages}
    assert told(CHAT, reason, SAID) == {"finish_reason": chat}


@pytest.mark.parametrize(
    ("reason", "messages", "chat"),
    [
        (FinishReason.STOP, "tool_use", "tool_calls"),
        (FinishReason.TOOL_CALLS, "tool_use", "tool_calls"),
        (FinishReason.OTHER, "tool_use", "tool_calls"),
        (FinishReason.LENGTH, "max_tokens", "length"),
        (FinishReason.CONTEXT_LENGTH, "model_context_window_exceeded", "length"),
        (FinishReason.MALFORMED, "end_turn", "stop"),
    ],
)
def test_the_end_of_an_answer_with_calls(reason: FinishReason, messages: str, chat: str) -> None:
    call = CUT if reason is FinishReason.LENGTH else CALL
    assert told(MESSAGES, reason, SAID, call) == {"stop_reason": messages}
    assert told(CHAT, reason, SAID, call) == {"finish_reason": chat}


@pytest.mark.parametrize("reason", [FinishReason.CONTENT_FILTER, FinishReason.REFUSAL])
def test_an_answer_that_was_withheld(reason: FinishReason) -> None:
    assert told(MESSAGES, reason) == REFUSED
    assert told(CHAT, reason) == {"finish_reason": "content_filter"}


def test_a_refusal_in_words() -> None:
    details = {"type": "refusal", "category": None, "explanation": "No."}
    assert told(MESSAGES, FinishReason.REFUSAL, Refusal("No.")) == {
        "stop_reason": "refusal",
        "stop_details": details,
    }
    # The field of its own says it.
    assert told(CHAT, FinishReason.REFUSAL, Refusal("No.")) == {"finish_reason": "stop"}


def test_a_legacy_client_of_functions() -> None:
    functions: JsonObject = {"functions": [{"name": "f"}]}
    reason = FinishReason.STOP
    assert told(CHAT, reason, CALL, **functions) == {"finish_reason": "function_call"}
    assert told(CHAT, reason, SAID, **functions) == {"finish_reason": "stop"}
