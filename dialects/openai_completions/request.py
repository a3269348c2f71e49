"""Requests of the legacy text format, read as what they mean in the Chat format."""

from typing import Final

from dialects import fields
from dialects.openai_chat.read_request import read_request
from models.chat import ChatRequest
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject
from models.record import replace

DIALECT: Final = "completions"
DEFAULT_MAX_TOKENS: Final = 16
"""What the format says holds without `max_tokens`."""

_SHARED: Final = (
    "frequency_penalty",
    "logit_bias",
    "model",
    "n",
    "presence_penalty",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "user",
)
"""Fields that the Chat format has too, under the same names."""

_IDLE: Final[dict[str, Json]] = {"best_of": 1, "echo": False, "suffix": ""}
"""What these say is what happens anyway."""


def read_completion(payload: JsonObject) -> ChatRequest:
    """Read a request: the prompt becomes the user's turn. Raises BadRequest or Unrepresentable."""
    prompt = _prompt(payload.get("prompt"))
    for key in ("suffix", "echo"):
        if payload.get(key):
            raise Unrepresentable(f"{key}: cannot be translated for a chat model", path=key)
    limit = fields.optional_integer(payload, "max_tokens")
    chat: JsonObject = {key: payload[key] for key in _SHARED if key in payload}
    chat["max_tokens"] = DEFAULT_MAX_TOKENS if limit is None else limit
    chat["messages"] = [{"role": "user", "content": prompt}]
    rest = _rest(payload)
    return replace(read_request(chat), extras={DIALECT: rest} if rest else {})


def _prompt(prompt: Json) -> str:
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, list | int) and not isinstance(prompt, bool):
        raise Unrepresentable(
            "prompt: several prompts, or tokens, cannot be translated for a chat model",
            path="prompt",
        )
    raise fields.wrong("prompt", "a string")


def _rest(payload: JsonObject) -> JsonObject:
    known = {*_SHARED, "max_tokens", "prompt"}
    return {
        key: value
        for key, value in payload.items()
        if key not in known and value is not None and _IDLE.get(key) != value
    }
