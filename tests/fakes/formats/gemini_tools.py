"""What Google refuses of tools and of how they are chosen."""

import re
from typing import Any

from tests.fakes.formats import schemas
from tests.fakes.formats.base import need, stranger

_TOOLS = frozenset(
    [
        "functionDeclarations",
        "googleSearch",
        "urlContext",
        "codeExecution",
        "googleMaps",
        "fileSearch",
    ]
)
_DECLARATION = frozenset(
    [
        "name",
        "description",
        "parameters",
        "parametersJsonSchema",
        "response",
        "responseJsonSchema",
        "behavior",
    ]
)
_JSON_SCHEMA_REFUSED = frozenset(["$schema", "patternProperties", "if", "then", "else", "not"])
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")


def check(payload: dict[str, Any], model: str) -> None:
    """Check `tools`, `toolConfig` and the schema for the answer."""
    tools = payload.get("tools") or []
    for tool in tools:
        extra = stranger(tool, _TOOLS)
        need(extra is None, f"Unknown name \"{extra}\" at 'tools[0]': Cannot find field.")
    declared = [tool for tool in tools if "functionDeclarations" in tool]
    need(len(declared) <= 1, "Multiple tools are supported only when they are all search tools.")
    names = [_check_declaration(one) for tool in declared for one in tool["functionDeclarations"]]
    need(len(set(names)) == len(names), "Duplicate function declaration found")
    _check_choice(payload.get("toolConfig") or {}, names)
    schema = (payload.get("generationConfig") or {}).get("responseSchema")
    if schema is not None:
        schemas.check_gemini(schema, "generation_config.response_schema")
    if model.startswith(("gemini-1", "gemini-2")):
        searches = any("googleSearch" in tool for tool in tools)
        need(not (searches and declared), "Built-in tools and functions cannot be combined.")


def _check_declaration(declared: dict[str, Any]) -> str:
    where = "tools[0].function_declarations[0]"
    extra = stranger(declared, _DECLARATION)
    need(
        extra is None,
        f"Invalid JSON payload received. Unknown name \"{extra}\" at '{where}': Cannot find field.",
    )
    name = declared.get("name", "")
    need(_NAME.fullmatch(name), f"{where}.name: Invalid function name. Must start with a letter")
    both = "parameters" in declared and "parametersJsonSchema" in declared
    need(not both, f"{where}: parameters and parameters_json_schema are mutually exclusive")
    if declared.get("parameters") is not None:
        schemas.check_gemini(declared["parameters"], f"{where}.parameters")
    for node in schemas.nodes(declared.get("parametersJsonSchema") or {}):
        word = next((name for name in node if name in _JSON_SCHEMA_REFUSED), None)
        need(word is None, f"{where}.parameters_json_schema: {word} is not supported")
    assert isinstance(name, str)
    return name


def _check_choice(config: dict[str, Any], names: list[str]) -> None:
    calling = config.get("functionCallingConfig") or {}
    extra = stranger(calling, {"mode", "allowedFunctionNames"})
    need(extra is None, f"Unknown name \"{extra}\" at 'tool_config': Cannot find field.")
    mode = calling.get("mode", "AUTO")
    need(mode in ("AUTO", "ANY", "NONE", "VALIDATED"), f"Invalid value at 'mode': {mode}")
    allowed = calling.get("allowedFunctionNames")
    if allowed:
        need(mode in ("ANY", "VALIDATED"), "Allowed function names need mode ANY.")
        need(set(allowed) <= set(names), f"allowed_function_names: {allowed} are not declared")
    need(mode != "ANY" or names, "Function calling config is set without function_declarations.")
