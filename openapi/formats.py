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
    "responses": Format(
        "OpenAI Responses API",
        "Request, answer, stream and errors are in the format of OpenAI's Responses API.",
        "https://platform.openai.com/docs/api-reference/responses",
    ),
    "gemini": Format(
        "Gemini API",
        "Request, answer, stream and errors are in the format of Google's Gemini API.",
        "https://ai.google.dev/api/generate-content",
    ),
    "messages.count": Format(
        "Anthropic Messages API",
        "Counted by the provider where it can count, else estimated: then the answer carries the "
        "header `x-aigateway-estimated: true`.",
        "https://docs.anthropic.com/en/api/messages-count-tokens",
    ),
    "responses.count": Format(
        "OpenAI Responses API",
        "Counted by the provider where it can count, else estimated: then the answer carries the "
        "header `x-aigateway-estimated: true`.",
        "https://platform.openai.com/docs/api-reference/responses",
    ),
    "gemini.count": Format(
        "Gemini API",
        "Counted by the provider where it can count, else estimated: then the answer carries the "
        "header `x-aigateway-estimated: true`.",
        "https://ai.google.dev/api/tokens",
    ),
    "completions": Format(
        "OpenAI Completions API",
        "Request, answer, stream and errors are in the format of OpenAI's old Completions API.",
        "https://platform.openai.com/docs/api-reference/completions",
    ),
    "embeddings": Format(
        "OpenAI Embeddings API",
        "Request, answer and errors are in the format of OpenAI's Embeddings API.",
        "https://platform.openai.com/docs/api-reference/embeddings",
    ),
    "caller": Format(
        "Models API of the caller's vendor",
        "In Google's format below `/v1beta` and for callers with `x-goog-api-key`, "
        "`x-goog-api-client` or `?key=`, in Anthropic's with the header `anthropic-version`, else "
        "in OpenAI's.",
    ),
}
"""By the name that a route gives as its dialect."""
