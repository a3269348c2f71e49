"""Counting the tokens of a Responses request."""

import pytest

from dialects.base import Operation
from dialects.fields import dumps
from dialects.openai_responses import RESPONSES_COUNT
from models.chat import ChatResponse, FinishReason
from models.content import Message, Text
from models.errors import BadRequest, UpstreamError
from models.json_types import JsonObject
from models.usage import Usage
from tests.dialects.responses.support import REASONING, USER, WX, context, request

COUNTED = ChatResponse("", "", 0, (), FinishReason.STOP, usage=Usage(input_tokens=11))


def test_where_it_is() -> None:
    assert RESPONSES_COUNT.operation is Operation.COUNT
    assert RESPONSES_COUNT.paths == ("/v1/responses/input_tokens",)
    assert RESPONSES_COUNT.upstream_path("m", stream=False) == "/responses/input_tokens"


@pytest.mark.parametrize("fields", [{}, {"input": None}, {"stream": True, "background": True}])
def test_a_count_is_never_a_stream(fields: JsonObject) -> None:
    payload = request(**fields)
    inspected = RESPONSES_COUNT.inspect(dumps(payload), payload)
    assert (inspected.model, inspected.stream) == ("m", False)


def test_a_count_needs_a_model() -> None:
    with pytest.raises(BadRequest):
        RESPONSES_COUNT.inspect(b'{"input":"x"}', {"input": "x"})


def test_input_may_be_left_out() -> None:
    found = RESPONSES_COUNT.decode_request({"model": "m", "instructions": "S"})
    assert (found.system, found.messages) == ((Text("S"),), ())


def test_what_only_steers_an_answer_is_left_out() -> None:
    wanted = RESPONSES_COUNT.decode_request(
        request(
            USER,
            instructions="S",
            tools=[WX],
            tool_choice="auto",
            stream=True,
            max_output_tokens=5,
            temperature=0.5,
            reasoning={"effort": "low", "summary": "auto"},
            user="u",
            text={"format": {"type": "json_object"}},
        )
    )
    assert wanted.messages == (Message("user", (Text("Hi"),)),)
    encoded = RESPONSES_COUNT.encode_request(wanted, REASONING)
    assert encoded.payload == {
        "model": "gpt-new",
        "instructions": "S",
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
        ],
        "reasoning": {"effort": "low", "summary": "auto"},
        "tools": [WX],
        "tool_choice": "auto",
        "text": {"format": {"type": "json_object"}},
    }
    assert (encoded.dropped, encoded.stops) == ((), ())


def test_the_answer_is_one_number_both_ways() -> None:
    payload: JsonObject = {"object": "response.input_tokens", "input_tokens": 11}
    assert RESPONSES_COUNT.decode_response(payload) == COUNTED
    assert RESPONSES_COUNT.encode_response(COUNTED, context()) == payload
    assert RESPONSES_COUNT.read_usage(payload) == Usage(input_tokens=11)


@pytest.mark.parametrize("payload", [{}, {"input_tokens": "11"}, {"input_tokens": -1}])
def test_what_is_no_count_is_an_error(payload: JsonObject) -> None:
    with pytest.raises(UpstreamError):
        RESPONSES_COUNT.decode_response(payload)
