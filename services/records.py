"""Request records as JSON, as the spool keeps them on disk."""

import json
from dataclasses import asdict, replace
from typing import Final, TypeVar, get_args

from models.attempt import Attempt, Choice, Decision
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
_CHOICES: Final[dict[str, Choice]] = {choice: choice for choice in get_args(Choice)}
_PLAIN: Final = [name for name in Attempt.__slots__ if name != "decision"]


def record_to_json(record: RequestRecord, told: set[str] | None = None) -> bytes:
    """Return the record as one line of ASCII JSON, without the line's end.

    `told`: ids of decisions that stand in a line before it, and so not in this one; those of this
    one are added.
    """
    told = set() if told is None else told
    tries = [_attempt_to_json(attempt, told) for attempt in record.tries]
    plain = asdict(replace(record, tries=[])) | {"tries": tries}
    # Not orjson: a model's name may hold half a surrogate pair, and the record must not be lost.
    return json.dumps(plain, separators=(",", ":")).encode("ascii")


def record_from_json(text: bytes, told: dict[str, Decision] | None = None) -> RequestRecord:
    """Read a record back. Raises ValueError; fields of a newer version are passed over.

    `told`: decisions of the lines before, by id; those of this one are added. An attempt whose
    decision was in a line that is lost comes back without.
    """
    told = {} if told is None else told
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
        first_byte_ms=_some_number(fields, "first_byte_ms"),
        latency_ms=_number(fields, "latency_ms"),
        affinity=_want(fields, "affinity", str),
        cached_tokens_lost=_want(fields, "cached_tokens_lost", int),
        # Versions before had none.
        tries=[_attempt(one, told) for one in _objects(fields.get("tries", []))],
        egress_errors=_strings(fields.get("egress_errors")),
    )


# --- attempts -------------------------------------------------------------------------------


def _attempt_to_json(attempt: Attempt, told: set[str]) -> dict[str, object]:
    plain: dict[str, object] = {name: getattr(attempt, name) for name in _PLAIN}
    decision = attempt.decision
    if decision is not None:
        plain["decision_id"] = decision.id
        if decision.id not in told:
            told.add(decision.id)
            plain["decision"] = {
                "at": decision.at,
                "provider_id": decision.provider_id,
                "model": decision.model,
                "strategy": decision.strategy,
                "eligible": list(decision.eligible),
                "excluded": dict(decision.excluded),
                "counts": dict(decision.counts),
            }
    return plain


def _attempt(fields: JsonObject, told: dict[str, Decision]) -> Attempt:
    return Attempt(
        number=_need(fields, "number", int),
        at=_number(fields, "at"),
        provider_id=_need(fields, "provider_id", str),
        model=_need(fields, "model", str),
        account_id=_need(fields, "account_id", str),
        proxy_id=_want(fields, "proxy_id", str),
        choice=_CHOICES.get(_need(fields, "choice", str), "strategy"),
        counter=_want(fields, "counter", int),
        decision=_decision(fields, told),
        base_url=_want(fields, "base_url", str),
        status=_want(fields, "status", int),
        error_kind=_want(fields, "error_kind", str),
        blame=_want(fields, "blame", str),
        message=_want(fields, "message", str),
        rest_scope=_want(fields, "rest_scope", str),
        rest_until=_some_number(fields, "rest_until"),
        sent=_need(fields, "sent", bool),
        first_byte_ms=_some_number(fields, "first_byte_ms"),
        latency_ms=_number(fields, "latency_ms"),
    )


def _decision(attempt: JsonObject, told: dict[str, Decision]) -> Decision | None:
    decision_id = _want(attempt, "decision_id", str)
    if decision_id is None:
        return None
    fields = attempt.get("decision")
    if isinstance(fields, dict):
        told[decision_id] = Decision(
            decision_id,
            _number(fields, "at"),
            _need(fields, "provider_id", str),
            _need(fields, "model", str),
            _need(fields, "strategy", str),
            _strings(fields.get("eligible")),
            _values(fields, "excluded", str),
            _values(fields, "counts", int),
        )
    return told.get(decision_id)


# --- fields ---------------------------------------------------------------------------------


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


def _objects(values: Json) -> list[JsonObject]:
    if not isinstance(values, list):
        raise ValueError("expected a list of objects")
    objects = [value for value in values if isinstance(value, dict)]
    if len(objects) != len(values):
        raise ValueError("expected a list of objects")
    return objects


def _values(fields: JsonObject, name: str, kind: type[T]) -> dict[str, T]:
    values = fields.get(name)
    if not isinstance(values, dict):
        raise ValueError(f"{name}: expected an object")
    return {key: _need(values, key, kind) for key in values}


def _some_number(fields: JsonObject, name: str) -> float | None:
    return None if fields.get(name) is None else _number(fields, name)


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
