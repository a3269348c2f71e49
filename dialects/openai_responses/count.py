"""Counting the tokens of a Responses request: `POST /v1/responses/input_tokens`."""

from collections.abc import Mapping
from typing import Final

from dialects.base import NO_ADDRESS, Encoded, Inspected, Operation, ReplyContext
from dialects.counting import counted, only, to_count
from dialects.openai_chat.usage import count
from dialects.openai_responses import raw
from dialects.openai_responses.dialect import Responses
from models.chat import ChatRequest, ChatResponse
from models.errors import UpstreamError
from models.json_types import JsonObject
from models.profile import Profile
from models.usage import NO_USAGE, Usage

_COUNTED: Final = frozenset(
    {
        "input",
        "instructions",
        "model",
        "parallel_tool_calls",
        "reasoning",
        "text",
        "tool_choice",
        "tools",
        "truncation",
    }
)
"""What the endpoint takes; it refuses fields that only steer an answer."""


class ResponsesCount(Responses):
    """A Responses request that is counted instead of answered; the answer is one number."""

    name = "responses.count"
    operation = Operation.COUNT
    paths: tuple[str, ...] = ("/v1/responses/input_tokens",)
    answer_fields = frozenset({"input_tokens"})

    def upstream_path(self, model: str, *, stream: bool) -> str:
        return "/responses/input_tokens"

    def inspect(
        self, body: bytes, payload: JsonObject, address: Mapping[str, str] = NO_ADDRESS
    ) -> Inspected:
        return raw.inspect_count(body, payload)

    def decode_request(self, payload: JsonObject) -> ChatRequest:
        if payload.get("input") is None:
            payload = {**payload, "input": []}
        return super().decode_request(payload)

    def encode_request(self, request: ChatRequest, profile: Profile) -> Encoded:
        return only(super().encode_request(to_count(request), profile), _COUNTED)

    def decode_response(self, payload: JsonObject) -> ChatResponse:
        usage = self.read_usage(payload)
        if usage.input_tokens is None:
            raise UpstreamError("the provider's answer holds no count of tokens")
        return counted(usage)

    def encode_response(self, response: ChatResponse, context: ReplyContext) -> JsonObject:
        return {"object": "response.input_tokens", "input_tokens": response.usage.prompt_tokens}

    def read_usage(self, payload: JsonObject) -> Usage:
        tokens = count(payload.get("input_tokens"))
        return NO_USAGE if tokens is None else Usage(input_tokens=tokens)


RESPONSES_COUNT: Final = ResponsesCount()
