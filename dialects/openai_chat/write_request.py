"""The neutral request, written as a Chat request for the model that a profile describes."""

import hashlib
from operator import attrgetter
from typing import Final

from dialects.base import Encoded
from dialects.efforts import asked_effort, clamp
from dialects.names import changed_names, tool_names, wire_names
from dialects.openai_chat.write_messages import written_messages
from dialects.openai_chat.write_parts import DIALECT, Outgoing
from dialects.schema import fits_strict, for_chat_function
from dialects.vendor_tools import carried_tools
from models.chat import (
    NO_SAMPLING,
    NO_THINKING,
    ChatRequest,
    Effort,
    OutputFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject
from models.profile import Profile

_OPENAI: Final = "openai"
_MAX_USER_ID: Final = 128
_REFUSED: Final = frozenset({"mcp_servers"})
"""Fields of other formats without which the answer would be another."""
_SAMPLING: Final = (
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "logit_bias",
)
_UNTOLD: Final = ("top_k", "logprobs", "top_logprobs")
"""What this format does not know, or what translated answers do not tell."""
_knobs: Final = attrgetter(*_SAMPLING)
_unknown: Final = attrgetter(*_UNTOLD)


def write_request(request: ChatRequest, profile: Profile) -> Encoded:
    """Write a request. Raises Unrepresentable for content that this format cannot carry."""
    names = wire_names(tool_names(request))
    out = Outgoing(profile, names)
    payload: JsonObject = {
        "model": profile.model,
        "messages": written_messages(request, out),
    }
    _put_limit(payload, request, out)
    stops = _put_stop(payload, request, profile)
    _put_sampling(payload, request.sampling, out)
    _put_thinking(payload, request, out)
    _put_tools(payload, request, out)
    _put_output(payload, request.output, out)
    _put_identity(payload, request, out)
    if request.stream:
        payload["stream"] = True
        # Clients of other formats always get usage; OpenAI tells it only on request.
        payload["stream_options"] = {"include_usage": True}
    _put_extras(payload, request, out)
    return Encoded(payload, tuple(dict.fromkeys(out.dropped)), stops, changed_names(names))


def _put_limit(payload: JsonObject, request: ChatRequest, out: Outgoing) -> None:
    limit, cap = request.max_tokens, out.profile.max_output_tokens
    if limit is None:
        return
    if cap is not None and limit > cap:
        limit = cap
        out.dropped.append("max_tokens")
    payload["max_tokens" if out.profile.legacy_max_tokens else "max_completion_tokens"] = limit


def _put_stop(payload: JsonObject, request: ChatRequest, profile: Profile) -> tuple[str, ...]:
    """Send what the model takes; return the rest, which the gateway applies itself."""
    if not request.stop:
        return ()
    stops = [stop for stop in dict.fromkeys(request.stop) if stop]
    count = len(stops) if profile.max_stops is None else profile.max_stops
    if stops[:count]:
        payload["stop"] = [*stops[:count]]
    return tuple(stops[count:])


def _put_sampling(payload: JsonObject, sampling: Sampling, out: Outgoing) -> None:
    if sampling is NO_SAMPLING:
        return
    if sampling.n is not None and sampling.n != 1:
        raise Unrepresentable("n: only one answer at a time can be translated", path="n")
    for name, value in zip(_SAMPLING, _knobs(sampling), strict=True):
        if value is None:
            continue
        # Reasoning models refuse all of these, but a seed.
        if not out.profile.sampling and name != "seed":
            out.dropped.append(name)
        else:
            payload[name] = value
    for name, value in zip(_UNTOLD, _unknown(sampling), strict=True):
        if value not in (None, False):
            out.dropped.append(name)


# --- thinking ---------------------------------------------------------------------------------


def _put_thinking(payload: JsonObject, request: ChatRequest, out: Outgoing) -> None:
    thinking, profile = request.thinking, out.profile
    if thinking is NO_THINKING:
        return
    effort = asked_effort(thinking)
    if thinking.mode == "default" and effort is None:
        return
    if not profile.reasoning:
        if effort != "none":
            out.dropped.append("thinking")
        return
    if thinking.mode == "between_tools":
        out.dropped.append("thinking")
    elif profile.thinking == "switch":
        _put_switch(payload, effort, out)
    elif effort is not None and not profile.efforts:
        out.dropped.append("thinking")
    elif effort is not None:
        payload["reasoning_effort"] = _reachable(effort, profile)


def _put_switch(payload: JsonObject, effort: Effort | None, out: Outgoing) -> None:
    """Write `thinking.type`, as GLM, DeepSeek and Kimi have it, and the effort beside it."""
    profile = out.profile
    is_off = effort == "none"
    if is_off and not profile.can_disable_thinking:
        if profile.efforts:
            payload["reasoning_effort"] = _reachable("low", profile)
        out.dropped.append("thinking")
        return
    payload["thinking"] = {"type": "disabled" if is_off else "enabled"}
    if profile.efforts and effort is not None and not is_off:
        payload["reasoning_effort"] = _reachable(effort, profile)


def _reachable(effort: Effort, profile: Profile) -> str | None:
    if effort == "none" and "none" not in profile.efforts:
        return clamp("minimal", profile.efforts)
    return clamp(effort, profile.efforts)


# --- tools ------------------------------------------------------------------------------------


def _put_tools(payload: JsonObject, request: ChatRequest, out: Outgoing) -> None:
    choice = request.tool_choice
    tools = carried_tools(request.tools, DIALECT, out.dropped)
    if choice is not None and choice.mode == "subset" and out.profile.vendor != _OPENAI:
        # Only OpenAI knows `allowed_tools`; elsewhere the others are left out.
        tools = [tool for tool in tools if tool.name in choice.names]
        choice = ToolChoice("required" if choice.subset_required else "auto")
    if not tools:
        return
    payload["tools"] = [_tool(tool, out) for tool in tools]
    if choice is not None:
        payload["tool_choice"] = _choice(choice, out)
    if request.parallel_tools is not None:
        payload["parallel_tool_calls"] = request.parallel_tools


def _tool(tool: Tool, out: Outgoing) -> JsonObject:
    if tool.raw is not None:
        return tool.raw
    function: JsonObject = {"name": out.names[tool.name]}
    if tool.description is not None:
        function["description"] = tool.description
    parameters = for_chat_function(tool.schema)
    if parameters is not None:
        function["parameters"] = parameters
    if tool.strict is True and not fits_strict(tool.schema):
        # Anthropic's strict tools may have optional properties, OpenAI's may not.
        out.dropped.append("strict")
    elif tool.strict is not None:
        function["strict"] = tool.strict
    if tool.dialect not in (None, DIALECT):
        out.dropped.extend(tool.extras)
    return {"type": "function", "function": function}


def _choice(choice: ToolChoice, out: Outgoing) -> Json:
    match choice.mode:
        case "one":
            return _reference(choice.names[0], out)
        case "subset":
            mode = "required" if choice.subset_required else "auto"
            tools: list[Json] = [_reference(name, out) for name in choice.names]
            return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}
        case mode:
            return mode


def _reference(name: str, out: Outgoing) -> JsonObject:
    return {"type": "function", "function": {"name": out.names.get(name, name)}}


# --- the rest ---------------------------------------------------------------------------------


def _put_output(payload: JsonObject, output: OutputFormat, out: Outgoing) -> None:
    match output.kind:
        case "text":
            return
        case "json_object":
            payload["response_format"] = {"type": "json_object"}
        case "json_schema":
            name = wire_names([output.name or "response"])[output.name or "response"]
            schema = output.schema or {"type": "object"}
            shape: JsonObject = {"name": name, "schema": schema}
            if output.description:
                shape["description"] = output.description
            is_strict = fits_strict(schema) if output.strict is None else output.strict
            if is_strict or output.strict is not None:
                shape["strict"] = is_strict
            payload["response_format"] = {"type": "json_schema", "json_schema": shape}


def _put_identity(payload: JsonObject, request: ChatRequest, out: Outgoing) -> None:
    """Write who asks and what it costs. Most servers know only `user` of these."""
    is_openai = out.profile.vendor == _OPENAI
    if request.user_id:
        payload["safety_identifier" if is_openai else "user"] = short_user_id(request.user_id)
    told = (written_tier(request.service_tier), request.verbosity, request.cache_key)
    if any(told):
        known = zip(("service_tier", "verbosity", "prompt_cache_key"), told, strict=True)
        given = {name: value for name, value in known if value}
        if is_openai:
            payload.update(given)
        else:
            out.dropped.extend(given)
    if request.metadata:
        # OpenAI takes metadata only for answers that it stores.
        out.dropped.append("metadata")


def written_tier(tier: str | None) -> str | None:
    """Return what OpenAI calls a class of service."""
    return "default" if tier == "standard_only" else tier


def short_user_id(user_id: str) -> str:
    """Return the id, or a short form that is the same for the same id every time."""
    if len(user_id) <= _MAX_USER_ID:
        return user_id
    return hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()


def _put_extras(payload: JsonObject, request: ChatRequest, out: Outgoing) -> None:
    for dialect, extras in request.extras.items():
        for key, value in extras.items():
            if dialect == DIALECT:
                payload.setdefault(key, value)
            elif key in _REFUSED and value:
                raise Unrepresentable(f"{key}: unknown to a provider of the Chat format", path=key)
            else:
                out.dropped.append(key)
