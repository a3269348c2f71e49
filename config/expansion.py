"""`${VAR}` and `${VAR:-default}` inside a value of the configuration file."""

import re
from collections.abc import Mapping

_MAX_CHARACTERS = 1 << 20
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The doubled dollar first, so that `$${A}` is text; a `${` without its brace is caught, too.
_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")


class ExpansionError(Exception):
    """A reference that cannot be replaced."""


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Return the text with references replaced; `$${` stands for a literal `${`.

    The default counts when the variable is unset or empty, as in a shell. What a variable holds
    is not expanded again. Raises ExpansionError.
    """
    expanded = _REFERENCE.sub(lambda match: _value(match, environ), text)
    if len(expanded) > _MAX_CHARACTERS:
        raise ExpansionError(f"longer than {_MAX_CHARACTERS} characters once expanded")
    return expanded


def _value(match: re.Match[str], environ: Mapping[str, str]) -> str:
    if match[1] is None:
        return "${"
    if not match[2]:
        raise ExpansionError("`${` without `}` (write `$${` for a literal one)")
    name, has_default, default = match[1].partition(":-")
    if not _NAME.fullmatch(name):
        raise ExpansionError("write ${NAME} or ${NAME:-default} (`$${` for a literal `${`)")
    value = environ.get(name)
    if has_default:
        return value or default
    if value is None:
        raise ExpansionError(f"environment variable {name} is not set and has no default")
    return value
