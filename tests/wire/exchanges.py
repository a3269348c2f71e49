"""Answers of every format in every scenario, written by the pretend providers."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from dialects import DIALECTS
from dialects.base import Dialect, ReplyContext
from models.chat import ChatRequest, Thinking
from models.content import Message, Text
from models.profile import Profile
from tests.fakes.formats import chat, gemini, messages, responses
from tests.fakes.scenarios import Call, Scenario

_ROME, _OSLO = Call("call_a", "wx", {"city": "Rome"}), Call("call_b", "wx", {"city": "Oslo"})
SCENARIOS: Final[Mapping[str, Scenario]] = {
    "text": Scenario(),
    "letters": Scenario(text=("é世", "🌍 \u2028", '\\ " \x85')),
    "empty": Scenario(text=()),
    "usage": Scenario(
        input_tokens=20, cache_read_tokens=1000, output_tokens=50, reasoning_tokens=9
    ),
    "length": Scenario(stop="length"),
    "stop sequence": Scenario(stop="stop_sequence", stop_sequence="END"),
    "filtered": Scenario(stop="refusal"),
    "call": Scenario(text=("I look.",), calls=(_ROME,), stop="tools"),
    "two calls": Scenario(text=(), calls=(_ROME, _OSLO), stop="tools"),
    "thinking": Scenario(thinking=("Let me ", "think.")),
    "thinking and call": Scenario(
        thinking=("Let me ", "think."), text=("I look.",), calls=(_ROME,), stop="tools"
    ),
}
NAMES: Final = ("messages", "chat", "responses", "gemini")
"""The formats that answers are written in."""

_MODEL: Final = "gemini-3-pro"  # of the family where models decide most about the form
_ASKED: Final[dict[str, Any]] = {
    "include": ["reasoning.encrypted_content"],
    "reasoning": {"summary": "auto"},
}
_VENDORS: Final = {"messages": "anthropic", "responses": "openai", "gemini": "gemini"}


def whole(name: str, scenario: Scenario) -> dict[str, Any]:
    """Return a whole answer as its provider writes it."""
    match name:
        case "messages":
            return messages.messages_json(scenario)
        case "chat":
            return chat.chat_json(scenario)
        case "responses":
            return responses.response_json(scenario, _ASKED)
        case _:
            return gemini.generate_json(scenario, _MODEL, thoughts=True)


def stream(name: str, scenario: Scenario) -> list[bytes]:
    """Return the frames of a streamed answer."""
    return list(_frames(name, scenario))


def _frames(name: str, scenario: Scenario) -> Iterable[bytes]:
    match name:
        case "messages":
            return messages.messages_stream(scenario)
        case "chat":
            return chat.chat_stream(scenario, include_usage=True)
        case "responses":
            return responses.response_stream(scenario, _ASKED)
        case _:
            return gemini.as_events(gemini.generate_chunks(scenario, _MODEL, thoughts=True))


def dialect(name: str) -> Dialect:
    return DIALECTS[name]


def profile(name: str) -> Profile:
    """Return the facts about the model that answers."""
    return Profile("fake-model", vendor=_VENDORS.get(name, ""))


def context() -> ReplyContext:
    """Return what an answer's writer knows of a client that wants to see all."""
    asked = Message("user", (Text("Hello"),))
    request = ChatRequest(
        "fake-model", True, (asked,), thinking=Thinking(mode="effort", effort="high", shown=True)
    )
    return ReplyContext(request, "0" * 32, 1_760_000_000)
