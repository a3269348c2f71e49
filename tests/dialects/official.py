"""The vendors' own SDKs as judges of what is sent to them and told to their clients."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import anthropic.types
import google.genai.types
from anthropic.types import message_create_params
from openai.types.chat import ChatCompletion, ChatCompletionChunk, completion_create_params
from openai.types.responses import (
    Response,
    ResponseStreamEvent,
    response_create_params,
)
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
_RESPONSES: Final[TypeAdapter[object]] = TypeAdapter(
    response_create_params.ResponseCreateParamsStreaming
    | response_create_params.ResponseCreateParamsNonStreaming
)
_RESPONSE_EVENTS: Final[TypeAdapter[ResponseStreamEvent]] = TypeAdapter(ResponseStreamEvent)
_GEMINI: Final[Mapping[str, TypeAdapter[object]]] = {
    "contents": TypeAdapter(list[google.genai.types.Content]),
    "systemInstruction": TypeAdapter(google.genai.types.Content),
    "tools": TypeAdapter(list[google.genai.types.Tool]),
    "toolConfig": TypeAdapter(google.genai.types.ToolConfig),
    "generationConfig": TypeAdapter(google.genai.types.GenerationConfig),
    "safetySettings": TypeAdapter(list[google.genai.types.SafetySetting]),
    "serviceTier": TypeAdapter(str),
    "cachedContent": TypeAdapter(str),
}
# The newest types have no knobs of the sampler any more; older models still take them.
_OLDER: Final = ("temperature", "top_p", "top_k")


def fits_anthropic(payload: JsonObject) -> None:
    """Hold a request to the types of Anthropic's SDK: every value fits, every key is known."""
    known = {key: value for key, value in payload.items() if key not in _OLDER}
    assert _taken(_MESSAGES.validate_python(known)) == known


def fits_openai(payload: JsonObject) -> None:
    """Hold a request to the types of OpenAI's SDK: every value fits, every key is known."""
    assert _taken(_CHAT.validate_python(payload)) == payload


def fits_responses(payload: JsonObject) -> None:
    """Hold a request to the types of OpenAI's SDK for Responses."""
    assert _taken(_RESPONSES.validate_python(payload)) == payload


def fits_gemini(payload: JsonObject) -> None:
    """Hold a request to the types of Google's SDK, which refuse unknown keys."""
    for key, value in payload.items():
        _GEMINI[key].validate_python(value)


def fits(dialect: str, payload: JsonObject) -> None:
    """Hold a request to the types of the SDK for this format."""
    _REQUESTS[dialect](payload)


_REQUESTS: Final[Mapping[str, Callable[[JsonObject], None]]] = {
    "messages": fits_anthropic,
    "chat": fits_openai,
    "responses": fits_responses,
    "gemini": fits_gemini,
}


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


def check_answer(dialect: str, payload: JsonObject) -> None:
    """Hold a whole answer to the type that the clients of this format read."""
    match dialect:
        case "messages":
            check_message(payload)
        case "chat":
            ChatCompletion.model_validate(payload, strict=True)
        case "responses":
            Response.model_validate(payload)
        case "gemini":
            google.genai.types.GenerateContentResponse.model_validate(payload)
        case _:
            raise AssertionError(dialect)


def check_frame(dialect: str, payload: JsonObject) -> None:
    """Hold an event of a stream, no error, to the type that the clients of this format read."""
    match dialect:
        case "messages":
            check_event(payload)
        case "chat":
            check_chunk(payload)
        case "responses":
            assert _RESPONSE_EVENTS.validate_python(payload).type == payload["type"]
        case "gemini":
            google.genai.types.GenerateContentResponse.model_validate(payload)
        case _:
            raise AssertionError(dialect)


def _taken(value: object) -> Json:
    """Return what validation kept: unknown keys are gone, iterables are checked as they go."""
    if isinstance(value, dict):
        return {str(key): _taken(child) for key, child in value.items()}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    assert isinstance(value, Iterable)
    return [_taken(child) for child in value]
