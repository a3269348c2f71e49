"""A program on LangChain: asks every argument once for a whole answer and once for a stream.

A tool is at hand. GATEWAY_URL, GATEWAY_KEY, MODEL and API say whom to ask.
"""

import json
import operator
import os
import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path

from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI

URL, KEY, MODEL = (os.environ[name] for name in ("GATEWAY_URL", "GATEWAY_KEY", "MODEL"))


def model_for(api: str) -> BaseChatModel:
    match api:
        case "chat" | "responses":
            return ChatOpenAI(
                model=MODEL,
                base_url=f"{URL}/v1",
                api_key=KEY,
                use_responses_api=api == "responses",
                stream_usage=True,
            )
        case "messages":
            return ChatAnthropic(model=MODEL, base_url=URL, api_key=KEY)
        case _:
            return ChatGoogleGenerativeAI(model=MODEL, base_url=URL, google_api_key=KEY)


@tool
def read_note(name: str) -> str:
    """Read a note."""
    return Path(name).read_text()


Ask = Callable[[list[BaseMessage]], BaseMessage]


def conversation(prompt: str, ask: Ask) -> dict[str, object]:
    """Ask until no tool is called any more."""
    messages: list[BaseMessage] = [HumanMessage(prompt)]
    input_tokens = 0
    while True:
        answer = ask(messages)
        input_tokens += (answer.usage_metadata or {}).get("input_tokens", 0)
        if not answer.tool_calls:
            return {"text": answer.text, "inputTokens": input_tokens}
        messages += [answer, *(read_note.invoke(call) for call in answer.tool_calls)]


def streaming(model: Runnable) -> Ask:
    return lambda messages: reduce(operator.add, model.stream(messages))


model = model_for(os.environ["API"]).bind_tools([read_note])
ways = [model.invoke, streaming(model)]
answers = [conversation(prompt, ask) for prompt in sys.argv[1:] for ask in ways]
print(json.dumps(answers))  # noqa: T201 - the test reads it
