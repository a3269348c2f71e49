"""JSON Schema within what Google's servers take of it.

Newer models read JSON Schema itself (`parametersJsonSchema`) but for keywords that they do not
know. Older ones, and Claude behind Google's service, read a subset of OpenAPI's (`parameters`),
where one unknown keyword fails the request: what it lacks becomes part of a description.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from dialects.fields import dumps
from dialects.schema import MAX_DEPTH, object_root, resolved, walked
from models.errors import BadRequest
from models.json_types import Json, JsonObject

Style: TypeAlias = Literal["json", "openapi", "claude"]

_KEYWORDS: Final = frozenset(
    {
        "$anchor",
        "$defs",
        "$id",
        "$ref",
        "additionalProperties",
        "anyOf",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "oneOf",
        "prefixItems",
        "properties",
        "propertyOrdering",
        "required",
        "title",
        "type",
    }
)
_TOLD: Final = (
    "const",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "multipleOf",
    "pattern",
    "uniqueItems",
)
"""What a model should know of though the server does not."""
_OPENAPI: Final = (
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "pattern",
)
_FORMATS: Final = {
    "string": ("date-time",),
    "number": ("float", "double"),
    "integer": ("int32", "int64"),
}
_MAX_NODES: Final = 20_000


def cleaned(schema: JsonObject) -> JsonObject:
    """Return JSON Schema without the keywords that Gemini does not know.

    Definitions in the old place are moved, a constant becomes an enumeration of one.
    """
    return walked(schema, _known)


def _known(node: JsonObject) -> JsonObject:
    known = {key: value for key, value in node.items() if key in _KEYWORDS}
    definitions = node.get("definitions")
    if isinstance(definitions, dict):
        given = known.get("$defs")
        known["$defs"] = {**definitions, **(given if isinstance(given, dict) else {})}
    reference = known.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/definitions/"):
        known["$ref"] = "#/$defs/" + reference.removeprefix("#/definitions/")
    branches = node.get("allOf")
    if isinstance(branches, list):
        known = _merged(known, branches)
    told = [key for key in _TOLD if key in node]
    if isinstance(node.get("const"), str | int | float) and "enum" not in known:
        known["enum"] = [node["const"]]
        told.remove("const")
    return _with_notes(known, [(key, node[key]) for key in told])


def _merged(node: JsonObject, branches: list[Json]) -> JsonObject:
    """Fold the branches of `allOf` in; what the node says itself wins."""
    for branch in branches:
        if isinstance(branch, dict):
            node = _joined(node, branch)
    return node


def _joined(node: JsonObject, branch: JsonObject) -> JsonObject:
    joined: JsonObject = {**branch, **node}
    for key in ("properties", "$defs"):
        first, second = branch.get(key), node.get(key)
        if isinstance(first, dict) and isinstance(second, dict):
            joined[key] = {**first, **second}
    first, second = branch.get("required"), node.get("required")
    if isinstance(first, list) and isinstance(second, list):
        joined["required"] = [*second, *(name for name in first if name not in second)]
    return joined


def _with_notes(node: JsonObject, notes: list[tuple[str, Json]]) -> JsonObject:
    if not notes:
        return node
    text = node.get("description")
    told = [text] if isinstance(text, str) and text else []
    told += [f"{key}: {_said(value)}" for key, value in notes]
    return {**node, "description": "; ".join(told)}


def _said(value: Json) -> str:
    return value if isinstance(value, str) else dumps(value).decode()


# --- the subset of OpenAPI --------------------------------------------------------------------


def openapi(schema: JsonObject, *, for_claude: bool = False) -> JsonObject:
    """Return the schema in the subset of OpenAPI's; references are replaced by what they mean.

    `for_claude`: in what is JSON Schema as well, for the service hands it on as that.
    """
    return _Subset(schema, for_claude).node(object_root(schema), ())


def openapi_output(schema: JsonObject) -> JsonObject:
    """Return the schema of an answer in the subset; its root need not be an object."""
    return _Subset(schema, is_for_claude=False).node(schema, ())


_Traced: TypeAlias = tuple[JsonObject, tuple[str, ...]]
"""A subschema and the references that led to it."""


@dataclass(slots=True)
class _Subset:
    """Writes one schema; references let a few bytes ask for endless work, so it is counted."""

    root: JsonObject
    is_for_claude: bool
    left: int = _MAX_NODES

    def node(self, node: Json, trail: tuple[str, ...]) -> JsonObject:
        """Write a subschema; `trail` are the references that led to it."""
        self.left -= 1
        if self.left < 0 or len(trail) > MAX_DEPTH:
            raise BadRequest("a JSON schema is too large or nested too deeply")
        if not isinstance(node, dict):
            return {"type": "string"} if self.is_for_claude else {}
        node, trail = self._flat(*self._inlined(node, trail))
        if "$ref" in node:
            return _with_notes({"type": "object"}, [("as", node["$ref"])])
        written: JsonObject = {}
        for key in ("title", "description"):
            if isinstance(node.get(key), str):
                written[key] = node[key]
        kind = _type_of(node)
        if node.get("nullable") is True and not self.is_for_claude:
            written["nullable"] = True
        choices = node.get("anyOf")
        if isinstance(choices, list) and choices and kind is None:
            written["anyOf"] = [self.node(choice, (*trail, "")) for choice in choices]
            return written
        written["type"] = kind or "object"
        notes = self._shape(node, written, trail)
        return _with_notes(written, notes)

    # --- before it is written ---

    def _inlined(self, node: JsonObject, trail: tuple[str, ...]) -> _Traced:
        """Put what a reference means in its place, unless it leads back to itself."""
        reference = node.get("$ref")
        if not isinstance(reference, str) or reference in trail:
            return node, trail
        rest = {key: value for key, value in node.items() if key != "$ref"}
        found = {**resolved({"$ref": reference}, self.root), **rest}
        return self._inlined(found, (*trail, reference))

    def _flat(self, node: JsonObject, trail: tuple[str, ...]) -> _Traced:
        """Reduce `allOf`, conditions and unions to what one node can say."""
        for key in ("if", "then", "else"):
            branch = node.get(key)
            if isinstance(branch, dict):
                node = _joined(node, {"properties": branch.get("properties", {})})
        branches = node.get("allOf")
        if isinstance(branches, list):
            node = {key: value for key, value in node.items() if key != "allOf"}
            for branch in branches:
                if isinstance(branch, dict):
                    branch, trail = self._inlined(branch, trail)
                    node = _joined(node, branch)
        for union in ("anyOf", "oneOf"):
            choices = node.get(union)
            if isinstance(choices, list):
                node, trail = self._inlined(self._chosen(node, union, choices), trail)
        return _single_type(node), trail

    def _chosen(self, node: JsonObject, union: str, choices: list[Json]) -> JsonObject:
        rest = {key: value for key, value in node.items() if key != union}
        real = [choice for choice in choices if isinstance(choice, dict) and not _is_null(choice)]
        if len(real) < len(choices):
            rest["nullable"] = True
        if len(real) == 1 or (self.is_for_claude and real):
            return _joined(rest, max(real, key=lambda one: _richness(resolved(one, self.root))))
        if "properties" in rest or not real:
            return rest
        return {**{key: value for key, value in rest.items() if key != "type"}, "anyOf": [*real]}

    # --- what decides the values ---

    def _shape(
        self, node: JsonObject, written: JsonObject, trail: tuple[str, ...]
    ) -> list[tuple[str, Json]]:
        """Fill in what belongs to the type; return what only a description can say."""
        kind = str(written["type"])
        notes: list[tuple[str, Json]] = []
        names = [_said(value) for value in _values(node) if value is not None and value != ""]
        if names and kind == "string":
            written["enum"] = [*dict.fromkeys(names)]
        elif names:  # an enumeration is of strings: others would change the arguments' type
            notes.append(("one of", ", ".join(names)))
        if kind == "array":
            written["items"] = self.node(_items(node), (*trail, ""))
        if kind == "object":
            notes += self._object(node, written, trail)
        return notes + self._limits(node, written, kind)

    def _object(
        self, node: JsonObject, written: JsonObject, trail: tuple[str, ...]
    ) -> list[tuple[str, Json]]:
        properties = node.get("properties")
        if not isinstance(properties, dict) or not properties:
            extra = node.get("additionalProperties")
            return [("values", extra)] if isinstance(extra, dict) and extra else []
        written["properties"] = {
            name: self.node(child, (*trail, "")) for name, child in properties.items()
        }
        required = node.get("required")
        if isinstance(required, list):
            names = [name for name in required if isinstance(name, str) and name in properties]
            if names:
                written["required"] = list(dict.fromkeys(names))
        return []

    def _limits(self, node: JsonObject, written: JsonObject, kind: str) -> list[tuple[str, Json]]:
        form = node.get("format")
        is_known = isinstance(form, str) and form in _FORMATS.get(kind, ())
        if is_known and not self.is_for_claude and "enum" not in written:
            written["format"] = form
        notes: list[tuple[str, Json]] = []
        if isinstance(form, str) and "format" not in written and form != "enum":
            notes.append(("format", form))
        for key in _OPENAPI:
            if key in node and not self.is_for_claude:
                written[key] = node[key]
        told = dict.fromkeys((*_OPENAPI, *_TOLD)) if self.is_for_claude else _TOLD
        return notes + [
            (key, node[key]) for key in told if key in node and key not in (*written, "const")
        ]


def _type_of(node: JsonObject) -> str | None:
    kind = node.get("type")
    if isinstance(kind, str) and kind:
        return kind.lower()
    if isinstance(node.get("anyOf"), list):
        return None
    if "properties" in node:
        return "object"
    if "items" in node or "prefixItems" in node:
        return "array"
    values: list[Json] = [value for value in _values(node) if value is not None]
    return _literal_type(values) if values else None


def _values(node: JsonObject) -> list[Json]:
    values = [node["const"]] if "const" in node else node.get("enum")
    return values if isinstance(values, list) else []


def _literal_type(values: list[Json]) -> str:
    for kind, name in ((bool, "boolean"), (int, "integer"), (int | float, "number")):
        if all(isinstance(value, kind) for value in values):
            return name
    return "string"


def _single_type(node: JsonObject) -> JsonObject:
    kinds = node.get("type")
    if not isinstance(kinds, list):
        return node
    names = [kind for kind in kinds if isinstance(kind, str)]
    real = [name for name in names if name != "null"]
    node = {**node, "type": real[0] if real else "string"}
    if len(real) < len(names):
        node["nullable"] = True
    if len(real) > 1:
        node = _with_notes(node, [("types", ", ".join(real))])
    return node


def _is_null(choice: Json) -> bool:
    return isinstance(choice, dict) and choice.get("type") == "null"


def _richness(choice: JsonObject) -> int:
    properties = choice.get("properties")
    is_shaped = "properties" in choice or "items" in choice
    return 2 * is_shaped + (len(properties) if isinstance(properties, dict) else 0)


def _items(node: JsonObject) -> Json:
    items, listed = node.get("items"), node.get("prefixItems")
    if isinstance(items, dict):
        return items
    first = listed[0] if isinstance(listed, list) and listed else None
    return first if first is not None else {"type": "string"}
