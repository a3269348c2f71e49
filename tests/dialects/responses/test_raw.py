"""The raw path of the Responses format: what is checked, spliced and seen."""

from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.fields import dumps, parse_object
from dialects.openai_responses import RESPONSES
from dialects.spelling import spelled
from models.errors import BadRequest, ErrorKind
from models.json_types import JsonObject
from models.usage import Usage
from services.relay import RawRelay
from tests.dialects.responses.support import (
    COMPLETED,
    CREATED,
    USER,
    event,
    frames,
    message,
    request,
    response,
)

QUOTED = '"type":"response.output_text.delta"'
USAGE: JsonObject = {"input_tokens": 9, "output_tokens": 7}
STREAM = frames(
    CREATED,
    event("output_item.added", output_index=0, item=message()),
    event("output_text.delta", output_index=0, content_index=0, delta='"type":"error" [DONE]'),
    event("completed", response=response(usage=USAGE)),
)


@pytest.mark.parametrize(
    ("fields", "stream"),
    [
        ({}, False),
        ({"stream": True}, True),
        ({"stream": None, "input": []}, False),
        ({"input": None, "previous_response_id": "resp_1"}, False),
        ({"input": None, "prompt": {"id": "p"}}, False),
        ({"background": False, "store": True}, False),
    ],
)
def test_what_is_routed_is_read(fields: JsonObject, stream: bool) -> None:
    payload = request(**fields)
    inspected = RESPONSES.inspect(dumps(payload), payload)
    assert (inspected.model, inspected.stream) == ("m", stream)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"stream": 1}, "stream"),
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"max_output_tokens": "9"}, "max_output_tokens"),
        ({"store": "no"}, "store"),
        ({"previous_response_id": 5}, "previous_response_id"),
        ({"background": True}, "background"),
    ],
)
def test_what_cannot_be_routed_is_refused(fields: JsonObject, path: str) -> None:
    payload = request(**fields)
    with pytest.raises(BadRequest) as caught:
        RESPONSES.inspect(dumps(payload), payload)
    assert caught.value.path == path


@pytest.mark.parametrize("key", ["model", "stream", "input", "store", "previous_response_id"])
def test_what_counts_must_be_said_once(key: str) -> None:
    payload = request(stream=True, store=False, previous_response_id="r")
    body = dumps(payload)[:-1] + b',"%b":%b}' % (key.encode(), dumps(payload[key]))
    with pytest.raises(BadRequest) as caught:
        RESPONSES.inspect(body, parse_object(body))
    assert caught.value.path == key


def test_only_the_model_is_spliced() -> None:
    body = b'{"input" : "Hi", "model": "alias" ,"stream":true, "n": 1.50}'
    payload = parse_object(body)
    spliced, asked = RESPONSES.prepare_raw(body, payload, "gpt-5", ask_usage=True)
    assert spliced == b'{"input" : "Hi", "model": "gpt-5" ,"stream":true, "n": 1.50}'
    assert not asked
    same, _ = RESPONSES.prepare_raw(body, payload, "alias", ask_usage=True)
    assert same is body


# --- a look at the stream ---------------------------------------------------------------------


def relayed(*pieces: bytes) -> tuple[RawRelay, bytes]:
    relay = RawRelay(RESPONSES, RESPONSES.sniffer(hide_usage=True), "rid")
    sent = b"".join([relay.feed(piece) for piece in pieces])
    return relay, sent if relay.ended else sent + relay.finish()


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_a_stream_passes_untouched_however_it_is_cut(places: list[int]) -> None:
    cuts = sorted({0, len(STREAM), *places})
    relay, sent = relayed(*[STREAM[start:end] for start, end in pairwise(cuts)])
    assert sent == STREAM
    assert (relay.started, relay.ended, relay.error) == (True, True, None)
    assert relay.usage == Usage(9, 7)


@pytest.mark.parametrize(
    ("told", "started"),
    [
        (CREATED, False),
        (
            event("queued", response=response(instructions='"type":"response.output_text.delta"')),
            False,
        ),
        (event("output_item.added", output_index=0, item=message()), True),
        (event("output_text.delta", delta="x"), True),
        (event("reasoning_summary_text.delta", delta="x"), True),
    ],
)
def test_content_begins_with_the_first_item(told: JsonObject, started: bool) -> None:
    sniffer = RESPONSES.sniffer(hide_usage=False)
    raw = frames(told)
    assert sniffer.feed(raw) is raw
    assert sniffer.started is started
    assert not sniffer.ended


@pytest.mark.parametrize("status", ["completed", "incomplete"])
def test_the_end_is_seen(status: str) -> None:
    sniffer = RESPONSES.sniffer(hide_usage=False)
    sniffer.feed(frames(event(status, response=response(usage=USAGE))))
    assert (sniffer.ended, sniffer.finished, sniffer.error) == (True, True, None)
    assert sniffer.usage == Usage(9, 7)


@pytest.mark.parametrize(
    "told",
    [
        {"type": "error", "code": "rate_limit_exceeded", "message": "slow"},
        {"error": {"code": "rate_limit_exceeded", "message": "slow"}},
        event(
            "failed",
            response=response(
                status="failed", error={"code": "rate_limit_exceeded", "message": "slow"}
            ),
        ),
    ],
)
def test_errors_are_seen(told: JsonObject) -> None:
    sniffer = RESPONSES.sniffer(hide_usage=False)
    data = orjson.dumps(told)
    sniffer.feed(b"data: %b\n\n" % data)
    assert sniffer.error is not None
    assert (sniffer.error.kind, sniffer.error.upstream_body) == (ErrorKind.RATE_LIMIT, data)
    assert not sniffer.started


def test_a_type_that_is_no_word_means_nothing() -> None:
    sniffer = RESPONSES.sniffer(hide_usage=False)
    sniffer.feed(b'data: {"type":{},"x":"response.completed"}\n\n')
    assert (sniffer.ended, sniffer.error) == (False, None)


def test_a_stream_without_its_end_is_told_to_have_failed() -> None:
    cut = STREAM[: STREAM.index(b"event: response.completed")]
    relay, sent = relayed(cut)
    assert sent.startswith(cut)
    assert b"event: error\n" in sent
    assert relay.error is not None
    assert relay.error.kind is ErrorKind.TRUNCATED


def test_facts_of_the_format() -> None:
    assert RESPONSES.paths == ("/v1/responses",)
    assert RESPONSES.upstream_path("m", stream=True) == "/responses"
    payload = request(USER, user="u", max_output_tokens=5)
    dropped = ("max_tokens", "user", "thinking", "x")
    assert spelled(dropped, payload, RESPONSES.spellings) == (
        "max_output_tokens",
        "user",
        "reasoning.effort",
        "x",
    )
    assert COMPLETED["type"] == "response.completed"
