"""Formats of model calls, which their vendors describe and we do not repeat."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Format:
    """A vendor's format and where it is described."""

    name: str
    text: str
    docs: str | None = None


FORMATS: Final[Mapping[str, Format]] = {
    "messages": Format(
        "Anthropic Messages API",
        "Request, answer, stream and errors are in the format of Anthropic's Messages API.",
        "https://docs.anthropic.com/en/api/messages",
    ),
    "chat": Format(
        "OpenAI Chat Completions API",
        "Request, answer, stream and errors are in the format of OpenAI's Chat Completions API.",
        "https://platform.openai.com/docs/api-reference/chat",
    ),
    "caller": Format(
        "Models API of the caller's vendor",
        "With the header `anthropic-version` the answer is in Anthropic's format, else in "
        "OpenAI's.",
    ),
}
"""By the name that a route gives as its dialect."""
