"""What the pieces of one request share while they are written for a Gemini model."""

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Final

from dialects.gemini.write_schema import cleaned, openapi
from dialects.names import changed_names, tool_names, wire_names
from dialects.properties import LEFT_OUT, renamed_schema, wire_properties
from dialects.schema import object_root, walked
from models.chat import ChatRequest, Tool
from models.json_types import JsonObject
from models.profile import Profile
from models.record import record

_BAD_CHARACTER: Final = re.compile(r"^[^a-zA-Z_]|[^a-zA-Z0-9_-]")
"""Google also takes `.` and `:`; what Claude behind its service does not is not used."""
_PLACEHOLDER: Final = "reason_for_call"
"""No likely name of anything else: it is taken out of arguments at any depth."""
_PLACEHOLDER_SCHEMA: Final[JsonObject] = {
    "type": "string",
    "description": "Why this tool is called.",
}


@record(frozen=True, slots=True)
class Outgoing:
    """Names, schemas, and what could not be said."""

    profile: Profile
    names: Mapping[str, str]
    """The client's tool names -> what Google accepts."""
    schemas: Mapping[str, JsonObject | None]
    """The client's name of a tool -> its schema as it is sent; None without parameters."""
    properties: Mapping[str, Mapping[str, str]]
    """The client's name of a tool -> (its property -> what Google accepts)."""
    dropped: list[str] = field(default_factory=list)

    @property
    def changed_tools(self) -> dict[str, str]:
        """`Encoded.tool_names`."""
        return changed_names(self.names)

    @property
    def changed_properties(self) -> dict[str, dict[str, str]]:
        """`Encoded.properties`."""
        return {self.names[tool]: changed_names(own) for tool, own in self.properties.items()}


def outgoing(request: ChatRequest, profile: Profile) -> Outgoing:
    """Find names and schemas for all tools that a request speaks of."""
    names = wire_names(tool_names(request), bad_character=_BAD_CHARACTER)
    schemas: dict[str, JsonObject | None] = {}
    properties: dict[str, dict[str, str]] = {}
    for tool in request.tools:
        if tool.raw is None:
            schemas[tool.name], changed = _schema(tool, profile)
            if changed:
                properties[tool.name] = changed
    return Outgoing(profile, names, schemas, properties)


def _schema(tool: Tool, profile: Profile) -> tuple[JsonObject | None, dict[str, str]]:
    root = object_root(tool.schema or {"type": "object"})
    changed = wire_properties(root)
    renamed = renamed_schema(root, changed)
    if profile.tool_schema == "claude":
        schema = openapi(renamed, for_claude=True)
        schema.setdefault("properties", {})
        if profile.validated_tools:
            schema, placeholder = _with_placeholders(schema)
            if placeholder:
                changed[LEFT_OUT] = placeholder
        return schema, changed
    has_parameters = bool(root.get("properties"))
    if profile.tool_schema == "openapi":
        return openapi(renamed) if has_parameters else None, changed
    has_parameters = has_parameters or root.get("additionalProperties") not in (None, False)
    return cleaned(renamed) if has_parameters else None, changed


def _with_placeholders(schema: JsonObject) -> tuple[JsonObject, str | None]:
    """Give each object that requires nothing something to require: where tools are validated it
    must be there. Return the schema, and what was added is called; None for nothing."""
    known: set[str] = set()
    is_added = False

    def note(node: JsonObject) -> JsonObject:
        properties = node.get("properties")
        known.update(properties if isinstance(properties, dict) else ())
        return node

    def add(node: JsonObject) -> JsonObject:
        nonlocal is_added
        if node.get("type") != "object" or node.get("required"):
            return node
        is_added = True
        properties = node.get("properties")
        own = properties if isinstance(properties, dict) else {}
        return {**node, "properties": {**own, name: _PLACEHOLDER_SCHEMA}, "required": [name]}

    walked(schema, note)
    name = _PLACEHOLDER
    while name in known:
        name += "_"
    schema = walked(schema, add)
    return schema, name if is_added else None
