"""The neutral request, written as a Gemini request for the model that a profile describes."""

from typing import Final

from dialects.base import Encoded
from dialects.gemini.constants import DIALECT
from dialects.gemini.outgoing import Outgoing, outgoing
from dialects.gemini.write_config import split_stops, write_limits, write_output, write_thinking
from dialects.gemini.write_contents import Content, lacks_thoughts, system_parts, write_contents
from dialects.vendor_tools import carried_tools
from models.chat import ChatRequest, Tool, ToolChoice
from models.errors import Unrepresentable
from models.json_types import Json, JsonObject
from models.profile import Profile

_REFUSED: Final = frozenset(
    {"audio", "background", "conversation", "mcp_servers", "previous_response_id"}
)
"""Fields of other formats without which the answer would be another."""
_UNKNOWN: Final = ("user", "metadata", "verbosity", "prompt_cache_key")
_TIERS: Final = {
    "default": "standard",
    "standard_only": "standard",
    "flex": "flex",
    "priority": "priority",
}


def write_request(request: ChatRequest, profile: Profile) -> Encoded:
    """Write a request. Raises Unrepresentable for content that this format cannot carry."""
    out = outgoing(request, profile)
    contents = write_contents(request, out)
    tools, choice = _chosen(request)
    written = _written_tools(tools, out)
    has_functions = any(tool.raw is None for tool in tools)
    shape, instruction = write_output(request.output, out, has_tools=has_functions)
    thinking = _thinking(request, contents, choice, out)
    config: JsonObject = {**write_limits(request, out, is_thinking=thinking is not None), **shape}
    if thinking is not None:
        config["thinkingConfig"] = thinking

    payload: JsonObject = {"contents": [content.payload() for content in contents]}
    system = system_parts(request, [instruction] if instruction else [])
    if system is not None:
        payload["systemInstruction"] = {**system}
    if written:
        payload["tools"] = written
        calling = _calling(choice, out) if has_functions else None
        if calling is not None:
            payload["toolConfig"] = {"functionCallingConfig": calling}
    if config:
        payload["generationConfig"] = config
    _put_rest(payload, request, out)
    return Encoded(
        payload,
        tuple(dict.fromkeys(out.dropped)),
        split_stops(request.stop, profile)[1],
        out.changed_tools,
        out.changed_properties,
    )


def _thinking(
    request: ChatRequest, contents: list[Content], choice: ToolChoice | None, out: Outgoing
) -> JsonObject | None:
    thinking = write_thinking(request.thinking, out, request.max_tokens)
    if thinking is None or not out.profile.signed_thoughts:
        return thinking
    is_forced = choice is not None and (choice.mode == "one" or _is_required(choice))
    if is_forced or lacks_thoughts(contents):
        out.dropped.append("thinking")
        return None
    return thinking


# --- tools ------------------------------------------------------------------------------------


def _chosen(request: ChatRequest) -> tuple[list[Tool], ToolChoice | None]:
    """Return tools and choice; tools that may not be called are left out.

    Google names the tools of a choice only where one of them must be called.
    """
    choice, tools = request.tool_choice, [*request.tools]
    if choice is not None and choice.mode == "subset" and not choice.subset_required:
        tools = [tool for tool in tools if tool.name in choice.names]
        choice = ToolChoice("auto")
    return tools, choice


def _written_tools(tools: list[Tool], out: Outgoing) -> list[Json]:
    """Return `tools`: all functions in one, each of Google's own by itself."""
    carried = carried_tools(tools, DIALECT, out.dropped)
    functions: list[Json] = [_function(tool, out) for tool in carried if tool.raw is None]
    own: list[Json] = [tool.raw for tool in carried if tool.raw is not None]
    return [{"functionDeclarations": functions}, *own] if functions else own


def _function(tool: Tool, out: Outgoing) -> JsonObject:
    function: JsonObject = {"name": out.names[tool.name]}
    if tool.description:
        function["description"] = tool.description
    schema = out.schemas[tool.name]
    if schema is not None:
        key = "parametersJsonSchema" if out.profile.tool_schema == "json" else "parameters"
        function[key] = schema
    if tool.strict:
        out.dropped.append("strict")
    if tool.dialect == DIALECT:
        function.update(tool.extras)
    elif tool.dialect is not None:
        out.dropped.extend(tool.extras)
    return function


def _is_required(choice: ToolChoice) -> bool:
    return choice.mode == "required" or choice.subset_required


def _calling(choice: ToolChoice | None, out: Outgoing) -> JsonObject | None:
    mode = "auto" if choice is None else choice.mode
    match mode:
        case "none":
            return {"mode": "NONE"}
        case "required":
            return {"mode": "ANY"}
        case "one" | "subset" if choice is not None:
            names: list[Json] = [out.names.get(name, name) for name in choice.names]
            return {"mode": "ANY", "allowedFunctionNames": names}
        case _ if out.profile.validated_tools:
            return {"mode": "VALIDATED"}
        case _:
            return None if choice is None else {"mode": "AUTO"}


# --- the rest ---------------------------------------------------------------------------------


def _put_rest(payload: JsonObject, request: ChatRequest, out: Outgoing) -> None:
    tier = _TIERS.get(request.service_tier or "")
    if tier is not None:
        payload["serviceTier"] = tier
    elif request.service_tier not in (None, "auto"):
        out.dropped.append("service_tier")
    if request.parallel_tools is False and request.tools:
        out.dropped.append("parallel_tool_calls")
    told = (request.user_id, request.metadata, request.verbosity, request.cache_key)
    if any(told):
        out.dropped.extend(name for name, value in zip(_UNKNOWN, told, strict=True) if value)
    for dialect, extras in request.extras.items():
        for key, value in extras.items():
            if dialect == DIALECT:
                _put_own(payload, key, value, out)
            elif key in _REFUSED and value:
                raise Unrepresentable(f"{key}: unknown to a Gemini model", path=key)
            elif value is not False:  # what is not wanted does not happen
                out.dropped.append(key)


def _put_own(payload: JsonObject, path: str, value: Json, out: Outgoing) -> None:
    """Put a field of this format back where it stood: `generationConfig.speechConfig`."""
    parent, _, key = path.rpartition(".")
    if not parent:
        payload.setdefault(path, value)
    elif parent in ("generationConfig", "toolConfig"):
        inner = payload.setdefault(parent, {})
        if isinstance(inner, dict):
            inner.setdefault(key, value)
    else:  # what a part said beside its content
        out.dropped.append(path)
