"""What is wrong with a value or a name, in words for whoever wrote the file."""

import difflib
from collections.abc import Iterable

from pydantic_core import ErrorDetails

_WORDS = {
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "missing": "must be given",
    "string_pattern_mismatch": "has characters that are not allowed",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": "must be a text",
    "string_unicode": "must be valid Unicode",
}


def in_words(error: ErrorDetails) -> str:
    """Return what is wrong, without the value."""
    context = error.get("ctx", {})
    if error["type"] == "literal_error":
        # pydantic writes 'a', 'b' or 'c'.
        return f"must be one of {context['expected']}".replace("'", "").replace(" or ", ", ")
    if error["type"] == "value_error":
        return str(context["error"])
    words = _WORDS.get(error["type"])
    if words is None:
        return error["msg"]
    return words.format(**{name: _number(value) for name, value in context.items()})


def unknown(name: str, known: Iterable[str], what: str = "key", *, cutoff: float = 0.6) -> str:
    """Say that there is no such name, and which one may have been meant."""
    close = difflib.get_close_matches(name[:100], list(known), n=1, cutoff=cutoff)
    return f"unknown {what} (did you mean {close[0]}?)" if close else f"unknown {what}"


def _number(value: object) -> object:
    """Write 10.0 as 10."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
