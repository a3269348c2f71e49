"""The Chat format as a dialect: what the modules of this package can do, in one object."""

from collections.abc import Mapping
from typing import Final

from dialects.base import (
    NO_ADDRESS,
    Encoded,
    Encoder,
    Inspected,
    Operation,
    ReplyContext,
)
from dialects.openai_chat import errors, raw
from dialects.openai_chat.decoder import ChatDecoder
from dialects.openai_chat.encoder import ChatEncoder
from dialects.openai_chat.family import OpenAIFamily
from dialects.openai_chat.read_request import read_request
from dialects.openai_chat.response import read_response, write_response
from dialects.openai_chat.session import read_session
from dialects.openai_chat.sniffer import ChatSniffer
from dialects.openai_chat.usage import read_usage
from dialects.openai_chat.write_request import write_request
from models.chat import ChatRequest, ChatResponse
from models.errors import GatewayError
from models.json_types import JsonObject
from models.profile import Profile

_SPELLINGS: Final = {
    "effort": ("reasoning_effort", "reasoning.effort"),
    "max_tokens": ("max_completion_tokens", "max_tokens"),
    "reasoning": ("messages.reasoning_content",),
    "thinking": ("thinking", "reasoning_effort", "reasoning"),
    "user": ("safety_identifier", "user"),
}


class ChatDialect(OpenAIFamily):
    """OpenAI's Chat Completions and what compatible servers make of it."""

    name = "chat"
    operation = Operation.GENERATE
    paths: tuple[str, ...] = ("/v1/chat/completions",)
    spellings: Mapping[str, tuple[str, ...]] = _SPELLINGS
    answer_fields = frozenset({"choices"})

    def upstream_path(self, model: str, *, stream: bool) -> str:
        return "/chat/completions"

    def inspect(
        self, body: bytes, payload: JsonObject, address: Mapping[str, str] = NO_ADDRESS
    ) -> Inspected:
        return raw.inspect(body, payload)

    # What each request asks for goes straight to its function.
    prepare_raw = staticmethod(raw.prepare_raw)
    session = staticmethod(read_session)
    read_usage = staticmethod(read_usage)
    read_error = staticmethod(errors.read_error)

    def decode_request(self, payload: JsonObject) -> ChatRequest:
        return read_request(payload)

    def encode_request(self, request: ChatRequest, profile: Profile) -> Encoded:
        return write_request(request, profile)

    def decode_response(self, payload: JsonObject) -> ChatResponse:
        return read_response(payload)

    def encode_response(self, response: ChatResponse, context: ReplyContext) -> JsonObject:
        return write_response(response, context)

    def decoder(self, profile: Profile) -> ChatDecoder:
        return ChatDecoder(profile.vendor)

    def encoder(self, context: ReplyContext) -> Encoder:
        return ChatEncoder(context)

    def sniffer(self, *, hide_usage: bool) -> ChatSniffer:
        return ChatSniffer(hide_usage=hide_usage)

    def encode_stream_error(self, error: GatewayError, request_id: str) -> bytes:
        return errors.encode_stream_error(error)


CHAT = ChatDialect()
