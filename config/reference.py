"""The settings as documents: the reference page and the values in force, secrets masked."""

import json
from collections.abc import Iterator, Mapping
from typing import Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

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
with file, line and key; `aigateway check-config [FILE]` shows the same without starting. `yes`, `no`, `on` and `off` are
words: a switch is `true` or `false`. Tags (`!name`) are refused.

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


def _sections() -> Iterator[str]:
    for section, keys in SECTIONS.items():
        model = Settings.model_fields[section].annotation
        yield f"## `{section}`\n\n{(model.__doc__ or '').strip()}\n"
        for key in keys.values():
            yield _entry(key)


def _entry(key: Key) -> str:
    meaning = " ".join((key.field.description or "").split())
    return (
        f"### `{key.dotted}`\n\n{meaning}\n\n"
        f"- Type: {_type(key)}\n- Default: {_default(key)}\n- Environment: `{key.variable}`\n"
    )
