"""Who an account is at its provider, and other facts, out of what a login brought."""

from collections.abc import Iterable, Mapping
from typing import Final

from models.json_types import Json, JsonObject

_MAX_CHARACTERS: Final = 255


def fact(path: str, sources: Iterable[JsonObject]) -> str | None:
    """Return the first text or whole number at a path; dots lead into objects.

    A key that itself has dots, as the addresses that some vendors take for keys, counts first.
    """
    for source in sources:
        value = _at(path, source)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and _is_fit(value):
            return value
    return None


def facts(paths: Mapping[str, str], sources: Iterable[JsonObject]) -> dict[str, Json]:
    """Return what was found of several facts, by the names they shall have."""
    known = list(sources)
    found = {name: fact(path, known) for name, path in paths.items()}
    return {name: value for name, value in found.items() if value is not None}


def masked(identity: str) -> str:
    """Return an identity as a log may show it: `a***@example.com`."""
    name, mark, domain = identity.rpartition("@")
    return f"{name[:1]}***{mark}{domain}" if mark else f"{identity[:2]}***"


def _at(path: str, source: JsonObject) -> Json:
    if path in source:
        return source[path]
    for position, sign in enumerate(path):
        if sign == "." and isinstance(inner := source.get(path[:position]), dict):
            found = _at(path[position + 1 :], inner)
            if found is not None:
                return found
    return None


def _is_fit(value: str) -> bool:
    return 0 < len(value) <= _MAX_CHARACTERS and value.isprintable()
