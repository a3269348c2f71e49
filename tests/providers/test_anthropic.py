import json

import pytest

from models.errors import Blame, ErrorKind
from providers.anthropic import PROVIDER, profile

LIMIT = json.dumps(
    {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}
).encode()


@pytest.mark.parametrize(
    ("model", "thinking", "efforts", "sampling", "prefill", "structured", "cap"),
    [
        ("claude-3-opus-20240229", "none", 0, True, True, False, 4096),
        ("claude-3-5-haiku-latest", "none", 0, True, True, False, 8192),
        ("claude-3-7-sonnet-20250219", "manual", 0, True, True, False, 64000),
        ("claude-sonnet-4-20250514", "manual", 0, True, True, False, 64000),
        ("claude-opus-4-1-20250805", "manual", 0, True, True, False, 32000),
        ("claude-haiku-4-5", "manual", 0, True, True, True, 64000),
        ("claude-opus-4-5-20251101", "manual", 3, True, True, True, 64000),
        ("claude-sonnet-4.6", "adaptive", 4, True, False, True, 64000),
        ("claude-opus-4-7", "adaptive", 5, False, False, True, 64000),
        ("anthropic/claude-sonnet-5", "adaptive", 5, False, False, True, 64000),
        ("claude-next", "adaptive", 5, False, False, True, None),
    ],
)
def test_families_are_known_by_their_names(
    model: str,
    thinking: str,
    efforts: int,
    sampling: bool,
    prefill: bool,
    structured: bool,
    cap: int | None,
) -> None:
    found = profile(model)
    assert found.vendor == "anthropic"
    assert (found.thinking, len(found.efforts)) == (thinking, efforts)
    assert (found.sampling, found.prefill, found.structured_output) == (
        sampling,
        prefill,
        structured,
    )
    assert found.max_output_tokens == cap
    assert found.reasoning is (thinking != "none")


def test_some_models_cannot_stop_thinking_and_some_take_system_text_anywhere() -> None:
    assert not profile("claude-fable-5").can_disable_thinking
    assert profile("claude-opus-5").can_disable_thinking
    assert profile("claude-opus-4-8").system_in_messages
    assert not profile("claude-sonnet-4-5").system_in_messages


def test_a_window_that_is_used_up_rests_until_it_opens_again() -> None:
    headers = {
        "Anthropic-Ratelimit-Unified-Status": "rejected",
        "anthropic-ratelimit-unified-reset": "99999999999",
    }
    error = PROVIDER.diagnose(PROVIDER.main.dialect, 429, headers, LIMIT)
    assert (error.kind, error.blame, error.status) == (ErrorKind.QUOTA, Blame.ACCOUNT, 429)
    assert error.retry_after_s == 8 * 86400
    named = PROVIDER.diagnose(PROVIDER.main.dialect, 429, {**headers, "retry-after": "9"}, LIMIT)
    assert named.retry_after_s == 9


@pytest.mark.parametrize("reset", ["", "soon", "-1", "1", "9" * 40, "\u0661"])
def test_odd_resets_are_not_believed(reset: str) -> None:
    headers = {
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": reset,
    }
    error = PROVIDER.diagnose(PROVIDER.main.dialect, 429, headers, LIMIT)
    assert (error.kind, error.retry_after_s) == (ErrorKind.QUOTA, None)


def test_a_burst_is_no_used_up_window() -> None:
    headers = {
        "anthropic-ratelimit-unified-status": "allowed",
        "anthropic-ratelimit-unified-reset": "99999999999",
    }
    error = PROVIDER.diagnose(PROVIDER.main.dialect, 429, headers, LIMIT)
    assert (error.kind, error.blame) == (ErrorKind.RATE_LIMIT, Blame.ACCOUNT_MODEL)
    assert error.retry_after_s is None
