"""A provider's limits in the words of the client's vendor."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rate_limits import limits_told

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC).timestamp()
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "1000",
    "anthropic-ratelimit-requests-remaining": "999",
    "anthropic-ratelimit-requests-reset": "2026-05-01T12:01:30Z",
    "anthropic-ratelimit-tokens-limit": "80000",
    "anthropic-ratelimit-tokens-remaining": "0",
    "anthropic-ratelimit-tokens-reset": "2026-05-01T11:59:00Z",
    "anthropic-ratelimit-input-tokens-limit": "5",
}
OPENAI = {
    "x-ratelimit-limit-requests": "1000",
    "x-ratelimit-remaining-requests": "999",
    "x-ratelimit-reset-requests": "1m30s",
    "x-ratelimit-limit-tokens": "80000",
    "x-ratelimit-remaining-tokens": "0",
    "x-ratelimit-reset-tokens": "20ms",
}


@pytest.mark.parametrize(
    ("headers", "dialect", "other"),
    [(ANTHROPIC, "messages", "messages"), (OPENAI, "chat", "responses"), (OPENAI, "chat", "chat")],
    ids=["anthropic", "openai two formats", "openai"],
)
def test_a_client_of_the_same_vendor_gets_all_of_it(
    headers: dict[str, str], dialect: str, other: str
) -> None:
    noise = {"set-cookie": "c=1", "openai-organization": "org-secret", "x-request-id": "r"}
    told = limits_told({**noise, **headers}, dialect, other, NOW)
    assert told == headers


def test_what_anthropic_says_is_told_to_openais_clients() -> None:
    assert limits_told(ANTHROPIC, "messages", "chat", NOW) == {
        "x-ratelimit-limit-requests": "1000",
        "x-ratelimit-remaining-requests": "999",
        "x-ratelimit-reset-requests": "90s",
        "x-ratelimit-limit-tokens": "80000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "0s",
    }


def test_what_openai_says_is_told_to_anthropics_clients() -> None:
    assert limits_told(OPENAI, "responses", "messages", NOW) == {
        "anthropic-ratelimit-requests-limit": "1000",
        "anthropic-ratelimit-requests-remaining": "999",
        "anthropic-ratelimit-requests-reset": "2026-05-01T12:01:30Z",
        "anthropic-ratelimit-tokens-limit": "80000",
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "2026-05-01T12:00:01Z",
    }


@pytest.mark.parametrize(("upstream", "client"), [("gemini", "chat"), ("messages", "gemini")])
def test_google_has_no_such_words(upstream: str, client: str) -> None:
    assert limits_told({**ANTHROPIC, **OPENAI}, upstream, client, NOW) == {}


@pytest.mark.parametrize(
    "value", ["", "soon", "-1", "1.5", "9" * 40, "1\r\nx: y", "٣", "1s1", "99999999999s", "5x"]
)
def test_what_cannot_be_read_is_left_out(value: str) -> None:
    theirs = {"x-ratelimit-limit-tokens": value, "x-ratelimit-reset-tokens": value}
    assert limits_told(theirs, "chat", "messages", NOW) == {}
    theirs = {"anthropic-ratelimit-tokens-reset": value}
    assert limits_told(theirs, "messages", "chat", NOW) == {}


def test_the_number_and_length_of_what_is_passed_on_is_bounded() -> None:
    many = {f"x-ratelimit-{number}": "1" for number in range(200)}
    assert len(limits_told(many, "chat", "chat", NOW)) == 32
    assert limits_told({"x-ratelimit-a": "1" * 65}, "chat", "chat", NOW) == {}
    assert limits_told({"x-ratelimit-a": "a\r\nb: c"}, "chat", "chat", NOW) == {}


_NAMES = st.sampled_from([*ANTHROPIC, *OPENAI])
_ODD = st.one_of(
    st.text(max_size=80), st.sampled_from(["9999-12-31T23:59:59Z", "0001-01-01", "1d"])
)


@given(st.dictionaries(_NAMES, _ODD), st.sampled_from(["messages", "chat"]))
def test_nothing_that_a_provider_says_is_an_error(headers: dict[str, str], client: str) -> None:
    for upstream in ("messages", "chat"):
        told = limits_told(headers, upstream, client, NOW)
        assert all(value.isascii() and value.isprintable() for value in told.values())
