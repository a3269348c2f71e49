"""What stands around a Gemini request on its way to Code Assist."""

import json

import pytest

from dialects.base import Operation
from models.account import Account, AuthType
from models.json_types import JsonObject
from providers.antigravity.envelope import CodeAssistEnvelope

ENVELOPE = CodeAssistEnvelope()
BODY = b'{ "contents": [{"parts":[{"text":"12345678901234567890"}]}] }'


def wrapped(
    body: bytes, operation: Operation = Operation.GENERATE, **metadata: str
) -> tuple[bytes, JsonObject]:
    account = Account("a", "antigravity", "a", AuthType.OAUTH, metadata=dict(metadata))
    sent = ENVELOPE.wrap(body, operation, model="models/m-1", account=account, request_id="r-1")
    payload: JsonObject = json.loads(sent)
    return sent, payload


@pytest.mark.parametrize(
    ("operation", "stream", "path"),
    [
        (Operation.GENERATE, False, "/v1internal:generateContent"),
        (Operation.GENERATE, True, "/v1internal:streamGenerateContent?alt=sse"),
        (Operation.COUNT, False, "/v1internal:countTokens"),
    ],
)
def test_each_operation_has_its_method(operation: Operation, stream: bool, path: str) -> None:
    assert ENVELOPE.path(operation, stream=stream) == path


def test_a_request_is_put_in_as_it_is_under_our_own_name() -> None:
    sent, payload = wrapped(BODY, project_id="p-1")
    assert BODY in sent
    assert payload == {
        "model": "m-1",
        "project": "p-1",
        "userAgent": "aigateway",
        "requestId": "r-1",
        "request": json.loads(BODY),
    }


def test_an_account_without_a_project_names_none() -> None:
    assert "project" not in wrapped(BODY)[1]


@pytest.mark.parametrize("body", [BODY, b" {}", b'{"contents":[]}'])
def test_a_count_names_its_model_inside_and_nothing_else(body: bytes) -> None:
    payload = wrapped(body, Operation.COUNT, project_id="p-1")[1]
    assert payload == {"request": {"model": "models/m-1", **json.loads(body)}}
