"""A program on pydantic-ai: asks every argument once for a whole answer and once for a stream.

A tool is at hand. GATEWAY_URL, GATEWAY_KEY, MODEL and API say whom to ask.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterable
from pathlib import Path

from pydantic_ai import Agent
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

URL, KEY, MODEL = (os.environ[name] for name in ("GATEWAY_URL", "GATEWAY_KEY", "MODEL"))


def model_for(api: str) -> Model:
    match api:
        case "chat":
            return OpenAIChatModel(MODEL, provider=OpenAIProvider(f"{URL}/v1", api_key=KEY))
        case "responses":
            return OpenAIResponsesModel(MODEL, provider=OpenAIProvider(f"{URL}/v1", api_key=KEY))
        case "messages":
            return AnthropicModel(MODEL, provider=AnthropicProvider(base_url=URL, api_key=KEY))
        case _:
            return GoogleModel(MODEL, provider=GoogleProvider(base_url=URL, api_key=KEY))


async def listen(_context: object, events: AsyncIterable[object]) -> None:
    async for _ in events:
        pass


async def main() -> None:
    agent = Agent(model_for(os.environ["API"]))

    @agent.tool_plain
    def read_note(name: str) -> str:
        """Read a note."""
        return Path(name).read_text()

    answers = []
    for prompt in sys.argv[1:]:
        # With someone to listen to the pieces it asks for streams.
        for listener in (None, listen):
            answer = await agent.run(prompt, event_stream_handler=listener)
            answers.append({"text": answer.output, "inputTokens": answer.usage.input_tokens})
    print(json.dumps(answers))  # noqa: T201 - the test reads it


asyncio.run(main())
