"""Legacy text completions as a dialect: for clients only, nobody is spoken to in it.

What it shares with the Chat format is most of it: errors, model lists, usage, and the frames of
a stream, in which a choice has `text` where Chat has `delta`.
"""

from collections.abc import Mapping
from typing import Final

from dialects.base import NO_ADDRESS, Dialect, Encoded, Encoder, Inspected, ReplyContext
from dialects.openai_chat import raw
from dialects.openai_chat.dialect import ChatDialect
from dialects.openai_completions.answers import CompletionEncoder, write_completion
from dialects.openai_completions.request import DIALECT, read_completion
from models.chat import ChatRequest, ChatResponse
from models.errors import Unrepresentable
from models.json_types import JsonObject
from models.profile import Profile

_GUARDED: Final = raw.guarded("prompt")


class CompletionsDialect(ChatDialect):
    """OpenAI's `/v1/completions`."""

    name = DIALECT
    paths: tuple[str, ...] = ("/v1/completions",)
    spellings: Mapping[str, tuple[str, ...]] = {}

    def upstream_path(self, model: str, *, stream: bool) -> str:
        return "/completions"

    def inspect(
        self, body: bytes, payload: JsonObject, address: Mapping[str, str] = NO_ADDRESS
    ) -> Inspected:
        return raw.routed(body, payload, _GUARDED)

    def decode_request(self, payload: JsonObject) -> ChatRequest:
        return read_completion(payload)

    def encode_request(self, request: ChatRequest, profile: Profile) -> Encoded:
        raise Unrepresentable("a conversation cannot be sent in the legacy text format")

    def encode_response(self, response: ChatResponse, context: ReplyContext) -> JsonObject:
        return write_completion(response, context)

    def encoder(self, context: ReplyContext) -> Encoder:
        return CompletionEncoder(context)


COMPLETIONS: Final[Dialect] = CompletionsDialect()
