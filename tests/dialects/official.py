"""The vendors' own SDKs as judges of what is sent to them and told to their clients."""

from collections.abc import Iterable
from typing import Final

import anthropic.types
from anthropic.types import message_create_params
from openai.types.chat import ChatCompletionChunk, completion_create_params
from pydantic import TypeAdapter

from models.json_types import Json, JsonObject

_MESSAGES: Final[TypeAdapter[object]] = TypeAdapter(
    message_create_params.MessageCreateParamsStreaming
    | message_create_params.MessageCreateParamsNonStreaming
)
_CHAT: Final[TypeAdapter[object]] = TypeAdapter(
    completion_create_params.CompletionCreateParamsStreaming
    | completion_create_params.CompletionCreateParamsNonStreaming
)
_EVENTS: Final[TypeAdapter[anthropic.types.RawMessageStreamEvent]] = TypeAdapter(
    anthropic.types.RawMessageStreamEvent
)
# The newest types have no knobs of the sampler any more; older models still take them.
_OLDER: Final = ("temperature", "top_p", "top_k")


def fits_anthropic(payload: JsonObject) -> None:
    """Hold a request to the types of Anthropic's SDK: every value fits, every key is known."""
    known = {key: value for key, value in payload.items() if key not in _OLDER}
    assert _taken(_MESSAGES.validate_python(known)) == known


def fits_openai(payload: JsonObject) -> None:
    """Hold a request to the types of OpenAI's SDK: every value fits, every key is known."""
    assert _taken(_CHAT.validate_python(payload)) == payload


def check_message(payload: JsonObject) -> None:
    """Hold an answer to the type that Anthropic's clients read."""
    anthropic.types.Message.model_validate(payload)


def check_event(payload: JsonObject) -> None:
    """Hold an event of a stream to the types that Anthropic's clients read."""
    if payload["type"] not in ("ping", "error"):
        assert _EVENTS.validate_python(payload).type == payload["type"]


def check_chunk(payload: JsonObject) -> None:
    """Hold a chunk of a stream to the type that OpenAI's clients read."""
    ChatCompletionChunk.model_validate(payload, strict=True)


def _taken(value: object) -> Json:
    """Return what validation kept: unknown keys are gone, iterables are checked as they go."""
    if isinstance(value, dict):
        return {str(key): _taken(child) for key, child in value.items()}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    assert isinstance(value, Iterable)
    return [_taken(child) for child in value]
