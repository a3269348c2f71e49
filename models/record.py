"""Records that nobody changes, and that cost little to make.

A frozen dataclass stores each field through `object.__setattr__`, which makes it take three to
five times as long as another, and each translated request makes dozens. A `record` is frozen to
mypy, which reads every line of this project; when it runs it is an ordinary dataclass that has
a hash.

`dataclasses.replace` looks at each field's declaration every time it is called. `replace` here
knows the names of a record's fields, and is the same to mypy.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as record
    from dataclasses import replace
else:

    def record(*, frozen: bool, slots: bool) -> Callable[[type], type]:
        """Return the decorator; `frozen` is what the type checker goes by."""
        return dataclass(slots=slots, unsafe_hash=frozen)

    def replace(one: object, **changes: object) -> object:
        """Return a record like `one` but for the fields that are given."""
        names, values = _fields(type(one))
        return type(one)(**{**dict(zip(names, values(one), strict=False)), **changes})


@cache
def _fields(kind: type) -> "tuple[tuple[str, ...], attrgetter[tuple[object, ...]]]":
    """Return the names of a record's fields, and what reads them all."""
    names = tuple(field.name for field in fields(kind))
    # Of a single name it would return the value alone, so the first is read twice.
    return names, attrgetter(*names, *names[:1])


__all__ = ["record", "replace"]
