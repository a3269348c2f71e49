"""A client's Responses request, read into the neutral one."""

from typing import Final

from dialects import fields
from dialects.efforts import parse_effort
from dialects.openai_chat.read_request import read_metadata, schema_output
from dialects.openai_responses.read_items import read_input
from dialects.openai_responses.read_parts import DIALECT
from dialects.openai_responses.read_tools import meant, offered, read_tool_choice, read_tools
from models.chat import (
    NO_SAMPLING,
    NO_THINKING,
    TEXT_OUTPUT,
    ChatRequest,
    OutputFormat,
    Sampling,
    Thinking,
)
from models.content import Text
from models.errors import BadRequest, ErrorKind, Unrepresentable
from models.json_types import Json, JsonObject

_ENCRYPTED: Final = "reasoning.encrypted_content"
_USUAL: Final = {
    "context": "auto",
    "mode": "standard",
    "prompt_cache_retention": "in_memory",
    "truncation": "disabled",
}
"""What asks for nothing beyond what is done anyway."""
_ECHOED: Final = frozenset(
    {
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "parallel_tool_calls",
        "prompt_cache_key",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
_READ: Final = frozenset(
    {
        "background",
        "input",
        "instructions",
        "max_output_tokens",
        "metadata",
        "model",
        "parallel_tool_calls",
        "prompt_cache_key",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_p",
        "user",
    }
)
_KNOBS: Final = frozenset({"temperature", "top_p"})


def read_request(payload: JsonObject) -> ChatRequest:
    """Read a request. Raises BadRequest or Unrepresentable."""
    _refuse_state(payload)
    named = read_tools(payload)
    talk = read_input(payload, named)
    instructions = fields.optional_text(payload, "instructions")
    choice = read_tool_choice(payload, named)
    tools = offered(named.tools, choice)
    return ChatRequest(
        model=read_model(payload),
        stream=fields.optional_bool(payload, "stream") is True,
        messages=talk.messages,
        system=(*((Text(instructions),) if instructions else ()), *talk.system),
        tools=tools,
        tool_choice=meant(choice, tools),
        parallel_tools=fields.optional_bool(payload, "parallel_tool_calls"),
        max_tokens=_max_tokens(payload),
        sampling=_sampling(payload),
        thinking=_thinking(payload),
        output=_output(payload),
        user_id=fields.optional_text(payload, "safety_identifier")
        or fields.optional_text(payload, "user"),
        metadata=read_metadata(payload),
        service_tier=fields.optional_text(payload, "service_tier"),
        verbosity=_verbosity(payload),
        cache_key=fields.optional_text(payload, "prompt_cache_key"),
        extras=_extras(payload, talk.left_out),
        echo=_echo(payload),
    )


def _echo(payload: JsonObject) -> JsonObject:
    """Return what the answer repeats."""
    told = sorted(_ECHOED.intersection(payload))
    return {key: payload[key] for key in told if payload[key] is not None}


def read_model(payload: JsonObject) -> str:
    """Return the model's name. Raises BadRequest."""
    model = fields.text(payload, "model")
    if not model:
        raise BadRequest("model: must not be empty", path="model")
    return model


def _refuse_state(payload: JsonObject) -> None:
    """Refuse what lives at OpenAI only."""
    previous = fields.optional_text(payload, "previous_response_id")
    if previous is not None:
        raise BadRequest(
            f"Previous response with id '{previous[:100]}' not found.",
            kind=ErrorKind.RESPONSE_NOT_FOUND,
            path="previous_response_id",
        )
    for key in ("conversation", "prompt"):
        if payload.get(key) is not None:
            raise Unrepresentable(
                f"{key}: what OpenAI stored is unknown to the provider of this model", path=key
            )


def _max_tokens(payload: JsonObject) -> int | None:
    limit = fields.optional_integer(payload, "max_output_tokens")
    if limit is not None and limit < 1:
        raise BadRequest("max_output_tokens: must be at least 1", path="max_output_tokens")
    return limit


def _sampling(payload: JsonObject) -> Sampling:
    if _KNOBS.isdisjoint(payload):
        return NO_SAMPLING
    return Sampling(
        temperature=fields.optional_number(payload, "temperature"),
        top_p=fields.optional_number(payload, "top_p"),
    )


def _thinking(payload: JsonObject) -> Thinking:
    wish = fields.optional_mapping(payload, "reasoning")
    if wish is None:
        return NO_THINKING
    shown = True if wish.get("summary") or wish.get("generate_summary") else None
    display = "summarized" if shown else None
    word = fields.optional_text(wish, "effort", "reasoning")
    if word is None:
        return Thinking(display=display, shown=shown)
    effort = parse_effort(word)
    if effort is None:
        expected = "one of none, minimal, low, medium, high, xhigh, max"
        raise fields.wrong("reasoning.effort", expected)
    if effort == "none":
        return Thinking("off", shown=shown)
    return Thinking("effort", effort=effort, display=display, shown=shown)


def _output(payload: JsonObject) -> OutputFormat:
    text = fields.optional_mapping(payload, "text")
    wanted = None if text is None else fields.optional_mapping(text, "format", "text")
    if wanted is None:
        return TEXT_OUTPUT
    where = "text.format"
    match fields.text(wanted, "type", where):
        case "text":
            return OutputFormat()
        case "json_object":
            return OutputFormat("json_object")
        case "json_schema":
            return schema_output(wanted, where)
        case _:
            raise fields.wrong("text.format.type", "text, json_object or json_schema")


def _verbosity(payload: JsonObject) -> str | None:
    text = fields.optional_mapping(payload, "text")
    return None if text is None else fields.optional_text(text, "verbosity", "text")


# --- what other formats do not know -----------------------------------------------------------


def _extras(payload: JsonObject, left_out: tuple[str, ...]) -> dict[str, JsonObject]:
    """Return what is lost elsewhere. A name with a dot tells of something deeper in the body."""
    rest: JsonObject = {
        key: payload[key] for key in payload if key not in _READ and _asks(key, payload[key])
    }
    if wish := fields.optional_mapping(payload, "reasoning"):
        for key in ("context", "mode"):
            if _asks(key, wish.get(key)):
                rest[f"reasoning.{key}"] = wish[key]
    for kind in left_out:
        rest[f"input.{kind}"] = True
    return {DIALECT: rest} if rest else {}


def _asks(key: str, value: Json) -> bool:
    if key == "include":
        wanted = value if isinstance(value, list) else []
        return any(name != _ENCRYPTED for name in wanted)
    return value not in (None, {}, [], False, _USUAL.get(key))
