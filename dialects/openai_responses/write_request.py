"""The neutral request, written as a Responses request for the model that a profile describes."""

from typing import Final

from dialects.base import Encoded
from dialects.custom_tools import custom_names
from dialects.efforts import asked_effort, clamp
from dialects.names import changed_names, tool_names, wire_names
from dialects.openai_chat.write_request import short_user_id, written_tier
from dialects.openai_responses.read_parts import DIALECT, VENDOR
from dialects.openai_responses.write_items import written_input
from dialects.openai_responses.write_parts import Outgoing
from dialects.openai_responses.write_tools import put_tools
from dialects.schema import fits_strict
from models.chat import NO_SAMPLING, ChatRequest, OutputFormat, Sampling, Thinking
from models.errors import Unrepresentable
from models.json_types import JsonObject
from models.profile import Profile

MIN_OUTPUT_TOKENS: Final = 16
"""OpenAI refuses less."""

_MAX_NAME: Final = 128
_MAX_METADATA: Final = (16, 64, 512)
"""Pairs, characters of a key, characters of a value."""
_REFUSED: Final = frozenset({"mcp_servers"})
"""Fields of other formats without which the answer would be another."""
_UNKNOWN_KNOBS: Final = (
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "logit_bias",
    "logprobs",
    "top_logprobs",
)


def write_request(request: ChatRequest, profile: Profile) -> Encoded:
    """Write a request. Raises Unrepresentable for content that this format cannot carry.

    Nothing is to be stored at the provider; what its model thought comes back encrypted instead.
    The format has no stop sequences, so all of them are left to the gateway.
    """
    names = wire_names(tool_names(request), limit=_MAX_NAME)
    out = Outgoing(profile, names, custom_names(request.tools))
    payload: JsonObject = {"model": profile.model, "store": False}
    instructions = "\n\n".join(text.text for text in request.system if text.text)
    if instructions:
        payload["instructions"] = instructions
    payload["input"] = written_input(request, out)
    if request.stream:
        payload["stream"] = True
    _put_limit(payload, request, out)
    _put_sampling(payload, request.sampling, out)
    _put_thinking(payload, request.thinking, out)
    put_tools(payload, request, out)
    _put_text(payload, request, out)
    _put_identity(payload, request, out)
    _put_extras(payload, request, out)
    stops = tuple(stop for stop in dict.fromkeys(request.stop) if stop)
    return Encoded(payload, tuple(dict.fromkeys(out.dropped)), stops, changed_names(names))


def _put_limit(payload: JsonObject, request: ChatRequest, out: Outgoing) -> None:
    asked, cap = request.max_tokens, out.profile.max_output_tokens
    if asked is None:
        return
    limit = max(asked if cap is None else min(asked, cap), MIN_OUTPUT_TOKENS)
    if limit != asked:
        out.dropped.append("max_tokens")
    payload["max_output_tokens"] = limit


def _put_sampling(payload: JsonObject, sampling: Sampling, out: Outgoing) -> None:
    if sampling is NO_SAMPLING:
        return
    if sampling.n is not None and sampling.n != 1:
        raise Unrepresentable("n: only one answer at a time can be translated", path="n")
    for name in ("temperature", "top_p"):
        value = getattr(sampling, name)
        if value is not None and out.profile.sampling:
            payload[name] = value
        elif value is not None:
            out.dropped.append(name)
    out.dropped.extend(name for name in _UNKNOWN_KNOBS if getattr(sampling, name) is not None)


def _put_thinking(payload: JsonObject, thinking: Thinking, out: Outgoing) -> None:
    profile = out.profile
    effort = asked_effort(thinking)
    if not profile.reasoning:
        if thinking.mode != "default" and effort != "none":
            out.dropped.append("thinking")
        return
    if profile.vendor:
        # Nothing is stored, so the client carries the thoughts to the next request.
        payload["include"] = ["reasoning.encrypted_content"]
    wish: JsonObject = {}
    if effort is not None and profile.efforts:
        is_off = effort == "none" and "none" not in profile.efforts
        wish["effort"] = clamp("minimal" if is_off else effort, profile.efforts)
    elif effort is not None or thinking.mode == "between_tools":
        out.dropped.append("thinking")
    if _shows(thinking):
        wish["summary"] = "auto"
    if wish:
        payload["reasoning"] = wish


def _shows(thinking: Thinking) -> bool:
    """Say whether the client wants to see thoughts; who asks for thinking does, if not told."""
    if thinking.shown is not None:
        return thinking.shown
    return thinking.mode not in ("default", "off") and thinking.display != "omitted"


# --- the rest ---------------------------------------------------------------------------------


def _put_text(payload: JsonObject, request: ChatRequest, out: Outgoing) -> None:
    text: JsonObject = {}
    if request.output.kind == "json_object":
        text["format"] = {"type": "json_object"}
    elif request.output.kind == "json_schema":
        text["format"] = _shape(request.output)
    if request.verbosity and out.profile.vendor == VENDOR:
        text["verbosity"] = request.verbosity
    elif request.verbosity:
        out.dropped.append("verbosity")
    if text:
        payload["text"] = text


def _shape(output: OutputFormat) -> JsonObject:
    name = output.name or "response"
    schema = output.schema or {"type": "object"}
    shape: JsonObject = {
        "type": "json_schema",
        "name": wire_names([name])[name],
        "schema": schema,
        "strict": fits_strict(schema) if output.strict is None else output.strict,
    }
    if output.description:
        shape["description"] = output.description
    return shape


def _put_identity(payload: JsonObject, request: ChatRequest, out: Outgoing) -> None:
    """Write who asks and what it costs, as far as OpenAI's own servers know it."""
    is_openai = out.profile.vendor == VENDOR
    if request.user_id:
        payload["safety_identifier" if is_openai else "user"] = short_user_id(request.user_id)
    tier = written_tier(request.service_tier)
    for name, value in (("service_tier", tier), ("prompt_cache_key", request.cache_key)):
        if value and is_openai:
            payload[name] = value
        elif value:
            out.dropped.append(name)
    if request.metadata:
        _put_metadata(payload, request, out)


def _put_metadata(payload: JsonObject, request: ChatRequest, out: Outgoing) -> None:
    pairs, key_length, value_length = _MAX_METADATA
    fits = len(request.metadata) <= pairs and all(
        len(key) <= key_length and len(value) <= value_length
        for key, value in request.metadata.items()
    )
    if fits:
        payload["metadata"] = dict(request.metadata)
    else:
        out.dropped.append("metadata")


def _put_extras(payload: JsonObject, request: ChatRequest, out: Outgoing) -> None:
    for dialect, extras in request.extras.items():
        for key, value in extras.items():
            if dialect == DIALECT and "." not in key:
                payload.setdefault(key, value)
            elif key in _REFUSED and value:
                raise Unrepresentable(
                    f"{key}: unknown to a provider of the Responses format", path=key
                )
            else:
                out.dropped.append(key)
