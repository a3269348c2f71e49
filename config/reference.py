"""The settings as documents: the reference page and the values in force, secrets masked."""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, SecretStr

from config.fields import SecretUrl
from config.keys import SECTIONS, Key, Kind
from config.redaction import MASK
from config.settings import Settings

_HEAD = """\
# Configuration

<!-- Made from config/settings.py; do not edit. `python -m config.reference` prints it anew. -->

Each setting is looked for in three places; the later one wins:

1. the file that `AIGATEWAY_CONFIG` names, else `config/config.yaml` in the working directory
   (where it exists), else none: every setting has a default;
2. the environment: `AIGATEWAY_<SECTION>__<KEY>`, with two underscores;
3. the command line, where there is an option (`aigateway serve --host --port`).

`AIGATEWAY_DATA_DIR` (default `./data`) is the folder of everything the gateway writes: the SQLite
file, the master key, the spool of statistics and the journal of tokens. It is no key of the file,
because the scripts need it, too.

**In the file**, YAML is read strictly. Unknown and duplicate keys and bad values stop the start
with file, line and key; `aigateway check-config [FILE]` shows the same without starting. `yes`,
`no`, `on` and `off` are words: a switch is `true` or `false`. Tags (`!name`) are refused.

**References**: `${NAME}` inside a value is replaced by the environment variable, which must be set;
`${NAME:-text}` by `text` where it is unset or empty; `$${` stands for a literal `${`. Inside
brackets a reference needs quotes: `["${NAME}"]`.

**In the environment**, lists are comma-separated or JSON, mappings are JSON. A value replaces that
of the file; nothing is merged. Names that look like a setting and are none stop the start.

Units are part of the names: `_s` seconds, `_bytes` bytes, `_days` days.
"""


def reference() -> str:
    """Return `docs/configuration.md`: every key with type, default, variable and meaning."""
    return "\n".join([_HEAD, *_sections()])


def effective(settings: Settings) -> str:
    """Return the values in force as YAML, secrets masked."""
    shown = _shown(settings, settings.model_dump(mode="json"))
    text: str = yaml.safe_dump(shown, sort_keys=False, allow_unicode=False, width=1000)
    return text


def _shown(value: object, dumped: object) -> object:
    match value:
        case SecretUrl():
            return str(value)
        case SecretStr():
            return MASK
        case BaseModel() if isinstance(dumped, dict):
            return {name: _shown(getattr(value, name), inner) for name, inner in dumped.items()}
        case Mapping() if isinstance(dumped, dict):
            return {name: _shown(inner, dumped[name]) for name, inner in value.items()}
        case _:
            return dumped


def _sections() -> Iterator[str]:
    for section, keys in SECTIONS.items():
        model = Settings.model_fields[section].annotation
        yield f"## `{section}`\n\n{model.__doc__}\n"
        yield from map(_entry, keys.values())


def _entry(key: Key) -> str:
    facts = (f"`{key.variable}`", _type(key), f"default {_default(key)}")
    entry = f"### `{key.dotted}`\n\n{key.meaning}\n\n{' · '.join(facts)}\n"
    rows = "\n".join(map(_row, key.columns.values()))
    return f"{entry}\n{_TABLE_HEAD}{rows}\n" if rows else entry


_TABLE_HEAD = "| Key of each entry | Type | Default | Meaning |\n|---|---|---|---|\n"


def _row(column: Key) -> str:
    default = "required" if column.field.is_required() else _default(column)
    return f"| `{column.name}` | {_type(column)} | {default} | {column.meaning} |"


def _type(key: Key) -> str:
    bare = key.bare
    if get_origin(bare) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(bare))
    if key.kind is Kind.NUMBER:
        number = "whole number" if bare is int else "number"
        return ", ".join((f"{number}{_unit(key.name)}", *_limits(key)))
    if isinstance(bare, type) and issubclass(bare, SecretStr):
        return "address (its password is never shown)" if bare is SecretUrl else "secret"
    return _NAMES[key.kind]


_NAMES = {
    Kind.TEXT: "text",
    Kind.SWITCH: "`true` or `false`",
    Kind.LIST: "list",
    Kind.MAPPING: "mapping of names to lists",
    Kind.PAIRS: "mapping of names to texts",
    Kind.TABLE: "mapping of names to mappings",
}
_UNITS = {"_bytes_per_s": "bytes per second", "_bytes": "bytes", "_s": "seconds", "_days": "days"}
_SIGNS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def _unit(name: str) -> str:
    return next((f" of {unit}" for end, unit in _UNITS.items() if name.endswith(end)), "")


def _limits(key: Key) -> Iterator[str]:
    """Say the bounds of a number, as the model's metadata has them."""
    for bound in key.field.metadata:
        for name, words in _SIGNS.items():
            if hasattr(bound, name):
                yield f"{words} {getattr(bound, name)}"


def _default(key: Key) -> str:
    value = key.field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr) or value in (None, (), ""):
        return "empty"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


if __name__ == "__main__":
    sys.stdout.write(reference())
