"""Tools and the choice among them in the Messages format, read and written."""

from collections.abc import Mapping
from typing import Final

from dialects import fields
from dialects.anthropic.read_content import DIALECT
from dialects.anthropic.write_content import Outgoing
from dialects.properties import renamed_schema, wire_properties
from dialects.schema import for_anthropic_tool
from dialects.vendor_tools import carried_tools
from models.chat import ChatRequest, Tool, ToolChoice
from models.content import ToolCall
from models.json_types import Json, JsonObject

_READ: Final = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control"})
_MODES: Final = {"auto": "auto", "none": "none", "required": "any"}

# --- reading ----------------------------------------------------------------------------------


def read_tools(payload: JsonObject) -> tuple[Tool, ...]:
    """Read `tools`; a tool with a dated type is kept as it came."""
    if payload.get("tools") is None:
        return ()
    tools = fields.objects(payload, "tools")
    return tuple([_read_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)])


def _read_tool(tool: JsonObject, where: str) -> Tool:
    kind = fields.optional_text(tool, "type", where)
    if kind not in (None, "custom"):
        name = fields.optional_text(tool, "name", where)
        return Tool(name or str(kind), raw=tool, dialect=DIALECT)
    name = fields.text(tool, "name", where)
    if not name:
        raise fields.wrong(f"{where}.name", "a string that is not empty")
    return Tool(
        name=name,
        description=fields.optional_text(tool, "description", where),
        schema=fields.optional_mapping(tool, "input_schema", where),
        strict=fields.optional_bool(tool, "strict", where),
        cache=fields.optional_mapping(tool, "cache_control", where),
        dialect=DIALECT,
        extras={key: value for key, value in tool.items() if key not in _READ},
    )


def read_tool_choice(payload: JsonObject) -> tuple[ToolChoice | None, bool | None]:
    """Return the choice, and whether tools may be called in parallel (None: not said)."""
    choice = fields.optional_mapping(payload, "tool_choice")
    if choice is None:
        return None, None
    sequential = fields.optional_bool(choice, "disable_parallel_tool_use", "tool_choice")
    parallel = None if sequential is None else not sequential
    match fields.text(choice, "type", "tool_choice"):
        case "auto":
            return ToolChoice("auto"), parallel
        case "any":
            return ToolChoice("required"), parallel
        case "none":
            return ToolChoice("none"), parallel
        case "tool":
            return ToolChoice("one", (fields.text(choice, "name", "tool_choice"),)), parallel
        case _:
            raise fields.wrong("tool_choice.type", "one of auto, any, none, tool")


# --- writing ----------------------------------------------------------------------------------


def tool_names(request: ChatRequest) -> list[str]:
    """Return every name of a tool that the request mentions."""
    names = [tool.name for tool in request.tools]
    for message in request.messages:
        names += [part.name for part in message.parts if isinstance(part, ToolCall)]
    return names


def tool_properties(request: ChatRequest) -> dict[str, dict[str, str]]:
    """Return tool -> (property -> accepted name) for properties that Anthropic would refuse."""
    named = {
        tool.name: wire_properties(for_anthropic_tool(tool.schema))
        for tool in request.tools
        if tool.raw is None
    }
    return {tool: names for tool, names in named.items() if names}


def write_tools(request: ChatRequest, out: Outgoing) -> list[Json]:
    """Return `tools`, only those of the subset when the choice is one."""
    choice = request.tool_choice
    wanted = choice.names if choice is not None and choice.mode == "subset" else None
    return [
        _write_tool(tool, out)
        for tool in carried_tools(request.tools, DIALECT, out.dropped)
        if wanted is None or tool.name in wanted
    ]


def write_tool_choice(request: ChatRequest, names: Mapping[str, str]) -> JsonObject | None:
    """Return `tool_choice` for a request that has tools; None when there is nothing to say."""
    choice = request.tool_choice
    written = None if choice is None else _write_choice(choice, names)
    if request.parallel_tools is False and (choice is None or choice.mode != "none"):
        written = {**(written or {"type": "auto"}), "disable_parallel_tool_use": True}
    return written


def is_forced(choice: ToolChoice | None) -> bool:
    """Say whether the model must call a tool."""
    if choice is None:
        return False
    return choice.mode in ("required", "one") or choice.subset_required


def _write_tool(tool: Tool, out: Outgoing) -> JsonObject:
    if tool.raw is not None:
        return tool.raw
    written: JsonObject = {"name": out.names.get(tool.name, tool.name)}
    if tool.description:
        written["description"] = tool.description
    schema = for_anthropic_tool(tool.schema)
    written["input_schema"] = renamed_schema(schema, out.properties.get(tool.name, {}))
    if tool.strict is not None and tool.dialect == DIALECT:
        written["strict"] = tool.strict
    elif tool.strict:
        # Anthropic's strict tools take a smaller schema language; a loose tool takes any.
        out.dropped.append("strict")
    if tool.cache is not None:
        written["cache_control"] = tool.cache
    if tool.dialect == DIALECT:
        written.update(tool.extras)
    return written


def _write_choice(choice: ToolChoice, names: Mapping[str, str]) -> JsonObject:
    match choice.mode:
        case "one":
            return {"type": "tool", "name": names.get(choice.names[0], choice.names[0])}
        case "subset":
            return {"type": "any" if choice.subset_required else "auto"}
        case mode:
            return {"type": _MODES[mode]}
