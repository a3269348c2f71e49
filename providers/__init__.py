"""Knowledge about upstream services: address, signing, reading of failures; no IO."""

from typing import Final

from providers import anthropic, antigravity, gemini, glm, openai
from providers.base import Provider

BUILTIN: Final[tuple[Provider, ...]] = (
    anthropic.PROVIDER,
    openai.PROVIDER,
    glm.PROVIDER,
    gemini.PROVIDER,
    antigravity.PROVIDER,
)
"""What the gateway knows without being told, in the order that lists show them."""
