"""Tools and tool choice of a Chat request, in today's and in the legacy form."""

from collections.abc import Sequence

from dialects import fields
from dialects.custom_tools import wrapped_schema
from models.chat import Tool, ToolChoice
from models.errors import BadRequest
from models.json_types import JsonObject


def read_tools(payload: JsonObject) -> tuple[Tool, ...]:
    """Return the tools; `functions` counts only where there are no `tools`."""
    tools = fields.optional_objects(payload, "tools")
    if tools:
        return tuple([_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)])
    functions = fields.optional_objects(payload, "functions")
    if not functions:
        return ()
    return tuple(
        [_function(one, f"functions[{index}]", None) for index, one in enumerate(functions)]
    )


def read_tool_choice(payload: JsonObject, tools: Sequence[Tool]) -> ToolChoice | None:
    """Return the choice; None where there is nothing to choose from."""
    choice = payload.get("tool_choice")
    if choice is None:
        return _legacy_choice(payload, tools)
    found = _word(choice, "tool_choice") if isinstance(choice, str) else _object(payload)
    return _checked(found, tools, "tool_choice")


def _tool(tool: JsonObject, where: str) -> Tool:
    match fields.text(tool, "type", where):
        case "function":
            function = fields.mapping(tool, "function", where)
            return _function(
                function, f"{where}.function", fields.optional_mapping(tool, "cache_control", where)
            )
        case "custom":
            return _custom(fields.mapping(tool, "custom", where), f"{where}.custom")
        case kind:
            return Tool(kind, raw=tool, dialect="chat")


def _custom(custom: JsonObject, where: str) -> Tool:
    grammar = fields.optional_mapping(custom, "format", where) or {}
    return Tool(
        _own_name(custom, where),
        fields.optional_text(custom, "description", where),
        wrapped_schema(grammar),
        custom=grammar,
    )


def _function(function: JsonObject, where: str, cache: JsonObject | None) -> Tool:
    return Tool(
        _own_name(function, where),
        fields.optional_text(function, "description", where),
        fields.optional_mapping(function, "parameters", where),
        fields.optional_bool(function, "strict", where),
        cache,
    )


def _own_name(holder: JsonObject, where: str) -> str:
    name = fields.text(holder, "name", where)
    if not name:
        raise BadRequest(f"{where}.name: must not be empty", path=f"{where}.name")
    return name


def _word(choice: str, path: str) -> ToolChoice:
    match choice:
        case "auto":
            return ToolChoice("auto")
        case "none":
            return ToolChoice("none")
        case "required" | "any":
            return ToolChoice("required")
        case _:
            raise fields.wrong(path, "auto, none, required or an object")


def _object(payload: JsonObject) -> ToolChoice:
    choice = fields.mapping(payload, "tool_choice")
    match fields.text(choice, "type", "tool_choice"):
        case "function":
            return ToolChoice("one", (_name(choice, "function", "tool_choice"),))
        case "custom":
            return ToolChoice("one", (_name(choice, "custom", "tool_choice"),))
        case "allowed_tools":
            return _allowed(fields.mapping(choice, "allowed_tools", "tool_choice"))
        case _:
            raise fields.wrong("tool_choice.type", "function, custom or allowed_tools")


def _allowed(allowed: JsonObject) -> ToolChoice:
    where = "tool_choice.allowed_tools"
    mode = fields.one_of(fields.text(allowed, "mode", where), ("auto", "required"), f"{where}.mode")
    names = []
    for index, tool in enumerate(fields.objects(allowed, "tools", where)):
        here = f"{where}.tools[{index}]"
        names.append(_name(tool, fields.text(tool, "type", here), here))
    if not names:
        raise BadRequest(f"{where}.tools: must not be empty", path=f"{where}.tools")
    return ToolChoice("subset", tuple(names), subset_required=mode == "required")


def _name(holder: JsonObject, key: str, where: str) -> str:
    return fields.text(fields.mapping(holder, key, where), "name", f"{where}.{key}")


def _legacy_choice(payload: JsonObject, tools: Sequence[Tool]) -> ToolChoice | None:
    choice = payload.get("function_call")
    if choice is None:
        return None
    if isinstance(choice, str):
        return _checked(_word(choice, "function_call"), tools, "function_call")
    name = fields.text(fields.mapping(payload, "function_call"), "name", "function_call")
    return _checked(ToolChoice("one", (name,)), tools, "function_call")


def _checked(choice: ToolChoice, tools: Sequence[Tool], path: str) -> ToolChoice | None:
    known = {tool.name for tool in tools}
    missing = [name for name in choice.names if name not in known]
    if missing:
        raise BadRequest(f"{path}: there is no tool named {missing[0]!r}", path=path)
    if choice.mode == "required" and not tools:
        raise BadRequest(f"{path}: is only allowed when tools are given", path=path)
    return choice if tools else None
