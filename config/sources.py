"""Where settings come from: the file, then the environment, then the command line.

Every mistake is collected with its place (file and line, variable or option) before anything is
refused, so that one run shows them all. Values are never part of a message.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from config.errors import ConfigError, Problem
from config.keys import KEYS, SECTIONS, VARIABLES, Key
from config.messages import in_words, unknown
from config.settings import Settings
from config.values import BadValue, Value, from_node, from_text
from config.yaml_text import (
    MAX_SIZE_BYTES,
    Entry,
    ListNode,
    MapNode,
    Node,
    ScalarNode,
    YamlError,
    is_empty,
    read_yaml,
)

DEFAULT_FILE = Path("config/config.yaml")

_PREFIX = "AIGATEWAY_"
# Names that scripts, tests and the supervisor use; they are no settings.
_OTHER_VARIABLES = re.compile(r"AIGATEWAY_(CONFIG|DATA_DIR|FAILPOINTS|TEST_.*|WORKER.*)")


def load_settings(
    path: Path | None,
    environ: Mapping[str, str],
    options: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings from file, environment and command line, each above the one before.

    `path` None means AIGATEWAY_CONFIG, else `config/config.yaml` where that exists, else no file.
    `options` maps dotted keys to texts given on the command line. Raises ConfigError.
    """
    draft = _Draft(environ)
    file = path or _default_file(environ)
    if file is not None:
        draft.read_file(file)
    draft.read_environment()
    for dotted, text in (options or {}).items():
        key = KEYS[dotted]
        draft.set_text(key, text, _Place("command line", f"--{key.name.replace('_', '-')}"))
    return draft.settings()


def _default_file(environ: Mapping[str, str]) -> Path | None:
    if named := environ.get("AIGATEWAY_CONFIG"):
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value was given, as messages name it."""

    where: str
    key: str


class _Draft:
    """Values as they are found, where they were found, and what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._values: dict[str, dict[str, Value]] = {}
        self._places: dict[tuple[str, ...], _Place] = {}
        self._items: dict[str, _Items] = {}
        self._problems: list[Problem] = []

    # --- file ---

    def read_file(self, path: Path) -> None:
        """Take everything from a YAML file."""
        text = ""
        try:
            text = _read(path)
            tree = read_yaml(text)
        except YamlError as error:
            hint = _flow_hint(text, error.line)
            self._problem(_Place(f"{path}:{error.line}", ""), error.message + hint)
        except _Unreadable as error:
            self._problem(_Place(str(path), ""), str(error))
        else:
            if tree is not None and not is_empty(tree):
                self._read_root(str(path), tree)

    def _read_root(self, path: str, tree: Node) -> None:
        if not isinstance(tree, MapNode):
            self._problem(_Place(f"{path}:{tree.line}", ""), "sections are expected (`server:`)")
            return
        for entry in self._unique(path, "", tree):
            place = _Place(f"{path}:{entry.line}", entry.key)
            if entry.key not in SECTIONS:
                self._problem(place, _unknown_section(entry.key))
            elif isinstance(entry.value, MapNode):
                self._places[(entry.key,)] = place
                self._read_section(path, entry.key, entry.value)
            elif not is_empty(entry.value):
                self._problem(place, "is a section: keys are expected under it")

    def _read_section(self, path: str, section: str, node: MapNode) -> None:
        for entry in self._unique(path, f"{section}.", node):
            place = _Place(f"{path}:{entry.line}", f"{section}.{entry.key}")
            key = SECTIONS[section].get(entry.key)
            if key is None:
                self._problem(place, unknown(entry.key, SECTIONS[section]))
                continue
            try:
                value = from_node(key, entry.value, self._environ)
                self._set(key, value, place, _item_places(path, entry.value))
            except BadValue as error:
                line = error.line or entry.line
                self._problem(_Place(f"{path}:{line}", place.key + error.path), error.message)

    def _unique(self, path: str, prefix: str, node: MapNode) -> Iterable[Entry]:
        """Return the entries, each key once; report the others."""
        first: dict[str, Entry] = {}
        for entry in node.entries:
            known = first.setdefault(entry.key, entry)
            if known is not entry:
                place = _Place(f"{path}:{entry.line}", prefix + entry.key)
                self._problem(place, f"duplicate key, first on line {known.line}")
        return first.values()

    # --- environment and command line ---

    def read_environment(self) -> None:
        """Take every AIGATEWAY_<SECTION>__<KEY>; report names that look like one and are none."""
        for name, text in sorted(self._environ.items()):
            if not name.startswith(_PREFIX) or _OTHER_VARIABLES.fullmatch(name):
                continue
            place = _Place("environment", name)
            if name in VARIABLES:
                self.set_text(VARIABLES[name], text, place)
            elif (message := _unknown_variable(name, text)) is not None:
                self._problem(place, message)

    def set_text(self, key: Key, text: str, place: _Place) -> None:
        """Take one value that came as text."""
        try:
            self._set(key, from_text(key, text), place)
        except BadValue as error:
            self._problem(_Place(place.where, place.key + error.path), error.message)

    # --- outcome ---

    def settings(self) -> Settings:
        """Return the settings, or raise ConfigError with all problems."""
        settings: Settings | None = None
        try:
            data_dir = _data_dir(self._environ)
            settings = Settings.model_validate({"data_dir": data_dir, **self._values})
        except _Unreadable as error:
            self._problem(_Place("environment", "AIGATEWAY_DATA_DIR"), str(error))
        except ValidationError as error:
            for details in error.errors(include_url=False, include_context=True):
                location = tuple(map(str, details["loc"]))
                self._problem(self._place(location), in_words(details))
        if settings is None or self._problems:
            raise ConfigError(self._problems)
        return settings

    def _set(self, key: Key, value: Value, place: _Place, items: "_Items | None" = None) -> None:
        self._values.setdefault(key.section, {})[key.name] = value
        self._places[key.section, key.name] = place
        self._items[key.dotted] = items or {}
        # A rule over several keys is reported where the section was last touched.
        self._places[key.section,] = _Place(place.where, key.section)

    def _place(self, location: tuple[str, ...]) -> _Place:
        """Find where the value at the location came from, or what holds it."""
        place = self._places.get(location[:2]) or self._places.get(location[:1])
        if place is None:
            return _Place("settings", ".".join(location))
        items = self._items.get(".".join(location[:2]), {})
        inner = location[2:]
        where = next(
            (items[inner[:end]] for end in range(len(inner), 0, -1) if inner[:end] in items),
            place.where,
        )
        path = "".join(f"[{part}]" for part in location[2:] if part != "[key]")
        return _Place(where, place.key + path)

    def _problem(self, place: _Place, message: str) -> None:
        self._problems.append(Problem(place.where, place.key, message))


_Items: TypeAlias = Mapping[tuple[str, ...], str]
"""Where things inside a value stand, by the indices and keys that lead to them."""


def _item_places(path: str, node: Node) -> _Items:
    found: dict[tuple[str, ...], str] = {}
    for name, value, line in _inside(node):
        found[name,] = f"{path}:{line}"
        found |= {(name, *rest): where for rest, where in _item_places(path, value).items()}
    return found


def _inside(node: Node) -> list[tuple[str, Node, int]]:
    """The items of a list or mapping: index or key, node, line."""
    match node:
        case ListNode():
            return [(str(index), item, item.line) for index, item in enumerate(node.items)]
        case MapNode():
            return [(entry.key, entry.value, entry.line) for entry in node.entries]
        case ScalarNode():
            return []


class _Unreadable(Exception):
    """A source cannot be read."""


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SIZE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        raise _Unreadable(f"cannot be read: {reason}") from None
    if len(content) > MAX_SIZE_BYTES:
        raise _Unreadable(f"larger than {MAX_SIZE_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _Unreadable(f"not UTF-8 (line {line})") from None


def _flow_hint(text: str, line: int) -> str:
    """Name the usual reason why a line with a reference is not YAML."""
    lines = text.splitlines()
    if 0 < line <= len(lines) and re.search(r"[\[{,]\s*\$\{", lines[line - 1]):
        return ' (inside brackets a reference needs quotes: ["${NAME}"])'
    return ""


def _data_dir(environ: Mapping[str, str]) -> Path:
    text = environ.get("AIGATEWAY_DATA_DIR") or "data"
    # `?` would begin the options of the SQLite address made from it.
    if not text.isprintable() or "?" in text:
        raise _Unreadable("must be a plain path without `?` and control characters")
    return Path(text).absolute()


# --- messages about names ---


def _unknown_section(name: str) -> str:
    if name == "data_dir":
        return "is set by AIGATEWAY_DATA_DIR in the environment; the scripts need it, too"
    owners = [key.dotted for key in KEYS.values() if key.name == name]
    if owners:
        return f"unknown section (did you mean {' or '.join(owners)}?)"
    return unknown(name, SECTIONS, "section")


def _unknown_variable(name: str, text: str) -> str | None:
    """Say what is wrong with an AIGATEWAY_ name; None when it is nobody's business.

    Names with a double underscore can only be meant for us. One with a single underscore is a
    usual slip, unless a container platform made it: those hold `tcp://...`.
    """
    if "__" in name:
        start = name.partition("__")[0]
        section = [variable for variable in VARIABLES if variable.startswith(f"{start}__")]
        return unknown(name, section or VARIABLES, "setting", cutoff=0.8)
    for variable in VARIABLES:
        if variable.replace("__", "_") == name and not text.startswith("tcp://"):
            return f"unknown setting (did you mean {variable}? with two underscores)"
    return None
