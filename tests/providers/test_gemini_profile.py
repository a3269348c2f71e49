"""What is known of Gemini's models by their names."""

import pytest

from models.chat import Effort
from providers.gemini_profile import profile

PRO: tuple[Effort, ...] = ("low", "medium", "high")
FLASH: tuple[Effort, ...] = ("minimal", *PRO)


@pytest.mark.parametrize(
    ("model", "efforts"),
    [
        ("gemini-3-pro-preview", ("low", "high")),
        ("gemini-3.1-pro", PRO),
        ("gemini-3-flash", FLASH),
        ("gemini-3.5-flash-lite", FLASH),
        ("models/gemini-3.8-flash", FLASH),
        ("gemini-4-ultra", PRO),
        ("gemini-flash-latest", PRO),
        ("something-else", PRO),
    ],
)
def test_newer_models_think_by_levels(model: str, efforts: tuple[Effort, ...]) -> None:
    facts = profile(model)
    assert (facts.model, facts.vendor) == (model, "gemini")
    assert (facts.thinking, facts.efforts) == ("level", efforts)
    assert facts.signed_calls
    assert facts.media_in_results
    assert facts.output_with_tools
    assert facts.tool_schema == "json"
    assert not facts.can_disable_thinking


@pytest.mark.parametrize(
    ("model", "budgets", "can_disable"),
    [
        ("gemini-2.5-pro", (128, 32_768), False),
        ("gemini-2.5-flash", (1, 24_576), True),
        ("gemini-2.5-flash-lite-preview-09-2025", (512, 24_576), True),
    ],
)
def test_models_of_2_5_think_by_budgets(
    model: str, budgets: tuple[int, int], can_disable: bool
) -> None:
    facts = profile(model)
    assert (facts.thinking, facts.thinking_budgets) == ("budget", budgets)
    assert facts.can_disable_thinking is can_disable
    assert facts.max_output_tokens == 65_536
    assert not facts.signed_calls
    assert not facts.media_in_results
    assert not facts.output_with_tools


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-1.5-pro-002"])
def test_older_models_do_not_think(model: str) -> None:
    facts = profile(model)
    assert (facts.reasoning, facts.thinking) == (False, "none")
    assert facts.tool_schema == "openapi"
    assert facts.max_output_tokens == 8_192
    assert not facts.signed_calls


def test_an_unknown_limit_is_not_made_up() -> None:
    assert profile("something-else").max_output_tokens is None
    assert profile("gemini-3-pro").max_stops == 5
