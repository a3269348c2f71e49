"""Facts about the models that Code Assist serves: Google's own, Claude, and gpt-oss."""

from typing import Final

from dialects.gemini.constants import CLAUDE
from models.profile import Profile, remembered
from providers import anthropic, gemini_profile

_THINKS: Final = "-thinking"
_LEAST_BUDGET: Final = 1024


@remembered
def profile(model: str) -> Profile:
    """Return the facts about a model by its name."""
    name = model.lower()
    if "claude" in name:
        return _claude(model)
    if name.startswith("gpt-oss"):
        return Profile(
            model,
            reasoning=False,
            tool_schema="openapi",
            media_in_results=False,
            rare_sampling=False,
            structured_output=False,
        )
    return gemini_profile.profile(model)


def _claude(model: str) -> Profile:
    """Claude in Google's format: Anthropic's models, the rules of both, signatures of its own."""
    known = anthropic.profile(model)
    most = known.max_output_tokens
    return Profile(
        model,
        vendor=CLAUDE,
        is_guest=True,
        max_output_tokens=most,
        reasoning=_THINKS in model.lower(),
        thinking="budget",
        thinking_budgets=(_LEAST_BUDGET, (most or 64_000) - 1),
        sampling=known.sampling,
        prefill=known.prefill,
        structured_output=False,
        signed_thoughts=True,
        tool_schema="claude",
        validated_tools=True,
        rare_sampling=False,
    )
