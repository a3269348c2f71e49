"""How much a model shall think, written for a model."""

from dataclasses import replace

import pytest

from models.chat import (
    Thinking,
    ToolChoice,
)
from models.content import (
    Part,
    Reasoning,
    Text,
)
from models.json_types import Json
from models.profile import Profile
from tests.dialects.anthropic.neutral import (
    TOOL,
    USER,
    assistant,
    call,
    chat,
    result,
    user,
)
from tests.dialects.anthropic.support import ADAPTIVE, MANUAL, PLAIN, write


@pytest.mark.parametrize(
    ("wish", "profile", "thinking", "effort", "dropped"),
    [
        pytest.param(Thinking(), ADAPTIVE, None, None, (), id="default"),
        pytest.param(Thinking(effort="high"), ADAPTIVE, None, "high", (), id="only effort"),
        pytest.param(Thinking("auto"), ADAPTIVE, {"type": "adaptive"}, None, (), id="auto"),
        pytest.param(
            Thinking("auto", None, "max", "summarized"),
            ADAPTIVE,
            {"type": "adaptive", "display": "summarized"},
            "max",
            (),
            id="auto with effort and display",
        ),
        pytest.param(
            Thinking("effort", effort="minimal"),
            ADAPTIVE,
            {"type": "adaptive"},
            "low",
            (),
            id="minimal is low",
        ),
        pytest.param(
            Thinking("budget", 9000), ADAPTIVE, {"type": "adaptive"}, "high", (), id="budget"
        ),
        pytest.param(
            Thinking("effort", effort="none"), ADAPTIVE, {"type": "disabled"}, None, (), id="off"
        ),
        pytest.param(
            Thinking("off"),
            replace(ADAPTIVE, can_disable_thinking=False),
            None,
            "low",
            ("thinking",),
            id="cannot be off",
        ),
        pytest.param(
            Thinking("between_tools"), ADAPTIVE, {"type": "adaptive"}, None, (), id="between tools"
        ),
        pytest.param(
            Thinking("auto", effort="low"),
            replace(ADAPTIVE, efforts=()),
            {"type": "adaptive"},
            None,
            ("effort",),
            id="no effort knob",
        ),
        pytest.param(Thinking("off"), MANUAL, {"type": "disabled"}, None, (), id="manual off"),
        pytest.param(Thinking("auto"), PLAIN, None, None, ("thinking",), id="no thinking"),
        pytest.param(Thinking("off"), PLAIN, None, None, (), id="off where there is none"),
        pytest.param(
            Thinking("effort", effort="low"),
            replace(ADAPTIVE, reasoning=False),
            None,
            None,
            ("thinking",),
            id="no reasoning",
        ),
    ],
)
def test_thinking(
    wish: Thinking,
    profile: Profile,
    thinking: Json,
    effort: str | None,
    dropped: tuple[str, ...],
) -> None:
    written = write(chat(thinking=wish), profile)
    config = written.payload.get("output_config")
    assert written.payload.get("thinking") == thinking
    assert (config["effort"] if isinstance(config, dict) else None) == effort
    assert written.dropped == dropped
    assert written.payload["max_tokens"] == 100


@pytest.mark.parametrize(
    ("wish", "limit", "budget", "max_tokens"),
    [
        pytest.param(Thinking("budget", 2000), 5000, 2000, 5000, id="fits"),
        pytest.param(Thinking("budget", 10), 5000, 1024, 5000, id="at least 1024"),
        pytest.param(Thinking("effort", effort="medium"), 9000, 8192, 9000, id="effort"),
        pytest.param(Thinking("auto"), 9000, 8192, 9000, id="auto"),
        pytest.param(Thinking("budget", 2000), 500, 2000, 2500, id="limit is raised"),
        pytest.param(Thinking("budget", 40_000), 1000, 31_000, 32_000, id="up to the cap"),
        pytest.param(Thinking("budget", 40_000), 31_500, 1024, 32_000, id="budget shrinks"),
    ],
)
def test_a_budget_stays_below_the_limit(
    wish: Thinking, limit: int, budget: int, max_tokens: int
) -> None:
    written = write(chat(thinking=wish, max_tokens=limit), MANUAL)
    assert written.payload["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert written.payload["max_tokens"] == max_tokens
    assert written.dropped == (() if max_tokens == limit else ("max_tokens",))


def test_a_model_too_small_for_a_budget_does_not_think() -> None:
    tiny = replace(MANUAL, max_output_tokens=1000)
    written = write(chat(thinking=Thinking("auto")), tiny)
    assert "thinking" not in written.payload
    assert written.payload["max_tokens"] == 100
    assert written.dropped == ("thinking",)


def test_a_forced_tool_switches_a_thinking_budget_off() -> None:
    wanted = chat(
        tools=(TOOL,), tool_choice=ToolChoice("required"), thinking=Thinking("auto"), max_tokens=500
    )
    written = write(wanted, MANUAL)
    assert "thinking" not in written.payload
    assert written.payload["tool_choice"] == {"type": "any"}
    assert written.payload["max_tokens"] == 500
    assert written.dropped == ("thinking",)
    assert write(wanted, ADAPTIVE).payload["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize(
    ("parts", "thinks"),
    [
        ((call("f"),), False),
        ((Reasoning("t", "s", "anthropic"), call("f")), True),
        ((Reasoning("t", "s", "glm"), call("f")), False),
    ],
)
def test_a_tool_loop_without_its_thinking_goes_on_without(
    parts: tuple[Part, ...], thinks: bool
) -> None:
    wanted = chat(
        USER, assistant(*parts), user(result("f")), thinking=Thinking("budget", 2000), tools=(TOOL,)
    )
    written = write(wanted, MANUAL)
    assert ("thinking" in written.payload) is thinks
    assert ("thinking" in written.dropped) is not thinks
    assert "thinking" in write(wanted, ADAPTIVE).payload


def test_an_answer_to_continue_is_not_thought_about() -> None:
    wanted = chat(USER, assistant(Text("Once")), thinking=Thinking("budget", 2000))
    written = write(wanted, MANUAL)
    assert "thinking" not in written.payload
    assert written.dropped == ("thinking",)
