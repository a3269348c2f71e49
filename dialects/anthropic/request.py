"""Requests of the Messages format, read and written."""

from typing import Final

from dialects import fields
from dialects.anthropic.output import read_output, write_output
from dialects.anthropic.read_content import DIALECT, read_content, read_texts
from dialects.anthropic.sampling import read_sampling, write_sampling
from dialects.anthropic.thinking import Plan, plan, read_thinking
from dialects.anthropic.tools import (
    is_forced,
    read_tool_choice,
    read_tools,
    tool_names,
    tool_properties,
    write_tool_choice,
    write_tools,
)
from dialects.anthropic.turns import Turn, lacks_thinking, write_turns
from dialects.anthropic.write_content import Outgoing, collapsed
from dialects.anthropic.write_content import write_text as write_text_block
from dialects.base import Encoded
from dialects.call_ids import CallIds
from dialects.names import changed_names, wire_names
from dialects.stops import checked_stops
from models.chat import ChatRequest
from models.content import Message, Part, Role, Text, ToolCall, ToolResult
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json, JsonObject
from models.profile import Profile
from models.record import replace

_MAX_USER_ID: Final = 256
_TIERS: Final = ("auto", "standard_only")
_ROLES: Final[tuple[Role, ...]] = ("user", "assistant", "system")
_READ: Final = frozenset(
    {
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "output_format",
        "service_tier",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
_READ_WHOLE: Final = _READ - {"output_config"}
_READ_OUTPUT: Final = frozenset({"effort", "format"})
_REFUSED: Final = frozenset({"web_search_options", "audio", "background", "previous_response_id"})

# --- reading ----------------------------------------------------------------------------------


def decode_request(payload: JsonObject) -> ChatRequest:
    """Read a client's request; fields that only Anthropic knows are kept in `extras`."""
    metadata = fields.optional_mapping(payload, "metadata") or {}
    choice, parallel = read_tool_choice(payload)
    extras = _extras(payload)
    return ChatRequest(
        model=read_model(payload),
        stream=fields.optional_bool(payload, "stream") or False,
        messages=_read_messages(payload),
        system=() if payload.get("system") is None else read_texts(payload["system"], "system"),
        tools=read_tools(payload),
        tool_choice=choice,
        parallel_tools=parallel,
        max_tokens=_read_max_tokens(payload),
        stop=checked_stops(fields.optional_texts(payload, "stop_sequences"), "stop_sequences"),
        sampling=read_sampling(payload),
        thinking=read_thinking(payload),
        output=read_output(payload),
        user_id=fields.optional_text(metadata, "user_id", "metadata"),
        service_tier=fields.optional_text(payload, "service_tier"),
        extras={DIALECT: extras} if extras else {},
    )


def read_model(payload: JsonObject) -> str:
    """Return the model's name, which must not be empty."""
    model = fields.text(payload, "model")
    if not model:
        raise fields.wrong("model", "the name of a model")
    return model


def _read_max_tokens(payload: JsonObject) -> int | None:
    value = fields.optional_integer(payload, "max_tokens")
    if value is not None and value < 1:
        # Anthropic itself takes 0 to warm a cache, which has no counterpart elsewhere.
        raise fields.wrong("max_tokens", "a positive integer")
    return value


def _read_messages(payload: JsonObject) -> tuple[Message, ...]:
    messages: list[Message] = []
    ids = CallIds()
    for index, message in enumerate(fields.objects(payload, "messages")):
        where = f"messages[{index}]"
        role = _read_role(message.get("role"), where)
        if role == "assistant":
            ids.begin_turn()
        content = message.get("content")
        parts: tuple[Part, ...]
        if isinstance(content, str):
            parts = (Text(content),)
        else:
            blocks = read_content(content, f"{where}.content", role)
            parts = tuple([_with_id(part, where, ids) for part in blocks])
        messages.append(Message(role, parts, None, where))
    if not messages:
        raise fields.wrong("messages", "at least one message")
    return tuple(messages)


def _read_role(given: Json, where: str) -> Role:
    for role in _ROLES:
        if role == given:
            return role
    raise fields.wrong(f"{where}.role", "one of " + ", ".join(_ROLES))


def _with_id(part: Part, where: str, ids: CallIds) -> Part:
    """Return a call with an id that occurs once, and a result with the id of its call."""
    match part:
        case ToolCall():
            return replace(part, id=ids.call(part.id))
        case ToolResult():
            call_id = ids.result(part.call_id)
            if call_id is None:
                raise BadRequest(
                    f"{where}.content: unexpected tool_use_id {part.call_id!r} found in "
                    "tool_result blocks: no tool_use with this id comes before",
                    path=where,
                )
            return replace(part, call_id=call_id)
        case _:
            return part


def _extras(payload: JsonObject) -> JsonObject:
    if payload.keys() <= _READ_WHOLE:
        return {}
    extras = {key: value for key, value in payload.items() if key not in _READ}
    config = payload.get("output_config")
    if isinstance(config, dict):
        rest = {key: value for key, value in config.items() if key not in _READ_OUTPUT}
        if rest:
            extras["output_config"] = rest
    return extras


# --- writing ----------------------------------------------------------------------------------


def encode_request(request: ChatRequest, profile: Profile) -> Encoded:
    """Write a request for an Anthropic model. What it cannot say is dropped or refused."""
    names = wire_names(tool_names(request))
    out = Outgoing(names, tool_properties(request))
    turns = write_turns(request, profile, out)
    planned = _plan(request, profile, turns, out)
    out.dropped.extend(planned.dropped)
    system = [block for text in request.system if (block := write_text_block(text)) is not None]
    config, instruction = write_output(request.output, profile, out)
    if instruction:
        system.append({"type": "text", "text": instruction})

    payload: JsonObject = {
        "model": profile.model or request.model,
        "max_tokens": planned.max_tokens,
    }
    if system:
        payload["system"] = collapsed([*system])
    payload["messages"] = [turn.payload() for turn in turns]
    _put_tools(payload, request, out)
    if planned.thinking is not None:
        payload["thinking"] = planned.thinking
    if planned.effort is not None:
        config["effort"] = planned.effort
    if config:
        payload["output_config"] = config
    native, emulated = _split_stops(request.stop, profile)
    if native:
        payload["stop_sequences"] = [*native]
    payload.update(write_sampling(request.sampling, profile, planned.is_on, out))
    if request.stream:
        payload["stream"] = True
    _put_rest(payload, request, out)
    return Encoded(
        payload,
        tuple(dict.fromkeys(out.dropped)),
        emulated,
        changed_names(names),
        {names[tool]: changed_names(own) for tool, own in out.properties.items()},
    )


def _plan(request: ChatRequest, profile: Profile, turns: list[Turn], out: Outgoing) -> Plan:
    cap = profile.max_output_tokens
    limit = request.max_tokens or cap or profile.default_max_tokens
    if cap is not None and limit > cap:
        limit = cap
        out.dropped.append("max_tokens")
    planned = plan(request.thinking, profile, limit)
    if not planned.is_on:
        return planned
    is_manual = profile.thinking == "manual"
    forced = is_manual and bool(request.tools) and is_forced(request.tool_choice)
    if forced or (is_manual and lacks_thinking(turns)) or turns[-1].role == "assistant":
        planned.give_up(limit)
    return planned


def _put_tools(payload: JsonObject, request: ChatRequest, out: Outgoing) -> None:
    tools = write_tools(request, out)
    if not tools:
        return
    payload["tools"] = tools
    choice = write_tool_choice(request, out.names)
    if choice is not None:
        payload["tool_choice"] = choice


def _split_stops(
    stops: tuple[str, ...], profile: Profile
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the stops that go to the model and those that we apply ourselves."""
    if not stops:
        return (), ()
    wanted = tuple(dict.fromkeys(stop for stop in stops if stop))
    fit = [stop for stop in wanted if not stop.isspace()]
    native = tuple(fit if profile.max_stops is None else fit[: profile.max_stops])
    return native, tuple(stop for stop in wanted if stop not in native)


def _put_rest(payload: JsonObject, request: ChatRequest, out: Outgoing) -> None:
    if request.user_id is not None:
        if len(request.user_id) <= _MAX_USER_ID:
            payload["metadata"] = {"user_id": request.user_id}
        else:
            out.dropped.append("user")
    if request.service_tier in _TIERS:
        payload["service_tier"] = request.service_tier
    elif request.service_tier:
        out.dropped.append("service_tier")
    if request.metadata:
        out.dropped.append("metadata")
    if request.verbosity:
        out.dropped.append("verbosity")
    if request.cache_key:
        out.dropped.append("prompt_cache_key")
    for dialect, extras in request.extras.items():
        if dialect == DIALECT:
            _put_own(payload, extras)
        else:
            _drop_foreign(extras, out)


def _put_own(payload: JsonObject, extras: JsonObject) -> None:
    for key, value in extras.items():
        known = payload.get(key)
        if key == "output_config" and isinstance(known, dict) and isinstance(value, dict):
            payload[key] = {**value, **known}
        else:
            payload.setdefault(key, value)


def _drop_foreign(extras: JsonObject, out: Outgoing) -> None:
    for key, value in extras.items():
        asks_audio = key == "modalities" and isinstance(value, list) and "audio" in value
        if (key in _REFUSED and value) or asks_audio:
            raise Unrepresentable(f"{key}: unknown to an Anthropic model", path=key)
        if value is not False:  # what is not wanted does not happen
            out.dropped.append(key)
