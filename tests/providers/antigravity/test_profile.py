"""What is known of the models behind Code Assist, by their names."""

import pytest

from providers import gemini_profile
from providers.antigravity.profile import profile


@pytest.mark.parametrize("model", ["gemini-3-pro-high", "gemini-2.5-flash", "models/new-one"])
def test_googles_own_are_what_they_are_elsewhere(model: str) -> None:
    known = profile(model)
    assert known == gemini_profile.profile(model)
    assert (known.vendor, known.is_guest) == ("gemini", False)


@pytest.mark.parametrize(
    ("model", "thinks", "prefill"),
    [
        ("claude-sonnet-4-6", False, False),
        ("claude-opus-4-6-thinking", True, False),
        ("claude-sonnet-4-5-thinking", True, True),
        ("Claude-Sonnet-4-5", False, True),
    ],
)
def test_claude_is_a_guest_with_rules_of_its_own(model: str, thinks: bool, prefill: bool) -> None:
    known = profile(model)
    assert (known.model, known.vendor, known.is_guest) == (model, "claude-ca", True)
    assert (known.reasoning, known.prefill) == (thinks, prefill)
    assert known.thinking_budgets == (1024, 63_999)
    assert (known.tool_schema, known.validated_tools) == ("claude", True)
    assert (known.signed_thoughts, known.signed_calls, known.rare_sampling) == (True, False, False)


def test_gpt_oss_has_no_knobs_of_google() -> None:
    known = profile("gpt-oss-120b-medium")
    assert (known.vendor, known.reasoning, known.tool_schema) == ("", False, "openapi")
