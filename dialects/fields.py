"""Readers for fields of parsed JSON that say where a wrong one is, and strict JSON itself.

`where` is the JSON path of the object that is read (`messages[2]`), empty for the body.
A field that is null counts as absent, as all vendors' servers do.
"""

import json
import re
from typing import Final, TypeVar, cast

import orjson

from models.errors import BadRequest
from models.json_types import Json, JsonObject

T = TypeVar("T")

_OBJECT: Final = frozenset({dict})

_EXACT_BELOW_BYTES: Final = 1024 * 1024
_HUGE: Final = re.compile(rb"-[0-9]{19}|[0-9]{20}")
_DIGITS: Final = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
_STEP: Final = 4
_MANY: Final = b"0" * 19
"""Digits of the smallest integer that may be too large."""
_FEW: Final = b"0" * (len(_MANY) // _STEP)


def join(where: str, key: str) -> str:
    """Return the path of `key` in the object at `where`."""
    return f"{where}.{key}" if where else key


def wrong(path: str, expected: str) -> BadRequest:
    """Return the error for a field that is not what it must be."""
    return BadRequest(f"{path}: expected {expected}", path=path)


# --- required fields --------------------------------------------------------------------------


def text(payload: JsonObject, key: str, where: str = "") -> str:
    """Return a string that must be there; it may be empty."""
    value = payload.get(key)
    if not isinstance(value, str):
        raise _wrong(payload, key, where, "a string")
    return value


def integer(payload: JsonObject, key: str, where: str = "") -> int:
    """Return an integer that must be there; true and false are none."""
    value = payload.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(payload, key, where, "an integer")
    return value


def items(payload: JsonObject, key: str, where: str = "") -> list[Json]:
    """Return a list that must be there."""
    value = payload.get(key)
    if not isinstance(value, list):
        raise _wrong(payload, key, where, "a list")
    return value


def mapping(payload: JsonObject, key: str, where: str = "") -> JsonObject:
    """Return an object that must be there."""
    value = payload.get(key)
    if not isinstance(value, dict):
        raise _wrong(payload, key, where, "an object")
    return value


def objects(payload: JsonObject, key: str, where: str = "") -> list[JsonObject]:
    """Return a list that must be there and hold nothing but objects."""
    values = payload.get(key)
    if not isinstance(values, list):
        raise _wrong(payload, key, where, "a list")
    if not _OBJECT.issuperset(map(type, values)):  # no step of Python's for each: many are long
        first = next(at for at, value in enumerate(values) if not isinstance(value, dict))
        raise wrong(f"{join(where, key)}[{first}]", "an object")
    return cast("list[JsonObject]", values)


# --- optional fields --------------------------------------------------------------------------


def optional_text(payload: JsonObject, key: str, where: str = "") -> str | None:
    """Return a string, None when absent."""
    return None if payload.get(key) is None else text(payload, key, where)


def optional_integer(payload: JsonObject, key: str, where: str = "") -> int | None:
    """Return an integer, None when absent."""
    value = payload.get(key)
    return value if value is None or type(value) is int else integer(payload, key, where)


def optional_number(payload: JsonObject, key: str, where: str = "") -> float | None:
    """Return a number as it came, integer or not."""
    value = payload.get(key)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(payload, key, where, "a number")
    return value


def optional_bool(payload: JsonObject, key: str, where: str = "") -> bool | None:
    """Return true or false, None when absent."""
    value = payload.get(key)
    if value is not None and not isinstance(value, bool):
        raise _wrong(payload, key, where, "true or false")
    return value


def optional_items(payload: JsonObject, key: str, where: str = "") -> list[Json]:
    """Return a list, empty when absent."""
    return [] if payload.get(key) is None else items(payload, key, where)


def optional_mapping(payload: JsonObject, key: str, where: str = "") -> JsonObject | None:
    """Return an object, None when absent."""
    return None if payload.get(key) is None else mapping(payload, key, where)


def optional_objects(payload: JsonObject, key: str, where: str = "") -> list[JsonObject]:
    """Return a list of objects, empty when absent."""
    return [] if payload.get(key) is None else objects(payload, key, where)


def optional_texts(payload: JsonObject, key: str, where: str = "") -> list[str]:
    """Return a list of strings, empty when absent."""
    if payload.get(key) is None:
        return []
    path = join(where, key)
    found = []
    for index, value in enumerate(items(payload, key, where)):
        if not isinstance(value, str):
            raise wrong(f"{path}[{index}]", "a string")
        found.append(value)
    return found


def one_of(value: T, allowed: tuple[T, ...], path: str) -> T:
    """Return `value` when it is one of `allowed`."""
    if value not in allowed:
        raise wrong(path, "one of " + ", ".join(str(item) for item in allowed))
    return value


def _wrong(payload: JsonObject, key: str, where: str, expected: str) -> BadRequest:
    path = join(where, key)
    if key not in payload:
        return BadRequest(f"{path}: required, expected {expected}", path=path)
    return wrong(path, expected)


# --- JSON itself ------------------------------------------------------------------------------


def parse_object(body: bytes) -> JsonObject:
    """Read a request body, strictly: UTF-8 without BOM, no NaN, no lone surrogate, one object."""
    try:
        payload: Json = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from error
    if not isinstance(payload, dict):
        raise BadRequest("the body must be a JSON object")
    return _exact(body) if has_huge_integer(body) else payload


def has_huge_integer(body: bytes) -> bool:
    """Say whether JSON may hold an integer beyond 64 bits, which orjson rounds.

    The standard parser keeps it; its cost is bounded by the size, larger bodies are rounded.
    """
    if len(body) >= _EXACT_BELOW_BYTES or body[::_STEP].translate(_DIGITS).rfind(_FEW) < 0:
        return False  # most bodies: one byte of each few was looked at
    return body.translate(_DIGITS).rfind(_MANY) >= 0 and _HUGE.search(body) is not None


def _exact(body: bytes) -> JsonObject:
    try:
        payload: JsonObject = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body is not valid JSON: a number or its nesting is too long") from (
            error
        )
    return payload


def parse_lenient(data: bytes) -> JsonObject | None:
    """Read an object of a provider's stream; None for anything else.

    Unlike `parse_object` it accepts half of a surrogate pair: providers cut pairs between two
    deltas. Where `data` holds `\\ud`, strings may hold surrogates that a `Mender` must join.
    """
    try:
        payload: Json = orjson.loads(data)
    except orjson.JSONDecodeError:
        if b"\\ud" not in data and b"\\uD" not in data:
            return None
        try:
            payload = json.loads(data)
        except (ValueError, RecursionError):
            return None
    return payload if isinstance(payload, dict) else None


def dumps(value: Json) -> bytes:
    """Write compact UTF-8 JSON, key order kept; integers of any size."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return _dumps_slowly(value)


def _dumps_slowly(value: Json) -> bytes:
    try:
        written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (RecursionError, ValueError) as error:
        raise BadRequest("the body is nested too deeply to be translated") from error
    return mended(written).encode()


def mended(value: str) -> str:
    """Return `value` with surrogate halves joined to characters; a lone half becomes U+FFFD."""
    if value.isascii():
        return value
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Mender:
    """Joins surrogate pairs that a stream cut between two deltas of one part."""

    def __init__(self) -> None:
        self._held = ""

    def push(self, piece: str) -> str:
        """Return what can be shown now; a high half at the end waits for its other half."""
        if not self._held and piece.isascii():
            return piece
        piece = self._held + piece
        self._held = ""
        if piece and "\ud800" <= piece[-1] <= "\udbff":
            self._held = piece[-1]
            piece = piece[:-1]
        return mended(piece)

    def flush(self) -> str:
        """Return what is left when the part ends: U+FFFD for half a pair."""
        held, self._held = self._held, ""
        return "\ufffd" if held else ""
