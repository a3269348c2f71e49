"""JSON schemas within the subset of Anthropic's structured output.

What the subset lacks becomes part of the description, so that the model still reads it.
Source: what the official SDK's helper keeps of a schema.
"""

from collections.abc import Mapping

from dialects.fields import dumps
from dialects.schema import MAX_DEPTH, walked
from models.json_types import Json, JsonObject

_FORMATS = frozenset(
    {
        "date",
        "date-time",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "time",
        "uri",
        "uuid",
    }
)
_SILENT = frozenset({"$schema", "$id", "$comment", "additionalProperties", "required"})


def for_anthropic_output(schema: JsonObject) -> JsonObject | None:
    """Return the schema within the subset of `output_config.format`.

    What the subset lacks becomes part of the description. None when the meaning would be
    lost: objects with free keys, recursion, foreign references.
    """
    try:
        return _anthropic_node(schema, 0) if not _is_recursive(schema) else None
    except _Inexpressible:
        return None


class _Inexpressible(Exception):
    """The subset has no words for this schema."""


def _anthropic_node(node: Json, depth: int) -> JsonObject:
    if not isinstance(node, dict) or depth > MAX_DEPTH:
        raise _Inexpressible
    shaped: JsonObject = _anthropic_definitions(node, depth)
    reference = node.get("$ref")
    if reference is not None:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise _Inexpressible
        return {**shaped, "$ref": reference}
    taken = {"$defs", "definitions", "title", "description", *_SILENT}
    for key in ("title", "description"):
        if isinstance(node.get(key), str):
            shaped[key] = node[key]
    taken |= _anthropic_shape(node, shaped, depth)
    notes = [f"{key}: {_told(value)}" for key, value in node.items() if key not in taken]
    if notes:
        text = shaped.get("description")
        shaped["description"] = "; ".join([*([text] if isinstance(text, str) else []), *notes])
    return shaped


def _anthropic_definitions(node: JsonObject, depth: int) -> JsonObject:
    shaped: JsonObject = {}
    for key in ("$defs", "definitions"):
        definitions = node.get(key)
        if isinstance(definitions, dict):
            shaped[key] = {
                name: _anthropic_node(child, depth + 1) for name, child in definitions.items()
            }
    return shaped


def _anthropic_shape(node: JsonObject, shaped: JsonObject, depth: int) -> set[str]:
    """Fill in what decides the values; return the keywords that this used up."""
    literals = _literals(node)
    if literals:
        shaped.update(literals)
        return {"type", *literals}
    for union, wanted in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf")):
        branches = node.get(union)
        if isinstance(branches, list) and branches:
            shaped[wanted] = [_anthropic_node(branch, depth + 1) for branch in branches]
            return {"type", union}
    kind = node.get("type")
    if isinstance(kind, list):
        once = ("title", "description", "$defs", "definitions")
        without_list = {key: node[key] for key in node if key not in once}
        # Each type once: doubles at every level would double the work with each level.
        shaped["anyOf"] = [
            _anthropic_node({**without_list, "type": one}, depth + 1) for one in _names(kind)
        ]
        return set(node)
    match kind:
        case "object":
            return _anthropic_object(node, shaped, depth)
        case "array":
            return _anthropic_array(node, shaped, depth)
        case "string" | "integer" | "number" | "boolean" | "null":
            shaped["type"] = kind
            form = node.get("format")
            if kind == "string" and isinstance(form, str) and form in _FORMATS:
                shaped["format"] = form
                return {"type", "format"}
            return {"type", *_foreign(node, kind)}
        case _:
            raise _Inexpressible


def _anthropic_object(node: JsonObject, shaped: JsonObject, depth: int) -> set[str]:
    properties = node.get("properties", {})
    is_free = node.get("additionalProperties") not in (None, False)
    is_empty = not properties and "additionalProperties" not in node
    if not isinstance(properties, dict) or is_free or is_empty or "patternProperties" in node:
        raise _Inexpressible
    shaped["type"] = "object"
    shaped["properties"] = {
        name: _anthropic_node(child, depth + 1) for name, child in properties.items()
    }
    required = node.get("required")
    if isinstance(required, list):
        shaped["required"] = [name for name in _names(required) if name in properties]
    shaped["additionalProperties"] = False
    return {"type", "properties", *_foreign(node, "object")}


def _anthropic_array(node: JsonObject, shaped: JsonObject, depth: int) -> set[str]:
    shaped["type"] = "array"
    shaped["items"] = _anthropic_node(node.get("items"), depth + 1)
    used = {"type", "items", *_foreign(node, "array")}
    if node.get("minItems") in (0, 1) and not isinstance(node["minItems"], bool):
        shaped["minItems"] = node["minItems"]
        used.add("minItems")
    return used


_ABOUT: Mapping[str, frozenset[str]] = {
    "array": frozenset({"contains", "items", "maxItems", "minItems", "prefixItems", "uniqueItems"}),
    "number": frozenset(
        {"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"}
    ),
    "object": frozenset({"maxProperties", "minProperties", "properties", "propertyNames"}),
    "string": frozenset({"format", "maxLength", "minLength", "pattern"}),
}


def _foreign(node: JsonObject, kind: str) -> set[str]:
    """Return the keywords that say nothing about `kind` (they come from a list of types)."""
    own = "number" if kind == "integer" else kind
    others = [words for about, words in _ABOUT.items() if about != own]
    return set().union(*others) & set(node)


def _literals(node: JsonObject) -> JsonObject:
    literals: JsonObject = {}
    values = node.get("enum")
    if isinstance(values, list) and values and not any(isinstance(v, dict | list) for v in values):
        literals["enum"] = values
    if "const" in node and not isinstance(node["const"], dict | list):
        literals["const"] = node["const"]
    return literals


def _told(value: Json) -> str:
    return value if isinstance(value, str) else dumps(value).decode()


def _names(values: list[Json]) -> list[str]:
    """Return the strings of a list, each once."""
    return list(dict.fromkeys(value for value in values if isinstance(value, str)))


def _is_recursive(schema: JsonObject) -> bool:
    """Say whether a definition reaches itself by references."""
    edges: dict[str, set[str]] = {"#": _references(schema, skip_definitions=True)}
    for key in ("$defs", "definitions"):
        definitions = schema.get(key)
        if isinstance(definitions, dict):
            for name, child in definitions.items():
                edges[f"#/{key}/{name}"] = _references(child)
    return _has_circle(edges)


def _has_circle(edges: Mapping[str, set[str]]) -> bool:
    """Take away what leads nowhere, again and again: only circles remain. Linear in the edges."""
    sources: dict[str, list[str]] = {name: [] for name in edges}
    left = {name: len(targets & edges.keys()) for name, targets in edges.items()}
    for name, targets in edges.items():
        for target in targets & edges.keys():
            sources[target].append(name)
    ends = [name for name, count in left.items() if count == 0]
    while ends:
        for source in sources[ends.pop()]:
            left[source] -= 1
            if left[source] == 0:
                ends.append(source)
    return any(left.values())


def _references(schema: Json, *, skip_definitions: bool = False) -> set[str]:
    if not isinstance(schema, dict):
        return set()
    found: set[str] = set()

    def note(node: JsonObject) -> JsonObject:
        reference = node.get("$ref")
        if isinstance(reference, str):
            found.add(reference)
        return node

    keys = ("$defs", "definitions") if skip_definitions else ()
    walked({key: schema[key] for key in schema if key not in keys}, note)
    return found
