"""From a PATCH body to the columns that change."""

from typing import TypeVar

from openapi.fields import Patch
from repositories.base import UNSET, _Unset

T = TypeVar("T")


def given(body: Patch, name: str, value: T) -> T | _Unset:
    """Return the field's value if the body names the field, else "leave it as it is"."""
    return value if name in body.model_fields_set else UNSET
