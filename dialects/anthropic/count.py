"""Counting the tokens of a Messages request: `POST /v1/messages/count_tokens`."""

from collections.abc import Mapping
from typing import Final

from dialects.anthropic.dialect import Messages
from dialects.anthropic.errors import upstream_error
from dialects.anthropic.usage import read_usage
from dialects.base import NO_ADDRESS, Dialect, Encoded, Inspected, Operation, ReplyContext
from dialects.counting import counted, only, to_count
from dialects.fields import dumps
from models.chat import ChatRequest, ChatResponse
from models.json_types import JsonObject
from models.profile import Profile
from models.usage import Usage

_COUNTED: Final = frozenset(
    {
        "cache_control",
        "context_management",
        "mcp_servers",
        "messages",
        "model",
        "output_config",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    }
)
"""What the endpoint takes; it refuses fields that only steer an answer."""


class MessagesCount(Messages):
    """A Messages request that is counted instead of answered; the answer is one number."""

    name = "messages.count"
    operation = Operation.COUNT
    paths: tuple[str, ...] = ("/v1/messages/count_tokens",)
    answer_fields = frozenset({"input_tokens"})

    def upstream_path(self, model: str, *, stream: bool) -> str:
        return "/v1/messages/count_tokens"

    def inspect(
        self, body: bytes, payload: JsonObject, address: Mapping[str, str] = NO_ADDRESS
    ) -> Inspected:
        return super().inspect(body, payload, address)._replace(stream=False)

    def encode_request(self, request: ChatRequest, profile: Profile) -> Encoded:
        return only(super().encode_request(to_count(request), profile), _COUNTED)

    def decode_response(self, payload: JsonObject) -> ChatResponse:
        tokens = read_usage(payload).input_tokens
        if tokens is None:
            raise upstream_error(payload, dumps(payload))
        return counted(Usage(input_tokens=tokens))

    def encode_response(self, response: ChatResponse, context: ReplyContext) -> JsonObject:
        return {"input_tokens": response.usage.prompt_tokens}


MESSAGES_COUNT: Final[Dialect] = MessagesCount()
