"""What the model says about a bad value, in words for whoever wrote the file."""

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


def _number(value: object) -> object:
    """Write 10.0 as 10."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
