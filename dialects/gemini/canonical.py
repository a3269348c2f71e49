"""One spelling for a request that may come in two.

Google's servers read protobuf's JSON: field names in camelCase or snake_case, enums by name or by
number, numbers as strings, bytes in either alphabet of base64. Field names are put right here for
the whole body; what somebody else chose (arguments, answers of tools, JSON schemas' property
names, labels) is left alone. Values are read by the functions below, field by field.
"""

import re
from collections.abc import Mapping
from typing import Final

from dialects import fields
from models.errors import BadRequest
from models.json_types import Json, JsonObject

_FREE: Final = frozenset({"args", "default", "example", "examples", "enum", "labels", "response"})
"""Fields whose value is not Google's to name."""
_JSON_SCHEMAS: Final = frozenset(
    {"parametersJsonSchema", "responseJsonSchema", "_responseJsonSchema"}
)
_NAMED: Final = frozenset({"properties", "patternProperties", "$defs", "defs", "definitions"})
"""Fields of a schema that map names to schemas."""
_SNAKE: Final = re.compile(r"_([a-z0-9])")
_MAX_DEPTH: Final = 150
_NESTING: Final = (dict, list)
_TO_STANDARD: Final = str.maketrans("-_", "+/")


def canonical(payload: JsonObject) -> JsonObject:
    """Return the body with field names in camelCase. Raises BadRequest for a name given twice."""
    return _object(payload, "", 0)


def camel_case(name: str) -> str:
    """Return a field's name in camelCase; the underscore in front of a private one stays."""
    if "_" not in name:
        return name
    return name[0] + _SNAKE.sub(lambda found: found[1].upper(), name[1:])


def snake_case(name: str) -> str:
    """Return a camelCase name, or a path of such names, in snake_case."""
    return re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name)


def _object(payload: JsonObject, where: str, depth: int) -> JsonObject:
    spelled: JsonObject = {}
    for key, value in payload.items():
        name = camel_case(key)
        if name in spelled:
            path = fields.join(where, name)
            raise BadRequest(f"{path}: given more than once", path=path)
        if isinstance(value, _NESTING) or depth >= _MAX_DEPTH:
            value = _value(name, value, fields.join(where, name), depth + 1)
        spelled[name] = value
    return spelled


def _value(name: str, value: Json, where: str, depth: int) -> Json:
    if name in _FREE or name in _JSON_SCHEMAS:
        return value
    if depth > _MAX_DEPTH:
        raise BadRequest(f"the body is nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, dict):
        if name not in _NAMED:
            return _object(value, where, depth)
        return {key: _value("", child, where, depth + 1) for key, child in value.items()}
    if isinstance(value, list):
        return [_value("", child, f"{where}[{at}]", depth + 1) for at, child in enumerate(value)]
    return value


# --- values -----------------------------------------------------------------------------------


def integer(payload: JsonObject, key: str, where: str = "") -> int | None:
    """Return an integer that may be written as a string or as `5.0`; None when absent."""
    value = payload.get(key)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return fields.optional_integer(payload, key, where)


def number(payload: JsonObject, key: str, where: str = "") -> float | None:
    """Return a number that may be written as a string; None when absent."""
    value = payload.get(key)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}(\.[0-9]{1,19})?", value):
        return float(value)
    return fields.optional_number(payload, key, where)


def word(payload: JsonObject, key: str, numbered: Mapping[int, str], where: str = "") -> str | None:
    """Return an enum's name in upper case, be it given by name or by number."""
    value = payload.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and value in numbered:
        return numbered[value]
    text = fields.optional_text(payload, key, where)
    return None if text is None else text.upper()


def standard_base64(data: str) -> str:
    """Return base64 in the standard alphabet, padded: SDKs send the one for URLs."""
    plain = data.translate(_TO_STANDARD).rstrip("=")
    return plain + "=" * (-len(plain) % 4)
