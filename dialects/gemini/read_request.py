"""Requests of the Gemini format, read."""

from typing import Final

from dialects import fields
from dialects.gemini.canonical import canonical, word
from dialects.gemini.constants import DIALECT
from dialects.gemini.models import bare_model
from dialects.gemini.read_config import CONFIG, read_config
from dialects.gemini.read_contents import ContentsReader, read_system
from dialects.gemini.read_tools import read_tool_choice, read_tools
from models.chat import ChatRequest
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject

_READ: Final = frozenset(
    {"contents", CONFIG, "model", "serviceTier", "systemInstruction", "toolConfig", "tools"}
)
_TIERS: Final = {0: "UNSPECIFIED", 1: "STANDARD", 2: "FLEX", 3: "PRIORITY"}
_TIER_NAMES: Final = {"STANDARD": "default", "FLEX": "flex", "PRIORITY": "priority"}


def read_request(payload: JsonObject) -> ChatRequest:
    """Read a request. Model and method stand in its address, so what the body says counts little.

    What only Google knows is kept in `extras`: fields inside others by their path.
    """
    body = canonical(payload)
    if body.get("cachedContent"):
        raise Unrepresentable("cachedContent: only Google has what is in it", path="cachedContent")
    reader = ContentsReader()
    messages = reader.read(body)
    config = read_config(body)
    choice, of_tools = read_tool_choice(body)
    own = {key: body[key] for key in body if key not in _READ}
    told = {**own, **config.rest, **of_tools, **reader.lost}
    extras = {key: value for key, value in told.items() if not _is_nothing(value)}
    return ChatRequest(
        model=bare_model(fields.optional_text(body, "model") or ""),
        stream=False,
        messages=messages,
        system=read_system(body),
        tools=read_tools(body),
        tool_choice=choice,
        max_tokens=config.max_tokens,
        stop=config.stop,
        sampling=config.sampling,
        thinking=config.thinking,
        output=config.output,
        service_tier=_TIER_NAMES.get(word(body, "serviceTier", _TIERS) or ""),
        extras={DIALECT: extras} if extras else {},
    )


def _is_nothing(value: Json) -> bool:
    return value is None or value is False or value in ([], {}, "")
