"""JSON Schema as HTML: a table of fields, and types as short phrases."""

import re
from html import escape

from models.json_types import Json, JsonObject

_LIMITS = (
    ("minimum", "at least {}"),
    ("maximum", "at most {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} entries"),
    ("maxItems", "at most {} entries"),
    ("maxProperties", "at most {} entries"),
)
_SIZES = frozenset({"minLength", "minItems"})


def schema_html(schema: JsonObject) -> str:
    """Return what there is to say about a named schema."""
    described = f"<p>{inline(str(schema.get('description', '')))}</p>"
    fields = schema.get("properties")
    if not isinstance(fields, dict):
        return f"{described}<p>{type_html(schema)}</p>"
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    rows = [
        _row(name, facts, name in names)
        for name, facts in fields.items()
        if isinstance(facts, dict)
    ]
    return (
        f'{described}<div class="scroll" tabindex="0" role="region" aria-label="Fields"><table>'
        '<thead><tr><th scope="col">Field</th><th scope="col">Type</th>'
        '<th scope="col">Meaning</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _row(name: str, facts: JsonObject, is_required: bool) -> str:
    mark = ' <span class="required">required</span>' if is_required else ""
    return (
        f'<tr><th scope="row"><code>{escape(name)}</code>{mark}</th><td>{type_html(facts)}</td>'
        f"<td>{meaning_html(facts)}</td></tr>"
    )


def meaning_html(facts: JsonObject) -> str:
    """Return what a field is for: description, default, an example."""
    notes = [inline(str(facts["description"]))] if "description" in facts else []
    if facts.get("default") is not None:
        notes.append(f"Default <code>{escape(_json(facts['default']))}</code>.")
    examples = facts.get("examples")
    if isinstance(examples, list) and examples:
        notes.append(f"Such as <code>{escape(_json(examples[0]))}</code>.")
    return " ".join(notes)


def inline(text: str) -> str:
    """Return text as HTML; what stands between backticks becomes code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def type_html(schema: Json) -> str:
    """Return the type as a phrase; names of schemas are links."""
    if not isinstance(schema, dict):
        return "anything"
    if "$ref" in schema:
        name = escape(str(schema["$ref"]).rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    for word in ("anyOf", "oneOf"):
        variants = schema.get(word)
        if isinstance(variants, list):
            return " or ".join(type_html(variant) for variant in variants)
    if isinstance(values := schema.get("enum"), list):
        return " or ".join(f"<code>{escape(_json(value))}</code>" for value in values)
    if "const" in schema:
        return f"<code>{escape(_json(schema['const']))}</code>"
    return _plain_type(schema) + _limits(schema)


def _plain_type(schema: JsonObject) -> str:
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"list of {type_html(schema.get('items'))}"
    if kind == "object":
        inner = schema.get("additionalProperties")
        values = schema.get("patternProperties")
        if isinstance(values, dict) and values:
            inner = next(iter(values.values()))
        return f"object of {type_html(inner)}" if isinstance(inner, dict) else "object"
    form = schema.get("format")
    return f"{escape(kind)} ({escape(str(form))})" if form else escape(kind)


def _limits(schema: JsonObject) -> str:
    told = [
        "not empty" if name in _SIZES and schema[name] == 1 else text.format(_json(schema[name]))
        for name, text in _LIMITS
        if name in schema
    ]
    return f' <span class="limits">{escape(", ".join(told))}</span>' if told else ""


def _json(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return value or '""'
        case list():
            return "[" + ", ".join(_json(entry) for entry in value) + "]"
        case dict():
            return "{" + ", ".join(f"{key}: {_json(entry)}" for key, entry in value.items()) + "}"
        case _:
            return str(value)
