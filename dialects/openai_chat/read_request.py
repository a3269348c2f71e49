"""A client's Chat request, read into the neutral one."""

from typing import Final

from dialects import fields
from dialects.efforts import parse_effort
from dialects.openai_chat.read_messages import read_messages
from dialects.openai_chat.read_tools import read_tool_choice, read_tools
from dialects.stops import checked_stops
from models.chat import (
    NO_SAMPLING,
    NO_THINKING,
    TEXT_OUTPUT,
    ChatRequest,
    Effort,
    OutputFormat,
    Sampling,
    Thinking,
)
from models.errors import BadRequest, Unrepresentable
from models.json_types import Json, JsonObject
from models.record import replace

_READ: Final = frozenset(
    {
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "modalities",
        "model",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt_cache_key",
        "reasoning",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
    }
)
_KNOBS: Final = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "presence_penalty",
        "seed",
        "temperature",
        "top_k",
        "top_logprobs",
        "top_p",
    }
)
_WISHES: Final = frozenset({"reasoning", "reasoning_effort", "thinking"})
_REFUSABLE: Final = frozenset({"modalities", "n", "web_search_options"})


def read_request(payload: JsonObject) -> ChatRequest:
    """Read a request. Raises BadRequest or Unrepresentable."""
    _refuse(payload)
    model = fields.text(payload, "model")
    if not model:
        raise BadRequest("model: must not be empty", path="model")
    system, messages = read_messages(payload)
    tools = read_tools(payload)
    options = fields.optional_mapping(payload, "stream_options") or {}
    is_legacy = bool(fields.optional_objects(payload, "functions")) and not payload.get("tools")
    return ChatRequest(
        model=model,
        stream=fields.optional_bool(payload, "stream") is True,
        messages=messages,
        system=system,
        tools=tools,
        tool_choice=read_tool_choice(payload, tools),
        # `function_call` has room for one call only.
        parallel_tools=False if is_legacy else fields.optional_bool(payload, "parallel_tool_calls"),
        max_tokens=_max_tokens(payload),
        stop=_stop(payload),
        sampling=_sampling(payload),
        thinking=_thinking(payload),
        output=_output(payload),
        user_id=fields.optional_text(payload, "safety_identifier")
        or fields.optional_text(payload, "user"),
        metadata=read_metadata(payload),
        service_tier=fields.optional_text(payload, "service_tier"),
        verbosity=fields.optional_text(payload, "verbosity"),
        cache_key=fields.optional_text(payload, "prompt_cache_key"),
        include_usage=fields.optional_bool(options, "include_usage", "stream_options") is True,
        legacy_functions=is_legacy,
        extras=_extras(payload),
    )


def _refuse(payload: JsonObject) -> None:
    """Refuse what would change the meaning of the answer if it were left out."""
    if _REFUSABLE.isdisjoint(payload):
        return
    n = fields.optional_integer(payload, "n")
    if n is not None and n != 1:
        raise Unrepresentable("n: only one answer at a time can be translated", path="n")
    if "audio" in fields.optional_texts(payload, "modalities"):
        raise Unrepresentable("modalities: spoken answers cannot be translated", path="modalities")
    if payload.get("web_search_options") is not None:
        raise Unrepresentable(
            "web_search_options: the provider of this model has no web search for this format",
            path="web_search_options",
        )


def _max_tokens(payload: JsonObject) -> int | None:
    for key in ("max_completion_tokens", "max_tokens"):
        limit = fields.optional_integer(payload, key)
        if limit is not None:
            if limit < 1:
                raise BadRequest(f"{key}: must be at least 1", path=key)
            return limit
    return None


def _stop(payload: JsonObject) -> tuple[str, ...]:
    stop = payload.get("stop")
    stops = [stop] if isinstance(stop, str) else fields.optional_texts(payload, "stop")
    return checked_stops(stops, "stop")


def _sampling(payload: JsonObject) -> Sampling:
    if _KNOBS.isdisjoint(payload):
        return NO_SAMPLING
    return Sampling(
        temperature=fields.optional_number(payload, "temperature"),
        top_p=fields.optional_number(payload, "top_p"),
        top_k=fields.optional_integer(payload, "top_k"),
        frequency_penalty=fields.optional_number(payload, "frequency_penalty"),
        presence_penalty=fields.optional_number(payload, "presence_penalty"),
        seed=fields.optional_integer(payload, "seed"),
        logit_bias=fields.optional_mapping(payload, "logit_bias"),
        logprobs=fields.optional_bool(payload, "logprobs"),
        top_logprobs=fields.optional_integer(payload, "top_logprobs"),
    )


def _thinking(payload: JsonObject) -> Thinking:
    """Read `reasoning_effort`, and what other servers of this format have in its place:
    `thinking` (GLM, DeepSeek, Kimi; Anthropic's fields) and `reasoning` (OpenRouter).

    Who asks for thinking is shown it as `reasoning_content`, unless told to be kept apart.
    """
    if _WISHES.isdisjoint(payload):
        return NO_THINKING
    nested = payload.get("reasoning")
    wish = nested if isinstance(nested, dict) else {}
    display = "omitted" if wish.get("exclude") is True else "summarized"
    thinking = _wanted(payload, wish)
    is_on = thinking.mode not in ("default", "off")
    return replace(thinking, display=display) if is_on else thinking


def _wanted(payload: JsonObject, nested: JsonObject) -> Thinking:
    word = fields.optional_text(payload, "reasoning_effort")
    if word is not None:
        return _by_effort(_effort(word, "reasoning_effort"))
    switch = fields.optional_mapping(payload, "thinking")
    if switch is not None:
        return _by_switch(switch)
    return _by_object(nested)


def _effort(word: str, path: str) -> Effort:
    effort = parse_effort(word)
    if effort is None:
        raise fields.wrong(path, "one of none, minimal, low, medium, high, xhigh, max")
    return effort


def _by_effort(effort: Effort) -> Thinking:
    return Thinking("off") if effort == "none" else Thinking("effort", effort=effort)


def _by_switch(switch: JsonObject) -> Thinking:
    match fields.optional_text(switch, "type", "thinking"):
        case "disabled":
            return Thinking("off")
        case "enabled":
            budget = fields.optional_integer(switch, "budget_tokens", "thinking")
            return Thinking("auto") if budget is None else Thinking("budget", budget)
        case "adaptive" | "auto":
            return Thinking("auto")
        case None:
            return Thinking()
        case _:
            raise fields.wrong("thinking.type", "enabled, disabled or adaptive")


def _by_object(reasoning: JsonObject) -> Thinking:
    word = fields.optional_text(reasoning, "effort", "reasoning")
    if word is not None:
        return _by_effort(_effort(word, "reasoning.effort"))
    budget = fields.optional_integer(reasoning, "max_tokens", "reasoning")
    if budget is not None:
        return Thinking("budget", budget)
    match fields.optional_bool(reasoning, "enabled", "reasoning"):
        case True:
            return Thinking("auto")
        case False:
            return Thinking("off")
        case None:
            return Thinking()


def _output(payload: JsonObject) -> OutputFormat:
    wanted = fields.optional_mapping(payload, "response_format")
    if wanted is None:
        return TEXT_OUTPUT
    match fields.text(wanted, "type", "response_format"):
        case "text":
            return OutputFormat()
        case "json_object":
            return OutputFormat("json_object")
        case "json_schema":
            shape = fields.mapping(wanted, "json_schema", "response_format")
            return schema_output(shape, "response_format.json_schema")
        case _:
            raise fields.wrong("response_format.type", "text, json_object or json_schema")


def schema_output(shape: JsonObject, where: str) -> OutputFormat:
    """Read the form of an answer that a schema describes."""
    return OutputFormat(
        "json_schema",
        fields.optional_text(shape, "name", where),
        fields.optional_text(shape, "description", where),
        fields.optional_mapping(shape, "schema", where) or {"type": "object"},
        fields.optional_bool(shape, "strict", where),
    )


def read_metadata(payload: JsonObject) -> dict[str, str]:
    """Return the metadata as text by text, which is all that is allowed there."""
    metadata = fields.optional_mapping(payload, "metadata")
    if metadata is None:
        return {}
    return {
        key: value if isinstance(value, str) else _as_text(value) for key, value in metadata.items()
    }


def _as_text(value: Json) -> str:
    return fields.dumps(value).decode()


def _extras(payload: JsonObject) -> dict[str, JsonObject]:
    if payload.keys() <= _READ:
        return {}
    rest: JsonObject = {
        key: value for key, value in payload.items() if key not in _READ and value is not None
    }
    return {"chat": rest} if rest else {}
