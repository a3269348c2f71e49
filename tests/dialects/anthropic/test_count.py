"""Counting the tokens of a Messages request."""

from dataclasses import replace

import orjson
import pytest

from dialects.anthropic import MESSAGES, MESSAGES_COUNT
from dialects.base import Operation
from models.chat import ChatResponse, FinishReason, Sampling
from models.errors import BadRequest, UpstreamError
from models.json_types import JsonObject
from models.profile import Profile
from models.usage import NO_USAGE, Usage
from tests.dialects.anthropic.support import ADAPTIVE, MANUAL, context

HI: JsonObject = {"role": "user", "content": "Hi"}
BODY: JsonObject = {"model": "claude-x", "messages": [HI]}
TOOL: JsonObject = {"name": "f", "input_schema": {"type": "object", "properties": {}}}


def test_where_it_stands() -> None:
    assert MESSAGES_COUNT.operation is Operation.COUNT
    assert MESSAGES_COUNT.paths == ("/v1/messages/count_tokens",)
    assert MESSAGES_COUNT.upstream_path("m", stream=False) == "/v1/messages/count_tokens"
    assert MESSAGES_COUNT.forwarded_headers == MESSAGES.forwarded_headers


def test_nothing_is_ever_streamed() -> None:
    body = {**BODY, "stream": True}
    asked = MESSAGES_COUNT.inspect(orjson.dumps(body), body)
    assert (asked.model, asked.stream) == ("claude-x", False)


@pytest.mark.parametrize("body", [b'{"messages":[]}', b'{"model":"m"}', b'{"model":"m","model":1}'])
def test_what_cannot_be_counted_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        MESSAGES_COUNT.inspect(body, orjson.loads(body))


def test_the_raw_way_changes_nothing_but_the_models_name() -> None:
    body = orjson.dumps({"odd": 1, **BODY})
    assert MESSAGES_COUNT.prepare_raw(body, BODY, "claude-x", ask_usage=True) == (body, False)
    prepared, _ = MESSAGES_COUNT.prepare_raw(body, BODY, "other", ask_usage=True)
    assert prepared == body.replace(b"claude-x", b"other")


@pytest.mark.parametrize("profile", [ADAPTIVE, MANUAL], ids=lambda profile: profile.model)
def test_only_what_is_counted_is_sent(profile: Profile) -> None:
    wanted = MESSAGES_COUNT.decode_request(
        {
            **BODY,
            "system": "S",
            "tools": [TOOL],
            "tool_choice": {"type": "auto"},
            "max_tokens": 9,
            "stop_sequences": ["END"],
            "temperature": 0.5,
            "top_k": 3,
            "stream": True,
            "metadata": {"user_id": "u"},
            "service_tier": "auto",
        }
    )
    encoded = MESSAGES_COUNT.encode_request(wanted, profile)
    assert encoded.payload == {
        "model": profile.model,
        "system": "S",
        "messages": [HI],
        "tools": [TOOL],
        "tool_choice": {"type": "auto"},
    }
    assert (encoded.dropped, encoded.stops) == ((), ())


def test_thinking_is_counted() -> None:
    wanted = MESSAGES_COUNT.decode_request({**BODY, "thinking": {"type": "adaptive"}})
    payload = MESSAGES_COUNT.encode_request(wanted, ADAPTIVE).payload
    assert payload["thinking"] == {"type": "adaptive"}
    assert "max_tokens" not in payload


def test_knobs_of_the_answer_cannot_keep_a_request_from_being_counted() -> None:
    wanted = MESSAGES_COUNT.decode_request(BODY)
    asked = replace(wanted, sampling=Sampling(n=4, seed=1), stop=("x",) * 9)
    assert MESSAGES_COUNT.encode_request(asked, MANUAL).dropped == ()


def test_an_answer_is_one_number_both_ways() -> None:
    counted = MESSAGES_COUNT.decode_response({"input_tokens": 2095})
    assert counted.usage == Usage(input_tokens=2095)
    assert MESSAGES_COUNT.encode_response(counted, context()) == {"input_tokens": 2095}


def test_what_a_cache_holds_is_counted_too() -> None:
    usage = Usage(input_tokens=5, cache_read_tokens=7)
    answer = ChatResponse("", "", 0, (), FinishReason.STOP, usage=usage)
    assert MESSAGES_COUNT.encode_response(answer, context()) == {"input_tokens": 12}


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"input_tokens": "9"},
        {"input_tokens": True},
        {"type": "error", "error": {"message": "x"}},
    ],
)
def test_another_answer_is_an_error(payload: JsonObject) -> None:
    with pytest.raises(UpstreamError):
        MESSAGES_COUNT.decode_response(payload)


def test_a_count_uses_nothing_up() -> None:
    assert MESSAGES_COUNT.read_usage({"input_tokens": 9}) == NO_USAGE
