"""The official SDKs, asked in one way and read in one shape."""

from typing import Final

from tests.e2e.sdks.anthropic_messages import AnthropicMessages
from tests.e2e.sdks.asking import Sdk
from tests.e2e.sdks.google import Google
from tests.e2e.sdks.openai_chat import OpenAIChat
from tests.e2e.sdks.openai_responses import OpenAIResponses

SDKS: Final[dict[str, Sdk]] = {
    "chat": OpenAIChat(),
    "responses": OpenAIResponses(),
    "anthropic": AnthropicMessages(),
    "google": Google(),
}
