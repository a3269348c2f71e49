"""Request records as JSON, as the spool keeps them on disk."""

import json
from dataclasses import asdict
from typing import Final, TypeVar

from models.exchange import RequestRecord
from models.json_types import Json, JsonObject
from models.usage import Usage

T = TypeVar("T", bool, int, float, str)

_TOKENS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)


def record_to_json(record: RequestRecord) -> bytes:
    """Return the record as one line of ASCII JSON, without the line's end."""
    # Not orjson: a model's name may hold half a surrogate pair, and the record must not be lost.
    return json.dumps(asdict(record), separators=(",", ":")).encode("ascii")


def record_from_json(text: bytes) -> RequestRecord:
    """Read a record back. Raises ValueError; fields of a newer version are passed over."""
    fields: Json = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError("a record must be an object")
    return RequestRecord(
        id=_need(fields, "id", str),
        at=_number(fields, "at"),
        key_id=_need(fields, "key_id", str),
        dialect=_need(fields, "dialect", str),
        model=_need(fields, "model", str),
        stream=_need(fields, "stream", bool),
        client_request_id=_want(fields, "client_request_id", str),
        provider_id=_want(fields, "provider_id", str),
        upstream_model=_want(fields, "upstream_model", str),
        account_id=_want(fields, "account_id", str),
        proxy_id=_want(fields, "proxy_id", str),
        status=_need(fields, "status", int),
        error_code=_want(fields, "error_code", str),
        attempts=_need(fields, "attempts", int),
        mode=_need(fields, "mode", str),
        usage=_usage(fields.get("usage")),
        first_byte_ms=None
        if fields.get("first_byte_ms") is None
        else _number(fields, "first_byte_ms"),
        latency_ms=_number(fields, "latency_ms"),
        egress_errors=_strings(fields.get("egress_errors")),
    )


def _usage(fields: Json) -> Usage:
    if not isinstance(fields, dict):
        raise ValueError("usage: expected an object")
    return Usage(**{name: _want(fields, name, int) for name in _TOKENS})


def _strings(values: Json) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise ValueError("expected a list of strings")
    strings = tuple(value for value in values if isinstance(value, str))
    if len(strings) != len(values):
        raise ValueError("expected a list of strings")
    return strings


def _number(fields: JsonObject, name: str) -> float:
    value = fields.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"{name}: expected a number")


def _need(fields: JsonObject, name: str, kind: type[T]) -> T:
    value = _want(fields, name, kind)
    if value is None:
        raise ValueError(f"{name}: expected {kind.__name__}")
    return value


def _want(fields: JsonObject, name: str, kind: type[T]) -> T | None:
    value = fields.get(name)
    if value is None:
        return None
    # True is an int to Python, and not to us.
    if type(value) is not kind:
        raise ValueError(f"{name}: expected {kind.__name__}")
    return value
