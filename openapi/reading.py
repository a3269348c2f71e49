"""From the bytes of a request to a checked body, with errors that name the field at fault."""

from collections.abc import Mapping
from typing import TypeVar

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from models.errors import BadRequest, Unprocessable
from openapi.fields import Body, OptionalBody

B = TypeVar("B", bound=Body)

_MAX_FAULTS = 50
_MAX_PART = 64
# Below the top stand credentials: what is longer than any name there may be one, badly placed.
_MAX_INNER_PART = 24


def read_json(model: type[B], body: bytes) -> B:
    """Read a JSON body. Raises BadRequest for other text, Unprocessable for wrong fields."""
    if not body and issubclass(model, OptionalBody):
        return model()
    try:
        # The stricter parser first: no NaN, no lone surrogates, no byte order mark.
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {error.msg}") from error
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error, "body") from None


def read_query(model: type[B], query: Mapping[str, str]) -> B:
    """Read a query string. Raises Unprocessable when it does not fit."""
    try:
        return model.model_validate_strings(dict(query))
    except ValidationError as error:
        raise _refusal(error, "query") from None


def _refusal(error: ValidationError, whole: str) -> BadRequest | Unprocessable:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    if any(fault["type"] == "json_invalid" for fault in errors):
        return BadRequest("the body is not valid JSON: it is nested too deeply or has huge numbers")
    faults = [_fault(fault, whole) for fault in errors[:_MAX_FAULTS]]
    first = faults[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Unprocessable(
        f"{first['path']}: {first['message']}{more}",
        path=first["path"],
        details={"fields": faults},
    )


def _fault(fault: ErrorDetails, whole: str) -> dict[str, str]:
    message = fault["msg"].removeprefix("Value error, ")
    return {"path": _path(fault["loc"]) or whole, "message": message}


def _path(loc: tuple[int | str, ...]) -> str:
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{_inner(part)}" if path else _shown(part)
    return path


def _inner(name: str) -> str:
    return _shown(name) if len(name) <= _MAX_INNER_PART else "..."


def _shown(name: str) -> str:
    """Return a name that a client made up, fit for a message."""
    short = name if len(name) <= _MAX_PART else name[:_MAX_PART] + "..."
    return "".join(char if char.isprintable() else "?" for char in short)
