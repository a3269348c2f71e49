"""The Messages format as a dialect: what the modules of this package can do, in one object."""

from collections.abc import Mapping, Sequence
from typing import Final

from dialects import fields
from dialects.anthropic import errors
from dialects.anthropic.decoder import StreamDecoder
from dialects.anthropic.encoder import StreamEncoder
from dialects.anthropic.models import encode_model, encode_models, read_models
from dialects.anthropic.read_content import DIALECT
from dialects.anthropic.request import decode_request, encode_request, read_model
from dialects.anthropic.response import decode_response, encode_response
from dialects.anthropic.session import read_session
from dialects.anthropic.sniffer import StreamSniffer
from dialects.anthropic.usage import read_usage
from dialects.base import (
    NO_ADDRESS,
    Decoder,
    Dialect,
    Encoded,
    Encoder,
    ErrorBody,
    ErrorFacts,
    Inspected,
    ModelEntry,
    Operation,
    ReplyContext,
    Sniffer,
)
from dialects.raw_json import quoted, refuse_duplicates, with_model
from dialects.sse import frame
from models.chat import ChatRequest, ChatResponse
from models.errors import GatewayError
from models.json_types import JsonObject
from models.profile import Profile
from models.session import Session
from models.usage import Usage

_GUARDED: Final = quoted("model", "stream", "max_tokens", "messages")
_SPELLINGS: Final = {
    "effort": ("output_config.effort",),
    "parallel_tool_calls": ("tool_choice.disable_parallel_tool_use",),
    "reasoning": ("messages.thinking",),
    "reasoning_effort": ("output_config.effort", "thinking"),
    "response_format": ("output_config.format", "output_format"),
    "thinking": ("thinking", "output_config.effort"),
    "user": ("metadata.user_id",),
}


class Messages:
    """The Messages dialect; its parts live in this package's modules."""

    name = DIALECT
    operation = Operation.GENERATE
    paths: tuple[str, ...] = ("/v1/messages",)
    models_path = "/v1/models"
    spellings: Mapping[str, tuple[str, ...]] = _SPELLINGS
    answer_fields = frozenset({"content"})
    ping = frame(b'{"type":"ping"}', b"ping")
    forwarded_headers = frozenset({"anthropic-version", "anthropic-beta"})

    def upstream_path(self, model: str, *, stream: bool) -> str:
        return "/v1/messages"

    def inspect(
        self, body: bytes, payload: JsonObject, address: Mapping[str, str] = NO_ADDRESS
    ) -> Inspected:
        refuse_duplicates(body, payload, _GUARDED)
        model = read_model(payload)
        fields.items(payload, "messages")
        limit = fields.optional_integer(payload, "max_tokens")
        # 0 is legal: it warms a cache without an answer.
        if limit is not None and limit < 0:
            raise fields.wrong("max_tokens", "a positive integer")
        return Inspected(model, fields.optional_bool(payload, "stream") or False)

    def prepare_raw(
        self, body: bytes, payload: JsonObject, model: str, *, ask_usage: bool
    ) -> tuple[bytes, bool]:
        return with_model(body, payload, model), False

    def session(self, payload: JsonObject) -> Session:
        return read_session(payload)

    def decode_request(self, payload: JsonObject) -> ChatRequest:
        return decode_request(payload)

    def encode_request(self, request: ChatRequest, profile: Profile) -> Encoded:
        return encode_request(request, profile)

    def decode_response(self, payload: JsonObject) -> ChatResponse:
        return decode_response(payload)

    def encode_response(self, response: ChatResponse, context: ReplyContext) -> JsonObject:
        return encode_response(response, context)

    def decoder(self, profile: Profile) -> Decoder:
        return StreamDecoder()

    def encoder(self, context: ReplyContext) -> Encoder:
        return StreamEncoder(context)

    def sniffer(self, *, hide_usage: bool) -> Sniffer:
        return StreamSniffer()

    def read_usage(self, payload: JsonObject) -> Usage:
        return read_usage(payload.get("usage"))

    def read_error(self, payload: JsonObject) -> ErrorFacts | None:
        return errors.read_error(payload)

    def encode_error(self, error: GatewayError, request_id: str) -> ErrorBody:
        return errors.encode_error(error, request_id)

    def encode_stream_error(self, error: GatewayError, request_id: str) -> bytes:
        return errors.encode_stream_error(error, request_id)

    def read_models(self, payload: JsonObject) -> list[ModelEntry]:
        return read_models(payload)

    def encode_models(self, models: Sequence[ModelEntry]) -> JsonObject:
        return encode_models(models)

    def encode_model(self, model: ModelEntry) -> JsonObject:
        return encode_model(model)


MESSAGES: Final[Dialect] = Messages()
