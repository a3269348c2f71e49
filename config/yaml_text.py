"""Strict YAML: text to a tree of located nodes, nothing constructed, nothing guessed.

Only the parser's events are used. So no tag can build an object, and depth and size are
counted while reading. Scalars stay text with their line; what a text means (`8088`, `true`) is
decided by the setting it is for, after YAML 1.2's core rules: `no` is a word, `1_000` is not a
number, `12:30` is no time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

MAX_SIZE_BYTES = 1 << 20
_MAX_DEPTH = 20
_MAX_NODES = 20_000

_NULL = re.compile(r"~|null|Null|NULL|")
_INT = re.compile(r"[-+]?[0-9]{1,30}")
_RADIX = re.compile(r"0o[0-7]{1,30}|0x[0-9a-fA-F]{1,30}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]{1,4})?")
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class YamlError(Exception):
    """The text is not the YAML we read."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A single text; `plain` means it was written without quotes."""

    line: int
    text: str
    plain: bool


@dataclass(frozen=True, slots=True)
class ListNode:
    """A sequence."""

    line: int
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping as written: a key that comes twice is there twice, for its reader to refuse."""

    line: int
    entries: tuple["Entry", ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value."""

    line: int
    key: str
    value: "Node"


Node = ScalarNode | ListNode | MapNode


def read_yaml(text: str) -> Node | None:
    """Return the tree of the one document in the text; None when there is none.

    Raises YamlError for everything else, whatever the text.
    """
    try:
        return _Reader(yaml.parse(text, Loader=yaml.SafeLoader)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(mark.line + 1 if mark else 1, f"not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise YamlError(1, f"not YAML: {str(error).splitlines()[0]}") from None
    except (ValueError, OverflowError):
        # The scanner converts escapes such as "\UFFFFFFFF" and version numbers unchecked.
        raise YamlError(1, "not YAML: an escape sequence or directive is out of range") from None


def read_scalar(text: str) -> int | float | bool | str | None:
    """Return what an unquoted text means by the core rules of YAML 1.2."""
    if _NULL.fullmatch(text):
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _RADIX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def is_empty(node: Node) -> bool:
    """Say whether nothing stands there, or `null` or `~` without quotes."""
    return isinstance(node, ScalarNode) and node.plain and _NULL.fullmatch(node.text) is not None


class _Reader:
    """Builds the tree from events."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._count = 0

    def document(self) -> Node | None:
        tree: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if tree is not None:
                    raise YamlError(_line(event), "a second document; one is expected")
                tree = self._node(next(self._events), 0)
        return tree

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise YamlError(_line(event), f"nested deeper than {_MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._count
        self._add(1, event)
        node = self._content(event, depth)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = (node, self._count - before)
        return node

    def _content(self, event: yaml.Event, depth: int) -> Node:
        if getattr(event, "tag", None) is not None:
            raise YamlError(_line(event), "tags (!name) are not allowed")
        match event:
            case yaml.ScalarEvent():
                return ScalarNode(_line(event), event.value, plain=not event.style)
            case yaml.SequenceStartEvent():
                return ListNode(_line(event), tuple(self._items(depth)))
            case yaml.MappingStartEvent():
                return MapNode(_line(event), tuple(self._entries(depth)))
            case _:
                raise YamlError(_line(event), "not YAML: a value is missing")

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> Iterator[Entry]:
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, ScalarNode):
                raise YamlError(_line(event), "a key must be a single text")
            yield Entry(_line(event), key.text, self._node(next(self._events), depth + 1))

    def _alias(self, event: yaml.AliasEvent) -> Node:
        known = self._anchors.get(event.anchor or "")
        if known is None:
            raise YamlError(_line(event), f"alias *{event.anchor} names no finished anchor")
        node, size = known
        # An alias costs what it expands to: nine levels of ten are refused, not expanded.
        self._add(size, event)
        return node

    def _add(self, nodes: int, event: yaml.Event) -> None:
        self._count += nodes
        if self._count > _MAX_NODES:
            raise YamlError(_line(event), f"more than {_MAX_NODES} values, aliases expanded")


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return mark.line + 1 if mark is not None else 1
