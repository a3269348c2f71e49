"""How much the model shall think: read from the Messages format, and written for a model.

Models up to 4.5 take a budget (`manual`), later ones decide themselves (`adaptive`).
"""

from dataclasses import dataclass, field
from typing import Final

from dialects import fields
from dialects.efforts import BUDGETS, budget_for, clamp, effort_for, parse_effort
from models.chat import NO_THINKING, Effort, Thinking
from models.json_types import JsonObject
from models.profile import Profile

MIN_BUDGET: Final = 1024
_UNKNOWN_CAP: Final = 32_000  # the smallest cap among the models that take a budget
_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")


def read_thinking(payload: JsonObject) -> Thinking:
    """Read `thinking` and `output_config.effort`."""
    if "thinking" not in payload and "output_config" not in payload:
        return NO_THINKING
    config = fields.optional_mapping(payload, "output_config") or {}
    said = fields.optional_text(config, "effort", "output_config")
    effort = parse_effort(said)
    if said is not None and effort is None:
        raise fields.wrong("output_config.effort", "one of " + ", ".join(_EFFORTS))
    thinking = fields.optional_mapping(payload, "thinking")
    if thinking is None:
        return Thinking(effort=effort)
    display = fields.optional_text(thinking, "display", "thinking")
    match fields.text(thinking, "type", "thinking"):
        case "enabled":
            budget = fields.integer(thinking, "budget_tokens", "thinking")
            return Thinking("budget", budget, effort, display)
        case "adaptive":
            return Thinking("auto", None, effort, display)
        case "disabled":
            return Thinking("off", None, effort, display)
        case "between_tools":
            return Thinking("between_tools", None, effort, display)
        case _:
            raise fields.wrong("thinking.type", "one of enabled, adaptive, disabled, between_tools")


@dataclass(slots=True)
class Plan:
    """What becomes of the wish: parts of the payload, and what was lost."""

    max_tokens: int
    thinking: JsonObject | None = None
    effort: Effort | None = None
    dropped: list[str] = field(default_factory=list)

    @property
    def is_on(self) -> bool:
        return self.thinking is not None and self.thinking["type"] != "disabled"

    def give_up(self, max_tokens: int) -> None:
        """Leave thinking out where the rest of the request does not allow it."""
        self.thinking, self.effort, self.max_tokens = None, None, max_tokens
        self.dropped = ["thinking"]


def plan(wish: Thinking, profile: Profile, max_tokens: int) -> Plan:
    """Decide how the wish is said to the model that `profile` describes."""
    planned = Plan(max_tokens)
    if wish is NO_THINKING:
        return planned
    mode, budget, effort = _meant(wish)
    if not profile.reasoning or (profile.thinking == "none" and not profile.efforts):
        if mode not in ("default", "off") or effort is not None:
            planned.dropped.append("thinking")
        return planned
    if mode == "off":
        _switch_off(planned, profile)
    elif mode != "default" and profile.thinking == "adaptive":
        planned.thinking = {"type": "adaptive"}
        if effort is None and budget is not None:
            effort = effort_for(budget)
    elif mode != "default" and profile.thinking == "manual":
        _set_budget(planned, _budget(budget, effort), profile)
        effort = wish.effort if wish.mode != "effort" else None
    _set_effort(planned, effort, profile)
    if planned.thinking is not None and planned.is_on:
        planned.thinking.update(_display(wish, profile))
    return planned


def _display(wish: Thinking, profile: Profile) -> JsonObject:
    """Models with a budget show a summary unless told otherwise; later ones hide it."""
    display = wish.display or ("summarized" if wish.shown else None)
    is_default = display == "summarized" and profile.thinking == "manual"
    return {} if display is None or is_default else {"display": display}


def _meant(wish: Thinking) -> tuple[str, int | None, Effort | None]:
    """Return mode, budget and effort without their synonyms for "off" and "as you like"."""
    mode, budget, effort = str(wish.mode), wish.budget_tokens, wish.effort
    if (mode == "effort" and effort == "none") or (mode == "budget" and budget == 0):
        return "off", None, None
    if mode == "budget" and (budget is None or budget < 0):
        return "auto", None, effort
    return mode, budget if mode == "budget" else None, effort


def _switch_off(planned: Plan, profile: Profile) -> None:
    if profile.can_disable_thinking:
        if profile.thinking != "none":
            planned.thinking = {"type": "disabled"}
        return
    planned.effort = clamp("low", profile.efforts)
    planned.dropped.append("thinking")


def _budget(budget: int | None, effort: Effort | None) -> int:
    if budget is not None:
        return max(MIN_BUDGET, budget)
    return max(MIN_BUDGET, budget_for(effort) if effort else BUDGETS["medium"])


def _set_budget(planned: Plan, budget: int, profile: Profile) -> None:
    """Enable thinking; the budget must stay below `max_tokens`, so both give way a little.

    The client's `max_tokens` was meant for what it sees, so it is raised by the budget, but
    not beyond what the model can do; then the budget shrinks.
    """
    visible = planned.max_tokens
    if budget >= visible:
        cap = max(profile.max_output_tokens or _UNKNOWN_CAP, visible)
        planned.max_tokens = min(budget + visible, cap)
        budget = min(budget, max(MIN_BUDGET, planned.max_tokens - visible))
        budget = min(budget, planned.max_tokens - 1)
        if budget < MIN_BUDGET:
            planned.give_up(visible)
            return
        if planned.max_tokens != visible:
            planned.dropped.append("max_tokens")
    planned.thinking = {"type": "enabled", "budget_tokens": budget}


def _set_effort(planned: Plan, effort: Effort | None, profile: Profile) -> None:
    if effort is None or planned.effort is not None:
        return
    planned.effort = clamp(effort, profile.efforts)
    if planned.effort is None:
        planned.dropped.append("effort")
