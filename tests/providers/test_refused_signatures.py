"""Refused signatures are told from other bad requests, whoever says it in whatever words."""

import json

import pytest

from dialects.anthropic import MESSAGES
from dialects.base import Dialect
from dialects.gemini import GEMINI
from dialects.openai_responses import RESPONSES
from models.errors import Blame, ErrorKind, UpstreamError
from models.json_types import JsonObject
from providers import anthropic, antigravity, gemini, openai
from providers.base import Provider
from providers.failures import stream_error
from tests.providers.google_errors import body

ENCRYPTED: JsonObject = {
    "error": {
        "message": "The encrypted content gAAA...rg== could not be verified.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_encrypted_content",
    }
}


def told_by_anthropic(message: str) -> bytes:
    error: JsonObject = {"type": "invalid_request_error", "message": message}
    return json.dumps({"type": "error", "error": error}).encode()


def told_by_google(message: str) -> bytes:
    return body(400, "INVALID_ARGUMENT", message)


UNSIGNED = "messages.1.content.0: Invalid `signature` in `thinking` block"


@pytest.mark.parametrize(
    ("provider", "dialect", "answer"),
    [
        pytest.param(openai.PROVIDER, RESPONSES, json.dumps(ENCRYPTED).encode(), id="encrypted"),
        pytest.param(anthropic.PROVIDER, MESSAGES, told_by_anthropic(UNSIGNED), id="thinking"),
        pytest.param(
            anthropic.PROVIDER,
            MESSAGES,
            told_by_anthropic("messages.1.content.0: Invalid `data` in `redacted_thinking` block"),
            id="redacted",
        ),
        pytest.param(
            anthropic.PROVIDER,
            MESSAGES,
            told_by_anthropic(
                "messages.3.content.8: `thinking` or `redacted_thinking` blocks in the latest "
                "assistant message cannot be modified."
            ),
            id="changed",
        ),
        pytest.param(
            anthropic.PROVIDER,
            MESSAGES,
            told_by_anthropic(
                "messages.3.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
                "`text`. When `thinking` is enabled, a final `assistant` message must start with "
                "a thinking block."
            ),
            id="missing",
        ),
        pytest.param(
            gemini.PROVIDER,
            GEMINI,
            told_by_google(
                "Function call is missing a thought_signature in functionCall parts. This is "
                "required for tools to work correctly."
            ),
            id="call without",
        ),
        pytest.param(
            gemini.PROVIDER, GEMINI, told_by_google("Corrupted thought signature."), id="corrupted"
        ),
        pytest.param(
            gemini.PROVIDER,
            GEMINI,
            told_by_google("Unable to submit request because Thought signature is not valid."),
            id="not valid",
        ),
        pytest.param(
            antigravity.PROVIDER,
            GEMINI,
            told_by_google(told_by_anthropic(UNSIGNED).decode()),
            id="by Claude behind Google",
        ),
    ],
)
def test_refused_signatures_are_nobodys_fault_and_another_account_may_take_them(
    provider: Provider, dialect: Dialect, answer: bytes
) -> None:
    at_once = provider.diagnose(dialect, 400, {}, answer)
    inside = stream_error(provider.diagnose, dialect, UpstreamError("m", upstream_body=answer))
    for found in (at_once, inside):
        assert (found.kind, found.blame) == (ErrorKind.SIGNATURE, Blame.REQUEST)
        assert (found.status, found.retryable) == (400, True)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "messages.1.thinking.signature: Extra inputs are not permitted", "invalid_request"),
        (400, "thinking is not supported by this model", "invalid_request"),
        (429, UNSIGNED, "rate_limit"),
        (500, UNSIGNED, "upstream_error"),
    ],
)
def test_other_failures_stay_what_they_are(status: int, message: str, kind: str) -> None:
    error = {"type": "error", "error": {"type": "", "message": message}}
    found = anthropic.diagnose(MESSAGES, status, {}, json.dumps(error).encode())
    assert found.kind == kind
