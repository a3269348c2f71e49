"""How much to think, said to Gemini's models and to Claude behind Google."""

from dataclasses import replace

import pytest

from models.chat import ChatRequest, Sampling, Thinking, Tool, ToolChoice
from models.content import Message, Reasoning, Text, ToolCall, ToolResult
from models.json_types import JsonObject
from models.profile import Profile
from tests.dialects.gemini.support import CLAUDE, MIDDLE, NEW, OLD, asked, dig, write

WX = Tool("wx")

FLASH = replace(NEW, efforts=("minimal", "low", "medium", "high"))
PRO_25 = replace(MIDDLE, thinking_budgets=(128, 32_768), can_disable_thinking=False)
SHOWN: JsonObject = {"includeThoughts": True}


@pytest.mark.parametrize(
    ("thinking", "profile", "expected", "dropped"),
    [
        (Thinking(), NEW, None, False),
        (Thinking(shown=True), NEW, SHOWN, False),
        (Thinking("auto"), NEW, SHOWN, False),
        (Thinking("auto", shown=False), NEW, None, False),
        (Thinking("auto", display="omitted"), NEW, None, False),
        (Thinking("effort", effort="high"), NEW, {**SHOWN, "thinkingLevel": "HIGH"}, False),
        (Thinking("effort", effort="max"), NEW, {**SHOWN, "thinkingLevel": "HIGH"}, False),
        (Thinking("effort", effort="minimal"), NEW, {**SHOWN, "thinkingLevel": "LOW"}, False),
        (Thinking("effort", effort="minimal"), FLASH, {**SHOWN, "thinkingLevel": "MINIMAL"}, False),
        (Thinking("budget", 2000), NEW, {**SHOWN, "thinkingLevel": "MEDIUM"}, False),
        (Thinking("off"), NEW, {"thinkingLevel": "LOW"}, True),
        (Thinking("effort", effort="none"), FLASH, {"thinkingLevel": "MINIMAL"}, True),
        (Thinking("between_tools"), NEW, SHOWN, True),
        (Thinking("auto"), MIDDLE, {**SHOWN, "thinkingBudget": -1}, False),
        (Thinking("off"), MIDDLE, {"thinkingBudget": 0}, False),
        (Thinking("off"), PRO_25, {"thinkingBudget": 128}, True),
        (Thinking("effort", effort="high"), MIDDLE, {**SHOWN, "thinkingBudget": 24_576}, False),
        (Thinking("budget", 99_999), MIDDLE, {**SHOWN, "thinkingBudget": 24_576}, False),
        (Thinking("budget", 5), PRO_25, {**SHOWN, "thinkingBudget": 128}, False),
        (Thinking("budget", 5), OLD, None, True),
        (Thinking(), OLD, None, False),
        (Thinking("off"), OLD, None, False),
        (Thinking("budget", 5), CLAUDE, {**SHOWN, "thinkingBudget": 1024}, False),
        (Thinking("auto"), CLAUDE, {**SHOWN, "thinkingBudget": 8192}, False),
        (Thinking("off"), CLAUDE, None, False),
    ],
)
def test_thinking(
    thinking: Thinking, profile: Profile, expected: JsonObject | None, dropped: bool
) -> None:
    encoded = write(asked(thinking=thinking), profile)
    config = encoded.payload.get("generationConfig", {})
    assert isinstance(config, dict)
    assert config.get("thinkingConfig") == expected
    assert ("thinking" in encoded.dropped) is dropped


@pytest.mark.parametrize(
    ("limit", "budget"), [(5000, 4000), (4000, 3999), (1025, 1024), (1024, None), (100, None)]
)
def test_claudes_budget_is_a_part_of_its_answer(limit: int, budget: int | None) -> None:
    encoded = write(asked(thinking=Thinking("budget", 4000), max_tokens=limit), CLAUDE)
    config = dig(encoded.payload, "generationConfig")
    assert config == {
        "maxOutputTokens": limit,
        **({"thinkingConfig": {**SHOWN, "thinkingBudget": budget}} if budget else {}),
    }
    assert encoded.dropped == (() if budget else ("thinking",))


def loop(*thoughts: Reasoning) -> tuple[Message, ...]:
    return (
        Message("user", (Text("Go"),)),
        Message("assistant", (*thoughts, ToolCall("a", "wx", ""))),
        Message("user", (ToolResult("a", ()),)),
    )


@pytest.mark.parametrize(
    ("wanted", "thinks"),
    [
        (asked(*loop(Reasoning("hm", "EqQB", "claude-ca")), tools=(WX,)), True),
        (asked(*loop(Reasoning("hm", "EqQB", "anthropic")), tools=(WX,)), False),
        (asked(*loop(), tools=(WX,)), False),
        (
            asked(*loop(), Message("assistant", (Text("Done"),)), Message("user", (Text("?"),))),
            True,
        ),
        (asked(tools=(WX,), tool_choice=ToolChoice("required")), False),
        (asked(tools=(WX,), tool_choice=ToolChoice("one", ("wx",))), False),
        (asked(tools=(WX,), tool_choice=ToolChoice("auto")), True),
    ],
    ids=["its own", "foreign", "none", "loop is over", "any tool", "one tool", "as it likes"],
)
def test_claude_thinks_only_where_its_history_and_the_choice_allow_it(
    wanted: ChatRequest, thinks: bool
) -> None:
    encoded = write(replace(wanted, thinking=Thinking("budget", 2000)), CLAUDE)
    assert ("generationConfig" in encoded.payload) is thinks
    assert ("thinking" in encoded.dropped) is not thinks


@pytest.mark.parametrize(
    ("thinking", "sampling", "expected", "dropped"),
    [
        (Thinking(), Sampling(1.5, 0.5, 4), {"temperature": 1, "topK": 4}, "temperature top_p"),
        (Thinking("auto"), Sampling(0.2, 0.9, 4), {}, "temperature top_p top_k"),
        (Thinking("auto"), Sampling(1, 0.97), {"temperature": 1}, "top_p"),
        (Thinking(), Sampling(top_p=0.5), {"topP": 0.5}, ""),
    ],
)
def test_claude_is_sampled_by_its_own_rules(
    thinking: Thinking, sampling: Sampling, expected: JsonObject, dropped: str
) -> None:
    encoded = write(asked(thinking=thinking, sampling=sampling), CLAUDE)
    config = dig(encoded.payload, "generationConfig")
    assert isinstance(config, dict)
    assert {key: config[key] for key in config if key != "thinkingConfig"} == expected
    assert encoded.dropped == tuple(dropped.split())
