"""Knowledge about upstream services: address, signing, reading of failures; no IO."""

from typing import Final

from providers import anthropic, glm, openai
from providers.base import Provider

BUILTIN: Final[tuple[Provider, ...]] = (anthropic.PROVIDER, openai.PROVIDER, glm.PROVIDER)
"""What the gateway knows without being told, in the order that lists show them."""
