import pytest

from dialects.scrub import scrubbed


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abc123DEF456",
        "sk-ant-api03-xyz_789",
        "Bearer abc.def-123",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.sig",
        "0123456789abcdef0123456789abcdef.AbCdEfGh12345678",
        "jane.doe@example.com",
        "org-AbCd1234EfGh5678",
        "123e4567-e89b-12d3-a456-426614174000",
    ],
)
def test_secrets_are_not_shown(secret: str) -> None:
    shown = scrubbed(f"Limit reached for {secret} today", "x")
    assert secret not in shown
    assert shown.startswith("Limit reached for")
    assert shown.endswith("today")


@pytest.mark.parametrize(
    "plain",
    [
        "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
        "messages.0.content: Input should be a valid list, got user_location",
        "This task-specific model's maximum context length is 8192 tokens",
        "account_deactivated: ask an admin",
    ],
)
def test_ordinary_words_stay(plain: str) -> None:
    assert scrubbed(plain, "x") == plain


def test_nothing_left_gives_the_fallback() -> None:
    assert scrubbed("", "fallback") == "fallback"
    assert scrubbed(" \x00\r\n ", "fallback") == "fallback"


def test_controls_and_length_are_tamed() -> None:
    assert scrubbed("a\r\nb\x00c", "x") == "a b c"
    assert len(scrubbed("long " * 5000, "x")) <= 2003
    assert scrubbed("half \ud83d pair", "x") == "half \ufffd pair"
