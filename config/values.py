"""The value of one key, made from what stands in the file or in a variable."""

from collections.abc import Callable, Mapping
from typing import TypeVar, Union, assert_never

from config.expansion import ExpansionError, expand
from config.keys import Key, Kind
from config.messages import unknown
from config.yaml_text import (
    ListNode,
    MapNode,
    Node,
    ScalarNode,
    YamlError,
    is_empty,
    read_scalar,
    read_yaml,
)

T = TypeVar("T")
Value = Union[None, bool, int, float, str, tuple[str, ...], Mapping[str, "Value"]]  # noqa: UP007 - it names itself


class BadValue(Exception):
    """A value that has not even the shape of its key. The message never holds the value."""

    def __init__(self, message: str, *, path: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        """Place inside the value: `[2]`."""
        self.line = line
        """Line in the file; 0 when the value's own line is good enough."""


def from_node(key: Key, node: Node, environ: Mapping[str, str] | None) -> Value:
    """Return the value of a key from its place in the file, `${VAR}` expanded.

    Without `environ` nothing is expanded: the node is part of a variable or an option.
    """
    if isinstance(node, ScalarNode):
        text = "" if is_empty(node) else _expanded(node, environ)
        return from_text(key, text)
    if isinstance(node, ListNode) and key.kind is Kind.LIST:
        return _list(node, environ)
    if isinstance(node, MapNode) and key.kind in _MAPPINGS:
        return _mapping(key, node, environ)
    raise BadValue(f"must be a {_EXPECTED[key.kind]}", line=node.line)


def from_text(key: Key, text: str) -> Value:
    """Return the value of a key from a text: a variable, an option, or an expanded scalar.

    Lists are comma-separated or JSON, mappings JSON; numbers and switches are read by the rules
    of YAML scalars. What does not fit is left as text, for the model to refuse.
    """
    match key.kind:
        case Kind.TEXT:
            return None if key.is_optional and not text else text
        case Kind.NUMBER | Kind.SWITCH:
            return read_scalar(text.strip())
        case Kind.LIST:
            return _list_from_text(text.strip())
        case Kind.MAPPING | Kind.PAIRS | Kind.TABLE:
            return _mapping_from_text(key, text.strip())
    assert_never(key.kind)


_EXPECTED = {
    Kind.TEXT: "single text",
    Kind.NUMBER: "single number",
    Kind.SWITCH: "single true or false",
    Kind.LIST: "list",
    Kind.MAPPING: "mapping",
    Kind.PAIRS: "mapping",
    Kind.TABLE: "mapping",
}
_MAPPINGS = {
    Kind.MAPPING: '{"gpt-": ["openai"]}',
    Kind.PAIRS: '{"name": "text"}',
    Kind.TABLE: '{"openai": {"key": "text"}}',
}


def _list_from_text(text: str) -> tuple[str, ...]:
    if not text.startswith("["):
        return tuple(item for item in (part.strip() for part in text.split(",")) if item)
    node = _json(text)
    if not isinstance(node, ListNode):
        raise BadValue("must be a comma-separated or JSON list")
    return _list(node, None)


def _mapping_from_text(key: Key, text: str) -> dict[str, Value]:
    if not text:
        return {}
    node = _json(text)
    if not isinstance(node, MapNode):
        raise BadValue(f"must be a JSON object such as {_MAPPINGS[key.kind]}")
    return _mapping(key, node, None)


def _json(text: str) -> Node | None:
    """Read JSON with the strict reader: flow YAML holds it, and duplicate keys stay visible."""
    try:
        return read_yaml(text)
    except YamlError:
        raise BadValue("is not JSON") from None


def _list(node: ListNode, environ: Mapping[str, str] | None, path: str = "") -> tuple[str, ...]:
    return tuple(_item(item, environ, f"{path}[{index}]") for index, item in enumerate(node.items))


def _item(node: Node, environ: Mapping[str, str] | None, path: str) -> str:
    if not isinstance(node, ScalarNode):
        raise BadValue("must be a single text", path=path, line=node.line)
    return _expanded(node, environ, path)


def _mapping(key: Key, node: MapNode, environ: Mapping[str, str] | None) -> dict[str, Value]:
    match key.kind:
        case Kind.TABLE:
            return _entries(node, lambda entry, path: _row(key, entry, environ, path))
        case Kind.PAIRS:
            return _entries(node, lambda entry, path: _item(entry, environ, path))
        case _:
            return _entries(node, lambda entry, path: _names(entry, environ, path))


def _entries(node: MapNode, read: Callable[[Node, str], Value]) -> dict[str, Value]:
    result: dict[str, Value] = {}
    for entry in node.entries:
        path = f"[{entry.key}]"
        if entry.key in result:
            raise BadValue("duplicate key", path=path, line=entry.line)
        result[entry.key] = read(entry.value, path)
    return result


def _names(node: Node, environ: Mapping[str, str] | None, path: str) -> tuple[str, ...]:
    match node:
        case ListNode():
            return _list(node, environ, path)
        case ScalarNode():
            return _list_from_text(_expanded(node, environ, path))
        case MapNode():
            raise BadValue("must be a list", path=path, line=node.line)


def _row(table: Key, node: Node, environ: Mapping[str, str] | None, path: str) -> Value:
    """Read one entry of a table: a mapping whose keys are the table's columns."""
    if not isinstance(node, MapNode):
        raise BadValue("must be a mapping", path=path, line=node.line)
    result: dict[str, Value] = {}
    for entry in node.entries:
        place = f"{path}[{entry.key}]"
        column = table.columns.get(entry.key)
        if column is None or entry.key in result:
            message = "duplicate key" if column else unknown(entry.key, table.columns)
            raise BadValue(message, path=place, line=entry.line)
        try:
            result[entry.key] = from_node(column, entry.value, environ)
        except BadValue as error:
            line = error.line or entry.line
            raise BadValue(error.message, path=place + error.path, line=line) from None
    return result


def _expanded(node: ScalarNode, environ: Mapping[str, str] | None, path: str = "") -> str:
    """Expand a scalar of the file; variables and options (no environ) are taken as they are."""
    if environ is None:
        return node.text
    try:
        return expand(node.text, environ)
    except ExpansionError as error:
        raise BadValue(str(error), path=path, line=node.line) from None
