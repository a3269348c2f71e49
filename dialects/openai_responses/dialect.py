"""The Responses format as a dialect: what the modules of this package can do, in one object."""

from collections.abc import Mapping
from typing import Final

from dialects.base import (
    NO_ADDRESS,
    Encoded,
    ErrorFacts,
    Inspected,
    Operation,
    ReplyContext,
)
from dialects.openai_chat.family import OpenAIFamily
from dialects.openai_responses import errors, raw
from dialects.openai_responses.decoder import ResponsesDecoder
from dialects.openai_responses.encoder import ResponsesEncoder
from dialects.openai_responses.read_parts import DIALECT
from dialects.openai_responses.read_request import read_request
from dialects.openai_responses.response import read_response, write_response
from dialects.openai_responses.session import read_session
from dialects.openai_responses.sniffer import ResponsesSniffer
from dialects.openai_responses.usage import read_usage
from dialects.openai_responses.write_request import write_request
from dialects.raw_json import with_model
from models.chat import ChatRequest, ChatResponse
from models.errors import GatewayError
from models.json_types import JsonObject
from models.profile import Profile
from models.session import Session
from models.usage import Usage

_SPELLINGS: Final = {
    "effort": ("reasoning.effort",),
    "max_tokens": ("max_output_tokens",),
    "reasoning": ("input.reasoning",),
    "reasoning_effort": ("reasoning.effort",),
    "response_format": ("text.format",),
    "strict": ("tools.strict",),
    "thinking": ("reasoning.effort", "reasoning.summary"),
    "user": ("safety_identifier", "user"),
    "verbosity": ("text.verbosity",),
}


class Responses(OpenAIFamily):
    """OpenAI's Responses, without what OpenAI would keep between two requests."""

    name = DIALECT
    operation = Operation.GENERATE
    paths: tuple[str, ...] = ("/v1/responses",)
    spellings: Mapping[str, tuple[str, ...]] = _SPELLINGS
    answer_fields = frozenset({"output"})

    def upstream_path(self, model: str, *, stream: bool) -> str:
        return "/responses"

    def inspect(
        self, body: bytes, payload: JsonObject, address: Mapping[str, str] = NO_ADDRESS
    ) -> Inspected:
        return raw.inspect(body, payload)

    def prepare_raw(
        self, body: bytes, payload: JsonObject, model: str, *, ask_usage: bool
    ) -> tuple[bytes, bool]:
        """Usage comes with every answer, so nothing has to be asked for."""
        return with_model(body, payload, model), False

    def session(self, payload: JsonObject) -> Session:
        return read_session(payload)

    def decode_request(self, payload: JsonObject) -> ChatRequest:
        return read_request(payload)

    def encode_request(self, request: ChatRequest, profile: Profile) -> Encoded:
        return write_request(request, profile)

    def decode_response(self, payload: JsonObject) -> ChatResponse:
        return read_response(payload)

    def encode_response(self, response: ChatResponse, context: ReplyContext) -> JsonObject:
        return write_response(response, context)

    def decoder(self, profile: Profile) -> ResponsesDecoder:
        return ResponsesDecoder()

    def encoder(self, context: ReplyContext) -> ResponsesEncoder:
        return ResponsesEncoder(context)

    def sniffer(self, *, hide_usage: bool) -> ResponsesSniffer:
        return ResponsesSniffer()

    def read_usage(self, payload: JsonObject) -> Usage:
        return read_usage(payload)

    def read_error(self, payload: JsonObject) -> ErrorFacts | None:
        return errors.read_error(payload)

    def encode_stream_error(self, error: GatewayError, request_id: str) -> bytes:
        return errors.encode_stream_error(error)


RESPONSES: Final = Responses()
