"""The keys of the settings as data: section, name, kind of value. Read from the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.settings import Settings


class Kind(Enum):
    """How the text of a value is read."""

    TEXT = "text"
    NUMBER = "number"
    SWITCH = "true or false"
    LIST = "list"
    MAPPING = "mapping"
    """Names to lists of texts."""
    PAIRS = "mapping of texts"
    """Names to single texts."""
    TABLE = "mapping of mappings"
    """Names to small mappings, whose own keys are `Key.columns`."""


@dataclass(frozen=True, slots=True)
class Key:
    """One setting."""

    section: str
    name: str
    kind: Kind
    bare: object
    """The annotation without `Annotated` and `| None`."""
    is_optional: bool
    """Empty means None rather than an empty text."""
    field: FieldInfo
    model: type[BaseModel]
    """The group that it belongs to."""

    @property
    def meaning(self) -> str:
        """What stands under the field, as one line.

        Read from the source when somebody asks, which only documents do: pydantic's own
        `use_attribute_docstrings` would read it at every start.
        """
        return " ".join(_texts(self.model).get(self.name, "").split())

    @property
    def dotted(self) -> str:
        """`server.port`, as in the file and in messages."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """`AIGATEWAY_SERVER__PORT`."""
        return f"AIGATEWAY_{self.section}__{self.name}".upper()

    @property
    def columns(self) -> Mapping[str, "Key"]:
        """The keys of each entry, where this is a table."""
        model = _entry_type(self.bare)
        if not isinstance(model, type) or not issubclass(model, BaseModel):
            return {}
        return _keys(self.dotted, model)


def _all_keys() -> dict[str, dict[str, Key]]:
    sections: dict[str, dict[str, Key]] = {}
    for section, section_field in Settings.model_fields.items():
        model = section_field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            sections[section] = _keys(section, model)
    return sections


def _keys(section: str, model: type[BaseModel]) -> dict[str, Key]:
    keys: dict[str, Key] = {}
    for name, field in model.model_fields.items():
        bare, is_optional = _strip(field.annotation)
        keys[name] = Key(section, name, _kind(bare), bare, is_optional, field, model)
    return keys


@cache
def _texts(model: type[BaseModel]) -> Mapping[str, str]:
    from pydantic._internal._docs_extraction import extract_docstrings_from_cls

    return extract_docstrings_from_cls(model, use_inspect=True)


def _strip(annotation: object) -> tuple[object, bool]:
    """Take off `Annotated` and `| None`; say whether the latter was there."""
    if get_origin(annotation) is Annotated:
        return _strip(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        rest = [part for part in get_args(annotation) if part is not NoneType]
        if len(rest) == 1:
            return _strip(rest[0])[0], True
    return annotation, False


def _kind(bare: object) -> Kind:
    origin = get_origin(bare)
    if origin is tuple:
        return Kind.LIST
    if origin is Mapping:
        return _kind_of_mapping(_entry_type(bare))
    if bare is bool:
        return Kind.SWITCH
    if bare in (int, float):
        return Kind.NUMBER
    return Kind.TEXT


def _entry_type(bare: object) -> object:
    """Return the type of what a mapping leads to; None where this is no mapping."""
    return _strip(get_args(bare)[1])[0] if get_origin(bare) is Mapping else None


def _kind_of_mapping(entry: object) -> Kind:
    if get_origin(entry) is tuple:
        return Kind.MAPPING
    return Kind.TABLE if isinstance(entry, type) and issubclass(entry, BaseModel) else Kind.PAIRS


SECTIONS = _all_keys()
"""Section name to key name to key, in the order of the model."""

KEYS = {key.dotted: key for section in SECTIONS.values() for key in section.values()}
VARIABLES = {key.variable: key for key in KEYS.values()}
