"""Tools and tool choice of a Responses request.

Tools of a `namespace` are laid out flat. Their names are unique only inside it, so one that
occurs elsewhere too gets its namespace in front; answers and histories have both names apart.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from dialects import fields
from dialects.custom_tools import wrapped_schema
from dialects.openai_responses.read_parts import DIALECT
from models.chat import Tool, ToolChoice
from models.errors import BadRequest
from models.json_types import JsonObject
from models.record import replace

_READ: Final = frozenset({"type", "name", "description", "parameters", "strict", "format"})
_NAMED: Final = frozenset({"function", "custom"})
_RELIED_ON: Final = ("code_interpreter", "computer", "file_search", "mcp")
"""How tools are called that nobody offers without need: the answer would be another."""

Place: TypeAlias = tuple[JsonObject, str]
"""A tool and its path."""


class ToolKey(NamedTuple):
    """What a client calls a tool."""

    name: str
    namespace: str | None = None


class Tools(NamedTuple):
    """The tools of a request, and their neutral names by the client's."""

    tools: tuple[Tool, ...]
    names: dict[ToolKey, str]

    def name_of(self, holder: JsonObject, where: str) -> str:
        """Return the neutral name of the tool that a call or a choice speaks of."""
        name = fields.text(holder, "name", where)
        if not name:
            raise BadRequest(f"{where}.name: must not be empty", path=f"{where}.name")
        key = ToolKey(name, fields.optional_text(holder, "namespace", where) or None)
        return self.names.get(key) or name


def read_tools(payload: JsonObject) -> Tools:
    """Return the tools of `tools` and of `additional_tools` items, each once."""
    found: dict[tuple[str | None, str, str], Tool] = {}
    for declared, where in _declared(payload):
        for tool in _flat(declared, where):
            kind = "" if tool.raw is None else str(tool.raw.get("type"))
            found[(tool.namespace, tool.name, kind)] = tool
    return _named(list(found.values()))


def read_tool_choice(payload: JsonObject, tools: Tools) -> ToolChoice | None:
    """Return the choice; None where there is nothing to choose from."""
    choice = payload.get("tool_choice")
    if choice is None:
        return None
    found = _word(choice) if isinstance(choice, str) else _object(payload, tools)
    if found.mode == "required" and not tools.tools:
        raise BadRequest("tool_choice: is only allowed when tools are given", path="tool_choice")
    return found if tools.tools else None


def offered(tools: Sequence[Tool], choice: ToolChoice | None) -> tuple[Tool, ...]:
    """Return the tools with the vendor's own ones marked that may be left out.

    Agents send some of them always; only where the model must call one, it is meant.
    """

    if not tools:
        return ()

    def is_optional(name: str) -> bool:
        is_called = name in forced or (must_call and not names)
        return not is_called and not name.startswith(_RELIED_ON)

    must_call = choice is not None and (choice.mode == "required" or choice.subset_required)
    names = {tool.name for tool in tools if tool.raw is None}
    if choice is not None and choice.mode == "subset":
        names &= set(choice.names)
    forced = () if choice is None or choice.mode != "one" else choice.names
    return tuple(
        replace(tool, optional=is_optional(tool.name)) if tool.raw is not None else tool
        for tool in tools
    )


def meant(choice: ToolChoice | None, tools: Sequence[Tool]) -> ToolChoice | None:
    """Return the choice without tools that may be left out."""
    if choice is None or choice.mode != "subset":
        return choice
    left_out = {tool.name for tool in tools if tool.optional}
    names = tuple(name for name in choice.names if name not in left_out)
    return replace(choice, names=names) if names else ToolChoice("none")


# --- tools ------------------------------------------------------------------------------------


def _declared(payload: JsonObject) -> Iterator[Place]:
    for index, tool in enumerate(fields.optional_objects(payload, "tools")):
        yield tool, f"tools[{index}]"
    items = payload.get("input")
    for at, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict) and item.get("type") == "additional_tools":
            where = f"input[{at}]"
            for index, tool in enumerate(fields.optional_objects(item, "tools", where)):
                yield tool, f"{where}.tools[{index}]"


def _flat(tool: JsonObject, where: str) -> Iterator[Tool]:
    match fields.text(tool, "type", where):
        case "function" | "custom" as kind:
            yield _tool(kind, tool, where)
        case "namespace":
            yield from _namespace(tool, where)
        case kind:
            yield Tool(kind, raw=tool, dialect=DIALECT)


def _namespace(space: JsonObject, where: str) -> Iterator[Tool]:
    name = _name(space, where)
    about = fields.optional_text(space, "description", where)
    for index, tool in enumerate(fields.optional_objects(space, "tools", where)):
        here = f"{where}.tools[{index}]"
        kind = fields.text(tool, "type", here)
        if kind not in _NAMED:
            raise fields.wrong(f"{here}.type", "function or custom")
        read = _tool(kind, tool, here)
        told = "\n\n".join(text for text in (about, read.description) if text)
        yield replace(read, description=told or None, namespace=name, local_name=read.name)


def _tool(kind: str, tool: JsonObject, where: str) -> Tool:
    is_custom = kind == "custom"
    grammar = (fields.optional_mapping(tool, "format", where) or {}) if is_custom else None
    schema = fields.optional_mapping(tool, "parameters", where)
    return Tool(
        _name(tool, where),
        fields.optional_text(tool, "description", where),
        schema if grammar is None else wrapped_schema(grammar),
        None if is_custom else fields.optional_bool(tool, "strict", where),
        dialect=DIALECT,
        extras={key: value for key, value in tool.items() if key not in _READ and value},
        custom=grammar,
    )


def _name(holder: JsonObject, where: str) -> str:
    name = fields.text(holder, "name", where)
    if not name:
        raise BadRequest(f"{where}.name: must not be empty", path=f"{where}.name")
    return name


def _named(tools: list[Tool]) -> Tools:
    """Make names unique: by the namespace, then by a number."""
    if not tools:
        return Tools((), {})
    occurs = Counter(tool.name for tool in tools if tool.raw is None)
    named: list[Tool] = []
    names: dict[ToolKey, str] = {}
    taken = {tool.name for tool in tools if occurs[tool.name] < 2 or tool.namespace is None}
    for tool in tools:
        name = tool.name
        if tool.namespace is not None and occurs[name] > 1:
            name = _free(f"{tool.namespace}__{tool.name}", taken)
        named.append(tool if name == tool.name else replace(tool, name=name))
        if tool.raw is None:
            names[ToolKey(tool.name, tool.namespace)] = name
    return Tools(tuple(named), names)


def _free(name: str, taken: set[str]) -> str:
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate


# --- the choice -------------------------------------------------------------------------------


def _word(choice: str) -> ToolChoice:
    match choice:
        case "auto":
            return ToolChoice("auto")
        case "none":
            return ToolChoice("none")
        case "required":
            return ToolChoice("required")
        case _:
            raise fields.wrong("tool_choice", "auto, none, required or an object")


def _object(payload: JsonObject, tools: Tools) -> ToolChoice:
    choice = fields.mapping(payload, "tool_choice")
    if fields.text(choice, "type", "tool_choice") == "allowed_tools":
        return _allowed(choice, tools)
    return ToolChoice("one", (_chosen(choice, tools, "tool_choice"),))


def _allowed(choice: JsonObject, tools: Tools) -> ToolChoice:
    mode = fields.text(choice, "mode", "tool_choice")
    fields.one_of(mode, ("auto", "required"), "tool_choice.mode")
    listed = fields.objects(choice, "tools", "tool_choice")
    if not listed:
        raise BadRequest("tool_choice.tools: must not be empty", path="tool_choice.tools")
    names = [
        _chosen(tool, tools, f"tool_choice.tools[{index}]") for index, tool in enumerate(listed)
    ]
    return ToolChoice("subset", tuple(dict.fromkeys(names)), subset_required=mode == "required")


def _chosen(holder: JsonObject, tools: Tools, where: str) -> str:
    kind = fields.text(holder, "type", where)
    name = tools.name_of(holder, where) if kind in _NAMED else kind
    if all(tool.name != name for tool in tools.tools):
        raise BadRequest(f"{where}: there is no tool named {name!r}", path=where)
    return name
