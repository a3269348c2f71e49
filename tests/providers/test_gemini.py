"""Gemini by API key or token: how it is signed and asked for its models."""

import pytest

from dialects.gemini import GEMINI, GEMINI_COUNT
from models.account import Account, AuthType, Credentials
from models.exchange import UpstreamRequest
from providers import gemini
from providers.base import Route, build_request


def sent(auth_type: AuthType, *, stream: bool = False, **metadata: str) -> UpstreamRequest:
    return build_request(
        Route(gemini.PROVIDER, "gemini-3-flash"),
        gemini.PROVIDER.main,
        gemini.PROVIDER.main.base_url,
        b"{}",
        stream=stream,
        request_id="r",
        account=Account("a", "gemini", "a", auth_type, metadata=dict(metadata)),
        credentials=Credentials("secret"),
        client_headers={},
        user_agent="aigateway/0",
    )


def test_a_key_has_a_header_of_its_own() -> None:
    headers = sent(AuthType.API_KEY, project_id="p-1").headers
    assert headers["x-goog-api-key"] == "secret"
    assert not {"authorization", "x-goog-user-project"} & set(headers)


@pytest.mark.parametrize("auth_type", [AuthType.BEARER, AuthType.OAUTH])
def test_a_token_is_a_bearer_and_may_name_a_project(auth_type: AuthType) -> None:
    headers = sent(auth_type).headers
    assert headers["authorization"] == "Bearer secret"
    assert not {"x-goog-api-key", "x-goog-user-project"} & set(headers)
    assert sent(auth_type, project_id="p-1").headers["x-goog-user-project"] == "p-1"


@pytest.mark.parametrize(
    ("stream", "method"),
    [(False, "generateContent"), (True, "streamGenerateContent?alt=sse")],
)
def test_the_address_names_model_and_method(stream: bool, method: str) -> None:
    assert sent(AuthType.API_KEY, stream=stream).url == (
        f"https://generativelanguage.googleapis.com/v1beta/models/gemini-3-flash:{method}"
    )


def test_it_generates_and_counts() -> None:
    assert gemini.PROVIDER.offer_for(GEMINI) is gemini.PROVIDER.main
    counts = gemini.PROVIDER.offer_for(GEMINI_COUNT)
    assert counts is not None
    assert counts.dialect is GEMINI_COUNT
