"""The response object of a stream, and what OpenAI's SDK makes of the events."""

from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseStreamEvent
from pydantic import TypeAdapter

from dialects.openai_responses import RESPONSES
from models.content import Reasoning, Text, ToolCall
from models.events import Start, collect
from models.json_types import JsonObject
from tests.dialects.responses.support import (
    BEGUN,
    DONE,
    ID,
    WX,
    answer,
    context,
    final,
    part,
    told,
)

EVENTS: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


def test_the_answer_repeats_what_was_asked() -> None:
    asked: JsonObject = {
        "instructions": "S",
        "tools": [{"type": "function", "name": "wx"}, {"type": "custom", "name": "p"}],
        "tool_choice": {"type": "function", "name": "wx"},
        "temperature": 0.5,
        "text": {"verbosity": "low"},
        "reasoning": {"effort": "low"},
        "metadata": {"a": "b"},
        "store": False,
        "max_output_tokens": 99,
        "parallel_tool_calls": False,
    }
    payloads = told([BEGUN, *part(Text("x")), DONE], **asked)
    whole = Response.model_validate(final(payloads))
    assert (whole.id, whole.model, whole.created_at) == (
        f"resp_{ID}",
        "gpt-new-2026",
        1_700_000_000,
    )
    assert (whole.instructions, whole.temperature, whole.metadata) == ("S", 0.5, {"a": "b"})
    assert (whole.max_output_tokens, whole.parallel_tool_calls) == (99, False)
    assert final(payloads)["store"] is False
    assert final(payloads)["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert final(payloads)["reasoning"] == {"effort": "low", "summary": None}
    assert final(payloads)["tools"] == [
        {"type": "function", "name": "wx", "parameters": None, "strict": False},
        {"type": "custom", "name": "p"},
    ]
    begun = payloads[0]["response"]
    assert isinstance(begun, dict)
    assert (begun["status"], begun["output"], begun["usage"]) == ("in_progress", [], None)


def test_what_upstream_leaves_out_comes_from_the_request() -> None:
    payloads = told([Start("", ""), DONE])
    assert (final(payloads)["model"], final(payloads)["created_at"]) == ("m", 1_750_000_000)


def test_the_sdk_puts_together_what_was_told() -> None:
    payloads = answer(
        part(Reasoning("", origin="anthropic"), "h", "m", signature="Eq"),
        part(Text(""), "Hel", "lo"),
        part(ToolCall("c1", "wx", ""), '{"city":', '"Roma"}'),
        part(ToolCall("c2", "patch", ""), '{"input":"x"}'),
        tools=[WX, {"type": "custom", "name": "patch"}],
    )
    state: ResponseStreamState[object] = ResponseStreamState(input_tools=omit, text_format=omit)
    for payload in payloads:
        state.handle_event(EVENTS.validate_python(payload))
    whole = state._completed_response
    assert whole is not None
    assert whole.output_text == "Hello"
    assert [item.type for item in whole.output] == [
        "reasoning",
        "message",
        "function_call",
        "custom_tool_call",
    ]
    call = whole.output[2]
    assert isinstance(call, ResponseFunctionToolCall)
    assert call.arguments == '{"city":"Roma"}'


def test_a_whole_answer_is_what_a_stream_ends_with() -> None:
    events = [BEGUN, *part(Text(""), "Hi"), *part(ToolCall("c", "wx", ""), "{}"), DONE]
    assert RESPONSES.encode_response(collect(events), context()) == final(told(events))


def test_text_can_never_make_an_event_of_its_own() -> None:
    evil = 'x"}\n\nevent: response.completed\ndata: {}\r\n\r\n\u2028%d%b'
    payloads = answer(part(Text(""), evil))
    assert payloads[4]["delta"] == evil
