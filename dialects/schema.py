"""JSON schemas within what a vendor accepts.

Only schema positions are touched: below `properties` and its kin the keys are names that
somebody chose, so a property called `format` stays. Nothing here changes its argument.
"""

from collections.abc import Callable, Sequence

from models.errors import BadRequest
from models.json_types import Json, JsonObject

_NAME_MAPS = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
)
_SINGLE = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
_HOLDING = _NAME_MAPS | _SINGLE | _LISTS
_UNIONS = ("anyOf", "oneOf", "allOf")
MAX_DEPTH = 100
_MAX_MERGES = 4
_MAX_MERGED = 20_000

Edit = Callable[[JsonObject], JsonObject]


def for_chat_function(schema: JsonObject | None) -> JsonObject | None:
    """Return `parameters` of a Chat or Responses function; None when there are none.

    OpenAI refuses objects without `properties`, arrays without `items`, and a root that is
    anything but a plain object.
    """
    if schema is None:
        return None
    return walked(object_root(schema), _completed)


def for_anthropic_tool(schema: JsonObject | None) -> JsonObject:
    """Return `input_schema` of an Anthropic tool: an object without unions at its root."""
    if schema is None:
        return {"type": "object", "properties": {}}
    return object_root(schema)


def fits_strict(schema: JsonObject | None) -> bool:
    """Say whether OpenAI's strict mode takes the schema: closed objects, all keys required."""
    if schema is None:
        return False
    found: list[bool] = []

    def note(node: JsonObject) -> JsonObject:
        if node.get("type") == "object" or "properties" in node:
            found.append(_is_closed(node))
        return node

    walked(schema, note)
    return schema.get("type") == "object" and "anyOf" not in schema and all(found)


def without_keyword(schema: JsonObject, keyword: str) -> JsonObject:
    """Return the schema without `keyword` at any schema position."""
    return walked(schema, lambda node: {key: node[key] for key in node if key != keyword})


def walked(schema: JsonObject, edit: Edit, _depth: int = 0) -> JsonObject:
    """Return a copy of the schema with `edit` applied to each subschema, the innermost first.

    Raises BadRequest for a schema that is nested deeper than anybody's model would follow.
    """
    if _depth > MAX_DEPTH:
        raise BadRequest(f"a JSON schema is nested deeper than {MAX_DEPTH} levels")
    if _HOLDING.isdisjoint(schema):  # as most are: a string, a number
        return edit(schema.copy())
    node: JsonObject = {}
    for key, value in schema.items():
        if key in _NAME_MAPS and isinstance(value, dict):
            node[key] = {
                name: walked(child, edit, _depth + 1) if isinstance(child, dict) else child
                for name, child in value.items()
            }
        elif key in _SINGLE and isinstance(value, dict):
            node[key] = walked(value, edit, _depth + 1)
        elif key in _LISTS and isinstance(value, list):
            node[key] = [
                walked(child, edit, _depth + 1) if isinstance(child, dict) else child
                for child in value
            ]
        else:
            node[key] = value
    return edit(node)


def object_root(schema: JsonObject) -> JsonObject:
    """Return the schema with a plain object at its root; root unions are merged into it.

    What is required only in one branch of a choice is not required afterwards.
    """
    return _object(schema, schema, _MAX_MERGES, _Effort())


# --- the root ---------------------------------------------------------------------------------


class _Effort:
    """Counts what is merged: references let a few bytes ask for endless work."""

    def __init__(self) -> None:
        self._left = _MAX_MERGED

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise BadRequest("a JSON schema has too many alternatives at its root")


def _object(schema: JsonObject, root: JsonObject, merges_left: int, effort: _Effort) -> JsonObject:
    if isinstance(schema.get("$ref"), str) and "type" not in schema and merges_left > 0:
        rest = {key: schema[key] for key in schema if key != "$ref"}
        return _object({**resolved(schema, root), **rest}, root, merges_left - 1, effort)
    shaped: JsonObject = {key: schema[key] for key in schema if key not in _UNIONS}
    for union in _UNIONS:
        branches = schema.get(union)
        if isinstance(branches, list) and merges_left > 0:
            for branch in branches:
                effort.spend(1)
                flat = _object(resolved(branch, root), root, merges_left - 1, effort)
                _merge(shaped, flat, effort, is_required=union == "allOf")
    return {**shaped, "type": "object"}


def _merge(root: JsonObject, flat: JsonObject, effort: _Effort, *, is_required: bool) -> None:
    properties = flat.get("properties")
    if isinstance(properties, dict):
        known = root.get("properties")
        merged = dict(known) if isinstance(known, dict) else {}
        effort.spend(len(merged) + len(properties))
        for name, child in properties.items():
            merged[name] = _either(merged[name], child, effort) if name in merged else child
        root["properties"] = merged
    required = flat.get("required")
    if is_required and isinstance(required, list):
        before = root.get("required")
        names = [*(before if isinstance(before, list) else []), *required]
        effort.spend(len(names))
        root["required"] = list(dict.fromkeys(name for name in names if isinstance(name, str)))
    if "description" not in root and isinstance(flat.get("description"), str):
        root["description"] = flat["description"]


def _either(first: Json, second: Json, effort: _Effort) -> Json:
    if _same(first, second):
        return first
    known = first.get("anyOf") if isinstance(first, dict) and set(first) == {"anyOf"} else None
    choices = known if isinstance(known, list) else [first]
    effort.spend(len(choices))
    is_known = any(_same(choice, second) for choice in choices)
    return {"anyOf": choices if is_known else [*choices, second]}


def _same(first: Json, second: Json) -> bool:
    try:
        return first == second
    except RecursionError:  # nested absurdly deep: refused later, when it is written
        return False


def resolved(branch: Json, root: JsonObject) -> JsonObject:
    """Return what a subschema is, local references followed, those to references a few steps."""
    for _ in range(8):
        if not isinstance(branch, dict):
            return {}
        reference = branch.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return branch
        branch = _at(root, reference[2:].split("/"))
    return {}


def _at(root: Json, path: Sequence[str]) -> Json:
    for step in path:
        if not isinstance(root, dict):
            return None
        root = root.get(step.replace("~1", "/").replace("~0", "~"))
    return root


# --- OpenAI -----------------------------------------------------------------------------------


def _completed(node: JsonObject) -> JsonObject:
    kind = node.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if "object" in kinds and "properties" not in node and "$ref" not in node:
        node = {**node, "properties": {}}
    if "array" in kinds and "items" not in node and "prefixItems" not in node:
        node = {**node, "items": {}}
    return node


def _is_closed(node: JsonObject) -> bool:
    properties, required = node.get("properties"), node.get("required")
    names = set(properties) if isinstance(properties, dict) else set()
    listed = (
        {name for name in required if isinstance(name, str)}
        if (isinstance(required, list))
        else set()
    )
    return node.get("additionalProperties") is False and names <= listed
