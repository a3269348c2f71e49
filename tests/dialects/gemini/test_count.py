"""Counting tokens in the Gemini format."""

import pytest
from google.genai import types

from dialects.base import Inspected
from dialects.estimate import estimated_tokens
from dialects.fields import dumps, parse_object
from dialects.gemini import GEMINI, GEMINI_COUNT
from models.chat import ChatResponse, FinishReason, OutputFormat, Sampling, Thinking, Tool
from models.content import Text
from models.errors import BadRequest, ErrorKind, UpstreamError
from models.json_types import JsonObject
from models.usage import Usage
from tests.dialects.gemini.support import CLAUDE, NEW, asked, content, context, fits_google, request

ADDRESS = {"model": "mine", "method": "countTokens"}
WHOLE: JsonObject = {
    "generateContentRequest": {
        "model": "models/mine",
        **request(systemInstruction={"parts": [{"text": "S"}]}),
    }
}


@pytest.mark.parametrize(
    "payload", [request(), WHOLE, {"generate_content_request": WHOLE["generateContentRequest"]}]
)
def test_both_forms_are_read(payload: JsonObject) -> None:
    assert GEMINI_COUNT.inspect(dumps(payload), payload, ADDRESS) == Inspected("mine", False)
    told = GEMINI_COUNT.decode_request(payload)
    assert told.messages == GEMINI.decode_request(request()).messages
    assert bool(told.system) is (payload != request())
    assert estimated_tokens(told) > 0


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"generateContentRequest": {**request(), "model": [[]]}}, "generateContentRequest.model"),
        ({}, "contents"),
        ({"generateContentRequest": {}}, "generateContentRequest.contents"),
        ({"generateContentRequest": []}, "generateContentRequest"),
        ({**WHOLE, **request()}, "generateContentRequest"),
        ({**WHOLE, "generate_content_request": {}}, "generateContentRequest"),
    ],
)
def test_wrong_forms_are_refused(payload: JsonObject, path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        GEMINI_COUNT.inspect(dumps(payload), payload, ADDRESS)
    assert caught.value.path == path


def test_a_form_given_twice_is_refused() -> None:
    body = b'{"generateContentRequest":{"contents":[]},"generateContentRequest":{"contents":[]}}'
    with pytest.raises(BadRequest, match="more than once"):
        GEMINI_COUNT.inspect(body, parse_object(body), ADDRESS)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{ "contents": [] }', b'{ "contents": [] }'),
        (
            b'{"generateContentRequest": { "model":"models/mine" , "contents":[{"model":1}]} }',
            b'{"generateContentRequest": { "model":"models/theirs" , "contents":[{"model":1}]} }',
        ),
        (
            b'{"generate_content_request":{"contents":[],"model":"mine"}}',
            b'{"generate_content_request":{"contents":[],"model":"models/theirs"}}',
        ),
        (
            b'{"generateContentRequest":{"model":"models/theirs"}}',
            b'{"generateContentRequest":{"model":"models/theirs"}}',
        ),
    ],
)
def test_only_the_models_name_is_spliced(body: bytes, expected: bytes) -> None:
    payload = parse_object(body)
    assert GEMINI_COUNT.prepare_raw(body, payload, "theirs", ask_usage=True) == (expected, False)


def test_a_count_is_asked_for_all_that_costs() -> None:
    wanted = asked(
        system=(Text("S"),),
        tools=(Tool("f"),),
        max_tokens=5,
        sampling=Sampling(temperature=1, logit_bias={"1": 1}),
        thinking=Thinking("auto"),
        output=OutputFormat("json_object"),
    )
    encoded = GEMINI_COUNT.encode_request(wanted, NEW)
    whole = encoded.payload["generateContentRequest"]
    assert whole == {
        "model": "models/gemini-3-pro",
        "contents": [content("user", {"text": "Hi"})],
        "systemInstruction": {"parts": [{"text": "S"}]},
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
    }
    fits_google({key: whole[key] for key in whole if key != "model"})
    assert encoded.dropped == ()
    assert "toolConfig" in str(GEMINI_COUNT.encode_request(wanted, CLAUDE).payload)


@pytest.mark.parametrize(
    ("payload", "usage"),
    [
        ({"totalTokens": 31}, Usage(31)),
        ({"totalTokens": "31", "cachedContentTokenCount": 30}, Usage(1, cache_read_tokens=30)),
        ({"promptTokensDetails": []}, Usage(0)),
    ],
)
def test_a_count_is_read(payload: JsonObject, usage: Usage) -> None:
    assert GEMINI_COUNT.read_usage(payload) == usage
    assert GEMINI_COUNT.decode_response(payload).usage == usage


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({}, ErrorKind.UPSTREAM),
        ({"totalTokens": "many"}, ErrorKind.UPSTREAM),
        ({"error": {"status": "NOT_FOUND", "message": "m"}}, ErrorKind.MODEL_NOT_FOUND),
    ],
)
def test_what_is_no_count(payload: JsonObject, kind: ErrorKind) -> None:
    assert GEMINI_COUNT.read_usage(payload) == Usage()
    with pytest.raises(UpstreamError) as caught:
        GEMINI_COUNT.decode_response(payload)
    assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(31), {"totalTokens": 31}),
        (Usage(1, None, 20, 10), {"totalTokens": 31, "cachedContentTokenCount": 20}),
        (Usage(), {"totalTokens": 0}),
    ],
)
def test_a_count_is_written(usage: Usage, expected: JsonObject) -> None:
    answer = ChatResponse("", "", 0, (), FinishReason.STOP, usage=usage)
    written = GEMINI_COUNT.encode_response(answer, context())
    assert written == expected
    types.CountTokensResponse.model_validate(written)
