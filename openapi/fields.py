"""Types of the fields of `/api/v1`: what may come in, how it goes out.

Everything that comes in is checked strictly, because it ends up in HTTP headers, addresses,
SQL and terminals. No message repeats a value: it might be a secret typed into the wrong field.
The validators are built when a body first comes: a gateway that is only asked for models has none.
"""

import math
import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.config import JsonDict

MAX_INT = 2**31 - 1
"""Largest INTEGER that every database keeps."""

_MAX_METADATA_BYTES = 16 * 1024
_PROJECT = re.compile(r"[!-~]{1,200}")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999; beyond it there are no dates."""


class Body(BaseModel):
    """A request body: nothing undeclared, no conversions, no input repeated in errors."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        defer_build=True,
    )


class OptionalBody(Body):
    """A request body that may be left out: each of its fields has a default."""


def _without_defaults(schema: JsonDict) -> None:
    properties = schema.get("properties")
    if isinstance(properties, dict):
        for facts in properties.values():
            if isinstance(facts, dict):
                facts.pop("default", None)


class Patch(Body):
    """A request body of which only the given fields count.

    The defaults of its fields mean nothing; `model_fields_set` tells what was given.
    """

    model_config = ConfigDict(json_schema_extra=_without_defaults)


class Answer(BaseModel):
    """An answer: exactly the declared fields, so that nothing else can slip out."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


# --- text -----------------------------------------------------------------------------------


def _printable(text: str) -> str:
    # Cc: control characters; Cs: surrogates; Zl, Zp: separators that end a line in some logs.
    if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in text):
        raise ValueError("must not contain control characters or line breaks")
    return text


def _visible_ascii(text: str) -> str:
    if not all("!" <= char <= "~" for char in text):
        raise ValueError("must consist of visible ASCII characters, without spaces")
    return text


def _printable_ascii(text: str) -> str:
    if not all(" " <= char <= "~" for char in text):
        raise ValueError("must consist of printable ASCII characters")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


Label: TypeAlias = Annotated[
    str, StringConstraints(max_length=200), AfterValidator(_printable), Field(examples=["team a"])
]
Name: TypeAlias = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(_printable),
    AfterValidator(_not_blank),
]
Identity: TypeAlias = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    AfterValidator(_printable),
    AfterValidator(_not_blank),
    Field(examples=["ann@example.com"]),
]
Reason: TypeAlias = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(_printable),
    Field(examples=["card expired"]),
]
Slug: TypeAlias = Annotated[
    str,
    StringConstraints(min_length=1, max_length=32, pattern=r"^[a-z0-9][a-z0-9_-]*$"),
    Field(examples=["anthropic"]),
]
Id: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
ModelName: TypeAlias = Annotated[
    str, StringConstraints(min_length=1, max_length=200), AfterValidator(_visible_ascii)
]
Scope: TypeAlias = Annotated[
    str, StringConstraints(min_length=1, max_length=500), AfterValidator(_visible_ascii)
]
ParamName: TypeAlias = Annotated[
    str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.\-]+$")
]


def _checked_secret(secret: SecretStr) -> SecretStr:
    _visible_ascii(secret.get_secret_value())
    return secret


def _checked_oauth_secret(secret: SecretStr) -> SecretStr:
    _printable_ascii(secret.get_secret_value())
    return secret


HeaderSecret: TypeAlias = Annotated[
    SecretStr,
    Field(min_length=1, max_length=16_384, json_schema_extra={"writeOnly": True}),
    AfterValidator(_checked_secret),
]
"""A credential that travels in a header."""
FormSecret: TypeAlias = Annotated[
    SecretStr,
    Field(min_length=1, max_length=16_384, json_schema_extra={"writeOnly": True}),
    AfterValidator(_checked_oauth_secret),
]
"""A credential that travels in a token request: RFC 6749 appendix A allows printable ASCII."""


# --- numbers, flags and free JSON -----------------------------------------------------------

Priority: TypeAlias = Annotated[int, Field(ge=-MAX_INT, le=MAX_INT)]
Capacity: TypeAlias = Annotated[int, Field(ge=0, le=MAX_INT)]
Weight: TypeAlias = Annotated[int, Field(ge=1, le=1000)]


def _small_json(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        size = len(orjson.dumps(value))
    except TypeError as error:
        raise ValueError("must not contain integers beyond 64 bits or deep nesting") from error
    if size > _MAX_METADATA_BYTES:
        raise ValueError(f"must not be larger than {_MAX_METADATA_BYTES} bytes")
    return value


def _with_project(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    project = value.get("project_id")
    if project is not None and not (isinstance(project, str) and _PROJECT.fullmatch(project)):
        raise ValueError("project_id must be the id of a project: text without spaces")
    return value


Metadata: TypeAlias = Annotated[
    dict[str, JsonValue],
    AfterValidator(_small_json),
    AfterValidator(_with_project),
    WithJsonSchema({"type": "object", "additionalProperties": True}),
]
"""Free notes of the operator; they come back, so they are no place for secrets. One means
something: `project_id`, the Google Cloud project of an account's calls."""


# --- time -----------------------------------------------------------------------------------


def _epoch(value: object) -> object:
    """Turn ISO 8601 text with an offset, or epoch seconds, into epoch seconds."""
    if isinstance(value, str):
        value = _epoch_of_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be ISO 8601 text or epoch seconds")
    if not math.isfinite(value) or not 0 <= value <= _LAST_SECOND:
        raise ValueError("must lie between the years 1970 and 9999")
    return float(value)


def _epoch_of_text(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError("must be ISO 8601, such as 2030-01-31T12:00:00Z") from error
    if moment.tzinfo is None:
        raise ValueError("must say its offset from UTC, such as 2030-01-31T12:00:00Z")
    try:
        return moment.timestamp()
    except OverflowError as error:
        raise ValueError("must lie between the years 1970 and 9999") from error


When: TypeAlias = Annotated[
    float,
    BeforeValidator(_epoch),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "number", "minimum": 0, "description": "Epoch seconds."},
            ]
        }
    ),
]
"""An instant that a client names: ISO 8601 with an offset, or epoch seconds."""


def _epoch_of_query(value: object) -> object:
    """As `_epoch`; in a query string numbers come as text."""
    if isinstance(value, str):
        try:
            return _epoch(float(value))
        except ValueError:
            # `+` in an unescaped query string arrives as a space.
            return _epoch(value.replace(" ", "+"))
    return _epoch(value)


def _digits(value: object) -> object:
    # Left to itself, pydantic reads `1_0`, ` 5` and `5.0` as numbers.
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        raise ValueError("must be a whole number")
    return int(value) if isinstance(value, str) else value


def _flag(value: object) -> object:
    if isinstance(value, str) and value not in {"true", "false"}:
        raise ValueError("must be true or false")
    return value == "true" if isinstance(value, str) else value


DIGITS = BeforeValidator(_digits)
"""Stands last in the type of a whole number in a query string."""
QueryFlag: TypeAlias = Annotated[bool, BeforeValidator(_flag)]
QueryText: TypeAlias = Annotated[str, StringConstraints(max_length=256), AfterValidator(_printable)]
QueryWhen: TypeAlias = Annotated[
    float,
    BeforeValidator(_epoch_of_query),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An instant in a query string."""


def moment(epoch: float | None) -> datetime | None:
    """Return the instant for an answer; None where there is none."""
    return None if epoch is None else instant(epoch)


def instant(epoch: float) -> datetime:
    """Return the instant for an answer, to the millisecond.

    Stored numbers may be anything (a provider's `expires_in`), so they are held within dates.
    """
    held = min(max(epoch, 0.0), float(_LAST_SECOND))
    return datetime.fromtimestamp(round(held, 3), UTC)
