"""Whose client calls: the path says it, or else the headers do."""

import pytest
from aiohttp.test_utils import make_mocked_request

from handlers.callers import caller_dialect, family

GOOGLE = {"x-goog-api-key": "k"}
CLIENT = {"x-goog-api-client": "google-genai-sdk/3.3.0 gl-python/3.11"}
ANTHROPIC = {"anthropic-version": "2026-10-21"}


@pytest.mark.parametrize(
    ("path", "headers", "whose"),
    [
        ("/v1/models", {}, "chat"),
        ("/v1/models", {"authorization": "Bearer k"}, "chat"),
        ("/v1/models", ANTHROPIC, "messages"),
        ("/v1/models", GOOGLE, "gemini"),
        ("/v1/models", CLIENT, "gemini"),
        ("/v1/models?key=k", {}, "gemini"),
        ("/v1/models/x", GOOGLE, "gemini"),
        ("/v1beta/models", {}, "gemini"),
        ("/v1beta/models", ANTHROPIC, "gemini"),
        ("/v1beta/models/x:generateContent", {}, "gemini"),
        ("/v1beta", {}, "gemini"),
        ("/v1betamax", {}, "chat"),
        ("/v1/messages", GOOGLE, "messages"),
        ("/v1/messages/count_tokens", {}, "messages"),
        ("/v1/messagesx", {}, "chat"),
        ("/v1/responses", ANTHROPIC, "responses"),
        ("/v1/responses/resp_1/nothing", {}, "responses"),
        ("/v1/chat/completions", ANTHROPIC, "chat"),
        ("/v1/nothing", {}, "chat"),
    ],
)
def test_the_caller_is_known(path: str, headers: dict[str, str], whose: str) -> None:
    assert caller_dialect(make_mocked_request("GET", path, headers=headers)) == whose


@pytest.mark.parametrize(
    ("dialect", "whose"),
    [("gemini", "gemini"), ("gemini.count", "gemini"), ("messages.count", "messages")],
)
def test_a_dialect_belongs_to_a_family(dialect: str, whose: str) -> None:
    assert family(dialect) == whose
