"""The Gemini format as a dialect: what the modules of this package can do, in one object."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from dialects import fields
from dialects.base import (
    NO_ADDRESS,
    Encoded,
    ErrorBody,
    ErrorFacts,
    Inspected,
    ModelEntry,
    Operation,
    ReplyContext,
)
from dialects.gemini import errors
from dialects.gemini.canonical import camel_case, snake_case
from dialects.gemini.constants import DIALECT
from dialects.gemini.decoder import StreamDecoder
from dialects.gemini.encoder import StreamEncoder
from dialects.gemini.models import bare_model, encode_model, encode_models, read_models
from dialects.gemini.read_config import CONFIG, read_max_tokens
from dialects.gemini.read_request import read_request
from dialects.gemini.response import decode_response, encode_response
from dialects.gemini.session import read_session
from dialects.gemini.sniffer import StreamSniffer
from dialects.gemini.usage import read_usage
from dialects.gemini.write_request import write_request
from dialects.raw_json import quoted, refuse_duplicates
from models.chat import ChatRequest, ChatResponse
from models.errors import BadRequest, GatewayError
from models.json_types import JsonObject
from models.profile import Profile
from models.session import Session
from models.usage import Usage

_GUARDED: Final = ("contents", CONFIG, "systemInstruction", "tools", "toolConfig", "cachedContent")
_BOTH_SPELLINGS: Final = quoted(
    *dict.fromkeys(spelling for name in _GUARDED for spelling in (name, snake_case(name)))
)
_TWINS: Final = tuple((key, other) for key in _BOTH_SPELLINGS if (other := camel_case(key)) != key)
_TUNED: Final = "tunedModels/"
_STREAM: Final = "streamGenerateContent"
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "frequency_penalty": ("frequencyPenalty",),
    "logprobs": ("responseLogprobs",),
    "max_tokens": ("maxOutputTokens",),
    "n": ("candidateCount",),
    "presence_penalty": ("presencePenalty",),
    "response_format": ("responseSchema", "responseJsonSchema", "responseMimeType"),
    "seed": ("seed",),
    "stop": ("stopSequences",),
    "temperature": ("temperature",),
    "thinking": ("thinkingConfig",),
    "effort": ("thinkingConfig",),
    "reasoning_effort": ("thinkingConfig",),
    "top_k": ("topK",),
    "top_logprobs": ("logprobs",),
    "top_p": ("topP",),
}


def _spellings() -> dict[str, tuple[str, ...]]:
    found = {
        name: tuple(
            spelling
            for field in known
            for path in (f"{CONFIG}.{field}",)
            for spelling in (path, snake_case(path))
        )
        for name, known in _FIELDS.items()
    }
    return {
        **found,
        "image": ("contents.parts.inlineData",),
        "reasoning": ("contents.parts.thought",),
        "service_tier": ("serviceTier", "service_tier"),
        "tool_choice": ("toolConfig.functionCallingConfig",),
    }


_SPELLINGS: Final = _spellings()


def paths_for(methods: str) -> tuple[str, ...]:
    """Return the paths of methods of models (a regular expression), in both versions.

    The colon may come encoded; a model's name may hold colons itself, so that the last counts.
    """
    return tuple(
        f"/{version}/models/{{model:.+}}{{colon::|%3[Aa]}}{{method:{methods}}}"
        for version in ("v1beta", "v1")
    )


def path_of(model: str, method: str) -> str:
    """Return the path of a model's method, safe whatever the model is called."""
    name = bare_model(model)
    collection = _TUNED if name.startswith(_TUNED) else "models/"
    return f"/v1beta/{collection}{quote(name.removeprefix(_TUNED), safe='')}:{method}"


def model_in(address: Mapping[str, str]) -> str:
    """Return the model that an address names."""
    model = bare_model(address.get("model", ""))
    if not model:
        raise BadRequest("model: expected its name in the path", path="model")
    return model


def check_once(body: bytes, payload: JsonObject) -> None:
    """Raise BadRequest when one of the fields that count stands twice, in one or both spellings."""
    refuse_duplicates(body, payload, _BOTH_SPELLINGS)
    for key, other in _TWINS:
        if key in payload and other in payload:
            raise BadRequest(f"{other}: given more than once", path=other)


class GeminiDialect:
    """Google's generateContent and streamGenerateContent."""

    name = DIALECT
    operation = Operation.GENERATE
    paths: tuple[str, ...] = paths_for("generateContent|streamGenerateContent")
    models_path = "/v1beta/models?pageSize=1000"
    spellings: Mapping[str, tuple[str, ...]] = _SPELLINGS
    answer_fields = frozenset({"candidates", "promptFeedback", "usageMetadata"})
    ping = b""
    """None: Google's SDK takes a comment for JSON."""
    forwarded_headers: frozenset[str] = frozenset()

    def upstream_path(self, model: str, *, stream: bool) -> str:
        return path_of(model, f"{_STREAM}?alt=sse" if stream else "generateContent")

    def inspect(
        self, body: bytes, payload: JsonObject, address: Mapping[str, str] = NO_ADDRESS
    ) -> Inspected:
        check_once(body, payload)
        model = model_in(address)
        if not isinstance(payload.get("contents"), dict):
            fields.items(payload, "contents")
        key = CONFIG if CONFIG in payload else snake_case(CONFIG)
        if config := fields.optional_mapping(payload, key):
            read_max_tokens({camel_case(name): value for name, value in config.items()})
        return Inspected(model, address.get("method") == _STREAM)

    def prepare_raw(
        self, body: bytes, payload: JsonObject, model: str, *, ask_usage: bool
    ) -> tuple[bytes, bool]:
        """Return the body as it came: the model stands in the address."""
        return body, False

    def session(self, payload: JsonObject) -> Session:
        return read_session(payload)

    def decode_request(self, payload: JsonObject) -> ChatRequest:
        return read_request(payload)

    def encode_request(self, request: ChatRequest, profile: Profile) -> Encoded:
        return write_request(request, profile)

    def decode_response(self, payload: JsonObject) -> ChatResponse:
        return decode_response(payload)

    def encode_response(self, response: ChatResponse, context: ReplyContext) -> JsonObject:
        return encode_response(response, context)

    def decoder(self, profile: Profile) -> StreamDecoder:
        return StreamDecoder(profile.vendor)

    def encoder(self, context: ReplyContext) -> StreamEncoder:
        return StreamEncoder(context)

    def sniffer(self, *, hide_usage: bool) -> StreamSniffer:
        return StreamSniffer()

    def read_usage(self, payload: JsonObject) -> Usage:
        return read_usage(payload)

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


GEMINI: Final = GeminiDialect()
