"""Tools and the choice among them, written for a provider of the Responses format."""

from dialects.openai_responses.read_parts import DIALECT
from dialects.openai_responses.write_parts import Outgoing
from dialects.schema import fits_strict, for_chat_function
from dialects.vendor_tools import carried_tools
from models.chat import ChatRequest, Tool, ToolChoice
from models.json_types import Json, JsonObject


def put_tools(payload: JsonObject, request: ChatRequest, out: Outgoing) -> None:
    """Add the tools, if there are any, and what was said about their use."""
    tools = carried_tools(request.tools, DIALECT, out.dropped)
    if not tools:
        return
    payload["tools"] = [_tool(tool, out) for tool in tools]
    if request.tool_choice is not None:
        payload["tool_choice"] = _choice(request.tool_choice, tools, out)
    if request.parallel_tools is not None:
        payload["parallel_tool_calls"] = request.parallel_tools


def _tool(tool: Tool, out: Outgoing) -> JsonObject:
    if tool.raw is not None:
        return tool.raw
    written = _custom(tool, out) if tool.custom is not None else _function(tool, out)
    if tool.description is not None:
        written["description"] = tool.description
    if tool.dialect == DIALECT:
        written.update(tool.extras)
    elif tool.dialect is not None:
        out.dropped.extend(tool.extras)
    return written


def _custom(tool: Tool, out: Outgoing) -> JsonObject:
    written: JsonObject = {"type": "custom", "name": out.names[tool.name]}
    if tool.custom:
        written["format"] = tool.custom
    return written


def _function(tool: Tool, out: Outgoing) -> JsonObject:
    is_strict = tool.strict is True and fits_strict(tool.schema)
    if tool.strict and not is_strict:
        out.dropped.append("strict")
    # Left out, `strict` would be tried: OpenAI changes the schema then.
    return {
        "type": "function",
        "name": out.names[tool.name],
        "parameters": for_chat_function(tool.schema),
        "strict": is_strict,
    }


def _choice(choice: ToolChoice, tools: list[Tool], out: Outgoing) -> Json:
    match choice.mode:
        case "one":
            return _reference(choice.names[0], tools, out)
        case "subset":
            listed: list[Json] = [_reference(name, tools, out) for name in choice.names]
            mode = "required" if choice.subset_required else "auto"
            return {"type": "allowed_tools", "mode": mode, "tools": listed}
        case mode:
            return mode


def _reference(name: str, tools: list[Tool], out: Outgoing) -> JsonObject:
    tool = next((tool for tool in tools if tool.name == name), None)
    if tool is not None and tool.raw is not None:
        return {"type": name}
    kind = "function" if tool is None or tool.custom is None else "custom"
    return {"type": kind, "name": out.names.get(name, name)}
