"""Facts about a model family, read from the model's name and the provider that serves it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from models.chat import Effort


@dataclass(frozen=True, slots=True)
class Profile:
    """What the encoder of a request must know about the model that will read it.

    The defaults are those of an unknown model behind a compatible server.
    """

    model: str
    vendor: str = ""
    """Family whose signed reasoning it accepts back: `anthropic`, `openai`, `glm`, `gemini`,
    `claude-ca` (Claude behind Code Assist, whose signatures are valid nowhere else), or ``."""
    is_guest: bool = False
    """Served in another vendor's format, whose clients do not know its rules: their requests are
    written anew even where they are in that format (Claude behind Code Assist)."""
    max_output_tokens: int | None = None
    """Documented cap of the answer, where known."""
    default_max_tokens: int = 4096
    """Limit for a client that names none, where the format wants one and no cap is known."""
    reasoning: bool = True
    """Accepts reasoning knobs at all."""
    efforts: tuple[Effort, ...] = ()
    """Effort values it accepts; empty when it has no effort knob."""
    thinking: str = "none"
    """Anthropic: `adaptive` (4.6 and later), `manual` (3.7 to 4.5) or `none`.
    Chat: `switch` for servers with a `thinking.type` of their own (GLM).
    Gemini: `level` (3 and later), `budget` (2.5, and Claude behind Google's service)."""
    thinking_budgets: tuple[int, int] | None = None
    """Gemini: least and most tokens of a budget that is not 0."""
    can_disable_thinking: bool = True
    sampling: bool = True
    """Accepts temperature and its kin."""
    prefill: bool = True
    """Accepts a conversation that ends with the assistant."""
    system_in_messages: bool = False
    """Accepts system messages in the middle (Anthropic)."""
    structured_output: bool = True
    """Accepts a JSON schema for its output."""
    max_stops: int | None = None
    """Stop sequences it takes; 0 for none, None for no known limit."""
    legacy_max_tokens: bool = False
    """Chat: wants `max_tokens` instead of `max_completion_tokens`."""
    reasoning_content: bool = False
    """Chat: wants the assistant's `reasoning_content` back."""
    signed_calls: bool = False
    """Gemini: refuses a step of a running tool loop whose first call has no signature."""
    signed_thoughts: bool = False
    """Gemini: refuses thoughts without a signature and, while it thinks, calls without thoughts."""
    tool_schema: Literal["json", "openapi", "claude"] = "json"
    """Gemini: JSON Schema, Google's subset of OpenAPI's, or what is both."""
    validated_tools: bool = False
    """Gemini: tools are called in mode VALIDATED where others have AUTO."""
    media_in_results: bool = True
    """Gemini: a tool's result may hold media; else they stand beside it."""
    output_with_tools: bool = True
    """Gemini: takes functions and a JSON answer in one request."""
    rare_sampling: bool = True
    """Gemini: accepts penalties and a seed."""


ProfileOf: TypeAlias = Callable[[str], Profile]
"""Finds the profile of a model by its name."""


def remembered(find: ProfileOf) -> ProfileOf:
    """Return the same, which finds each model once; clients choose the names, so not too many."""
    return lru_cache(maxsize=512)(find)
