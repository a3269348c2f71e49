"""What GLM accepts of a Chat payload, field by field.

Fields of GLM's own that a client knows (`thinking`, `do_sample`, `request_id`, `meta`, ...) pass as
they are, and so does what is of a wrong type: the provider says so better than we could.
"""

import re
from typing import Final

from dialects.base import Encoded
from dialects.efforts import clamp, effort_for, parse_effort
from dialects.fields import dumps
from dialects.schema import without_keyword
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject
from models.profile import Profile
from providers.glm_messages import adapted_messages, names_speakers

_DROPPED: Final = (
    "audio",
    "frequency_penalty",
    "function_call",
    "logit_bias",
    "logprobs",
    "metadata",
    "modalities",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
    "store",
    "stream_options",
    "top_k",
    "top_logprobs",
    "verbosity",
)
# What these say is what happens anyway.
_IDLE: Final[dict[str, tuple[Json, ...]]] = {
    "frequency_penalty": (0,),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "parallel_tool_calls": (True,),
    "presence_penalty": (0,),
    "service_tier": ("auto", "default"),
    "store": (False,),
}
_USER_ID_CHARS: Final = range(6, 129)
_TOOL_STREAM: Final = re.compile(r"glm-(?:4\.[6-9]|[5-9])")


def adapt(payload: JsonObject, profile: Profile) -> Encoded:
    """Return the payload as GLM takes it; the argument stays as it is."""
    _refuse(payload)
    edited = {**payload, "model": profile.model}
    dropped: list[str] = []
    _limit(edited, profile, dropped)
    _sampling(edited, dropped)
    stops = _stop(edited)
    _thinking(edited, profile, dropped)
    _tools(edited, dropped)
    instruction = _output(edited, dropped)
    _user(edited, dropped)
    for key in _DROPPED:
        value = edited.pop(key, None)
        # Usage comes with every stream, so that wish is granted.
        if value is not None and key != "stream_options" and value not in _IDLE.get(key, ()):
            dropped.append(key)
    messages = edited.get("messages")
    if isinstance(messages, list):
        if names_speakers(messages):
            dropped.append("name")
        edited["messages"] = adapted_messages(messages, profile, instruction)
    return Encoded(edited, tuple(dict.fromkeys(dropped)), stops)


def _refuse(payload: JsonObject) -> None:
    n = payload.get("n")
    if isinstance(n, int) and not isinstance(n, bool) and n > 1:
        raise Unrepresentable("n: GLM gives one answer only", path="n")
    if payload.get("functions"):
        raise Unrepresentable("functions: GLM knows only tools", path="functions")
    modalities = payload.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        raise Unrepresentable("modalities: GLM's chat models do not speak", path="modalities")
    if payload.get("web_search_options") is not None:
        raise Unrepresentable(
            "web_search_options: unknown to GLM, which has a web_search tool",
            path="web_search_options",
        )
    tools = payload.get("tools")
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        if isinstance(tool, dict) and tool.get("type") == "custom":
            where = f"tools[{index}]"
            raise Unrepresentable(f"{where}: GLM has no custom tools", path=where)


def _limit(edited: JsonObject, profile: Profile, dropped: list[str]) -> None:
    limit = edited.pop("max_completion_tokens", None)
    if limit is None:
        limit = edited.get("max_tokens")
    cap = profile.max_output_tokens
    if limit is None:
        edited.pop("max_tokens", None)
        return
    count = _number(limit)
    if count is not None and cap is not None and count > cap:
        limit = cap
        dropped.append("max_tokens")
    edited["max_tokens"] = limit


def _sampling(edited: JsonObject, dropped: list[str]) -> None:
    temperature, top_p = _number(edited.get("temperature")), _number(edited.get("top_p"))
    if temperature is not None:
        if temperature <= 0:
            # Zero is outside GLM's interval: its own SDK says it this way.
            edited.setdefault("do_sample", False)
            edited["temperature"] = 0.01
        elif temperature > 1:
            edited["temperature"] = 1.0
            dropped.append("temperature")
    if top_p is not None:
        edited["top_p"] = min(max(top_p, 0.01), 1)


def _stop(edited: JsonObject) -> tuple[str, ...]:
    """Leave one stop sequence to GLM; return the others, which the gateway applies."""
    stop = edited.get("stop")
    if isinstance(stop, str):
        stop = [stop]
    if not isinstance(stop, list) or not all(isinstance(one, str) for one in stop):
        return ()
    stops = [one for one in stop if isinstance(one, str) and one]
    edited.pop("stop")
    if stops:
        edited["stop"] = [stops[0]]
    return tuple(stops[1:])


def _thinking(edited: JsonObject, profile: Profile, dropped: list[str]) -> None:
    switch = edited.get("thinking")
    effort = parse_effort(edited.get("reasoning_effort"))
    if isinstance(switch, dict):
        edited["thinking"], budget = _plain_switch(switch)
        if effort is None and budget is not None:
            effort = effort_for(budget)
    elif effort is not None and not profile.efforts and profile.thinking == "switch":
        edited["thinking"] = {"type": "disabled" if effort == "none" else "enabled"}
    if effort is not None:
        edited.pop("reasoning_effort", None)
        if profile.efforts:
            edited["reasoning_effort"] = clamp(
                "low" if effort == "none" and "none" not in profile.efforts else effort,
                profile.efforts,
            )
        is_kept = effort == "none" and not profile.can_disable_thinking
        if is_kept or (not profile.efforts and profile.thinking != "switch"):
            dropped.append("reasoning_effort")
    _keep_on(edited, profile, dropped)


def _plain_switch(switch: JsonObject) -> tuple[JsonObject, int | None]:
    """Return GLM's form of a switch that may be in Anthropic's, and the budget in it."""
    plain = {key: switch[key] for key in switch if key not in ("budget_tokens", "display")}
    if plain.get("type") in ("adaptive", "auto"):
        plain["type"] = "enabled"
    budget = switch.get("budget_tokens")
    is_count = isinstance(budget, int) and not isinstance(budget, bool)
    return plain, budget if is_count and isinstance(budget, int) else None


def _keep_on(edited: JsonObject, profile: Profile, dropped: list[str]) -> None:
    """Think as little as possible where thinking cannot be switched off."""
    switch = edited.get("thinking")
    is_off = isinstance(switch, dict) and switch.get("type") == "disabled"
    if is_off and not profile.can_disable_thinking:
        del edited["thinking"]
        edited["reasoning_effort"] = "low"
        dropped.append("thinking")


def _tools(edited: JsonObject, dropped: list[str]) -> None:
    tools = edited.get("tools")
    choice = edited.pop("tool_choice", None)
    if not isinstance(tools, list) or not tools or choice == "none":
        if tools is None or isinstance(tools, list):
            edited.pop("tools", None)
        return
    wanted, is_forced = _chosen(choice)
    kept = [tool for tool in tools if wanted is None or _name(tool) in wanted]
    if is_forced:
        dropped.append("tool_choice")
    if any(_function(tool).get("strict") for tool in kept):
        dropped.append("strict")
    edited["tools"] = [_tool(tool) for tool in kept]
    edited["tool_choice"] = "auto"
    if edited.get("stream") is True and _TOOL_STREAM.match(str(edited.get("model")).lower()):
        edited.setdefault("tool_stream", True)


def _chosen(choice: Json) -> tuple[set[str] | None, bool]:
    """Return the names of tools that may be called (None: all) and whether one must be."""
    if not isinstance(choice, dict):
        return None, choice not in (None, "auto")
    allowed = choice.get("allowed_tools")
    if isinstance(allowed, dict):
        tools = allowed.get("tools")
        names = {_name(tool) for tool in (tools if isinstance(tools, list) else ())}
        return names, allowed.get("mode") == "required"
    return {_name(choice)}, True


def _name(tool: Json) -> str:
    name = _function(tool).get("name")
    return name if isinstance(name, str) else ""


def _function(tool: Json) -> JsonObject:
    function = tool.get("function") if isinstance(tool, dict) else None
    return function if isinstance(function, dict) else {}


def _tool(tool: Json) -> Json:
    function = _function(tool)
    if not isinstance(tool, dict) or not function:
        return tool
    plain = {key: function[key] for key in function if key != "strict"}
    parameters = plain.get("parameters")
    if isinstance(parameters, dict):
        plain["parameters"] = without_keyword(parameters, "$schema")
    return {**{key: tool[key] for key in tool if key != "cache_control"}, "function": plain}


def _output(edited: JsonObject, dropped: list[str]) -> str | None:
    """Ask for JSON; return what the system text must say about its schema."""
    wanted = edited.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        return None
    edited["response_format"] = {"type": "json_object"}
    dropped.append("response_format")
    shape = wanted.get("json_schema")
    schema = shape.get("schema") if isinstance(shape, dict) else None
    written = dumps(schema if isinstance(schema, dict) else {"type": "object"}).decode()
    return f"Answer with one JSON object only. It must match this JSON Schema:\n{written}"


def _user(edited: JsonObject, dropped: list[str]) -> None:
    user = edited.pop("user", None)
    identifier = edited.pop("safety_identifier", None)
    wanted = identifier if identifier is not None else user
    if wanted is None or edited.get("user_id") is not None:
        return
    if isinstance(wanted, str) and len(wanted) in _USER_ID_CHARS:
        edited["user_id"] = wanted
    else:
        dropped.append("user")


def _number(value: Json) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and isinstance(value, int | float) else None
