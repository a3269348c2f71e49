"""Counting tokens in the Gemini format: `POST /v1beta/models/{model}:countTokens`."""

from collections.abc import Mapping
from typing import Final

from dialects import fields
from dialects.base import NO_ADDRESS, Encoded, Inspected, Operation, ReplyContext
from dialects.counting import counted
from dialects.gemini.canonical import camel_case, snake_case
from dialects.gemini.dialect import GeminiDialect, check_once, model_in, path_of, paths_for
from dialects.gemini.errors import upstream_error
from dialects.gemini.models import PREFIX, bare_model
from dialects.gemini.read_request import read_request
from dialects.gemini.usage import count
from dialects.gemini.write_request import write_request
from dialects.raw_json import members, quoted, refuse_duplicates, replace_value
from models.chat import ChatRequest, ChatResponse
from models.errors import BadRequest
from models.json_types import JsonObject
from models.profile import Profile
from models.usage import Usage

_WHOLE: Final = "generateContentRequest"
_BOTH_SPELLINGS: Final = quoted(_WHOLE, snake_case(_WHOLE))
_COUNTED: Final[tuple[str, ...]] = ("contents", "systemInstruction", "tools", "toolConfig")


class GeminiCountDialect(GeminiDialect):
    """Google's countTokens: contents alone, or a whole request to generate."""

    name = "gemini.count"
    operation = Operation.COUNT
    paths: tuple[str, ...] = paths_for("countTokens")
    answer_fields = frozenset({"totalTokens", "promptTokensDetails"})

    def upstream_path(self, model: str, *, stream: bool) -> str:
        return path_of(model, "countTokens")

    def inspect(
        self, body: bytes, payload: JsonObject, address: Mapping[str, str] = NO_ADDRESS
    ) -> Inspected:
        check_once(body, payload)
        refuse_duplicates(body, payload, _BOTH_SPELLINGS)
        asked = _counted(payload)
        if not isinstance(asked.get("contents"), dict):
            fields.items(asked, "contents", "" if asked is payload else _WHOLE)
        if asked is not payload:
            fields.optional_text(asked, "model", _WHOLE)
        return Inspected(model_in(address), stream=False)

    def prepare_raw(
        self, body: bytes, payload: JsonObject, model: str, *, ask_usage: bool
    ) -> tuple[bytes, bool]:
        """Splice the provider's model name into a whole request, which names it once more."""
        asked = _counted(payload)
        if asked is payload or "model" not in asked:
            return body, False
        if bare_model(str(asked["model"])) == bare_model(model):
            return body, False
        place = next(one for one in members(body) if camel_case(one.key) == _WHOLE)
        inner = body[place.value_start : place.value_end]
        named = replace_value(inner, "model", fields.dumps(PREFIX + bare_model(model)))
        return body[: place.value_start] + named + body[place.value_end :], False

    def decode_request(self, payload: JsonObject) -> ChatRequest:
        return read_request(_counted(payload))

    def encode_request(self, request: ChatRequest, profile: Profile) -> Encoded:
        """Write a whole request: contents alone would not count system text and tools."""
        written = write_request(request, profile).payload
        whole = {key: written[key] for key in _COUNTED if key in written}
        model = PREFIX + bare_model(profile.model or request.model)
        return Encoded({_WHOLE: {"model": model, **whole}})

    def decode_response(self, payload: JsonObject) -> ChatResponse:
        usage = self.read_usage(payload)
        if usage.input_tokens is None:
            raise upstream_error(payload, fields.dumps(payload))
        return counted(usage)

    def encode_response(self, response: ChatResponse, context: ReplyContext) -> JsonObject:
        usage = response.usage
        told: JsonObject = {"totalTokens": usage.prompt_tokens}
        if usage.cache_read_tokens:
            told["cachedContentTokenCount"] = usage.cache_read_tokens
        return told

    def read_usage(self, payload: JsonObject) -> Usage:
        total, cached = count(payload, "totalTokens"), count(payload, "cachedContentTokenCount")
        if total is None and "error" not in payload and "promptTokensDetails" in payload:
            total = 0  # a count of zero is left out
        if total is None:
            return Usage()
        return Usage(max(0, total - (cached or 0)), cache_read_tokens=cached)


def _counted(payload: JsonObject) -> JsonObject:
    """Return the object whose contents are counted."""
    given = [key for key in _BOTH_SPELLINGS if payload.get(key) is not None]
    if not given:
        return payload
    if len(given) > 1 or payload.get("contents") is not None:
        raise BadRequest(f"{_WHOLE}: expected either this or contents", path=_WHOLE)
    return fields.mapping(payload, given[0])


GEMINI_COUNT: Final = GeminiCountDialect()
