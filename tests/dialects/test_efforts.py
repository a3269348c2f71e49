import pytest

from dialects.efforts import asked_effort, budget_for, clamp, effort_for, parse_effort
from models.chat import Effort, Thinking


@pytest.mark.parametrize(
    ("budget", "effort"),
    [
        (-1, None),
        (0, "none"),
        (1, "minimal"),
        (1024, "low"),
        (2000, "medium"),
        (8193, "high"),
        (24577, "xhigh"),
    ],
)
def test_budgets_have_words(budget: int, effort: str | None) -> None:
    assert effort_for(budget) == effort


@pytest.mark.parametrize(
    ("effort", "accepted", "expected"),
    [
        ("high", ("low", "high"), "high"),
        ("xhigh", ("low", "medium", "high"), "high"),
        ("minimal", ("none", "low"), "low"),
        ("medium", ("low", "high", "max"), "high"),
        ("none", ("low", "high"), "low"),
        ("none", ("none", "low"), "none"),
        ("high", (), None),
    ],
)
def test_the_nearest_accepted_word_is_taken(
    effort: Effort, accepted: tuple[Effort, ...], expected: str | None
) -> None:
    assert clamp(effort, accepted) == expected


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        (Thinking(), None),
        (Thinking("off"), "none"),
        (Thinking("effort", effort="low"), "low"),
        (Thinking("budget", 2000), "medium"),
        (Thinking("budget", 2000, effort="max"), "max"),
        (Thinking("auto"), None),
        (Thinking("auto", effort="high"), "high"),
    ],
)
def test_a_wish_amounts_to_a_word(thinking: Thinking, expected: str | None) -> None:
    assert asked_effort(thinking) == expected


def test_words_outside_the_scale_are_none() -> None:
    assert parse_effort("high") == "high"
    assert parse_effort("extreme") is None
    assert parse_effort(7) is None
    assert budget_for("medium") == 8192
