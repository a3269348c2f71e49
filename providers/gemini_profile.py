"""Facts about Gemini models, read from their names."""

import re
from typing import Final

from models.chat import Effort
from models.profile import Profile, remembered

# gemini-2.5-flash-lite-preview-09-2025, gemini-3-pro-preview, gemini-3.5-flash; also models/...
_NAME: Final = re.compile(
    r"gemini-(\d{1,2})(?:\.(\d{1,2}))?-?(pro|flash-lite|flash|ultra|nano)?(?![a-z0-9])"
)
_NEWEST: Final = (99, 0)
_LAST_OUTPUT: Final = 65_536
_PRO_EFFORTS: Final[tuple[Effort, ...]] = ("low", "medium", "high")
_FLASH_EFFORTS: Final[tuple[Effort, ...]] = ("minimal", "low", "medium", "high")
_BUDGETS: Final = {"pro": (128, 32_768), "flash": (1, 24_576), "flash-lite": (512, 24_576)}


@remembered
def profile(model: str) -> Profile:
    """Return the facts about a Gemini model. An unknown name is taken for a new model."""
    family, version = _family(model.lower())
    thinks = version >= (2, 5) or "thinking" in model.lower()
    return Profile(
        model,
        vendor="gemini",
        max_output_tokens=_max_output_tokens(version),
        reasoning=thinks,
        efforts=_efforts(family, version),
        thinking=_thinking(version),
        thinking_budgets=_BUDGETS.get(family, _BUDGETS["pro"]) if version < (3, 0) else None,
        can_disable_thinking=version < (3, 0) and family != "pro",
        max_stops=5,
        signed_calls=version >= (3, 0),
        tool_schema="json" if version >= (2, 5) else "openapi",
        media_in_results=version >= (3, 0),
        output_with_tools=version >= (3, 0),
    )


def _family(model: str) -> tuple[str, tuple[int, int]]:
    found = _NAME.search(model)
    if found is None:
        return "", _NEWEST
    return found[3] or "", (int(found[1]), int(found[2] or 0))


def _thinking(version: tuple[int, int]) -> str:
    if version >= (3, 0):
        return "level"
    return "budget" if version >= (2, 5) else "none"


def _efforts(family: str, version: tuple[int, int]) -> tuple[Effort, ...]:
    if version < (3, 0):
        return ()
    if version == (3, 0) and family == "pro":
        return ("low", "high")
    # Who is not known to take less gets no less than what all take.
    return _FLASH_EFFORTS if family.startswith("flash") else _PRO_EFFORTS


def _max_output_tokens(version: tuple[int, int]) -> int | None:
    if version == _NEWEST:
        return None
    return _LAST_OUTPUT if version >= (2, 5) else 8_192
