"""Tools and the choice among them in the Gemini format, read."""

from typing import Final

from dialects import fields
from dialects.gemini.canonical import word
from dialects.gemini.constants import DIALECT
from dialects.gemini.read_schema import read_schema
from models.chat import Tool, ToolChoice
from models.json_types import JsonObject

_MODES: Final = {0: "MODE_UNSPECIFIED", 1: "AUTO", 2: "ANY", 3: "NONE", 4: "VALIDATED"}
_READ: Final = frozenset({"name", "description", "parameters", "parametersJsonSchema"})
_DECLARATIONS: Final = "functionDeclarations"
_CHOICE: Final = "functionCallingConfig"


def read_tools(payload: JsonObject) -> tuple[Tool, ...]:
    """Read `tools`: functions one by one, Google's own tools as they came."""
    tools: list[Tool] = []
    value = payload.get("tools")
    entries = [value] if isinstance(value, dict) else fields.optional_objects(payload, "tools")
    for at, entry in enumerate(entries):
        where = f"tools[{at}]"
        declared = fields.optional_objects(entry, _DECLARATIONS, where)
        for index, function in enumerate(declared):
            tools.append(_read_function(function, f"{where}.{_DECLARATIONS}[{index}]"))
        for key, own in entry.items():
            if key != _DECLARATIONS and own is not None:
                tools.append(Tool(key, raw={key: own}, dialect=DIALECT))
    return tuple(tools)


def read_tool_choice(payload: JsonObject) -> tuple[ToolChoice | None, JsonObject]:
    """Return the choice, and what else `toolConfig` says."""
    config = fields.optional_mapping(payload, "toolConfig")
    if config is None:
        return None, {}
    rest = {f"toolConfig.{key}": value for key, value in config.items() if key != _CHOICE}
    calling = fields.optional_mapping(config, _CHOICE, "toolConfig")
    if calling is None:
        return None, rest
    where = f"toolConfig.{_CHOICE}"
    names = tuple(fields.optional_texts(calling, "allowedFunctionNames", where))
    match word(calling, "mode", _MODES, where):
        case None | "MODE_UNSPECIFIED" if not names:
            return None, rest
        case None | "MODE_UNSPECIFIED" | "AUTO" | "VALIDATED":
            return ToolChoice("subset", names) if names else ToolChoice("auto"), rest
        case "ANY" if len(names) == 1:
            return ToolChoice("one", names), rest
        case "ANY" if names:
            return ToolChoice("subset", names, subset_required=True), rest
        case "ANY":
            return ToolChoice("required"), rest
        case "NONE":
            return ToolChoice("none"), rest
        case _:
            raise fields.wrong(f"{where}.mode", "one of AUTO, ANY, NONE, VALIDATED")


def _read_function(function: JsonObject, where: str) -> Tool:
    name = fields.text(function, "name", where)
    if not name:
        raise fields.wrong(f"{where}.name", "the name of a function")
    schema = fields.optional_mapping(function, "parametersJsonSchema", where)
    if schema is None:
        schema = fields.optional_mapping(function, "parameters", where)
    return Tool(
        name,
        fields.optional_text(function, "description", where),
        None if schema is None else read_schema(schema),
        dialect=DIALECT,
        extras={
            key: value for key, value in function.items() if key not in _READ and value is not None
        },
    )
